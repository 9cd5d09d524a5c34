"""What a rehearsal means for the class: minutes against the schedule, here and on slower laptops, and what to cut.

verdict = judge(rehearsal, laptops)
verdict.fits, verdict.text, verdict.cuts
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from instructor.classroom.schedule import GROUPS
from instructor.rehearsal.laptops import Laptop, slowest
from instructor.rehearsal.player import MACHINE, PEOPLE, TRAINING, Deed, Player
from instructor.rehearsal.rehearse import Rehearsal
from instructor.rehearsal.script import plan_sections
from instructor.workshop import Workshop
from lab_code.workshop.plan import TRAIN, UNLOCK, Section

_TOLERANCE_MIN = 0.1


@dataclass(frozen=True)
class GroupTimes:
    """Minutes of a group by section, when it was done, and when it would be on the slowest laptop (None: not known)."""

    group: str
    sections: list[float]
    done: float
    on_slowest: float | None

    @property
    def ends(self) -> float:
        """What counts: the laptops of the class, where something is known of them."""
        return self.done if self.on_slowest is None else self.on_slowest


@dataclass(frozen=True)
class PartTimes:
    """A part of the class: what is planned, what it takes, and what the instructor's machine works in it."""

    title: str
    planned: float
    takes: float
    works: str = ""


@dataclass(frozen=True)
class Verdict:
    """`faults` are what the kit did not cope with or what did not arrive; `late` is what does not fit; `cuts` help."""

    fits: bool
    text: str
    groups: list[GroupTimes]
    parts: list[PartTimes]
    slowest: Laptop | None
    faults: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)


def judge(rehearsal: Rehearsal, laptops: Sequence[Laptop] = ()) -> Verdict:
    """Whether this class fits its minutes, and every accident ended well."""
    workshop, slow = rehearsal.workshop, slowest(laptops)
    sections = plan_sections(workshop)
    groups = [_time_group(rehearsal, player, sections, slow) for player in rehearsal.players]
    parts = _time_parts(rehearsal, groups)
    faults = [
        f"{one.group}, minute {one.minute:.0f}: {one.what}: {one.answer}"
        for player in rehearsal.players
        for one in player.incidents
        if not one.coped
    ]
    faults += [f"{check.name}: {check.found}" for check in rehearsal.checks if not check.ok]
    late = _find_late(workshop, groups, parts, slow)
    cuts = _advise(rehearsal, groups, slow) if late else []
    text = _say(workshop, parts, faults, late)
    return Verdict(not faults and not late, text, groups, parts, slow, faults, late, cuts)


def _time_group(rehearsal: Rehearsal, player: Player, sections: Sequence[Section], slow: Laptop | None) -> GroupTimes:
    minutes = [sum(deed.minutes for deed in player.deeds if deed.section == n) for n in range(len(sections))]
    done = player.clock if player.handed_in is None else player.handed_in
    deeds = [deed for deed in player.deeds if deed.start < done]
    projected = project(deeds, sections, rehearsal, slow) if slow and rehearsal.here else None
    return GroupTimes(player.group, [round(one, 2) for one in minutes], round(done, 2), projected)


def project(deeds: Sequence[Deed], sections: Sequence[Section], rehearsal: Rehearsal, laptop: Laptop) -> float:
    """When a group would be done at this laptop. Whoever is late leaves out optional sections, as the kit tells it."""
    here = rehearsal.here
    factors = {MACHINE: 1.0, TRAINING: 1.0}
    if here is not None:
        trained = laptop.training_s(rehearsal.photographs) / here.training_s(rehearsal.photographs)
        factors = {MACHINE: laptop.slowness(here), TRAINING: trained}
    last = sum(section.minutes for section in sections[:-1])
    clock = 0.0
    for deed in deeds:
        optional = sections[min(deed.section, len(sections) - 1)].optional
        if optional and clock >= last:
            continue
        begun, clock = clock, clock + deed.minutes * factors.get(deed.kind, 1.0)
        if optional and deed.kind == PEOPLE:  # nobody reads on when all are asked to hand in
            clock = min(clock, max(last, begun))
    return round(clock, 2)


def _time_parts(rehearsal: Rehearsal, groups: Sequence[GroupTimes]) -> list[PartTimes]:
    """The parts of the schedule. Those of the groups take as long as the last group; collecting must be done by the
    ceremony, which else begins later."""
    workshop, took = rehearsal.workshop, rehearsal.took
    last = max(times.ends for times in groups)
    works = sum(took.get(name, 0) for name in ("collect", "collect again", "kahoot", "ceremony")) / 60
    schedule = workshop.schedule.parts
    if not schedule:
        return [
            PartTimes("the groups' time", workshop.activity_minutes, round(max(workshop.activity_minutes, last), 2))
        ]
    active = sum(part.minutes for part in schedule if part.kind == GROUPS)
    over, parts, since = max(0.0, last - active), [], None
    for part, following in pairwise([*schedule, None]):
        assert part is not None
        takes = float(part.minutes)
        said = ""
        if part.kind == GROUPS and (following is None or following.kind != GROUPS):
            takes, since = takes + over, 0.0
        elif since is not None:
            if part.kind == "ceremony":
                takes += max(0.0, works - since)
                said = f"collecting, Kahoot and ceremony take {works:.1f} min of the {since:.0f} before"
            since += part.minutes
        parts.append(PartTimes(part.title, part.minutes, round(takes, 2), said))
    return parts


def _find_late(
    workshop: Workshop, groups: Sequence[GroupTimes], parts: Sequence[PartTimes], slow: Laptop | None
) -> list[str]:
    late, limit = [], workshop.activity_minutes
    for times in groups:
        if times.ends > limit + _TOLERANCE_MIN:
            where = f" on {slow.name}" if slow and times.on_slowest is not None else ""
            late.append(f"{times.group} is done after {times.ends:.1f} of {limit} minutes{where}")
    late += [
        f"'{part.title}' takes {part.takes:.1f} of {part.planned:.0f} minutes"
        for part in parts
        if part.works and part.takes > part.planned + _TOLERANCE_MIN
    ]
    return late


def _advise(rehearsal: Rehearsal, groups: Sequence[GroupTimes], slow: Laptop | None) -> list[str]:
    """What to cut so that the last group is in time, what saves most first."""
    workshop = rehearsal.workshop
    ends = {times.group: times.ends for times in groups}
    worst = max(ends, key=lambda group: ends[group])
    over = ends[worst] - workshop.activity_minutes
    if over <= 0:
        return ["begin to collect earlier, or give the film and the quiz more minutes in schedule.parts"]
    player = next(player for player in rehearsal.players if player.group == worst)
    trainings = [deed for deed in player.deeds if deed.kind == TRAINING]
    each = (
        slow.training_s(rehearsal.photographs) / 60 if slow else max((deed.minutes for deed in trainings), default=0.0)
    )
    saved, cuts = each * len(trainings), []
    if saved > over and workshop.data.images:
        images = max(70, int(workshop.data.images * (1 - over / saved) / 100) * 100)
        cuts.append(
            f"data.images: {workshop.data.images} → {images} in workshop.yaml: training takes {saved:.1f} minutes"
        )
    for number, section in enumerate(plan_sections(workshop)):
        spent = sum(deed.minutes for deed in player.deeds if deed.section == number)
        if section.command == UNLOCK and spent:
            asked = next(stage.questions for stage in workshop.stages if stage.id == section.name)
            what = f"one question less in stage {section.name}" if asked > 1 else f"stage {section.name}"
            cuts.append(f"{what}: about {section.minutes * workshop.rehearsal.people / asked:.1f} minutes")
        elif section.command == TRAIN and spent:
            cuts.append(f"leave out the experiment {section.name}: {spent:.1f} minutes")
    return [f"{over:.1f} minutes too many for {worst}; any of:", *cuts]


def _say(workshop: Workshop, parts: Sequence[PartTimes], faults: Sequence[str], late: Sequence[str]) -> str:
    planned, takes = sum(part.planned for part in parts), sum(part.takes for part in parts)
    if faults:
        count = "1 thing did" if len(faults) == 1 else f"{len(faults)} things did"
        return f"not ready: {count} not end well"
    if late:
        return f"this class does not fit: {takes:.1f} of {planned:.0f} minutes"
    return f"this class fits its {planned:.0f} minutes, and everything that went wrong ended well"
