"""The quiz inside a notebook: one form for a stage, answered with mouse or keyboard, and the command it stands for.

    quiz(1)      # the questions of stage 1, or what it opened, once it is open
hint(1)      # the hints to question 1 that the group has bought, and a button that buys the next one

Nothing is kept here: whether a stage is open stands in the kit, so running the cell again leads back to the same place.
"""

from lab_code.errors import LabError
from lab_code.notebook.command_form import CommandForm, Field, Values
from lab_code.workshop.hints import HintState, list_hints
from lab_code.workshop.kit import Kit, Stage, find_kit, missing_stage_files
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, how_to_answer, read_questions
from lab_code.workshop.unlock import next_stage

_ROOM_CODE = "room-code"


def quiz(number: int) -> CommandForm:
    """The form of a stage. Its button does what the command under it does, and says the same."""
    kit = find_kit()
    stage = kit.stage(str(number))
    questions = read_questions(kit)[stage.id]
    fields = [make_field(question) for question in questions]
    if stage.room_code:
        fields.append(Field(_ROOM_CODE, "line", "The words that the instructor shows", note="the room code"))

    def make_argv(values: Values) -> list[str]:
        answers = ",".join(values[question.id].replace(",", ".") for question in questions)
        words = ["--room-code", values[_ROOM_CODE]] if stage.room_code else []
        return ["unlock", "--stage", str(number), "--answers", answers, *words]

    title = f"Stage {number}: {stage.title}"
    form = CommandForm(title, fields, f"Unlock stage {number}", make_argv, lambda: _describe_open(kit, stage))
    form.done = _describe_open(kit, stage)
    return form


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
        form.button = _name_price(state)
        return "" if state.price is not None else _describe_hints(title, state)

    title = f"Stage {number}, question {question}"
    argv = ["hint", str(question), "--stage", number]
    form = CommandForm(title, [], _name_price(look()), lambda values: argv, after)
    form.said = "\n".join(look().taken)
    form.done = after()
    return form


def _name_price(state: HintState) -> str:
    if state.price is None:
        return "There is no further hint"
    return f"Buy {'a' if not state.taken else 'one more'} hint for {state.price} point{'s' if state.price != 1 else ''}"


def _describe_hints(title: str, state: HintState) -> str:
    return f"{title}, all hints: {' '.join(state.taken)}" if state.taken else f"{title} has no hint."


def make_field(question: Question) -> Field:
    """Radio buttons for one of several options, boxes for several of them, a line for what is typed."""
    kind = {"several": "several"}.get(question.kind, "one" if question.options else "line")
    options = tuple((str(n), f"{n})  {option}") for n, option in enumerate(question.options, 1))
    note = "" if options else how_to_answer(question.kind)
    return Field(question.id, kind, question.text, options, note, question.look_in)


def _describe_open(kit: Kit, stage: Stage) -> str:
    """What the stage has brought; empty while it is locked, or one of its files is missing."""
    if not read_journal(kit.root).unlocked(stage.id) or missing_stage_files(kit, stage):
        return ""
    return f"Stage {kit.number(stage)} is open: go on below. It has brought {', '.join(stage.opens)}."
