"""Wrong answers: how many in a row, and how long to think before the next try.

After the second wrong list in a row a pause begins, which doubles with every further one and never exceeds a minute.
It is computed from the journal, so starting the command again does not shorten it.
"""

from datetime import UTC, datetime

from lab_code.workshop.progress import Journal

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10, 60


def count_wrong_in_a_row(journal: Journal, stage: str) -> int:
    """Wrong lists for a stage since it was last opened."""
    wrong = 0
    for event in journal.events:
        if event.get("stage") == stage:
            kind = event.get("event")
            wrong = wrong + 1 if kind == "unlock_failed" else 0 if kind == "unlocked" else wrong
    return wrong


def pause_after(wrong: int) -> int:
    """Seconds to wait after so many wrong lists in a row: 0, 0, 10, 20, 40, 60, 60, …"""
    return 0 if wrong < 2 else min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(wrong - 2, 10))


def pause_left(journal: Journal, stage: str, now: datetime | None = None) -> float:
    """Seconds until the next try for a stage. A clock that was set back never makes it longer than the whole pause."""
    pause = pause_after(count_wrong_in_a_row(journal, stage))
    if not pause:
        return 0
    try:
        last = datetime.fromisoformat(str(journal.of("unlock_failed", stage)[-1].get("time")))
        since = ((now or datetime.now(UTC)) - last).total_seconds()
    except (ValueError, TypeError):  # a line that someone has edited
        return 0
    return min(max(pause - since, 0), pause)
