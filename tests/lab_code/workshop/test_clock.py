"""How much of the half hour is left, on laptops whose clocks may be wrong."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab_code.workshop.clock import begin_sitting, minutes_left, start_of_sitting
from lab_code.workshop.progress import Journal, read_journal

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def journal(*minutes_ago: float) -> Journal:
    return Journal([{"time": (NOW - timedelta(minutes=minutes)).isoformat()} for minutes in minutes_ago], [])


@pytest.mark.parametrize(
    ("minutes_ago", "left"),
    [
        ((), None),
        ((0,), 30),
        ((12, 3), 18),
        ((12.5,), 18),
        ((45, 20), 0),
        ((60 * 26, 60 * 25, 5), 25),  # a rehearsal on the day before
        ((60 * 3,), None),  # nothing since: another sitting
        ((-90, 10), 20),  # written while the clock was ahead
        ((-90,), None),
    ],
)
def test_minutes_are_counted_from_the_beginning_of_this_sitting(minutes_ago, left) -> None:
    assert minutes_left(journal(*minutes_ago), 30, NOW) == left


@pytest.mark.parametrize("time", ["", "yesterday", "2026-05-04", None, 7, "2026-05-04T11:00:00"])
def test_times_that_nobody_can_read_are_left_out(time: object) -> None:
    assert start_of_sitting(Journal([{"time": time}], []), NOW) is None


def test_a_group_begins_once(tmp_path: Path) -> None:
    begin_sitting(tmp_path)
    begin_sitting(tmp_path)
    assert [event["event"] for event in read_journal(tmp_path).events] == ["began"]
    assert minutes_left(read_journal(tmp_path), 30) == 30
    begin_sitting(tmp_path, datetime.now(UTC) + timedelta(hours=5))
    assert len(read_journal(tmp_path).events) == 2
    assert json.loads((tmp_path / "progress.jsonl").read_text(encoding="utf-8").splitlines()[1])["previous"]
