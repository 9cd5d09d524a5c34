"""The questions of a kit (`questions.json`) and the one spelling of their answers.

An answer is the number of an option (`3`), of several (`1+3`), a number, or the name of a file, function or setting.
`parse_answers("3, 1+4, trainer.py", …)` checks what was typed before any lock is tried; a typing error is no attempt.
"""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, Stage

QUESTIONS_FILE = "questions.json"
_DIGITS = (3, 1, 4, 1, 2)  # of an example, over and over


@dataclass(frozen=True)
class Question:
    """As a group sees it. `kind` is choice, several, number or name; the last two have no options."""

    id: str
    kind: str
    text: str
    options: tuple[str, ...]
    look_in: str
    hints: tuple[str, ...] = ()


def read_questions(kit: Kit) -> dict[str, list[Question]]:
    """The questions of every stage, in the order of their answers."""
    path = kit.root / QUESTIONS_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            stage.id: [
                Question(q["id"], q["kind"], q["text"], tuple(q["options"]), q["look_in"], tuple(q["hints"]))
                for q in document[stage.id]
            ]
            for stage in kit.stages
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="the questions are on your sheet as well") from error


def parse_answers(text: str, kit: Kit, stage: Stage) -> list[str]:
    """The answers in their canonical spelling. Raises `LabError` for the wrong number of answers or no numbers."""
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    number = kit.number(stage)
    if len(parts) != stage.questions:
        example = example_answers(read_questions(kit)[stage.id])
        raise LabError(
            f"stage {number} asks {stage.questions} questions, but you gave {len(parts)} answers",
            hint=f"all answers, with commas and no blanks, for example: lab unlock --answers {example}",
        )
    questions = read_questions(kit)[stage.id]
    return [_parse_one(part, question, n) for n, (part, question) in enumerate(zip(parts, questions, strict=True), 1)]


def _parse_one(part: str, question: Question, position: int) -> str:
    if question.kind == "name":
        return canonical_name(part)
    if question.kind == "number":
        return canonical_answer(part)
    count = len(question.options)
    chosen = part.split("+") if question.kind == "several" else [part]
    numbers = sorted({canonical_answer(number) for number in chosen})
    for number in numbers:
        if number not in {str(option) for option in range(1, count + 1)}:
            several = ", several as 1+3" if question.kind == "several" else ""
            raise LabError(
                f"answer {position} is {number}, but question {position} has the options 1 to {count}",
                hint=f"write the number of an option, not its text{several}",
            )
    return "+".join(numbers)


def how_to_answer(kind: str) -> str:
    """What to write into the list of answers, for questions where that is not the number of an option."""
    words = {"several": "several are right: write 1+3", "number": "answer with a number", "name": "answer with a name"}
    return words.get(kind, "")


def canonical_answer(text: str) -> str:
    """A number in its one spelling: `"03"`, `"3.0"` and `"3"` are all `"3"`. Raises `LabError` for anything else."""
    try:
        number = Decimal(text.strip())
        if not number.is_finite() or len(text) > 30:
            raise InvalidOperation
    except InvalidOperation as error:
        raise LabError(f"'{text}' is not a number", hint="answers are numbers, for example 3,1,4") from error
    return f"{number.normalize() + 0:f}"


def canonical_name(text: str) -> str:
    """A file, function or setting in its one spelling: with its folders or without, `trainer.py`."""
    name = text.strip().strip("`'\"").removesuffix("()").replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    if not re.fullmatch(r"[\w.-]{1,80}", name):
        raise LabError(f"'{text}' is not a name", hint="answers here are names of files or functions: trainer.py")
    return name


def example_answers(questions: Sequence[Question]) -> str:
    """The form of a list of answers to these questions, `3,12345,1`; no group's right ones are ever these."""
    kinds = {"number": "12345", "name": "trainer.py", "several": "1+2"}
    digits = [min(digit, max(1, len(q.options))) for q, digit in zip(questions, itertools.cycle(_DIGITS), strict=False)]
    return ",".join(kinds.get(q.kind, str(digit)) for q, digit in zip(questions, digits, strict=True))
