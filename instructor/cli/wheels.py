"""The command `instructor wheels`: every package of the kits on the medium, for laptops without a network."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructor.cli.deliver import DryRunOption, JsonOption, find_inventory
from instructor.cli.options import BuildOption, WorkshopOption, take
from instructor.cli.waiting import alone, show_progress
from instructor.workshop import find_workshop
from lab_code.cli.terminal import make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.deliver.wheels import Order, WheelsPlan

_PYTHON = re.compile(r"3\.(1[1-9]|[2-9]\d)")


@dataclass(frozen=True)
class Options:
    """What `instructor wheels` takes."""

    build: BuildOption
    platform: Annotated[
        list[str] | None,
        typer.Option(help="A kind of laptop: linux, macos, windows, or linux-arm64 …; several times for several."),
    ] = None
    for_python: Annotated[
        list[str] | None,
        typer.Option("--for-python", help="A version that laptops have, such as 3.12; several times for several."),
    ] = None
    python: Annotated[
        bool, typer.Option("--python", help="Bring Python itself, too, for laptops that have none, or another one.")
    ] = False
    extra: Annotated[list[str] | None, typer.Option(help="An extra of the kits: tensorflow.")] = None
    dry_run: DryRunOption = False
    as_json: JsonOption = False
    workshop: WorkshopOption = None


@take(Options)
def wheels(options: Options) -> None:
    """Build the wheelhouse: all packages for the laptops of inventory.yaml, so that set-up needs no network there.

    Without an inventory, and without --platform: Linux x86-64, macOS arm64 and Windows x86-64. What is made lies in
    build/wheels/ and travels with the kits. A second run fetches only what is missing or damaged.

    Example: instructor wheels --dry-run
    """
    from instructor.deliver.wheels import apply_wheels, plan_wheels

    order = _make_order(options)
    with alone(options.build):
        plan = plan_wheels(order, options.build, show_progress)
        if not options.as_json:
            _print_plan(plan, options.dry_run)
        if not options.dry_run or plan.faults:
            apply_wheels(plan, _count_megabytes(plan.size))
    if options.as_json:
        print(json.dumps(_to_json(plan), ensure_ascii=False, indent=2))
    elif not options.dry_run:
        make_console().print(f"{plan.folder} is ready: instructor deliver takes it along", markup=False)


def _make_order(options: Options) -> "Order":
    """The kinds of laptop and of Python that are meant. Raises `LabError` for one that does not exist."""
    from instructor.deliver.resolving import PLATFORMS, USUAL
    from instructor.deliver.wheels import Order
    from lab_code.workshop.wheelhouse import this_python

    named = options.platform or _inventory_platforms(options.workshop) or list(USUAL)
    platforms = list(dict.fromkeys(USUAL.get(name, name) for name in named))
    pythons = list(dict.fromkeys(options.for_python or [this_python()]))
    for name in platforms:
        if name not in PLATFORMS:
            raise LabError(f"there is no platform '{name}'", hint=f"platforms: {', '.join([*USUAL, *PLATFORMS])}")
    for version in pythons:
        if not _PYTHON.fullmatch(version):
            raise LabError(
                f"the kits do not run on Python '{version}'", hint="3.11 or newer, such as --for-python 3.12"
            )
    return Order(platforms, pythons, sorted(set(options.extra or [])), options.python)


def _inventory_platforms(workshop: Path | None) -> list[str]:
    from instructor.deliver.inventory import INVENTORY

    if not (workshop or find_workshop()).with_name(INVENTORY).is_file():
        return []
    return [laptop.platform for laptop in find_inventory(workshop).laptops]


def _count_megabytes(size: int) -> Callable[[int], object]:
    """A bar in megabytes; call what is returned with the bytes that have come."""
    from lab_code.cli.progress_bar import start_bar

    total, come = -(-size // 1_000_000), [0]
    bar = start_bar("fetching", total, "MB")

    def advance(count: int) -> None:
        shown = min(come[0] // 1_000_000, total)
        come[0] += count
        bar.update(min(come[0] // 1_000_000, total) - shown)

    return advance


def _print_plan(plan: "WheelsPlan", dry_run: bool) -> None:
    from instructor.deliver.plan import show_bytes
    from instructor.deliver.wheels import count_parts

    title = "Dry run: nothing is fetched" if dry_run else ""
    table = make_table("laptops", "Python", title=title, right=["packages", "bytes", "to fetch"])
    for part, size, coming in count_parts(plan):
        python = part.python + (" (comes along)" if part.build else "")
        table.add_row(part.title, python, str(len(part.packages)), show_bytes(size), show_bytes(coming))
    console = make_console()
    console.print(table)
    for line in _describe(plan) if not plan.faults else ():
        console.print(line, markup=False)


def _describe(plan: "WheelsPlan") -> Sequence[str]:
    """What else there is to say, a sentence each."""
    from instructor.deliver.plan import show_bytes
    from instructor.deliver.python_builds import USUAL_SIZE

    said = [f"damaged, and fetched again: {name}" for name in plan.damaged]
    said += [f"made here of its sources, since it has no wheel: {package.name}" for package in plan.make.values()]
    said += [f"Python for the medium, about {show_bytes(USUAL_SIZE)} each: {name}" for name in plan.builds]
    said += [f"no longer needed, and removed at the end: {len(plan.obsolete)} files"] * bool(plan.obsolete)
    nothing = "nothing to fetch: every file is here, as its SHA-256 says"
    said += [f"{show_bytes(plan.size)} to fetch, {show_bytes(plan.free)} are free" if plan.size else nothing]
    return said


def _to_json(plan: "WheelsPlan") -> dict[str, Any]:
    from instructor.deliver.wheels import count_parts

    parts = [
        {"platform": part.platform, "python": part.python, "packages": len(part.packages), "bytes": size, "fetch": left}
        for part, size, left in count_parts(plan)
    ]  # fmt: skip
    lists = {"made": sorted(plan.make), "damaged": plan.damaged, "obsolete": plan.obsolete}
    return {"folder": str(plan.folder), "parts": parts, "fetch": plan.size, "free": plan.free, **lists}
