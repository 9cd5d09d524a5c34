"""The plan of the groups' time: which section of the notebook should be done by when, and what to do when one is late.

A section is over when the command that ends it has succeeded, which the journal tells; one that no command ends is over
with the next. How far the clock is, `clock.py` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab_code.workshop.progress import Journal

UNLOCK, TRAIN, HAND_IN = "unlock", "train", "handin"  # the commands that end a section


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

    `stages` are the ids of all stages, in order.
    """
    ahead = [number for number, section in enumerate(plan) if section.until and not section.is_over(journal)]
    late = int(elapsed - sum(section.minutes for section in plan[: ahead[0] + 1])) if ahead else 0
    if late < 1:
        return None
    advice, to = _advise(plan, journal, ahead[0], elapsed, stages)
    hand_in = to is not None and plan[to].command == HAND_IN
    return Delay(f"you are {late} minute{'s' * (late != 1)} late: {advice}", hand_in)


def _advise(
    plan: Sequence[Section], journal: Journal, here: int, elapsed: float, stages: Sequence[str]
) -> tuple[str, int | None]:
    """What leads on fastest from section `here`, counted from 0; and the section to go to at once, if there is one."""
    section, last = plan[here], len(plan) - 1
    if section.command == HAND_IN:
        return f"hand in now (section {here + 1})", here
    if elapsed >= sum(each.minutes for each in plan[:last]) and journal.of("trained"):
        return _skip(plan, last), last
    following = next((number for number in range(here + 1, len(plan)) if not plan[number].optional), None)
    if section.optional:
        return ("the rest can wait" if following is None else _skip(plan, following)), following
    if section.command == TRAIN:
        return f"train {section.name} now" + (f", then {_skip(plan, following)}" if following else ""), None
    code = f"ask the instructor for the rescue code of stage {stages.index(section.name) + 1}"
    return (f"{code}, and go on with section {here + 2}" if here < last else code), None


def _skip(plan: Sequence[Section], to: int) -> str:
    return f"skip to section {to + 1}" + (" and hand in" if plan[to].command == HAND_IN else "")
