"""The schedule of a class as `workshop.yaml` describes it: its parts, what is said and done in them, the preparation.

    schedule = read_workshop().schedule
    schedule.start_of(2)        # minutes after the beginning

Everything that is made for giving the class follows from it: the plan, the run sheet, the slides' clock, `instructor
run`, the board. The schema leaves the meaning of a part's `kind` to those; here is only which kinds there are.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab_code.errors import LabError
from lab_code.workshop.plan import Section

GROUPS = "groups"  # the part in which groups answer, train and compare
KINDS = ("slides", GROUPS, "film", "quiz", "ceremony", "break")
WHENS = ("week", "evening", "hour")  # before the class


@dataclass
class Part:
    """One part of the class."""

    id: str
    title: str
    kind: str
    minutes: int
    show: str = ""  # what is on the projector
    say: list[str] = field(default_factory=list)
    do: list[str] = field(default_factory=list)
    behind: str = ""  # what to do when the class is late here


@dataclass
class Preparation:
    """One thing to do before the class; `commands` can be typed as they stand."""

    when: str
    title: str
    minutes: int
    do: str = ""
    commands: list[str] = field(default_factory=list)


@dataclass
class SectionSpec:
    """A section of the notebook: how long it takes, and which command ends it."""

    minutes: int
    until: str = ""
    optional: bool = False


@dataclass
class Schedule:
    """The parts in order, and what comes before them; `activity` is what the groups do in their part by themselves."""

    minutes: int = 0
    parts: list[Part] = field(default_factory=list)
    preparation: list[Preparation] = field(default_factory=list)
    activity: list[SectionSpec] = field(default_factory=list)

    def start_of(self, index: int) -> int:
        """When a part begins, in minutes after the first."""
        return sum(part.minutes for part in self.parts[:index])

    def minute_of(self, until: str) -> int | None:
        """By which minute of the activity this command should have succeeded; None where no section ends with it."""
        gone = 0
        for section in self.activity:
            gone += section.minutes
            if section.until == until:
                return gone
        return None

    def plan(self) -> tuple[Section, ...]:
        """The activity as the kits follow it."""
        return tuple(Section(section.minutes, section.until, section.optional) for section in self.activity)

    def find(self, name: str) -> int:
        """The index of a part by its id or its number counted from 1. Raises `LabError` where there is none."""
        for index, part in enumerate(self.parts):
            if name in (part.id, str(index + 1)):
                return index
        raise LabError(f"there is no part '{name}'", hint=f"parts: {', '.join(part.id for part in self.parts)}")

    def before(self, when: str) -> list[Preparation]:
        """What is to be done in the week, the evening or the hour before."""
        return [item for item in self.preparation if item.when == when]


def check_schedule(path: Path, schedule: Schedule, activity_minutes: int) -> None:
    """Raises one `LabError` that names everything in the schedule that cannot be."""
    faults = list(_find_faults(schedule, activity_minutes))
    if faults:
        more = "".join(f"\n  {fault}" for fault in faults[1:])
        raise LabError(f"{path}: {faults[0]}{more}", hint="the comments under schedule in the file say what is meant")


def require_schedule(schedule: Schedule, path: Path) -> Schedule:
    """The schedule, or a `LabError` where the workshop has none."""
    if not schedule.parts:
        raise LabError(f"{path}: schedule has no parts", hint="take the section schedule of instructor/workshop.yaml")
    return schedule


def _find_faults(schedule: Schedule, activity_minutes: int) -> Iterator[str]:
    for number, part in enumerate(schedule.parts, 1):
        where = f"schedule.parts[{number}] ({part.id})"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", part.id):
            yield f"{where}: id may hold a-z, 0-9 and dashes"
        if part.kind not in KINDS:
            yield f"{where}: there is no kind '{part.kind}'; kinds: {', '.join(KINDS)}"
        if not 1 <= part.minutes <= 600:
            yield f"{where}: minutes are {part.minutes}, expected 1 to 600"
    for name, count in Counter(part.id for part in schedule.parts).items():
        if count > 1:
            yield f"schedule.parts: {count} parts have the id '{name}'"
    for number, item in enumerate(schedule.preparation, 1):
        where = f"schedule.preparation[{number}] ({item.title})"
        if item.when not in WHENS:
            yield f"{where}: there is no time '{item.when}'; times: {', '.join(WHENS)}"
        if not 1 <= item.minutes <= 10_000:
            yield f"{where}: minutes are {item.minutes}, expected 1 to 10000"
    yield from _find_wrong_sums(schedule, activity_minutes)


def _find_wrong_sums(schedule: Schedule, activity_minutes: int) -> Iterator[str]:
    if not schedule.parts:
        return
    total = schedule.start_of(len(schedule.parts))
    if total != schedule.minutes:
        parts = ", ".join(f"{part.id} {part.minutes}" for part in schedule.parts)
        yield f"schedule: the parts take {total} minutes ({parts}), schedule.minutes is {schedule.minutes}"
    active = sum(part.minutes for part in schedule.parts if part.kind == GROUPS)
    if active and active != activity_minutes:
        yield f"schedule: the parts of kind {GROUPS} take {active} minutes, activity_minutes is {activity_minutes}"
