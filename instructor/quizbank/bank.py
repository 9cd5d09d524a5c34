"""The bank of questions, `quiz/bank.yaml`: its schema, its checks, and answers resolved from the code.

`load_bank(workshop)` returns every question with its right answer as text. A question says either `answer:` or
`answer_from:`; the second is looked up in the code and the configuration each time (`facts.py`), so a changed default
changes the key instead of leaving a wrong one.
"""

from dataclasses import dataclass, field
from pathlib import Path

from instructor.quizbank.facts import CodeFacts
from instructor.schema import read_yaml
from instructor.workshop import PROJECT, Workshop
from lab_code.errors import LabError
from lab_code.workshop.quiz import canonical_answer

BANK_FILE = PROJECT / "quiz" / "bank.yaml"
KAHOOT = "kahoot"
CHOICE, NUMBER = "choice", "number"


@dataclass
class BankEntry:
    """One question as it is written in the bank; `quiz/bank.yaml` explains every key at its top."""

    id: str
    stage: str
    text: str
    explanation: str
    hints: list[str]
    kind: str = CHOICE
    answer: str | None = None
    answer_from: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    look_in: str = ""
    time_limit_s: int = 20
    difficulty: int = 1


@dataclass
class Bank:
    questions: list[BankEntry]


@dataclass(frozen=True)
class BankQuestion:
    """A question with its right answer known. `wrong` is empty for a number question."""

    id: str
    stage: str
    kind: str
    text: str
    right: str
    wrong: tuple[str, ...]
    look_in: str
    explanation: str
    hints: tuple[str, ...]
    time_limit_s: int
    difficulty: int


def load_bank(workshop: Workshop, path: Path = BANK_FILE, project: Path = PROJECT) -> list[BankQuestion]:
    """Read, resolve and check the bank. Raises `LabError` that names the file, the question and the fix."""
    entries = read_yaml(path, Bank).questions
    facts = CodeFacts(project, [stage.id for stage in workshop.stages])
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise LabError(f"{path}: question '{entry.id}' is there twice", hint="give one of them another id")
        seen.add(entry.id)
    questions = [_resolve(entry, facts, path, workshop) for entry in entries]
    for stage in workshop.stages:
        count = len(stage_questions(questions, stage.id))
        if count < stage.questions:
            raise LabError(
                f"{path}: stage '{stage.id}' asks {stage.questions} questions, but the bank has {count}",
                hint="write more questions for it, or lower stages.questions in instructor/workshop.yaml",
            )
    return questions


def stage_questions(questions: list[BankQuestion], stage: str) -> list[BankQuestion]:
    """The questions of a stage (or `kahoot`), in the order of the bank."""
    return [question for question in questions if question.stage == stage]


def _resolve(entry: BankEntry, facts: CodeFacts, path: Path, workshop: Workshop) -> BankQuestion:
    where = f"{path}: question '{entry.id}'"
    try:
        _check_entry(entry, [*(stage.id for stage in workshop.stages), KAHOOT])
        right = entry.answer if entry.answer is not None else facts.resolve(entry.answer_from)
        if entry.kind == NUMBER:
            right = canonical_answer(right)
        if right in entry.wrong:
            raise LabError(
                f"the wrong option '{right}' is the right answer now", hint="the code has changed; edit `wrong`"
            )
        if entry.look_in and entry.stage != KAHOOT and entry.look_in not in facts.visible_before(entry.stage):
            raise LabError(
                f"look_in names '{entry.look_in}', which a group cannot see yet", hint="name a file of its kit"
            )
    except LabError as error:
        raise LabError(f"{where}: {error.message}", hint=error.hint) from error
    return BankQuestion(
        entry.id, entry.stage, entry.kind, entry.text.strip(), right, tuple(entry.wrong), entry.look_in,
        entry.explanation.strip(), tuple(hint.strip() for hint in entry.hints), entry.time_limit_s, entry.difficulty,
    )  # fmt: skip


def _check_entry(entry: BankEntry, stages: list[str]) -> None:
    if entry.stage not in stages:
        raise LabError(f"there is no stage '{entry.stage}'", hint=f"stages: {', '.join(stages)}")
    if entry.kind not in (CHOICE, NUMBER):
        raise LabError(f"kind is '{entry.kind}'", hint=f"kind is {CHOICE} or {NUMBER}")
    if (entry.answer is None) == (not entry.answer_from):
        raise LabError("needs exactly one of `answer` and `answer_from`", hint="remove one or add one")
    if entry.kind == NUMBER and entry.wrong:
        raise LabError("a number question has no wrong options", hint="remove `wrong`, or set kind: choice")
    if entry.kind == CHOICE and not 1 <= len(entry.wrong) <= 3:
        raise LabError(f"has {len(entry.wrong)} wrong options", hint="write one to three under `wrong`")
    if not entry.hints or not all(hint.strip() for hint in entry.hints):
        raise LabError("has no hint, or an empty one", hint="write at least one under `hints`")
    if len(set(entry.wrong)) != len(entry.wrong):
        raise LabError("two wrong options are the same", hint="change one of them")
