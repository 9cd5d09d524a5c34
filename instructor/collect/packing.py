"""Folders made into zips, each in a process of its own: hand-ins that were unpacked, and kits as they lie.

A kit that was never handed in lies on a stick, on a network share, in `build/kits/`. Its store, journal and runs are
copied first, with the write-ahead log or the hot journal of a database that was open when the laptop went away; the
copy is mended and handed in by the same code as on the laptop, with the kit's own key. The kit itself is left as it is.
"""

import os
import shutil
import zipfile
from pathlib import Path

from instructor.collect.parcels import AGAIN, Budget, FolderMembers, walk
from instructor.workshop import HandinLimits
from lab_code.errors import LabError
from lab_code.tracking.empty_store import script_name
from lab_code.tracking.runs import ARTIFACTS, DATABASE, Run, has_store, read_runs
from lab_code.workshop.handin import HANDIN_FOLDER, write_handin
from lab_code.workshop.handin_rules import LARGEST, MANIFEST, check_zip, is_allowed
from lab_code.workshop.kit import KIT_FILE, read_kit
from lab_code.workshop.progress import HEAD, JOURNAL, read_journal
from lab_code.workshop.signature import KEY_FILE, SIGNATURE

_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-journal")
_TRIES = 3  # of copying a database that a run writes to meanwhile


def pack_folder(folder: Path, target: Path, limits: HandinLimits) -> str:
    """An unpacked hand-in as a zip, the same for the same files. Raises `LabError` for one that cannot be packed."""
    members, budget = FolderMembers(folder), Budget(limits.unpacked_mb * 1_000_000)
    names = [name for name in sorted(members.names()) if is_allowed(name) or name in (MANIFEST, SIGNATURE)]
    if KIT_FILE not in names:
        raise LabError(f"its file {KIT_FILE} is missing", hint=AGAIN)
    with zipfile.ZipFile(target, "x") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"".join(members.chunks(name, budget)))
    return str(target)


def is_kit(folder: Path) -> bool:
    """Whether this folder is a kit in which something was tracked, be the store still there or not."""
    return (folder / KIT_FILE).is_file() and ((folder / DATABASE).is_file() or _has_runs(folder))


def pack_kit(folder: Path, scratch: Path, script: Path, limits: HandinLimits) -> str:
    """Hand in for a kit that did not: returns the zip, or nothing where all of it was handed in already.

    `script` makes an empty store. Raises `LabError` that says why this kit has nothing to hand in.
    """
    shadow, left = scratch / "kit", limits.unpacked_mb * 1_000_000
    (shadow / script_name()).parent.mkdir(parents=True)
    shutil.copyfile(script, shadow / script_name())  # never the kit's own: a script can write anywhere
    left -= _copy_database(folder, shadow, left)
    if not has_store(shadow) and _has_runs(folder):
        what = "empty" if (folder / DATABASE).is_file() else "missing"
        raise LabError(f"its {DATABASE} is {what}, but {ARTIFACTS}/ holds files of runs", hint="look at that laptop")
    for name in (*LARGEST, KEY_FILE):
        left -= _copy_file(folder, shadow, name, min(left, LARGEST.get(name, 1000)))
    if _is_handed_in(folder, shadow, scratch):
        return ""
    for run in read_runs(shadow):
        _copy_artifacts(folder, shadow, run, left)
    return str(write_handin(read_kit(shadow))[0])


def _has_runs(folder: Path) -> bool:
    return any(path.is_file() for path in (folder / ARTIFACTS).glob("*/*/artifacts/*"))


def _copy_database(folder: Path, shadow: Path, most: int) -> int:
    for _ in range(_TRIES):
        before = _look(folder)
        for name in _DATABASE_FILES:
            (shadow / name).unlink(missing_ok=True)
        copied = sum(_copy_file(folder, shadow, name, most) for name in _DATABASE_FILES)
        if _look(folder) == before:
            return copied
    raise LabError(f"a program writes to its {DATABASE} all the time", hint="let the group run lab handin")


def _look(folder: Path) -> list[tuple[int, int]]:
    states = [(folder / name).stat() for name in _DATABASE_FILES if (folder / name).is_file()]
    return [(state.st_size, state.st_mtime_ns) for state in states]


def _copy_file(folder: Path, shadow: Path, name: str, most: int) -> int:
    """Copy one file where it is there; returns its bytes. Links are left alone, since they may lead anywhere."""
    source = folder / name
    if source.is_symlink() or not source.is_file():
        return 0
    size = source.stat().st_size
    if size > most:
        raise LabError(
            f"its {name} has {size / 1e6:,.0f} MB, more than a hand-in may",
            hint="where that is honest work, raise limits in workshop.yaml",
        )
    (shadow / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, shadow / name)
    return size


def _copy_artifacts(folder: Path, shadow: Path, run: Run, most: int) -> None:
    tail = run.artifacts.relative_to(shadow)
    if tail.parts[0] != ARTIFACTS or not (folder / tail).resolve().is_relative_to(folder.resolve()):
        return
    for path in walk(folder / tail):
        most -= _copy_file(folder, shadow, os.fspath(path.relative_to(folder)), most)


def _is_handed_in(folder: Path, shadow: Path, scratch: Path) -> bool:
    """Whether a good zip of this kit holds every run as it is now, and nothing was noted since but handing in."""
    runs = [_state(run) for run in read_runs(shadow)]
    for path in sorted((folder / HANDIN_FOLDER).glob("*.zip"), reverse=True):
        try:
            check_zip(path)
            with zipfile.ZipFile(path) as archive:
                handed = scratch / path.stem
                names = [name for name in (DATABASE, JOURNAL) if name in archive.namelist()]
                for name in names:
                    archive.extract(name, handed)
                same = all(_holds(archive, name, shadow / name) for name in LARGEST if name not in (JOURNAL, HEAD))
            return same and [_state(run) for run in read_runs(handed)] == runs and _only_handed_in(handed, shadow)
        except (LabError, OSError, zipfile.BadZipFile):
            continue  # what is wrong with it is said where zips are read
    return False


def _holds(archive: zipfile.ZipFile, name: str, now: Path) -> bool:
    """Whether a small file (feedback, a review) was handed in as it is now."""
    handed = archive.read(name) if name in archive.namelist() else None
    return handed == (now.read_bytes() if now.is_file() else None)


def _state(run: Run) -> tuple[object, ...]:
    return run.run_id, run.name, run.status, run.ended_ms, run.params, run.metrics, run.tags


def _only_handed_in(handed: Path, now: Path) -> bool:
    before, after = (read_journal(place).events for place in (handed, now))
    return after[: len(before)] == before and all(event.get("event") == "handed_in" for event in after[len(before) :])


def explain_nothing(fault: str) -> bool:
    """Whether a kit was only never used: nothing of it is lost."""
    return "there is no finished run to hand in" in fault
