"""A folder with every group's kit: a USB stick, or a network share.

    plan = plan_stick(cargos, Path("/media/usb"))      # reads, and changes nothing
    apply_stick(plan, advance)

Each group's kit is a folder of its name, and folders that all kits share (`cargo.EXTRAS`) lie beside them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructor.deliver.cargo import Cargo, refuse
from instructor.deliver.folder import deliver, look
from instructor.deliver.medium import find_file_system, find_unfit, keeps_modes
from instructor.deliver.plan import Plan, plan_delivery, show_bytes
from lab_code.errors import LabError

_FREE = "free some room on it, or take a larger one; nothing was written"


@dataclass
class StickPlan:
    """Each kit's plan by its name. `faults` forbid all of it; what forbids one kit stands in its plan."""

    root: Path
    cargos: dict[str, Cargo]
    plans: dict[str, Plan] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_medium: bool = False  # not the disk that kits are built on


def plan_stick(cargos: Sequence[Cargo], root: Path, build: Path) -> StickPlan:
    """What a medium holds and would get. Raises `LabError` where there is none; other faults stand in the plan."""
    if not root.is_dir():
        raise LabError(
            f"there is no folder {root}",
            hint="plug the stick in and name the folder it is shown as; ways to deliver: stick FOLDER, archives, ssh",
        )
    plan, kind = StickPlan(root, {cargo.name: cargo for cargo in cargos}), find_file_system(root)
    if root.resolve().is_relative_to(build.resolve()):
        plan.faults.append(f"{root} lies inside {build}, where kits are built")
    plan.faults += find_unfit(cargos, kind)
    for cargo in cargos:
        found = look(root / cargo.name, is_kit=cargo.identity is not None)
        plan.plans[cargo.name] = plan_delivery(cargo, found)
    plan.faults += _find_too_small(plan)
    plan.notes += [f"{name}: {fault}" for name, mine in plan.plans.items() for fault in mine.faults]
    if not keeps_modes(kind):
        plan.notes.append(
            f"{root} ({kind}) keeps no run bit: copy kits to a laptop's own disk; Linux and macOS: python3 lab setup"
        )
    plan.is_medium = root.stat().st_dev != build.stat().st_dev
    if not plan.is_medium:
        plan.notes.append(f"{root} is on the same disk as {build}: is the stick plugged in?")
    return plan


def _find_too_small(plan: StickPlan) -> Iterator[str]:
    """Whether all kits fit together: half of them would help nobody."""
    needs = sum(mine.needs for mine in plan.plans.values())
    free = min((mine.free for mine in plan.plans.values() if mine.free is not None), default=needs)
    if needs > free:
        yield f"{plan.root}: {show_bytes(needs)} are needed for all kits, {show_bytes(free)} are free"


def apply_stick(plan: StickPlan, advance: Callable[[], object] = lambda: None) -> dict[str, str]:
    """Bring everything there; returns what could not be, with the reason. Raises `LabError` for the plan's faults."""
    refuse(plan.faults, _FREE if any("are free" in fault for fault in plan.faults) else "nothing was written")
    failed = {}
    for name, cargo in plan.cargos.items():
        try:
            deliver(cargo, plan.root / name, advance)
        except LabError as error:
            failed[name] = f"{error.message} (fix: {error.hint})" if error.hint else error.message
        except OSError as error:
            failed[name] = f"{error.strerror or error}: {error.filename or plan.root}".lower()
    if plan.is_medium and hasattr(os, "sync"):  # a stick is pulled out before anybody thinks of it
        os.sync()
    return failed
