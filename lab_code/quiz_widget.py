"""The quiz inside a notebook: one form for a stage, answered with mouse or keyboard, and the command it stands for.

    quiz(1)      # the questions of stage 1, or what it opened, once it is open

Nothing is kept here: whether a stage is open stands in the kit, so running the cell again leads back to the same place.
"""

from lab_code.command_form import CommandForm, Field, Values
from lab_code.workshop.kit import Kit, Stage, find_kit, missing_stage_files
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, how_to_answer, read_questions

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
