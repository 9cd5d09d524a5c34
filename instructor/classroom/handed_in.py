"""Where groups stood when they handed in, as `make collect` has read it: of laptops that nobody hears."""

from dataclasses import replace
from pathlib import Path

from instructor.results.evidence import EVIDENCE, GroupEvidence, read_evidence
from lab_code.errors import LabError
from lab_code.workshop.standing import Standing


def read_handed_in(collected: Path, workshop: str) -> list[Standing]:
    """One record a group that has handed in; none where nothing of this workshop was collected."""
    try:
        evidence = read_evidence(collected)
    except LabError:
        return []
    groups = evidence.groups if evidence.workshop == workshop else []
    return [_make_standing(entry) for entry in groups if entry.handed_in]


def written_at(collected: Path) -> float | None:
    """When it was collected last, by this machine's clock."""
    try:
        return (collected / EVIDENCE).stat().st_mtime
    except OSError:
        return None


def join(known: Standing | None, handed_in: Standing) -> Standing:
    """What was heard of a group, with what its hand-in says beyond that."""
    if known is None:
        return handed_in
    best = max((score for score in (known.best, handed_in.best) if score is not None), default=None)
    ahead = handed_in if handed_in.opened > known.opened else known
    return replace(
        known,
        opened=ahead.opened,
        rescued=ahead.rescued,
        points=max(known.points, handed_in.points),
        runs=max(known.runs, handed_in.runs),
        best=best,
        handed_in=max(known.handed_in, handed_in.handed_in),
    )


def _make_standing(entry: GroupEvidence) -> Standing:
    return Standing(
        group=entry.group,
        opened=sum(bool(stage["opened"]) for stage in entry.stages),
        rescued=sum(stage["opened"] == "rescue" for stage in entry.stages),
        stages=len(entry.stages),
        wrong=0,
        hints=sum(len(stage["hints"]) for stage in entry.stages),
        points=entry.points,
        runs=entry.runs,
        training=False,
        best=entry.validation,
        surprise=None,
        handed_in=1,
        events=0,
    )
