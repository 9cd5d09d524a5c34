"""The quiz inside a notebook: one form for a stage, answered with mouse or keyboard, and the command it stands for.

    quiz(1)      # the questions of stage 1, or what it opened and why the answers are right, once it is open
    hint(1)      # the hints to question 1 that the group has bought, and a button that buys the next one

Nothing is kept here: whether a stage is open stands in the kit, so running the cell again leads back to the same place.
"""

from collections.abc import Mapping
from typing import Any

import traitlets

from lab_code.errors import LabError
from lab_code.notebook.command_form import CommandForm, Field, Values
from lab_code.workshop.hints import HintState, list_hints, name_price
from lab_code.workshop.kit import Kit, Stage, find_kit, missing_stage_files
from lab_code.workshop.points import count_points, earned_by, spent_on_hints
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, how_to_answer, read_questions
from lab_code.workshop.reasons import read_reasons
from lab_code.workshop.unlock import next_stage

_ROOM_CODE = "room-code"


class QuizForm(CommandForm):
    """The questions of a stage, each with a button for its hints; in their place, once it is open, what it has brought.

    `hints` says of every question which hints were bought and what the next one costs, `opened` what is to be shown of
    an open stage.
    """

    hints = traitlets.Dict().tag(sync=True)
    opened = traitlets.Dict().tag(sync=True)

    def __init__(self, kit: Kit, stage: Stage) -> None:
        self._kit, self._stage, self._number = kit, stage, str(kit.number(stage))
        self._questions = read_questions(kit)[stage.id]
        fields = [make_field(question) for question in self._questions]
        if stage.room_code:
            fields.append(Field(_ROOM_CODE, "line", "The words that the instructor shows", note="the room code"))
        title = f"Stage {self._number}: {stage.title}"
        super().__init__(title, fields, f"Unlock stage {self._number}", self._make_unlock, self._look)
        self.hints = self._list_hints()
        self.done = self._look()

    def hear(self, content: Mapping[str, Any]) -> None:
        """A press buys a hint where it names a question; otherwise it sends the answers."""
        if "hint" in content:
            self.buy_hint(str(content["hint"]))
        else:
            super().hear(content)

    def buy_hint(self, question: str) -> None:
        """Buy the next hint to a question of this stage; what goes wrong is shown below the form."""
        number = 1 + [each.id for each in self._questions].index(question)
        if self.done or self.run_command(["hint", str(number), "--stage", self._number]):
            return
        self.said = ""  # it stands beside its question now
        self.hints = self._list_hints()

    def _make_unlock(self, values: Values) -> list[str]:
        answers = ",".join(values[question.id].replace(",", ".") for question in self._questions)
        words = ["--room-code", values[_ROOM_CODE]] if self._stage.room_code else []
        return ["unlock", "--stage", self._number, "--answers", answers, *words]

    def _look(self) -> str:
        text = _describe_open(self._kit, self._stage)
        self.opened = _describe_reasons(self._kit, self._stage, self._questions) if text else {}
        return text

    def _list_hints(self) -> dict[str, dict[str, Any]]:
        states = list_hints(self._kit, self._stage)
        return {state.question.id: {"taken": list(state.taken), "price": name_price(state)} for state in states}


def quiz(number: int) -> QuizForm:
    """The form of a stage. Its button does what the command under it does, and says the same."""
    kit = find_kit()
    return QuizForm(kit, kit.stage(str(number)))


def hint(question: int, stage: str = "") -> CommandForm | None:
    """The hints to a question of a stage (the next locked one) that are bought already; its button buys one more.

    Once all stages are open it only says so. Raises `LabError` where there is no such question.
    """
    kit = find_kit()
    chosen = kit.stage(stage) if stage else next_stage(kit)
    if chosen is None:
        print("All stages are open already: no hint is needed.")
        return None
    number = str(kit.number(chosen))

    def look() -> HintState:
        states = list_hints(kit, chosen)
        if not 1 <= question <= len(states):
            raise LabError(f"stage {number} has the questions 1 to {len(states)}, not {question}", hint="hint(1)")
        return states[question - 1]

    def after() -> str:
        state = look()
        form.button = _name_button(state)
        return "" if state.price is not None else _describe_hints(title, state)

    title = f"Stage {number}, question {question}"
    argv = ["hint", str(question), "--stage", number]
    form = CommandForm(title, [], _name_button(look()), lambda values: argv, after)
    form.said = "\n".join(look().taken)
    form.done = after()
    return form


def make_field(question: Question) -> Field:
    """Radio buttons for one of several options, boxes for several of them, a line for what is typed."""
    kind = {"several": "several", "number": "number"}.get(question.kind, "one" if question.options else "line")
    options = tuple((str(n), f"{n})  {option}") for n, option in enumerate(question.options, 1))
    note = "" if options else how_to_answer(question.kind)
    return Field(question.id, kind, question.text, options, note, question.look_in)


def _name_button(state: HintState) -> str:
    if state.price is None:
        return "There is no further hint"
    return f"Buy {'one more' if state.taken else 'a'} hint for {name_price(state)}"


def _describe_hints(title: str, state: HintState) -> str:
    return f"{title}, all hints: {' '.join(state.taken)}" if state.taken else f"{title} has no hint."


def _describe_open(kit: Kit, stage: Stage) -> str:
    """What the stage has brought; empty while it is locked, or one of its files is missing."""
    if not read_journal(kit.root).unlocked(stage.id) or missing_stage_files(kit, stage):
        return ""
    return f"Stage {kit.number(stage)} is open: go on below. It has brought {', '.join(stage.opens)}."


def _describe_reasons(kit: Kit, stage: Stage, questions: list[Question]) -> dict[str, Any]:
    """The points that the stage has brought, and every question with its right answer and the reason for it."""
    reasons = {reason.question: reason for reason in read_reasons(kit, stage)}
    asked = [(question.text, reasons[question.id]) for question in questions if question.id in reasons]
    return {
        "points": _describe_points(kit, stage),
        "reasons": [{"question": text, "answer": reason.right, "why": reason.why} for text, reason in asked],
    }


def _describe_points(kit: Kit, stage: Stage) -> str:
    journal, rules = read_journal(kit.root), kit.points
    earned, spent = earned_by(journal, stage.id, rules), spent_on_hints(journal, stage.id, rules)
    total = count_points(journal, [each.id for each in kit.stages], rules)
    hints = f" − {spent} for hints" if spent else ""
    return f"+{earned} points{hints}. You have {total}."
