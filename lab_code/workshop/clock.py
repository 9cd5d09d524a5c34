"""How much of the half hour is left, counted from the first event of this sitting in the journal.

A sitting ends with two hours in which nothing happens, so that a rehearsal on the day before does not count.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab_code.workshop.kit import Kit
from lab_code.workshop.plan import Delay, find_delay
from lab_code.workshop.progress import Journal, append_event, read_journal

_BREAK = timedelta(hours=2)


def begin_sitting(root: Path, now: datetime | None = None) -> None:
    """Note in the journal that the group has begun, unless it is at work already."""
    if start_of_sitting(read_journal(root), now or datetime.now(UTC)) is None:
        append_event(root, "began")


def minutes_left(journal: Journal, minutes: int, now: datetime | None = None) -> int | None:
    """Whole minutes of `minutes` that are left, 0 when they are over; None before the group has begun."""
    gone = minutes_gone(journal, now)
    return None if gone is None else max(0, math.ceil(minutes - gone))


def minutes_gone(journal: Journal, now: datetime | None = None) -> float | None:
    """Minutes since this sitting began; None before the group has begun."""
    now = now or datetime.now(UTC)
    start = start_of_sitting(journal, now)
    return None if start is None else (now - start) / timedelta(minutes=1)


def find_lateness(kit: Kit, journal: Journal, now: datetime | None = None) -> Delay | None:
    """By how much a group is late and what it should do; None for one that is in time or has not begun."""
    gone = minutes_gone(journal, now)
    return None if gone is None else find_delay(kit.plan, journal, gone, [stage.id for stage in kit.stages])


def start_of_sitting(journal: Journal, now: datetime) -> datetime | None:
    """When this sitting began; None after two hours of nothing. Times after `now` (a clock set back) are left out."""
    times = sorted(time for time in map(_read_time, journal.events) if time is not None and time <= now)
    if not times or now - times[-1] > _BREAK:
        return None
    start = times[-1]
    for time in reversed(times):
        if start - time > _BREAK:
            break
        start = time
    return start


def _read_time(event: Mapping[str, object]) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(event.get("time")))
    except ValueError:  # a line that someone has edited
        return None
    return time if time.tzinfo is not None else None
