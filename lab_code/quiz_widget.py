"""The quiz inside a notebook: one form for a stage, answered with mouse or keyboard, and the command it stands for.

    quiz(1)      # the questions of stage 1, or what it opened, once it is open

Nothing is kept here: whether a stage is open stands in the kit, so running the cell again leads back to the same place.
"""

import html
import shlex

import ipywidgets as widgets

from lab_code.cli import main
from lab_code.workshop.kit import Kit, Stage, find_kit, missing_stage_files
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, how_to_answer, read_questions

_WIDE = widgets.Layout(width="100%")
_FIELD = widgets.Layout(width="16em")


def quiz(number: int) -> widgets.VBox:
    """The form of a stage. Its button does what the command under it does, and says the same."""
    kit = find_kit()
    stage = kit.stage(str(number))
    body = widgets.VBox(layout=_WIDE)
    _show(kit, stage, body)
    return body


def _show(kit: Kit, stage: Stage, body: widgets.VBox) -> None:
    """Fill the form with what the kit says now."""
    if read_journal(kit.root).unlocked(stage.id) and not missing_stage_files(kit, stage):
        opened = ", ".join(f"<code>{html.escape(name)}</code>" for name in stage.opens)
        body.children = [widgets.HTML(f"<b>Stage {kit.number(stage)} is open.</b> It has brought {opened}.")]
        return
    body.children = _make_form(kit, stage, body)


def _make_form(kit: Kit, stage: Stage, body: widgets.VBox) -> list[widgets.Widget]:
    questions = read_questions(kit)[stage.id]
    fields = [_make_field(question) for question in questions]
    room_code = widgets.Text(description="Room code:", layout=_FIELD) if stage.room_code else None
    command, said = widgets.HTML(layout=_WIDE), widgets.Output(layout=_WIDE)
    unlock = widgets.Button(description=f"Unlock stage {kit.number(stage)}", button_style="primary", icon="unlock")

    def typed() -> list[str]:
        answers = ",".join(read_field(field) or "?" for field in fields)
        words = ["--room-code", room_code.value] if room_code is not None else []
        return ["unlock", "--stage", str(kit.number(stage)), "--answers", answers, *words]

    def tell(_: object = None) -> None:
        complete = all(map(read_field, fields))
        unlock.disabled = not complete
        rest = "" if complete else " &nbsp; (answer every question first)"
        command.value = f"The same in a terminal: <code>lab {html.escape(shlex.join(typed()))}</code>{rest}"

    def click(_: object) -> None:
        said.clear_output()
        unlock.disabled = True
        with said:
            main(typed())
        unlock.disabled = False
        if read_journal(kit.root).unlocked(stage.id):
            _show(kit, stage, body)

    for field in [*fields, *([room_code] if room_code is not None else [])]:
        for part in field.children if isinstance(field, widgets.VBox) else [field]:
            part.observe(tell, "value")
    unlock.on_click(click)
    tell()
    rows = [widgets.HTML(f"<b>Stage {kit.number(stage)}: {html.escape(stage.title)}</b>")]
    for n, (question, field) in enumerate(zip(questions, fields, strict=True), 1):
        rows += [widgets.HTML(_describe(n, question), layout=_WIDE), field]
    return [*rows, *([room_code] if room_code is not None else []), unlock, command, said]


def _describe(number: int, question: Question) -> str:
    how = how_to_answer(question.kind) if not question.options else ""
    look = f"look in <code>{html.escape(question.look_in)}</code>"
    return f"<p><b>{number}.</b> {html.escape(question.text)}<br><small>{how}{'; ' if how else ''}{look}</small></p>"


def _make_field(question: Question) -> widgets.Widget:
    """Radio buttons for one of several, boxes for several, a line for what is typed; each labelled by its question."""
    if question.kind == "several":
        boxes = [
            widgets.Checkbox(description=f"{n}  {option}", indent=False, layout=_WIDE)
            for n, option in enumerate(question.options, 1)
        ]
        return widgets.VBox(boxes, layout=_WIDE)
    if question.options:
        options = [(f"{n}  {option}", str(n)) for n, option in enumerate(question.options, 1)]
        return widgets.RadioButtons(options=options, value=None, layout=_WIDE, tooltip=question.text)
    return widgets.Text(description="Answer:", layout=_FIELD, tooltip=question.text, continuous_update=True)


def read_field(field: widgets.Widget) -> str:
    """The answer as it would be typed; empty while there is none."""
    if isinstance(field, widgets.VBox):
        return "+".join(str(n) for n, box in enumerate(field.children, 1) if box.value)
    return (field.value or "").strip().replace(",", ".")
