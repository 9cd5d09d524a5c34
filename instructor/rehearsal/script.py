"""What a group does in the activity, step by step: the sections of `schedule.activity`, or even parts without them.

    for section in write_script(workshop, kit): …      # minutes, and steps such as `unlock 1`, `train 2`, `hand in`

An experiment is trained where a section ends with it, or else at the beginning of the section after the one that opens
it. The experiment of the last stage is a group's own and follows its unlock at once, as in the starter notebook.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from instructor.workshop import Workshop
from lab_code.workshop.kit import Kit
from lab_code.workshop.plan import HAND_IN, TRAIN, UNLOCK, Section

LOOK, READ, OWN, HANDING_IN = "look", "read", "own", "hand in"


@dataclass(frozen=True)
class Step:
    """`kind` is look, read, unlock, train, own or hand in; `name` the stage's id or the experiment."""

    kind: str
    name: str = ""
    number: int = 0  # of the stage, or of the training, counted from 1

    @property
    def moment(self) -> str:
        """What behaviours call it: `unlock 1`, `train 2`, `hand in`."""
        return f"{self.kind} {self.number}" if self.number else self.kind


@dataclass(frozen=True)
class ScriptSection:
    """One section and its steps; `READ` stands where its people's minutes go by."""

    section: Section
    steps: tuple[Step, ...]
    is_reading: bool  # whether a slow reader takes longer here


def plan_sections(workshop: Workshop) -> tuple[Section, ...]:
    """The sections of the schedule; without one a section for each stage, and one for handing in."""
    plan = workshop.schedule.plan()
    if plan:
        return plan
    untils = [*(f"{UNLOCK} {stage.id}" for stage in workshop.stages), HAND_IN]
    each, last = divmod(workshop.activity_minutes, len(untils))
    return tuple(Section(max(1, each + (last if until == HAND_IN else 0)), until) for until in untils)


def name_section(section: Section) -> str:
    """What a section is called in tables: its command, or what is done without one."""
    return section.until or LOOK


def write_script(workshop: Workshop, kit: Kit) -> list[ScriptSection]:
    """The sections with their steps."""
    sections, numbers = plan_sections(workshop), {stage.id: kit.number(stage) for stage in kit.stages}
    opens = {stage.id: [Path(p).stem for p in stage.opens if "/experiment/" in p] for stage in kit.stages}
    brought = [name for stage in kit.stages for name in opens[stage.id]]
    elsewhere = {section.name for section in sections if section.command == TRAIN}
    own = brought[-1] if len(brought) > 1 and brought[-1] not in elsewhere else ""
    script, ready = [], list[str]()
    for section in sections:
        now, ready = ready, []
        last = [Step(section.command, section.name)] if section.until else [Step(LOOK)]
        if section.command == UNLOCK:
            last = [Step(UNLOCK, section.name, numbers[section.name])]
            opened = [name for name in opens[section.name] if name not in elsewhere]
            ready = [name for name in opened if name != own]
            last += [Step(OWN, name) for name in opened if name == own]
        if section.command == HAND_IN:
            last = [Step(HANDING_IN)]
        steps = (*(Step(TRAIN, name) for name in now), Step(READ), *last)
        script.append(ScriptSection(section, steps, section.command in ("", UNLOCK)))
    if not any(section.command == HAND_IN for section in sections):
        script.append(ScriptSection(Section(1, HAND_IN), (Step(HANDING_IN),), is_reading=False))
    return _number_trainings(script)


def _number_trainings(script: list[ScriptSection]) -> list[ScriptSection]:
    count, numbered = 0, []
    for part in script:
        steps = []
        for step in part.steps:
            count += step.kind == TRAIN
            steps.append(replace(step, number=count) if step.kind == TRAIN else step)
        numbered.append(replace(part, steps=tuple(steps)))
    return numbered
