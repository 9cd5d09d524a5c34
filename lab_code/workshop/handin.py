"""One zip with everything a group did, and a short receipt code to read aloud.

The zip holds a manifest (SHA-256 of every member) that the kit has signed, the kit's identity, its journal, a
consistent copy of the MLflow database and the artifacts of its runs: data formats only. The receipt is the beginning of
the manifest's SHA-256, so that the instructor can compare it with what arrived.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from lab_code.errors import LabError
from lab_code.files import sha256_file, to_json
from lab_code.runs import ARTIFACTS, DATABASE, open_database, read_runs
from lab_code.workshop.codes import make_code
from lab_code.workshop.feedback import FEEDBACK
from lab_code.workshop.kit import KIT_FILE, Kit
from lab_code.workshop.progress import HEAD, JOURNAL, append_event
from lab_code.workshop.review import ANSWERS
from lab_code.workshop.signature import SIGNATURE, read_key, sign

HANDIN_FOLDER = "handin"
MANIFEST = "manifest.json"
_RECEIPT_BYTES = 5
_SUFFIXES = {".csv", ".json", ".md", ".png", ".safetensors", ".txt", ".yaml"}


def write_handin(kit: Kit) -> tuple[Path, str, int]:
    """Write `handin/<group>-<time>.zip`; returns its path, the receipt and the number of finished runs.

    Raises `LabError` where there is nothing to hand in yet.
    """
    finished = [run for run in read_runs(kit.root) if run.status == "FINISHED"]
    if not finished:
        raise LabError("there is no finished run to hand in", hint="train first: lab train experiment=baseline")
    append_event(kit.root, "handed_in", runs=len(finished))
    folder = kit.root / HANDIN_FOLDER
    folder.mkdir(exist_ok=True)
    target = folder / f"{kit.group}-{datetime.now():%Y%m%d-%H%M%S}.zip"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".collecting-") as scratch:
        members = _collect_members(kit, Path(scratch))
        manifest = to_json(
            {
                "workshop": kit.workshop,
                "group": kit.group,
                "written": datetime.now().astimezone().isoformat(timespec="seconds"),
                "files": {name: sha256_file(path) for name, path in members.items()},
            }
        )
        beside = Path(scratch) / "handin.zip"
        _write_zip(beside, manifest, members, read_key(kit.root))
        os.replace(beside, target)
    return target, receipt(manifest.encode("utf-8")), len(finished)


def receipt(manifest: bytes) -> str:
    """Nine characters that stand for a manifest."""
    return make_code(hashlib.sha256(manifest).digest()[:_RECEIPT_BYTES])


def _collect_members(kit: Kit, scratch: Path) -> dict[str, Path]:
    """Names in the zip and the files they come from, in a fixed order."""
    copy = scratch / DATABASE
    with open_database(kit.root / DATABASE) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)  # consistent even while a run writes
    members = {KIT_FILE: kit.root / KIT_FILE, JOURNAL: kit.root / JOURNAL, DATABASE: copy}
    members |= {name: kit.root / name for name in (HEAD, FEEDBACK, ANSWERS) if (kit.root / name).is_file()}
    for path in sorted((kit.root / ARTIFACTS).rglob("*")):
        if path.is_file() and not path.is_symlink() and path.suffix in _SUFFIXES:
            members[path.relative_to(kit.root).as_posix()] = path
    return members


def _write_zip(path: Path, manifest: str, members: dict[str, Path], key: bytes | None) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, manifest)
        if key:
            archive.writestr(SIGNATURE, sign(manifest.encode("utf-8"), key))
        for name, source in members.items():
            archive.write(source, name)
    with zipfile.ZipFile(path) as archive:
        json.loads(archive.read(MANIFEST))
        broken = archive.testzip()
    if broken:
        raise LabError(f"the zip is damaged at {broken}", hint="check the disk, then run lab handin again")
    with path.open("rb+") as file:
        os.fsync(file.fileno())
