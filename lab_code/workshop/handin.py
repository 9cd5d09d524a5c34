"""One zip with everything a group did, and a short receipt code to read aloud.

The zip holds a manifest (SHA-256 of every member) that the kit has signed, the kit's identity, its journal, a database
with the lab's own runs and their artifacts: data formats only. It is read back by the rules of `handin_rules.py` before
it gets its name, and the journal notes it after that. The receipt is the beginning of the manifest's SHA-256, so that
the instructor can compare it with what arrived.
"""

import hashlib
import os
import shutil
import sqlite3
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from lab_code.errors import LabError
from lab_code.files import to_json
from lab_code.tracking.one_at_a_time import one_at_a_time
from lab_code.tracking.runs import Run, has_store, read_runs
from lab_code.tracking.store import DATABASE, explain_fault
from lab_code.tracking.store_copy import copy_own_runs
from lab_code.workshop.codes import make_code
from lab_code.workshop.feedback import FEEDBACK
from lab_code.workshop.handin_rules import MANIFEST, check_sizes, check_zip, is_allowed
from lab_code.workshop.kit import KIT_FILE, Kit
from lab_code.workshop.missing_runs import describe_missing
from lab_code.workshop.progress import HEAD, JOURNAL, append_event
from lab_code.workshop.review import ANSWERS
from lab_code.workshop.signature import SIGNATURE, read_key, sign
from lab_code.workshop.statements import STATEMENTS

HANDIN_FOLDER = "handin"
_LOCK, _PATIENCE_S = ".handin.lock", 60
_COLLECTING = ".collecting-"
_RECEIPT_BYTES = 5
_SMALL = (JOURNAL, HEAD, FEEDBACK, STATEMENTS, ANSWERS)  # what is there of these
_SUFFIXES = {".csv", ".json", ".md", ".png", ".safetensors", ".txt", ".yaml"}


def write_handin(kit: Kit) -> tuple[Path, str, int]:
    """Write `handin/<group>-<time>.zip`; returns its path, the receipt and the number of finished runs.

    Raises `LabError` where there is nothing to hand in yet, and where the zip could not be collected.
    """
    present = read_runs(kit.root)
    if not has_store(kit.root) or not _finished(present):
        gone = describe_missing(kit.root, {run.run_id for run in present})
        named = [f" experiment={name}" for stage in kit.stages for name in stage.experiments[:1]] or [""]
        hint = "; ".join(gone) or f"train first: lab train{named[0]}"
        raise LabError("there is no finished run to hand in", hint=hint)
    folder = kit.root / HANDIN_FOLDER
    folder.mkdir(exist_ok=True)
    with one_at_a_time(kit.root / _LOCK, "handing in", _PATIENCE_S):
        for leftover in folder.glob(f"{_COLLECTING}*"):  # of a command that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_COLLECTING) as scratch:
            beside = Path(scratch) / "handin.zip"
            try:
                members, runs = _collect_members(kit, Path(scratch))
                _write_zip(beside, kit, members)
            except (OSError, sqlite3.Error) as error:
                raise explain_fault(folder, error) from error
            manifest = check_zip(beside)
            target = _free_name(folder, f"{kit.group}-{datetime.now():%Y%m%d-%H%M%S}")
            os.replace(beside, target)
        code = receipt(manifest)
        append_event(kit.root, "handed_in", runs=_finished(runs), zip=target.name, receipt=code)
    return target, code, _finished(runs)


def receipt(manifest: bytes) -> str:
    """Nine characters that stand for a manifest."""
    return make_code(hashlib.sha256(manifest).digest()[:_RECEIPT_BYTES])


def _finished(runs: Iterable[Run]) -> int:
    return sum(run.status == "FINISHED" for run in runs)


def _collect_members(kit: Kit, scratch: Path) -> tuple[dict[str, Path], list[Run]]:
    """Names in the zip and the files they come from, in a fixed order; and the runs they belong to."""
    runs = copy_own_runs(kit.root, scratch / DATABASE)
    members = {KIT_FILE: kit.root / KIT_FILE, DATABASE: scratch / DATABASE}
    members |= {name: kit.root / name for name in _SMALL if (kit.root / name).is_file()}
    for run in runs:
        for path in sorted(run.artifacts.rglob("*")):
            name = unicodedata.normalize("NFC", path.relative_to(kit.root).as_posix())
            if path.is_file() and not path.is_symlink() and path.suffix in _SUFFIXES and is_allowed(name):
                members[name] = path
    check_sizes((name, path.stat().st_size) for name, path in members.items())
    return members, runs


def _write_zip(path: Path, kit: Kit, members: dict[str, Path]) -> None:
    """Every file is read once: what a run writes meanwhile cannot come between it and its SHA-256."""
    digests = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in members.items():
            content = source.read_bytes()
            digests[name] = hashlib.sha256(content).hexdigest()
            _write_member(archive, name, content)
        manifest = {
            "workshop": kit.workshop,
            "group": kit.group,
            "written": datetime.now().astimezone().isoformat(timespec="seconds"),
            "files": digests,
        }
        text, key = to_json(manifest), read_key(kit.root)
        _write_member(archive, MANIFEST, text.encode("utf-8"))
        if key:
            _write_member(archive, SIGNATURE, sign(text.encode("utf-8"), key).encode("ascii"))
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _write_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """A file without the time of this laptop, whose clock may stand before zips were invented."""
    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _free_name(folder: Path, stem: str) -> Path:
    """A zip of this name, or with a number where two were handed in within a second: none replaces another."""
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(folder / f"{name}.zip" for name in names if not (folder / f"{name}.zip").exists())
