"""The clock of the class, and the terminal that shows it."""

import asyncio
import time
from pathlib import Path

import pytest
from textual.widgets import DataTable, Label, Static

from instructor.classroom.clock import Clock
from instructor.classroom.clock_screen import ClockScreen, RescueScreen, Sources, describe_seat, spell_time
from instructor.classroom.laptops import Call
from instructor.classroom.room import Room
from instructor.classroom.schedule import Part, Schedule
from instructor.workshop import Workshop, read_workshop
from lab_code.errors import LabError
from lab_code.workshop.standing import Standing

SCHEDULE = Schedule(50, [Part("talk", "Talk", "slides", 5), Part("work", "Work", "groups", 45)])


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock.open(tmp_path / "clock.json", SCHEDULE)


def again(clock: Clock) -> Clock:
    """As another program, or the same one after it was closed, sees it."""
    return Clock.open(clock.path, clock.schedule)


def test_before_it_is_started_nothing_passes(clock: Clock) -> None:
    reading = clock.reading(1e9)
    assert not reading.started and reading.left_s == 300 and reading.behind_s == 0


def test_it_goes_on_while_it_is_closed(clock: Clock) -> None:
    clock.start(1000)
    reading = again(clock).reading(1120)
    assert (reading.part, reading.spent_s, reading.left_s, reading.behind_s) == (0, 120, 180, 0)


def test_a_pause_takes_no_time(clock: Clock) -> None:
    clock.start(0)
    clock.pause(60)
    assert again(clock).reading(1000).spent_s == 60 and not clock.reading(1000).running
    clock.start(1000)
    assert again(clock).reading(1060).spent_s == 120


def test_a_part_that_takes_too_long_makes_the_class_late_and_a_short_one_early(clock: Clock) -> None:
    clock.start(0)
    assert clock.reading(420).left_s == -120 and clock.reading(420).behind_s == 120
    clock.next(420)
    assert clock.reading(480).behind_s == 120
    clock.reset()
    clock.start(0)
    clock.next(120)
    assert clock.reading(120).behind_s == -180


def test_next_goes_on_from_a_pause_and_the_last_part_stays(clock: Clock) -> None:
    clock.start(0)
    clock.pause(10)
    clock.next(100)
    assert clock.reading(160).running and clock.reading(160).spent_s == 60 and clock.reading(160).total_s == 70
    clock.next(200)
    assert clock.reading(200).part == 1 and clock.reading(200).spent_s == 100


def test_back_begins_the_part_before_again_and_the_class_goes_on(clock: Clock) -> None:
    clock.start(0)
    clock.next(300)
    clock.back(360)
    assert (clock.reading(390).part, clock.reading(390).spent_s, clock.reading(390).total_s) == (0, 30, 390)


def test_a_clock_that_was_set_back_counts_as_no_time(clock: Clock) -> None:
    clock.start(1_000_000)
    assert clock.reading(5).spent_s == 0 and clock.reading(5).left_s == 300


def test_another_schedule_begins_anew(clock: Clock) -> None:
    clock.start(0)
    other = Clock.open(clock.path, Schedule(10, [Part("talk", "Talk", "slides", 10)]))
    assert not other.reading(100).started


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schedule": "x", "part": -1}', '{"schedule": "x", "class_began": NaN}']
)
def test_a_damaged_file_is_named_with_the_way_out(clock: Clock, content: str) -> None:
    clock.path.write_text(content, encoding="utf-8")
    with pytest.raises(LabError, match=r"clock\.json cannot be read") as caught:
        again(clock)
    assert "--again" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("seconds", "spelled"), [(0, "0:00"), (59.9, "0:59"), (-0.5, "0:00"), (-61, "-1:01"), (3661, "61:01")]
)
def test_minutes_are_spelled(seconds: float, spelled: str) -> None:
    assert spell_time(seconds) == spelled


class Hand:
    """A time that only a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def standing(group: str, **changes: object) -> Standing:
    known = {"opened": 0, "rescued": 0, "stages": 3, "wrong": 0, "hints": 0, "points": 0, "runs": 0, "training": False,
             "best": None, "surprise": None, "handed_in": 0, "events": 1}  # fmt: skip
    return Standing(group=group, **(known | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def described() -> Workshop:
    return read_workshop()


def test_a_group_whose_laptop_is_off_is_told_from_one_that_is_stuck(described: Workshop) -> None:
    room, off = Room(described), Call(time.mktime((2026, 5, 4, 14, 5, 0, 0, 0, -1)), "it does not answer")
    states = [str(describe_seat(room.seats["group-1"], 0, call)[-1]) for call in (Call(), Call(fault="it is off"))]
    room.hear(standing("group-1", wrong=3), 0)
    states.append(str(describe_seat(room.seats["group-1"], 9, off)[-1]))
    room.hear(standing("group-1", handed_in=1, events=2), 0)
    states.append(str(describe_seat(room.seats["group-1"], 9, off)[-1]))
    assert states == [
        "nothing heard yet", "not heard yet: it is off", "not heard since 14:05: it does not answer", "handed in"
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_the_screen_is_driven_by_keys_and_goes_on_when_it_is_opened_again(
    tmp_path: Path, described: Workshop, size: tuple[int, int]
) -> None:
    hand, room = Hand(), Room(described)
    keys = {"group-2": [{"stage": "1-configuration", "answers": "1,2,3", "rescue": "ABCD-EFGH"}]}

    def screen() -> ClockScreen:
        clock = Clock.open(tmp_path / "clock.json", described.schedule)
        return ClockScreen(described, clock, room, Sources(list, keys, hand))

    async def walk() -> None:
        first = screen()
        async with first.run_test(size=size) as pilot:
            shown = first.query_one("#state", Label)
            assert "not started" in str(shown.render())
            await pilot.press("space", "d", "n")
            hand.now += 31 * 60
            room.hear(standing("group-2", wrong=3), hand.now)
            first.refresh_all()
            assert "2 of 5" in str(first.query_one("#part", Label).render())
            assert "4 min ahead" in str(shown.render())
            table = first.query_one("#groups", DataTable)
            assert "STUCK: 3 wrong lists" in str(table.get_row_at(1)[-1])
            assert "nothing heard yet" in str(table.get_row_at(0)[-1])
            await pilot.press("down", "r")
            assert isinstance(first.screen, RescueScreen)
            assert "ABCD-EFGH" in str(first.screen.query_one(Static).render())
            await pilot.press("escape", "space", "q")
        second = screen()
        async with second.run_test(size=size):
            assert "paused, minute 31" in str(second.query_one("#state", Label).render())

    asyncio.run(walk())
