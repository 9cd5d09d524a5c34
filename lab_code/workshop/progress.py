"""The journal of a kit, `progress.jsonl`: one JSON object a line, each carrying the SHA-256 of the line before.

Lines are only ever appended, and flushed to the disk before a command says that it has succeeded. A line that was
changed, removed or cut off is noticed by its number and reported, but never stops the class.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JOURNAL = "progress.jsonl"


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
    previous = ""
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ValueError("not an object")
        except ValueError:
            faults.append(f"{JOURNAL} line {number} cannot be read")
        else:
            if event.get("previous") != previous:
                faults.append(f"{JOURNAL} line {number} does not follow the line before it")
            events.append(event)
        previous = hashlib.sha256(line).hexdigest()
    if lines[-1]:
        faults.append(f"{JOURNAL} line {len(lines)} is cut off")
    return Journal(events, faults)


def append_event(root: Path, event: str, **details: Any) -> None:
    """Append one event with the time of now, on the disk before this returns."""
    path = root / JOURNAL
    content = path.read_bytes() if path.is_file() else b""
    last = content.rstrip(b"\n").rpartition(b"\n")[2]
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": event,
        **details,
        "previous": hashlib.sha256(last).hexdigest() if last else "",
    }
    text = json.dumps(line, ensure_ascii=False) + "\n"
    if content and not content.endswith(b"\n"):
        text = "\n" + text  # a line that was cut off stays what it is; this one begins anew
    with path.open("ab") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
