"""Who is late, and what the strip and `lab status` tell them to skip."""

import re

import pytest

from instructor.workshop import read_workshop
from lab_code.workshop.clock import find_lateness
from lab_code.workshop.kit import Kit, Stage
from lab_code.workshop.plan import Delay, Section, find_delay
from lab_code.workshop.progress import Journal
from tests.lab_code.workshop.test_clock import NOW

STAGES = [stage.id for stage in read_workshop().stages]
PLAN = read_workshop().schedule.plan()  # 3, 7, 8, 5, 5 and 2 minutes


def journal(*done: str) -> Journal:
    """A journal in which these commands have succeeded: `unlock 1-configuration`, `train balanced`, `handin`."""
    events = {"unlock": ("unlocked", "stage"), "train": ("trained", "name"), "handin": ("handed_in", "receipt")}
    words = [command.partition(" ") for command in done]
    return Journal([{"event": events[verb][0], events[verb][1]: name} for verb, _, name in words], [])


ONE, TWO, THREE = (f"unlock {stage}" for stage in STAGES)
BASELINE, BALANCED, HAND_IN = "train baseline", "train balanced", "handin"


@pytest.mark.parametrize(
    ("done", "elapsed", "said"),
    [
        ((), 0, ""),
        ((), 10.9, ""),  # less than a minute
        ((), 11, "you are 1 minute late: ask the instructor for the rescue code of stage 1, and go on with section 3"),
        ((ONE,), 17, ""),
        ((ONE, BASELINE), 22.5, "you are 4 minutes late: ask the instructor for the rescue code of stage 2, and go on "
         "with section 4"),
        ((ONE, BASELINE), 28, "you are 10 minutes late: skip to section 6 and hand in"),
        ((ONE,), 29, "you are 11 minutes late: ask the instructor for the rescue code of stage 2, and go on with "
         "section 4"),  # nothing to hand in yet
        ((ONE, BASELINE, TWO), 22, ""),
        ((ONE, BASELINE, TWO), 24, "you are 1 minute late: train balanced now, then skip to section 6 and hand in"),
        ((ONE, BASELINE), 24.5, "you are 6 minutes late: ask the instructor for the rescue code of stage 2, and go on "
         "with section 4"),
        ((ONE, BASELINE), 25, "you are 7 minutes late: skip to section 6 and hand in"),
        ((ONE, BASELINE, TWO), 25, "you are 2 minutes late: skip to section 6 and hand in"),
        ((ONE, BASELINE, TWO, BALANCED), 24.9, ""),
        ((ONE, BASELINE, TWO, BALANCED), 25, "5 minutes left: skip to section 6 and hand in"),
        ((ONE, BASELINE, TWO, BALANCED), 27.4, "3 minutes left: skip to section 6 and hand in"),
        ((ONE, BASELINE, TWO, BALANCED, HAND_IN), 27, ""),
        ((ONE, BASELINE, TWO, BALANCED), 29, "you are 1 minute late: skip to section 6 and hand in"),
        ((ONE, BASELINE, TWO, BALANCED, THREE), 29, ""),
        ((ONE, BASELINE, TWO, BALANCED, THREE), 33, "you are 3 minutes late: hand in now (section 6)"),
        ((ONE, BASELINE, TWO, BALANCED, THREE, HAND_IN), 40, ""),
        ((ONE, BASELINE, TWO, BALANCED, HAND_IN), 20, ""),  # stage 3 was skipped, in time
    ],
)  # fmt: skip
def test_a_group_that_is_late_hears_what_to_skip(done: tuple[str, ...], elapsed: float, said: str) -> None:
    delay = find_delay(PLAN, journal(*done), elapsed, STAGES)
    assert (delay.text if delay else "") == said
    assert bool(delay and delay.hand_in) == bool(re.search(r"(late|left): (skip to section 6|hand in)", said))


def test_a_kit_without_a_plan_and_a_plan_without_a_hand_in_say_nothing_wrong() -> None:
    assert find_delay((), journal(), 99, STAGES) is None
    short = (Section(5, ONE), Section(5, TWO, optional=True))
    said = [
        find_delay(plan, journal(*done), 12, STAGES) for plan, done in ((short[:1], ()), (short, (ONE,)), (short, ()))
    ]
    assert said == [
        Delay("you are 7 minutes late: ask the instructor for the rescue code of stage 1", False),
        Delay("you are 2 minutes late: the rest can wait", False),
        Delay(
            "you are 7 minutes late: ask the instructor for the rescue code of stage 1, and go on with section 2", False
        ),
    ]


@pytest.mark.parametrize(
    ("minutes", "elapsed", "said"),
    [
        ((60, 30, 10), 69, ""),  # in time, training until minute 90
        ((60, 30, 10), 90, "10 minutes left: skip to section 3 and hand in"),
        ((60, 30, 10), 91, "you are 1 minute late: skip to section 3 and hand in"),
        ((50, 10, 30), 62, "you are 2 minutes late: skip to section 3 and hand in"),  # so long, handing in takes there
        ((20, 5, 30, 5), 27, "you are 2 minutes late: train b now, then skip to section 3"),
        ((5, 4, 2), 8, ""),  # eleven minutes in all
        ((5, 4, 2), 9, "2 minutes left: skip to section 3 and hand in"),
    ],
)
def test_a_plan_of_other_minutes_leaves_what_it_plans(minutes: tuple[int, ...], elapsed: float, said: str) -> None:
    steps = (ONE, "train b") if len(minutes) == 3 else (ONE, "train b", TWO)
    plan = tuple(map(Section, minutes, (*steps, HAND_IN)))
    delay = find_delay(plan, journal(ONE, BASELINE), elapsed, STAGES)
    assert (delay.text if delay else "") == said


def test_nobody_is_late_before_the_group_has_begun() -> None:
    stages = tuple(Stage(stage, stage, "", (), 3) for stage in STAGES)
    kit = Kit(root=None, workshop="w", title="t", group="g", stages=stages, files={}, plan=PLAN)  # type: ignore[arg-type]
    began = Journal([{"event": "began", "time": "2026-05-04T11:45:00+00:00"}], [])
    late = find_lateness(kit, began, NOW)
    assert late is not None and late.text.startswith("you are 5 minutes late: ask")
    assert find_lateness(kit, Journal([], []), NOW) is None
