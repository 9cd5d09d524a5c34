"""Read one hand-in: a zip from a laptop that nobody here controls.

Only members that the manifest names are read, each checked for its place, its size and its SHA-256, and written into
a folder of our own. Nothing in it is run or unpickled.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.runs import ARTIFACTS, DATABASE
from lab_code.workshop.feedback import FEEDBACK
from lab_code.workshop.handin import MANIFEST, receipt
from lab_code.workshop.kit import KIT_FILE, Kit, kit_from_json
from lab_code.workshop.progress import HEAD, JOURNAL, Journal, read_journal
from lab_code.workshop.review import ANSWERS

_MAX_BYTES = 1_000_000_000  # of all members together, unpacked
_TOP_FILES = {KIT_FILE, JOURNAL, DATABASE, FEEDBACK, ANSWERS, HEAD}


@dataclass(frozen=True)
class HandIn:
    """A hand-in that has been checked and unpacked into `folder`."""

    path: Path
    group: str
    written: str  # ISO time of the group's laptop
    receipt: str
    folder: Path
    kit: Kit = field(repr=False)
    journal: Journal = field(repr=False)


def find_handins(places: Iterable[Path]) -> list[Path]:
    """The zips among `places` and inside the folders among them, sorted. Raises `LabError` for a place not there."""
    found: set[Path] = set()
    for place in places:
        if place.is_dir():
            zips = (path for path in place.rglob("*.zip") if path.is_file())
            found.update(path for path in zips if not any(p.startswith(".") for p in path.relative_to(place).parts))
        elif place.is_file():
            found.add(place)
        else:
            raise LabError(f"there is no {place}", hint="name a zip or a folder that holds some")
    return sorted(found)


def read_handin(path: Path, workshop: Workshop, folder: Path) -> HandIn:
    """Check and unpack one zip into `folder`. Raises `LabError` that says what is wrong with it."""
    again = "let the group run lab handin again and copy the new zip"
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(MANIFEST)
            manifest = json.loads(text)
            _check_belongs(manifest, workshop)
            _unpack(archive, manifest["files"], folder)
        kit = kit_from_json(json.loads((folder / KIT_FILE).read_text(encoding="utf-8")), folder)
    except zipfile.BadZipFile as error:
        raise LabError(f"not a zip, or cut off ({error})", hint=again) from error
    except (KeyError, ValueError, TypeError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise LabError(f"not a hand-in of this kit: {type(error).__name__}: {error}", hint=again) from error
    if (kit.workshop, kit.group) != (manifest["workshop"], manifest["group"]):
        raise LabError("its manifest and its kit.json name different groups", hint=again)
    written = str(manifest["written"])
    return HandIn(path, kit.group, written, receipt(text), folder, kit, read_journal(folder))


def read_handins(
    paths: Iterable[Path],
    workshop: Workshop,
    scratch: Path,
    refused: dict[Path, str],
    advance: Callable[[], object] = lambda: None,
) -> dict[str, HandIn]:
    """The newest hand-in of every group, in the workshop's order; reasons for the others go into `refused`."""
    handins = []
    for number, path in enumerate(paths):
        try:
            handins.append(read_handin(path, workshop, scratch / f"handin-{number}"))
        except Exception as error:  # any fault of a foreign file becomes a reason
            refused[path] = describe_fault(error)
        advance()
    newest = newest_of_each_group(handins)
    return {group: newest[group] for group in workshop.groups if group in newest}


def describe_fault(error: Exception) -> str:
    """Why something of a hand-in could not be used, in one line."""
    return str(error) if isinstance(error, LabError | OSError) else f"unexpected {type(error).__name__}: {error}"


def newest_of_each_group(handins: list[HandIn]) -> dict[str, HandIn]:
    """Of several hand-ins of a group the newest counts."""
    newest: dict[str, HandIn] = {}
    for handin in sorted(handins, key=lambda handin: (handin.written, handin.path.name)):
        newest[handin.group] = handin
    return newest


def _check_belongs(manifest: Any, workshop: Workshop) -> None:
    if manifest["workshop"] != workshop.id:
        raise LabError(
            f"it belongs to the workshop '{manifest['workshop']}', not to '{workshop.id}'",
            hint="move it elsewhere, or name the right workshop.yaml",
        )
    if manifest["group"] not in workshop.groups:
        raise LabError(f"its group '{manifest['group']}' is not one of this workshop", hint="move it elsewhere")


def _unpack(archive: zipfile.ZipFile, files: dict[str, str], folder: Path) -> None:
    total = 0
    for name, digest in files.items():
        path = PurePosixPath(name)
        allowed = name in _TOP_FILES or path.parts[0] == ARTIFACTS
        if not allowed or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise LabError(f"its manifest names '{name}', which does not belong there", hint="do not use this zip")
        total += archive.getinfo(name).file_size
        if total > _MAX_BYTES:
            raise LabError(f"it unpacks to more than {_MAX_BYTES / 1e9:.0f} GB", hint="let the group delete old runs")
        content = archive.read(name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise LabError(f"its member {name} is damaged", hint="copy the zip again from the laptop")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
