"""The stages of one kit, planned: which questions open what. Nothing is written here.

stages = plan_stages(workshop, variant, project)     # in their order, each with what its lock will hold
sheet_stage(1, stages[0])                            # as the sheets describe it
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instructor.quizbank.variants import GroupQuestion
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.workshop.kit import Stage
from lab_code.workshop.quiz import how_to_answer
from lab_code.workshop.reasons import Reason, reasons_file, reasons_to_json


@dataclass(frozen=True)
class StagePlan:
    """One lock: the stage as the kit knows it, its questions, and the files inside."""

    stage: Stage
    questions: list[GroupQuestion]
    files: dict[str, bytes]
    needs_chain: str | None  # the file of the stage before that these answers need
    gives_chain: str | None  # the file in here that the next stage's answers need; its value is drawn for every lock

    @property
    def answers(self) -> list[str]:
        return [question.answer for question in self.questions]

    @property
    def reasons(self) -> list[Reason]:
        """What the stage tells once it is open."""
        return [
            Reason(question.shown.id, question.answer, ", ".join(question.source.rights), question.source.explanation)
            for question in self.questions
        ]

    @property
    def payload(self) -> dict[str, bytes]:
        """Everything in the lock but the chain value."""
        return {**self.files, reasons_file(self.stage.id): reasons_to_json(self.reasons).encode("utf-8")}


def plan_stages(workshop: Workshop, variant: dict[str, list[GroupQuestion]], project: Path) -> list[StagePlan]:
    """Every stage of a group. Raises `LabError` where a stage has nothing to lock."""
    following = [spec.id for spec in workshop.stages[1:]] + [None]
    plans: list[StagePlan] = []
    for spec, following_id in zip(workshop.stages, following, strict=True):
        files = _locked_files(project / "locked" / spec.id)
        lock, room_code = f"locked/{spec.id}.lab", workshop.locks.room_code
        stage = Stage(spec.id, spec.title, lock, tuple(files), spec.questions, room_code)
        needs = plans[-1].gives_chain if plans else None
        gives = f"locked/{following_id}.chain" if following_id else None
        plans.append(StagePlan(stage, variant[spec.id], files, needs, gives))
    return plans


def _locked_files(folder: Path) -> dict[str, bytes]:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".py", ".yaml", ".ipynb", ".md")
    }
    if not files:
        raise LabError(f"{folder} holds nothing to lock", hint="put the files of the stage there, each at its path")
    return files


def sheet_stage(number: int, plan: StagePlan, by: int | None = None) -> dict[str, Any]:
    """A stage as the sheets describe it; `by` is the minute by which it should be open."""
    experiment = next(iter(plan.stage.experiments), None)
    return {
        "number": number,
        "title": plan.stage.title,
        "questions": [
            {
                "kind": q.shown.kind,
                "how": how_to_answer(q.shown.kind),
                "text": q.shown.text,
                "options": list(q.shown.options),
                "look_in": q.shown.look_in,
            }
            for q in plan.questions
        ],
        "opens": list(plan.stage.opens),
        "experiment": experiment,
        "by": by,
    }
