"""All kits of a workshop at once: check the room, prepare the data, build what is missing or out of date.

Running it again builds nothing that is already as planned. A kit that a group has worked in is moved to
`build/replaced/` before another takes its place: nothing of a group is ever deleted here.
"""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from instructor.dataset.prepare import PreparedData, is_divided_publicly, prepare_data
from instructor.locks.audit import time_guess
from instructor.provision.kit import (
    KitPlan,
    StartedLocks,
    build_kit,
    gather_secrets,
    list_shared,
    plan_kit,
    sheet_stage,
    start_locks,
    start_test_lock,
)
from instructor.provision.leaks import SecretSearch
from instructor.provision.sheet import write_catch_up, write_key
from instructor.provision.store_script import begin_script
from instructor.quizbank.bank import BankQuestion, load_bank
from instructor.quizbank.variants import GroupQuestion, make_variants
from instructor.vault import Vault
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

_MOST_AT_ONCE = 6  # derivations; each takes a quarter of a gigabyte
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
    script = build / Path(script_name()).name
    bank: list[BankQuestion] = []

    def read_bank(data: Path | None = None) -> None:
        if not bank:
            bank.extend(load_bank(workshop, project=project, data=data, build=build))

    with begin_script(script):  # all three take some seconds
        data = prepare_data(workshop.data, build, lambda total: progress("photographs", total), read_bank)
        read_bank(data.folder)
    vault, home = Vault(build), project or workshop.home
    variants = make_variants(workshop, bank, vault.answer_secret(workshop.id))
    shared = list_shared(data, home, script)
    plans = [plan_kit(workshop, group, variants[group], data, home, shared) for group in workshop.groups]
    for plan in plans:
        plan.written.update(_draw_keys(workshop, plan.group, vault))
    done = Provisioned(data, variants)
    key = {
        plan.group: [
            {
                "stage": stage.stage.id,
                "answers": ",".join(stage.answers),
                "rescue": vault.rescue_code(workshop.id, plan.group, stage.stage.id),
            }
            for stage in plan.stages
        ]
        for plan in plans
    }

    def work(guess_s: float) -> None:
        done.notes += _tell_changes(vault.write_key(key), data)
        _write_key_page(workshop, key, vault)
        _write_catch_ups(workshop, plans, key, vault)
        if meanwhile:
            meanwhile(variants, guess_s)

    _build_all(plans, build, vault, done, progress, work)
    return done


def _write_key_page(workshop: Workshop, key: dict[str, list[dict[str, str]]], vault: Vault) -> None:
    titles = {stage.id: (number, stage.title) for number, stage in enumerate(workshop.stages, 1)}
    described = {
        group: [{**entry, "number": titles[entry["stage"]][0], "title": titles[entry["stage"]][1]} for entry in entries]
        for group, entries in key.items()
    }
    write_key(vault.folder / "key.pdf", title=workshop.title, groups=described, paper=workshop.paper)


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


def _write_catch_ups(
    workshop: Workshop, plans: list[KitPlan], key: dict[str, list[dict[str, str]]], vault: Vault
) -> None:
    """One PDF a stage in the vault, with a page for every group."""
    for index in range(len(workshop.stages)):
        groups = [
            {
                "name": plan.group,
                "number": plan.number,
                "rescue": key[plan.group][index]["rescue"],
                "questions": [
                    {
                        "text": question.shown.text,
                        "answer": question.answer,
                        "right": ", ".join(question.source.rights),
                        "explanation": question.source.explanation,
                    }
                    for question in plan.stages[index].questions
                ],
            }
            for plan in plans
        ]
        stage = sheet_stage(index + 1, plans[0].stages[index])
        path = vault.folder / f"catch-up-{index + 1}.pdf"
        write_catch_up(path, title=workshop.title, stage=stage, groups=groups, paper=workshop.paper)


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
    vault: Vault,
    done: Provisioned,
    progress: Progress,
    meanwhile: Callable[[float], None],
) -> None:
    """Build what is missing or out of date; `meanwhile` is done before the first kit, while the locks are made."""
    stamps = _read_stamps(vault)
    wanted = {plan.group: plan.fingerprint() for plan in plans}
    outdated = []
    for plan in plans:
        if stamps.get(plan.group) == wanted[plan.group] and (build / "kits" / plan.group / KIT_FILE).is_file():
            done.current.append(plan.group)
        else:
            outdated.append(plan)
    if not outdated:
        return meanwhile(time_guess(plans[0].workshop.locks, repeats=1))
    advance = progress("locks", sum(len(plan.stages) for plan in outdated))
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_AT_ONCE)) as pool:
        test = start_test_lock(plans[0].workshop, pool)
        started = [start_locks(plan, vault, pool, test) for plan in outdated]
        try:
            meanwhile(test.result()[1])
            secrets = gather_secrets(plans, started, vault)
            for plan, locks in zip(outdated, started, strict=True):
                _build_one(plan, build, locks, secrets, done, advance)
                stamps[plan.group] = wanted[plan.group] if plan.group in done.built else ""
                write_whole(vault.folder / "kits.json", to_json(stamps))
        finally:
            pool.shutdown(cancel_futures=True)


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


def _read_stamps(vault: Vault) -> dict[str, str]:
    try:
        return dict(json.loads((vault.folder / "kits.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
