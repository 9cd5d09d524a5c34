"""Which picture is older than what it shows: `made.json` beside the pictures notes the files of each, by their SHA-256.

find_stale(PROJECT, PICTURES)       {"board": ["instructor/classroom/board.html has changed"]}
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_code.errors import LabError
from lab_code.files import to_json, write_whole

FOLDER, RECORD = "docs/pictures", "made.json"
_DIGITS = 16  # of a SHA-256: enough to see a change


@dataclass(frozen=True)
class Shown:
    """What a picture is of: `shows` are the files that it is older than when they change, as globs of the project."""

    name: str
    shows: Sequence[str]

    @property
    def path(self) -> str:
        """Its file, from the project's folder."""
        return f"{FOLDER}/{self.name}.webp"


def read_digests(project: Path, picture: Shown) -> dict[str, str]:
    """The files that a picture shows, and their content. Raises `LabError` for a pattern that finds none."""
    found = {}
    for pattern in picture.shows:
        paths = sorted(path for path in project.glob(pattern) if path.is_file())
        if not paths:
            raise LabError(
                f"the picture '{picture.name}' shows '{pattern}', which is no file of the project",
                hint="change its line in instructor/screenshots/table.py",
            )
        for path in paths:
            content = path.read_bytes().replace(b"\r\n", b"\n")
            found[path.relative_to(project).as_posix()] = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return found


def find_stale(project: Path, pictures: Iterable[Shown]) -> dict[str, list[str]]:
    """What has changed since each picture was made; without those that are as they should be."""
    record = _read(project)
    faults = {picture.name: _find_faults(project, picture, record) for picture in pictures}
    return {name: found for name, found in faults.items() if found}


def note_made(project: Path, picture: Shown, digests: Mapping[str, str]) -> None:
    """Note what a picture shows: the files as they were when it was taken."""
    record = {**_read(project), picture.name: digests}
    write_whole(project / FOLDER / RECORD, to_json(dict(sorted(record.items()))))


def _find_faults(project: Path, picture: Shown, record: Mapping[str, Any]) -> list[str]:
    if not (project / picture.path).is_file():
        return ["it is not there"]
    then, now = record.get(picture.name), read_digests(project, picture)
    if not isinstance(then, dict):
        return ["nobody noted what it was made from"]
    changed = [f"{path} {'has changed' if path in then else 'is new'}" for path in now if now[path] != then.get(path)]
    return changed + [f"{path} is gone" for path in then if path not in now]


def _read(project: Path) -> dict[str, Any]:
    try:
        document = json.loads((project / FOLDER / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
