"""Read one hand-in, in a process of its own (`isolation.py`): a zip from a laptop that nobody here controls.

Only members that the manifest names are read, each checked for its place, its size and its SHA-256, and written into
a folder of our own. Nothing in it is run or unpickled. What is returned is JSON.
"""

import hashlib
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

from instructor.collect.claims import check_claims
from instructor.collect.class_facts import describe_stages, read_feedback
from instructor.collect.filling import Filled, fill_store, hash_rows, place_of
from instructor.collect.finding import Content, read_manifest
from instructor.collect.parcels import AGAIN, Budget, Members, copy_limited, open_members
from instructor.collect.statements import describe_statements
from instructor.collect.upgrade import make_older_store, read_revision, upgrade_store
from instructor.workshop import HandinLimits, Workshop
from lab_code.analysis.compare import best_runs, choose_runs, load_confusion
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.files import canonical_json
from lab_code.tracking.runs import DATABASE, Run, open_database, read_runs
from lab_code.workshop.handin import receipt
from lab_code.workshop.handin_rules import LARGEST, MANIFEST, belongs, is_clutter, is_portable
from lab_code.workshop.kit import KIT_FILE, Kit, kit_from_json
from lab_code.workshop.points import count_points
from lab_code.workshop.progress import JOURNAL, Journal, read_journal
from lab_code.workshop.review import ANSWERS, LONGEST, QUESTIONS, review_from_json, review_to_json

STORE = "store"  # the folder of the runs that were read, below the hand-in's own
_MOST_LINES = 10


def read_handin(content: Content, folder: Path, workshop: Workshop, empty_store: Path) -> dict[str, Any]:
    """Check and unpack one hand-in into `folder`, its runs into a copy of an empty store; returns what is known of it.

    Raises `LabError` that says what is wrong with it.
    """
    with open_members(content.path, content.prefix) as members:
        text, manifest = read_manifest(members)
        if content.digest and hashlib.sha256(text).hexdigest() != content.digest:
            raise LabError("it was changed while it was read", hint="collect again")
        notes = _unpack(members, manifest["files"], folder, workshop.limits)
    kit, journal = _read_kit(folder), read_journal(folder)
    if (kit.workshop, kit.group) != (manifest["workshop"], manifest["group"]):
        raise LabError(f"its {MANIFEST} and its {KIT_FILE} name different groups", hint=AGAIN)
    filled = _fill(folder, empty_store, workshop.limits.rows)
    claims = check_claims(folder / STORE)
    return {
        "group": kit.group,
        "written": one_line(manifest["written"], 40),
        "digest": hashlib.sha256(text).hexdigest(),
        "receipt": receipt(text),
        "photographs": kit.files.get("data/SHA256SUMS", ""),
        "journal": _hash_lines(folder / JOURNAL),
        "receipts": [str(event.get("receipt"))[:20] for event in journal.of("handed_in")],
        "notes": _first([*notes, *filled.notes]),
        "mismatches": _first(claims["mismatches"]),
        "unchecked": _first(claims["unchecked"]),
        "faults": _first(journal.faults),
        "left_out": _first([f"run {run_id[:8]} was left out: {why}" for run_id, why in filled.left_out.items()]),
        "counts": filled.counts,
        "runs": _describe_runs(folder / STORE, manifest["files"]),
        "progress": _describe_progress(kit, journal, workshop),
        "stages": describe_stages(journal, [stage.id for stage in workshop.stages]),
        "feedback": read_feedback(folder),
        "review": _read_answers(folder),
        "statements": describe_statements(folder, folder / STORE, kit),
    }


def _fill(folder: Path, empty_store: Path, most_rows: int) -> Filled:
    """The runs of a hand-in in a store of our own; that of an older MLflow is filled as it is, and then upgraded."""
    store = folder / STORE
    store.mkdir()
    revision = read_revision(folder)
    if revision in ("", read_revision(empty_store.parent, empty_store.name)):
        shutil.copyfile(empty_store, store / DATABASE)
        return fill_store(folder, store, most_rows)
    make_older_store(revision, store)
    filled = fill_store(folder, store, most_rows)
    upgrade_store(store)
    filled.notes.append(f"its store is of an older MLflow (schema {revision}): it was upgraded in a copy")
    return filled


def _first(lines: list[str]) -> list[str]:
    """A few of them, and how many more there are: one hand-in must not hide what is said of the others."""
    more = [f"and {len(lines) - _MOST_LINES} more of that kind"] if len(lines) > _MOST_LINES else []
    return [*lines[:_MOST_LINES], *more]


def describe_for_review(store: Path, skip: list[str], identity: str) -> dict[str, Any]:
    """Two runs of a store as the document of a `review.json`, or one, where there is only one.

    Raises `LabError` where there is none that can be read.
    """
    own = [run for run in read_runs(store) if run.run_id not in skip and not run.is_relay]
    first, second = _choose_for_review(own)
    document = review_to_json(identity, (first, second), (load_confusion(first), load_confusion(second)))
    review_from_json(document, store)  # what its reader could not read is not given to anybody
    return document if first.run_id != second.run_id else document | {"runs": document["runs"][:1]}


def _choose_for_review(runs: list[Run]) -> tuple[Run, Run]:
    """Two runs of different names, or the last two; of a group with only one that one twice."""
    finished = best_runs(runs, at_least=1)
    if len({run.name for run in finished}) > 1:
        return choose_runs(finished, [])
    first, second = sorted(finished, key=lambda run: run.started_ms)[-2:] if len(finished) > 1 else finished * 2
    return first, second


def _unpack(members: Members, files: dict[str, str], folder: Path, limits: HandinLimits) -> list[str]:
    """Write what the manifest names and the kit may send; returns notes about files that were left out."""
    budget, notes = Budget(limits.unpacked_mb * 1_000_000), []
    for named, digest in files.items():
        name = unicodedata.normalize("NFC", named)
        if not belongs(name):
            raise LabError(
                f"its manifest names '{one_line(name, 80)}', which does not belong there", hint="do not use this zip"
            )
        if is_clutter(name) or not is_portable(name):
            notes.append(f"the file {one_line(name, 80)} was left out: not every system can hold that name")
            continue
        target, largest = folder / name, LARGEST.get(name)
        own = budget if largest is None else Budget(largest, f"its file {name} is larger than {largest:,} bytes")
        copy_limited(members, name, target, own)
        with target.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise LabError(f"its file {one_line(name, 80)} is damaged", hint="copy the zip again from the laptop")
    missing = [name for name in (KIT_FILE, DATABASE) if name not in files]
    if missing:
        raise LabError(f"its file {missing[0]} is missing", hint=AGAIN)
    return notes


def _read_kit(folder: Path) -> Kit:
    try:
        return kit_from_json(json.loads((folder / KIT_FILE).read_text(encoding="utf-8")), folder)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise LabError(f"its {KIT_FILE} cannot be read: {one_line(error)}", hint=AGAIN) from error


def _hash_lines(journal: Path) -> list[str]:
    """The lines of a journal as short hashes: one that goes on from another begins with the same."""
    lines = journal.read_bytes().split(b"\n") if journal.is_file() else []
    return [hashlib.sha256(line).hexdigest()[:16] for line in lines if line]


def _describe_runs(store: Path, files: dict[str, str]) -> list[dict[str, Any]]:
    """What tells whose runs they are, which of two versions of one run is the newer, and whether they are the same."""
    with open_database(store / DATABASE) as database:
        return [
            {
                "run_id": run.run_id,
                "name": one_line(run.name, 80),
                "owner": one_line(run.tags.get("group", ""), 60),
                "status": run.status,
                "ended_ms": run.ended_ms or 0,
                "evidence": len(run.metrics) + sum(1 for _ in run.artifacts.glob("*")),
                "rows": hash_rows(database, run.run_id),
                "files": _hash_files(files, run.run_id),
            }
            for run in read_runs(store)
        ]


def _hash_files(files: dict[str, str], run_id: str) -> str:
    """Stands for the files of a run; empty where it has none."""
    place = f"{place_of(run_id).as_posix()}/"
    mine = sorted((name, digest) for name, digest in files.items() if name.startswith(place))
    return hashlib.sha256(canonical_json(mine)).hexdigest() if mine else ""


def _describe_progress(kit: Kit, journal: Journal, workshop: Workshop) -> dict[str, int]:
    stages = [stage.id for stage in workshop.stages]
    return {
        "stages_open": sum(journal.unlocked(stage) for stage in stages),
        "points": count_points(journal, stages, workshop.points.rules()),
        "wrong_answers": len(journal.of("unlock_failed")),
    }


def _read_answers(folder: Path) -> dict[str, str] | None:
    """What a group says of another group's runs; `fault` where it cannot be read, None where there is nothing."""
    path = folder / ANSWERS
    if not path.is_file():
        return None
    try:
        answers = json.loads(path.read_text(encoding="utf-8"))
        stars = str(answers["stars"]) if answers.get("stars") in range(1, 6) else ""
        said = {key: str(answers[key])[:LONGEST] for key in QUESTIONS}
        return {"id": str(answers["id"])[:100], **said, "stars": stars}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return {"fault": f"{ANSWERS} cannot be read: {one_line(error)}"}
