"""The questions of a kit (`questions.json`) and the one spelling of their answers.

An answer is the number of an option, or for a question without options a number. `parse_answers("3, 1,4", stage)`
checks what was typed before any lock is tried; a typing error is not an attempt.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, Stage

QUESTIONS_FILE = "questions.json"


@dataclass(frozen=True)
class Question:
    """As a group sees it: without options it asks for a number."""

    id: str
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
                Question(q["id"], q["text"], tuple(q["options"]), q["look_in"], tuple(q["hints"]))
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
        example = example_answers(stage.questions)
        raise LabError(
            f"stage {number} asks {stage.questions} questions, but you gave {len(parts)} answers",
            hint=f"all answers, with commas and no blanks, for example: lab unlock --answers {example}",
        )
    answers = [canonical_answer(part) for part in parts]
    for position, (answer, question) in enumerate(zip(answers, read_questions(kit)[stage.id], strict=True), 1):
        count = len(question.options)
        if count and answer not in {str(option) for option in range(1, count + 1)}:
            raise LabError(
                f"answer {position} is {answer}, but question {position} has the options 1 to {count}",
                hint="write the number of an option, not its text",
            )
    return answers


def canonical_answer(text: str) -> str:
    """A number in its one spelling: `"03"`, `"3.0"` and `"3"` are all `"3"`. Raises `LabError` for anything else."""
    try:
        number = Decimal(text.strip())
        if not number.is_finite() or len(text) > 30:
            raise InvalidOperation
    except InvalidOperation as error:
        raise LabError(f"'{text}' is not a number", hint="answers are numbers, for example 3,1,4") from error
    return f"{number.normalize() + 0:f}"


def example_answers(questions: int) -> str:
    """The form of a list of so many answers; no group's right ones are ever these."""
    return ",".join(str(digit) for digit in (3, 1, 4, 1, 2, 3, 2, 4, 1, 3, 2, 4)[:questions])
