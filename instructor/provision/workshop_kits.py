"""All kits of a workshop at once: check the room, prepare the data, build what is missing or out of date.

Running it again builds nothing that is already as planned. A kit that a group has worked in is moved to
`build/replaced/` before another takes its place: nothing of a group is ever deleted here.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from instructor.dataset.prepare import PreparedData, is_divided_publicly, prepare_data
from instructor.provision.answers import write_answers
from instructor.provision.kit import KitPlan, build_kit, list_shared, plan_kit
from instructor.provision.kit_locks import KitLocks, StartedLocks
from instructor.provision.leaks import SecretSearch
from instructor.provision.stages import plan_stages
from instructor.provision.store_script import begin_script
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import GroupQuestion, make_variants
from instructor.vault import Vault
from instructor.workers import open_workers
from instructor.workshop import SYNTHETIC, Workshop
from lab_code.data.image_files import list_files
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.tracking.empty_store import script_name
from lab_code.tracking.runs import DATABASE
from lab_code.workshop.course_server import PASSWORD_FILE
from lab_code.workshop.kit import KIT_FILE
from lab_code.workshop.progress import JOURNAL
from lab_code.workshop.signature import KEY_FILE

_ROOM_FOR_THE_REST = 100_000_000  # bytes: code, sheets, and what training writes first

Progress = Callable[[str, int], Callable[[], object]]
Variants = dict[str, dict[str, list[GroupQuestion]]]  # group -> stage -> its questions


@dataclass
class Provisioned:
    """What was done to each group's kit, and why where it failed."""

    data: PreparedData
    variants: Variants
    built: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    moved: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)  # what to do about the failures
    notes: list[str] = field(default_factory=list)


def provision(
    workshop: Workshop,
    build: Path,
    progress: Progress,
    project: Path | None = None,
    meanwhile: Callable[[Variants, float], object] | None = None,
) -> Provisioned:
    """Build every kit under `build/kits/`; `progress(title, total)` starts a bar and returns what advances it.

    `meanwhile` is called while the locks are made, with all groups' questions and the seconds that one guess takes.
    Raises `LabError` for a workshop that cannot be built at all; one group's failure leaves the others alone.
    """
    check_room(workshop, build)
    (build / "kits").mkdir(parents=True, exist_ok=True)
    vault, home = Vault(build), project or workshop.home
    with open_workers() as workers:
        locks = KitLocks(workshop, vault, workers)
        variants: Variants = {}

        def ask(data: Path | None = None) -> None:
            if not variants:
                bank = load_bank(workshop, project=project, data=data, build=build)
                variants.update(make_variants(workshop, bank, vault.answer_secret(workshop.id)))
                _begin_locks(workshop, build, variants, home, locks)

        script = build / Path(script_name()).name
        with begin_script(script):
            data = prepare_data(workshop.data, build, lambda total: progress("photographs", total), ask, workers)
            ask(data.folder)
        shared = list_shared(data, home, script)
        plans = [plan_kit(workshop, group, variants[group], data, home, shared) for group in workshop.groups]
        for plan in plans:
            plan.written.update(_draw_keys(workshop, plan.group, vault))
        done = Provisioned(data, variants)

        def work() -> None:
            done.notes += _tell_changes(write_answers(workshop, plans, vault), data)
            if meanwhile:
                meanwhile(variants, locks.guess_s())

        _build_all(plans, build, locks, done, progress, work)
    return done


def _begin_locks(workshop: Workshop, build: Path, variants: Variants, project: Path, locks: KitLocks) -> None:
    """Those of the groups that have no kit yet, whatever else it will hold: nothing takes as long."""
    for group in workshop.groups:
        if not (build / "kits" / group / KIT_FILE).is_file():
            locks.begin(group, plan_stages(workshop, variants[group], project))


def _draw_keys(workshop: Workshop, group: str, vault: Vault) -> dict[str, bytes]:
    """What a kit signs with, and its account's password where it reports to a course's server."""
    keys = {KEY_FILE: vault.handin_key(workshop.id, group).hex()}
    if workshop.server.report_to:
        keys[PASSWORD_FILE] = vault.password(workshop.id, group, "server")
    return {name: key.encode("ascii") for name, key in keys.items()}


def _tell_changes(kept: Path | None, data: PreparedData) -> list[str]:
    """What kits that were handed out before have to do with the new key and the hidden photographs."""
    notes = []
    if kept is not None:
        notes.append(
            f"the key has changed; kits that were handed out before keep their answers and codes: those stand in {kept}"
        )
    if is_divided_publicly(data):
        notes.append(
            "which photographs are hidden still follows from data.seed in workshop.yaml, so that kits which were "
            f"handed out before have none of them; to draw anew, when those are collected: remove {data.test_folder}"
        )
    return notes


def check_room(workshop: Workshop, build: Path, times: int = 1) -> None:
    """Raise `LabError` where the disk cannot hold the kits, or so many copies of each."""
    if workshop.data.source == SYNTHETIC:
        photographs = (workshop.data.images + workshop.data.test_images) * workshop.data.image_size**2
    else:
        photographs = len(list_files(Path(workshop.data.source))) * workshop.data.stored_size**2 * 2
    # A small file takes at least a block of 4 KiB; a JPEG of this quality rarely more than a byte a pixel.
    needed = (times * len(workshop.groups) + 2) * max(photographs, 4096) + times * _ROOM_FOR_THE_REST
    place = next(folder for folder in (build, *build.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise LabError(
            f"{free / 1e9:.2f} GB are free at {place}, but {len(workshop.groups)} kits need {needed / 1e9:.2f} GB",
            hint="free some room, or lower data.images in instructor/workshop.yaml",
        )


def _build_all(
    plans: list[KitPlan],
    build: Path,
    locks: KitLocks,
    done: Provisioned,
    progress: Progress,
    meanwhile: Callable[[], None],
) -> None:
    """Build what is missing or out of date; `meanwhile` is done before the first kit, while the locks are made."""
    stamps_file = build / "vault" / "kits.json"
    stamps = _read_stamps(stamps_file)
    wanted = {plan.group: plan.fingerprint() for plan in plans}
    outdated = []
    for plan in plans:
        if stamps.get(plan.group) == wanted[plan.group] and (build / "kits" / plan.group / KIT_FILE).is_file():
            done.current.append(plan.group)
        else:
            outdated.append(plan)
    started = [locks.begin(plan.group, plan.stages) for plan in outdated]
    meanwhile()
    if not outdated:
        return
    advance = progress("locks", sum(len(plan.stages) for plan in outdated))
    secrets = locks.gather_secrets({plan.group: plan.stages for plan in plans})
    for plan, mine in zip(outdated, started, strict=True):
        _build_one(plan, build, mine, secrets, done, advance)
        stamps[plan.group] = wanted[plan.group] if plan.group in done.built else ""
        write_whole(stamps_file, to_json(stamps))


def _build_one(
    plan: KitPlan,
    build: Path,
    locks: StartedLocks,
    secrets: SecretSearch,
    done: Provisioned,
    advance: Callable[[], object],
) -> None:
    target, staging = build / "kits" / plan.group, build / "kits" / f".staging-{plan.group}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        build_kit(plan, staging, locks, secrets, advance)
        moved = _clear_place(target, build)
        if moved:
            done.moved[plan.group] = moved
        os.replace(staging, target)
        done.built.append(plan.group)
    except (LabError, OSError) as error:
        done.failed[plan.group] = str(error)
        done.hints.append((error.hint if isinstance(error, LabError) else None) or "make provision again")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _clear_place(target: Path, build: Path) -> Path | None:
    """Make room for a kit: one that was used is moved away (its new place is returned), an unused one removed."""
    if not target.exists():
        return None
    if not any((target / name).exists() for name in (JOURNAL, DATABASE)):
        shutil.rmtree(target)
        return None
    moved = build / "replaced" / f"{target.name}-{datetime.now():%Y%m%d-%H%M%S}"
    moved.parent.mkdir(parents=True, exist_ok=True)
    os.replace(target, moved)
    return moved


def _read_stamps(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
