"""Hints: one more each time, at a price in points, noted in the journal."""

from dataclasses import dataclass

from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, Stage
from lab_code.workshop.progress import append_event, read_journal
from lab_code.workshop.quiz import Question, read_questions


@dataclass(frozen=True)
class HintState:
    """A question of the stage, the hints that the group has taken, and the price of the next (None: there is none)."""

    question: Question
    taken: tuple[str, ...]
    price: int | None


def list_hints(kit: Kit, stage: Stage) -> list[HintState]:
    """All questions of a stage with their hints so far."""
    journal = read_journal(kit.root)
    states = []
    for question in read_questions(kit)[stage.id]:
        numbers = {
            event.get("number") for event in journal.of("hint", stage.id) if event.get("question") == question.id
        }
        count = min(len(numbers), len(question.hints))
        price = kit.points.price(count + 1) if count < len(question.hints) else None
        states.append(HintState(question, question.hints[:count], price))
    return states


def name_price(state: HintState) -> str:
    """What the next hint costs, to be said after "for": `1 point`; empty where there is none."""
    return "" if state.price is None else f"{state.price} point{'s' if state.price != 1 else ''}"


def take_hint(kit: Kit, stage: Stage, number: int) -> tuple[str, int]:
    """The next hint to question `number` (counted from 1) and what it cost. Raises `LabError` after the last one."""
    states = list_hints(kit, stage)
    if not 1 <= number <= len(states):
        raise LabError(
            f"stage {kit.number(stage)} has the questions 1 to {len(states)}, not {number}", hint="lab hint 1"
        )
    state = states[number - 1]
    if state.price is None:
        said = f"; the last one was: {state.taken[-1]}" if state.taken else ""
        raise LabError(f"question {number} has no further hint{said}", hint="ask the instructor")
    count = len(state.taken) + 1
    append_event(kit.root, "hint", stage=stage.id, question=state.question.id, number=count)
    return state.question.hints[count - 1], state.price
