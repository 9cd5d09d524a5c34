"""What was handed in, kept: every original as it arrived, under its SHA-256, in `build/inbox/`.

    inbox.kept()                      # what earlier calls have collected
    inbox.keep(path, digest, note)    # one more

A hand-in stays collected when its stick is gone. Beside each original lies a small JSON file that says what it was
called when it came; where that is missing, the original counts all the same.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from instructor.collect.parcels import CHUNK
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.files import sha256_file, to_json, write_whole

INBOX = "inbox"
_LONGEST = 1000


@dataclass(frozen=True)
class Original:
    """One file of the inbox. `contents` are the SHA-256 of the lists of files of the hand-ins in it."""

    path: Path
    digest: str
    shown: str
    contents: list[str] = field(default_factory=list)


class Inbox:
    """The folder of originals. Only one command at a time writes into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def kept(self) -> Iterator[Original]:
        """Every original, in the order of their names."""
        for path in sorted(self.folder.glob("*.zip")):
            yield self._describe(path)

    def find(self, digest: str) -> Path | None:
        """The original with this SHA-256, if it is here."""
        path = self.folder / f"{digest}.zip"
        return path if path.is_file() else None

    def keep(self, file: Path, original: Original) -> Path:
        """Move a file that lies on the same disk here, and note what it was called. Whole, or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{original.digest}.zip"
        note = {
            "came_as": original.shown,
            "first_collected": datetime.now().astimezone().isoformat(timespec="seconds"),
            "contents": original.contents,
        }
        write_whole(target.with_suffix(".json"), to_json(note))
        _flush(file)
        file.chmod(0o444)
        os.replace(file, target)
        return target

    def _describe(self, path: Path) -> Original:
        shown, contents = str(path), list[str]()
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            shown, contents = one_line(str(note["came_as"]), _LONGEST), [str(entry) for entry in note["contents"]]
        return Original(path, path.stem, shown, contents)


def copy_original(path: Path, target: Path, digest: str) -> None:
    """Copy a file that someone has brought. Raises `LabError` where it cannot be read, or is another one by now."""
    found = hashlib.sha256()
    with path.open("rb") as source, target.open("xb") as copy:
        while chunk := source.read(CHUNK):
            found.update(chunk)
            copy.write(chunk)
    if found.hexdigest() != digest:
        raise LabError("it was changed while it was read", hint="collect again")


def hash_original(path: Path) -> str:
    """SHA-256 of a file that someone has brought. Raises `LabError` where it cannot be read."""
    try:
        return sha256_file(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LabError(f"it cannot be read: {reason}", hint="copy it to this computer and collect again") from error


def _flush(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())
