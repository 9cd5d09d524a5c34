"""A kit's place on this machine: on a stick, a network share, or under `build/kits`.

The same four steps as over SSH: look, send into `.delivery/`, settle, and archive what a class has left.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath

from instructor.deliver.cargo import SUMS, Cargo, parse_sums, walk_files
from instructor.deliver.plan import (
    KIT,
    NO_FOLDER,
    OTHER,
    SKIPPED,
    STAGING,
    Found,
    Plan,
    parse_document,
    plan_delivery,
)
from lab_code.errors import LabError
from lab_code.files import sha256_file, write_whole
from lab_code.workshop.kit import KIT_FILE

EARLIER = ".earlier-classes"  # where the work of classes lies, beside kits; hidden from `instructor collect`
_FILES, _DOCUMENTS = "files", "kits"


def look(root: Path, *, is_kit: bool = True) -> Found:
    """What lies there; nothing is changed. `is_kit` is false for a folder beside kits, such as the wheels."""
    found = Found(root=str(root))
    place = next(path for path in (root, *root.absolute().parents) if path.exists())
    _measure_disk(found, place)
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return found
    found.unsettled = (root / STAGING).is_dir()
    if not root.is_dir():
        found.state = NO_FOLDER
    elif is_kit and not any((root / name).exists() for name in (KIT_FILE, STAGING, "lab_code")):
        found.state = OTHER
    else:
        found.state = KIT
        _read_files(found, root)
    return found


def _measure_disk(found: Found, place: Path) -> None:
    found.free = shutil.disk_usage(place).free
    with suppress(AttributeError, OSError):  # Windows
        found.block = os.statvfs(place).f_frsize


def _read_files(found: Found, root: Path) -> None:
    identity, placing = root / KIT_FILE, sorted((root / STAGING / _DOCUMENTS).glob("*.json"))
    found.identity = identity.read_bytes() if identity.is_file() else None
    found.documents = [parse_document(path.read_bytes()) for path in (identity, *placing) if path.is_file()]
    if (root / SUMS).is_file():
        sums = parse_sums((root / SUMS).read_text(encoding="utf-8", errors="replace"))
        found.sums = {f"data/{name}": digest for name, digest in sums.items()}
    for name, entry in walk_files(root, SKIPPED | {STAGING}):
        if entry.is_symlink():
            found.links |= {name} if entry.name not in SKIPPED else set()
        elif entry.is_file():
            found.files[name] = sha256_file(Path(entry.path))
    if (root / STAGING / _FILES).is_dir():
        staged = walk_files(root / STAGING / _FILES, SKIPPED)
        found.staged = {name: sha256_file(Path(entry.path)) for name, entry in staged}


def deliver(cargo: Cargo, root: Path, advance: Callable[[], object] = lambda: None) -> Plan:
    """Look, plan, send, and put in place. Returns the plan that was followed; `advance` is called once a file.

    Raises `LabError` where something forbids it, and OSError of the disk; what has arrived stays for the next try.
    """
    is_kit = cargo.identity is not None
    plan = plan_delivery(cargo, look(root, is_kit=is_kit))
    if plan.faults:
        raise LabError("; ".join(plan.faults), hint=plan.hint or None)
    if plan.changes:
        send(cargo, root, plan.send, advance)
        arrived = plan_delivery(cargo, look(root, is_kit=is_kit)) if plan.send else plan
        if arrived.send:
            raise LabError(f"{len(arrived.send)} files did not arrive as they were sent, first {arrived.send[0]}")
        settle(root, arrived)
        plan.kept = arrived.kept  # what the group has changed meanwhile is among it
    return plan


def send(cargo: Cargo, root: Path, names: Sequence[str], advance: Callable[[], object] = lambda: None) -> None:
    """Copy files to where they wait."""
    for name in names:
        item, target = cargo.files[name], root / STAGING / _FILES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(item.source, target)
        shutil.copystat(item.source, target)
        with suppress(OSError):  # a disk that keeps no access rights
            target.chmod(item.mode)
        advance()


def settle(root: Path, plan: Plan) -> None:
    """Put everything in its place, the lists of what was shipped last: a kit knows at any moment what is its own."""
    staging, document = root / STAGING, None
    staging.mkdir(parents=True, exist_ok=True)
    if plan.identity is not None:
        document = staging / _DOCUMENTS / f"{name_document(plan.identity)}.json"
        write_whole(document, plan.identity)
    for name in sorted(plan.arrived, key=lambda name: name == SUMS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / _FILES / name, root / name)
    for name in plan.obsolete:
        (root / name).unlink(missing_ok=True)
    for folder in folders_of(plan.obsolete):
        with suppress(OSError):  # something else is in there
            (root / folder).rmdir()
    if document is not None:
        os.replace(document, root / KIT_FILE)
    shutil.rmtree(staging)


def name_document(identity: bytes) -> str:
    """A name for a `kit.json` that is being put in place: another one does not replace it."""
    return hashlib.sha256(identity).hexdigest()[:12]


def folders_of(names: Sequence[str]) -> list[str]:
    """The folders that these files lie in, the deepest first."""
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents if parent.name}
    return sorted(folders, key=lambda folder: (-folder.count("/"), folder))


def tops_of_work(found: Found) -> list[str]:
    """What has to be moved so that all work is: whole folders where nothing that was shipped lies in them."""
    shipped = {name for name in found.files if found.is_shipped(name)}
    homes = {parent.as_posix() for name in (*shipped, KIT_FILE) for parent in PurePosixPath(name).parents}
    tops = set()
    for name in found.work():
        path = PurePosixPath(name)
        whole = [parent.as_posix() for parent in reversed(path.parents) if parent.as_posix() not in homes]
        tops.add(whole[0] if whole else name)
    return sorted(tops)


def archive(root: Path, found: Found, into: Path) -> None:
    """Move a class's work out of a kit into the new folder `into`, on the same disk."""
    for name in tops_of_work(found):
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(root / name, into / name)


def dated(group: str) -> str:
    """The name of an archive: `group-1-20261126-101500`."""
    return f"{group}-{datetime.now():%Y%m%d-%H%M%S}"
