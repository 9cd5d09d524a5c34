"""What a hand-in tells of the half hour: every stage with its minutes, wrong lists and hints, and the feedback.

Called in the process that reads one hand-in (`reading.py`): whatever stands in it may have been edited by hand, so
every text has an end and every number a range. What does not fit is left out.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from lab_code.workshop.clock import start_of_sitting
from lab_code.workshop.feedback import FEEDBACK, RATINGS, SENTENCES
from lab_code.workshop.progress import Journal

_MOST, _LONGEST = 100, 500  # of wrong lists and hints a stage, and characters of a sentence


def describe_stages(journal: Journal, stages: list[str]) -> list[dict[str, Any]]:
    """One entry a stage: how it was opened (`answers`, `rescue` or nothing), minutes, wrong lists, hints as taken."""
    described: list[dict[str, Any]] = []
    before: datetime | None = None
    for stage in stages:
        first = next(iter(journal.of("unlocked", stage)), {})
        opened = _read_time(first)
        failed = journal.of("unlock_failed", stage)
        taken = {(str(e.get("question"))[:80], e.get("number")) for e in journal.of("hint", stage)}
        described.append(
            {
                "stage": stage,
                "opened": "rescue" if first.get("by") == "rescue" else "answers" if first else "",
                "opened_ms": None if opened is None else round(opened.timestamp() * 1000),
                "minutes": _count_minutes(journal, before, opened),
                "wrong": len(failed),
                "lists": [str(event["answers"])[:200] for event in failed if "answers" in event][:_MOST],
                "hints": sorted([q, n] for q, n in taken if isinstance(n, int) and 1 <= n <= _MOST)[:_MOST],
            }
        )
        before = opened or before
    return described


def read_feedback(folder: Path) -> dict[str, Any] | None:
    """The ratings and sentences of `feedback.json`; None where there is none that can be read."""
    try:
        document = json.loads((folder / FEEDBACK).read_text(encoding="utf-8"))
        ratings = {name: document.get(name) for name in RATINGS}
        sentences = {name: str(document.get(name) or "")[:_LONGEST] for name in SENTENCES}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return {**{name: value for name, value in ratings.items() if value in range(1, 6)}, **sentences}


def _count_minutes(journal: Journal, before: datetime | None, opened: datetime | None) -> float | None:
    """From the opening of the stage before, or the beginning of that sitting, to this one; None where clocks jumped."""
    if opened is None:
        return None
    begun = start_of_sitting(journal, opened)
    start = max((time for time in (before, begun) if time is not None), default=None)
    if start is None or start > opened:
        return None
    return round((opened - start).total_seconds() / 60, 2)


def _read_time(event: dict[str, Any]) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(event.get("time")))
        return time if time.tzinfo is not None and 0 <= time.timestamp() < 1e11 else None
    except (ValueError, OverflowError, OSError):
        return None
