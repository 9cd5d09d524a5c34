"""Who behaves how: as `rehearsal.groups` in `workshop.yaml` says, or all behaviours spread over all groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructor.rehearsal.behaviours import BEHAVIOURS, PERFECT, Behaviour
from instructor.rehearsal.play import Action
from instructor.schema import find_line
from instructor.workshop import Workshop
from lab_code.errors import LabError, suggest


@dataclass(frozen=True)
class Cast:
    """Every group's behaviours, and what of all behaviours nobody can show in this workshop, with the reason."""

    groups: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)


def make_cast(workshop: Workshop, path: Path) -> Cast:
    """Raises `LabError` for behaviours and groups that do not exist, and for what no group can do."""
    chosen = workshop.rehearsal.groups
    if not chosen:
        return _spread(workshop)
    where = f"{path}{find_line(path, 'rehearsal.groups') if path.is_file() else ''}: rehearsal.groups"
    for group, names in chosen.items():
        if group not in workshop.groups:
            hint = f"{suggest(group, workshop.groups)}groups: {', '.join(workshop.groups)}"
            raise LabError(f"{where}: there is no group '{group}'", hint=hint)
        for name in names:
            if name not in BEHAVIOURS:
                hint = f"{suggest(name, BEHAVIOURS)}behaviours: {', '.join(BEHAVIOURS)}"
                raise LabError(f"{where}: {group}: there is no behaviour '{name}'", hint=hint)
            reason = _why_not(workshop, name, [other for other in names if other != name])
            if reason:
                raise LabError(f"{where}: {group}: '{name}' cannot be: {reason}", hint="leave it out there")
    if all("never-hands-in" in chosen.get(group, []) for group in workshop.groups):
        raise LabError(f"{where}: no group hands in", hint="take never-hands-in from one of them")
    return Cast({group: list(chosen.get(group, [PERFECT])) for group in workshop.groups})


def actions_of(names: Sequence[str]) -> dict[str, list[Action]]:
    """What a group does at which moment, in the order of its behaviours."""
    actions: dict[str, list[Action]] = {}
    for name in names:
        for moment, action in BEHAVIOURS[name].at.items():
            actions.setdefault(moment, []).append(action)
    return actions


def _spread(workshop: Workshop) -> Cast:
    """One after the other to the group that has the fewest yet, where it fits; what fits nowhere is a note."""
    groups: dict[str, list[str]] = {group: [] for group in workshop.groups}
    notes = []
    for name in BEHAVIOURS:
        order = sorted(groups, key=lambda group: (PERFECT in groups[group], len(groups[group])))
        fitting = [group for group in order if not _why_not(workshop, name, groups[group])]
        if fitting:
            groups[fitting[0]].append(name)
        else:
            notes.append(f"'{name}' is not shown: {_why_not(workshop, name, groups[order[0]])}")
    return Cast(groups, notes)


def _why_not(workshop: Workshop, name: str, others: Sequence[str]) -> str:
    """Why a group that does the others cannot do this as well; empty where it can."""
    behaviour = BEHAVIOURS[name]
    if len(workshop.groups) <= behaviour.others:
        return "there is one group only"
    if len(workshop.stages) < behaviour.stages:
        return f"the workshop has fewer than {behaviour.stages} stages"
    clash = next((other for other in others if _exclude(name, behaviour, other)), None)
    return f"the same group has '{clash}'" if clash else ""


def _exclude(name: str, behaviour: Behaviour, other: str) -> bool:
    return other in behaviour.excludes or name in BEHAVIOURS[other].excludes
