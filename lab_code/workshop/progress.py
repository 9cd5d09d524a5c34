"""The journal of a kit, `progress.jsonl`: one JSON object a line, each carrying the SHA-256 of the line before.

Lines are only ever appended, one process at a time, and flushed to the disk before a command says that it has
succeeded. A line that was changed, removed or cut off is noticed by its number and reported, but never stops the class.
So that this holds for the last lines too, the hash of the newest one is kept beside the journal.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from lab_code.files import remove_leftovers, write_whole

JOURNAL = "progress.jsonl"
HEAD = ".progress.head"
_LOCK = ".progress.lock"
_PATIENCE_S = 5


@dataclass(frozen=True)
class Journal:
    """All events in order, and what is wrong with the file (one sentence a line at fault)."""

    events: list[dict[str, Any]]
    faults: list[str]

    def of(self, event: str, stage: str | None = None) -> list[dict[str, Any]]:
        """The events of one kind, of one stage where it is given."""
        return [e for e in self.events if e.get("event") == event and stage in (None, e.get("stage"))]

    def unlocked(self, stage: str) -> bool:
        """Whether this stage has been opened."""
        return bool(self.of("unlocked", stage))


def read_journal(root: Path) -> Journal:
    """Read and check the journal of a kit; an empty one where there is none yet."""
    path = root / JOURNAL
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    events: list[dict[str, Any]] = []
    faults: list[str] = []
    hashes = [""]  # of all lines, after that of none
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError):
            faults.append(f"{JOURNAL} line {number} cannot be read")
        else:
            if event.get("previous") != hashes[-1]:
                faults.append(f"{JOURNAL} line {number} does not follow the line before it")
            if "lost" in event:
                faults.append(f"{JOURNAL} line {number} was written where other lines had been")
            events.append(event)
        hashes.append(hashlib.sha256(line).hexdigest())
    if lines[-1]:
        faults.append(f"{JOURNAL} line {len(lines)} is cut off")
    if _read_head(root) not in hashes:
        faults.append(f"{JOURNAL} line {len(hashes) - 1} is not the last one that was written")
    return Journal(events, faults)


def append_event(root: Path, event: str, **details: Any) -> None:
    """Append one event with the time of now, on the disk before this returns."""
    path = root / JOURNAL
    with _only_here(root):
        _append(path, event, details)


def tidy_journal(root: Path) -> None:
    """Remove what a command left beside the journal that was killed as it noted its last event."""
    with _only_here(root):
        remove_leftovers(root / HEAD)


def _append(path: Path, event: str, details: dict[str, Any]) -> None:
    content = path.read_bytes() if path.is_file() else b""
    hashes = [hashlib.sha256(line).hexdigest() for line in content.split(b"\n") if line]
    head = _read_head(path.parent)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": event,
        **details,
        **({"lost": head} if head not in ("", *hashes) else {}),
        "previous": hashes[-1] if hashes else "",
    }
    text = json.dumps(line, ensure_ascii=False) + "\n"
    if content and not content.endswith(b"\n"):
        text = "\n" + text  # a line that was cut off stays what it is; this one begins anew
    with path.open("ab") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    with suppress(OSError):
        remove_leftovers(path.parent / HEAD)
        write_whole(path.parent / HEAD, hashlib.sha256(text.strip("\n").encode("utf-8")).hexdigest())


def _read_head(root: Path) -> str:
    """The hash of the newest line that was written; empty where nobody knows."""
    try:
        return (root / HEAD).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def _only_here(root: Path) -> Iterator[None]:
    """Two commands that append at once wait for each other; where a disk knows no locks, nobody waits."""
    lock = FileLock(root / _LOCK, timeout=_PATIENCE_S)
    with suppress(OSError, NotImplementedError):  # a Timeout is an OSError, too: then the line matters more
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
