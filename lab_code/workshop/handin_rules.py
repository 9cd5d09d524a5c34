"""What a hand-in may hold: the rules by which `lab handin` writes a zip, and by which the instructor reads it.

A zip that `check_zip` lets pass is what `make collect` expects; a receipt is given for nothing else.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lab_code.errors import LabError
from lab_code.limits import is_name
from lab_code.tracking.store import ARTIFACTS, DATABASE
from lab_code.workshop.feedback import FEEDBACK
from lab_code.workshop.kit import KIT_FILE
from lab_code.workshop.progress import HEAD, JOURNAL
from lab_code.workshop.review import ANSWERS
from lab_code.workshop.statements import STATEMENTS

MANIFEST = "manifest.json"
MAX_BYTES = 1_000_000_000  # of all members together, unpacked
MAX_MANIFEST_BYTES = 5_000_000
# Bytes of a small file; of the journal an afternoon of unlocking and training writes some thousand.
LARGEST = {
    KIT_FILE: 5_000_000, JOURNAL: 2_000_000, FEEDBACK: 200_000, ANSWERS: 200_000, STATEMENTS: 200_000, HEAD: 1000,
}  # fmt: skip
MOST_MEMBERS = 20_000
_DEEPEST, _LONGEST_NAME = 12, 200
_CLUTTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave behind


def is_allowed(name: str) -> bool:
    """Whether a member of this name belongs into a hand-in, and can lie in a folder on any system."""
    return belongs(name) and is_portable(name) and not is_clutter(name)


def belongs(name: str) -> bool:
    """Whether a name is one that a kit sends, and stays below the folder it is written into."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name and path.as_posix() == name
    return inside and (name in LARGEST or name == DATABASE or (path.parts[:1] == (ARTIFACTS,) and len(path.parts) > 1))


def is_clutter(name: str) -> bool:
    """Whether a file manager has put this beside other people's files: `._x.png`, `__MACOSX/…`."""
    parts = name.split("/")
    return parts[-1].startswith("._") or not _CLUTTER.isdisjoint(parts)


def is_portable(name: str) -> bool:
    """Whether a path of this name can lie on any system."""
    parts = name.split("/")
    return len(parts) <= _DEEPEST and len(name) <= _LONGEST_NAME and all(is_name(part.lstrip(".")) for part in parts)


def check_sizes(sizes: Iterable[tuple[str, int]]) -> None:
    """Raise `LabError` where the members, by name and bytes, are too large to be collected."""
    total = 0
    for name, size in sizes:
        total += size
        if size > LARGEST.get(name, MAX_BYTES):
            raise LabError(
                f"{name} has {size:,} bytes, at most {LARGEST.get(name, MAX_BYTES):,} can be handed in",
                hint="show it to the instructor",
            )
    if total > MAX_BYTES:
        raise LabError(
            f"all runs together have {total / 1e9:.1f} GB, at most {MAX_BYTES / 1e9:.0f} GB can be handed in",
            hint="delete runs that you do not need in MLflow's page (lab ui), then: lab handin",
        )


def check_zip(path: Path) -> bytes:
    """Read a zip back, whole, and return its manifest. Raises `LabError` for what could not be collected."""
    again = "check the disk's free space, then: lab handin"
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = archive.read(MANIFEST)
            files = json.loads(manifest)["files"]
            check_sizes((name, archive.getinfo(name).file_size) for name in files)
            for name, digest in files.items():
                if not is_allowed(name):
                    raise LabError(f"the zip would hold '{name}', which cannot be collected", hint="lab handin")
                if hashlib.sha256(archive.read(name)).hexdigest() != digest:
                    raise LabError(f"the zip is damaged at {name}", hint=again)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError) as error:
        raise LabError(f"the zip cannot be read back: {error}", hint=again) from error
    if len(manifest) > MAX_MANIFEST_BYTES or len(files) >= MOST_MEMBERS:
        raise LabError("there are too many files to hand in", hint="delete runs in MLflow's page (lab ui)")
    return manifest
