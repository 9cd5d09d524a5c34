"""The plan of the groups' time: which section of the notebook should be done by when, and what to do when one is late.

A section is over when the command that ends it has succeeded, which the journal tells; one that no command ends is over
with the next. How far the clock is, `clock.py` says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab_code.workshop.progress import Journal

UNLOCK, TRAIN, HAND_IN = "unlock", "train", "handin"  # the commands that end a section
_LAST_CALL_MIN = 5  # before the end; of a short plan its last quarter


@dataclass(frozen=True)
class Section:
    """`until` is the command that ends it: `unlock 1-configuration`, `train balanced`, `handin`, or none."""

    minutes: int
    until: str = ""
    optional: bool = False

    @property
    def command(self) -> str:
        return self.until.partition(" ")[0]

    @property
    def name(self) -> str:
        """The stage or the experiment."""
        return self.until.partition(" ")[2]

    def is_over(self, journal: Journal) -> bool:
        """Whether the journal tells that its command has succeeded."""
        if self.command == UNLOCK:
            return journal.unlocked(self.name)
        if self.command == TRAIN:
            return any(event.get("name") == self.name for event in journal.of("trained"))
        return bool(journal.of("handed_in"))


@dataclass(frozen=True)
class Delay:
    """What a group that is late is told, and whether it should hand in now, whatever else is left to do."""

    text: str
    hand_in: bool


def find_delay(plan: Sequence[Section], journal: Journal, elapsed: float, stages: Sequence[str]) -> Delay | None:
    """How late a group is after so many minutes, and what to skip; None for one that is in time, or has no plan.

    Whoever has something to hand in is told to while there is time for it. `stages` are the ids of all stages, in
    order.
    """
    ahead = [number for number, section in enumerate(plan) if section.until and not section.is_over(journal)]
    if not ahead:
        return None
    here, left = ahead[0], sum(section.minutes for section in plan) - elapsed
    late = int(elapsed - sum(section.minutes for section in plan[: here + 1]))
    is_last_call = _is_last_call(plan, journal, here, late, left)
    if late < 1 and not is_last_call:
        return None
    last = len(plan) - 1
    advice, to = (_skip(plan, last), last) if is_last_call else _advise(plan, here, stages)
    why = f"you are {_count(late)} late" if late >= 1 else f"{_count(math.ceil(left))} left"
    return Delay(f"{why}: {advice}", to is not None and plan[to].command == HAND_IN)


def _is_last_call(plan: Sequence[Section], journal: Journal, here: int, late: int, left: float) -> bool:
    """Whether a group in section `here`, counted from 0, should hand in what it has, with so many minutes left.

    It should once the next step would not be done any more, and five minutes before the end at the latest. Only what
    everybody does keeps the minutes that the plan gives it, for as long as the group is in time.
    """
    section, hand_in = plan[here], plan[-1]
    if section is hand_in or hand_in.command != HAND_IN or hand_in.is_over(journal) or not journal.of("trained"):
        return False
    if late < 1 and not section.optional:
        return left <= hand_in.minutes
    step = plan[here + 1] if section.command == UNLOCK else section  # a rescue code opens a stage at once
    needed = 0 if section.optional or step.optional else step.minutes
    near = min(_LAST_CALL_MIN, sum(each.minutes for each in plan) / 4)
    return left <= max(needed, near, hand_in.minutes)


def _advise(plan: Sequence[Section], here: int, stages: Sequence[str]) -> tuple[str, int | None]:
    """What leads on fastest from section `here`, counted from 0; and the section to go to at once, if there is one."""
    section, last = plan[here], len(plan) - 1
    if section.command == HAND_IN:
        return f"hand in now (section {here + 1})", here
    following = next((number for number in range(here + 1, len(plan)) if not plan[number].optional), None)
    if section.optional:
        return ("the rest can wait" if following is None else _skip(plan, following)), following
    if section.command == TRAIN:
        return f"train {section.name} now" + (f", then {_skip(plan, following)}" if following else ""), None
    code = f"ask the instructor for the rescue code of stage {stages.index(section.name) + 1}"
    return (f"{code}, and go on with section {here + 2}" if here < last else code), None


def _skip(plan: Sequence[Section], to: int) -> str:
    return f"skip to section {to + 1}" + (" and hand in" if plan[to].command == HAND_IN else "")


def _count(minutes: int) -> str:
    return f"{minutes} minute{'s' * (minutes != 1)}"
