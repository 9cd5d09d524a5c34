"""A form in a notebook that stands for one `lab` command: fields, a button, and the command that does the same.

    form = CommandForm("Stage 1", fields, "Unlock", make_argv)      # shown where a cell ends with it

The button does nothing but run the command, and what the command says is shown below; so both roads are one. In the
browser (`command_form.js`) it is an ordinary HTML form: fieldsets with legends, radio buttons that arrow keys move in,
labelled fields. Nothing that counts is kept here: it stands in the kit. What is filled in and not sent yet is kept by
the browser (`keep`), so it outlives the kernel.
"""

import io
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from lab_code.cli.app import main
from lab_code.notebook.progress_strip import refresh
from lab_code.workshop.by_hand import by_hand
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.mark import draw_mark
from lab_code.workshop.progress import read_journal
from lab_code.workshop.spelling import spell_commands

Values = Mapping[str, str]  # what every field holds, by its name; empty where nothing is filled in


@dataclass(frozen=True)
class Field:
    """One question. `kind` is one (of the options), several (of them), number, share (a slider from 0 to 1), line or
    lines (of text)."""

    name: str
    kind: str
    question: str
    options: tuple[tuple[str, str], ...] = ()  # what it stands for, and what is shown
    note: str = ""
    look_in: str = ""  # a file, shown as code after the note
    optional: bool = False


class CommandForm(anywidget.AnyWidget):
    """`make_argv(values)` is the command; `after()` may return a text that takes the place of the form.

    Values of `several` are joined by `+`. The button works once every field that is not optional is filled in.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")

    title = traitlets.Unicode().tag(sync=True)
    fields: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    button = traitlets.Unicode().tag(sync=True)
    command = traitlets.Unicode().tag(sync=True)
    missing = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    heard = traitlets.Int(0).tag(sync=True)  # the number of the last press of the button that has been answered
    done = traitlets.Unicode().tag(sync=True)  # shown instead of the form, once there is nothing more to do
    colour = traitlets.Unicode().tag(sync=True)  # of the group, and its mark as SVG
    mark = traitlets.Unicode().tag(sync=True)
    keep = traitlets.Unicode().tag(sync=True)  # under what name the browser keeps what is not sent yet

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        button: str,
        make_argv: Callable[[Values], list[str]],
        after: Callable[[], str] = lambda: "",
    ) -> None:
        self._fields, self._make_argv, self._after = fields, make_argv, after
        kit = find_kit()
        super().__init__(
            title=title,
            button=button,
            fields=[asdict(field) for field in fields],
            colour=kit.mark.colour,
            mark=draw_mark(kit.mark),
            keep=_name_draft(kit, title),
        )
        self.observe(self._tell, "values")
        self.on_msg(self._hear)
        self._tell()

    def run(self) -> None:
        """Run the command, as a click on the button does; nothing happens while something is missing."""
        if self.missing or self.busy or self.done:
            return
        self.run_command(self._make_argv(self._filled()))
        self.done = self._after()

    def run_command(self, argv: list[str]) -> int:
        """Run a command and show what it says; returns its exit code."""
        self.busy, self.said = True, ""
        try:
            with by_hand(), redirect_stdout(_Heard(self)) as heard, redirect_stderr(heard):
                return main(argv)
        finally:
            self.busy = False
            refresh()

    def hear(self, content: Mapping[str, Any]) -> None:
        """What a press in the browser asks for; forms with more than one button find their own there."""
        self.values = dict(content["values"])
        self.run()

    def _hear(self, _form: object, content: Mapping[str, Any], _buffers: object) -> None:
        if content["press"] <= self.heard:  # once more, from another view of the form
            return
        try:
            self.hear(content)
        finally:
            self.heard = content["press"]

    def _filled(self) -> dict[str, str]:
        return {field.name: str(self.values.get(field.name, "")).strip() for field in self._fields}

    def _tell(self, _change: object = None) -> None:
        values = self._filled()
        empty = sum(not field.optional and not values[field.name] for field in self._fields)
        self.missing = f"{empty} {'answer' if empty == 1 else 'answers'} missing" if empty else ""
        wanted = {field.name: values[field.name] or ("" if field.optional else "?") for field in self._fields}
        words = ["lab", *self._make_argv(wanted)]
        self.command = spell_commands(subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words))


def _name_draft(kit: Kit, title: str) -> str:
    """Of this form in this kit: what somebody typed into an earlier copy, to try it out, is not shown to its group."""
    began = next((str(event.get("time")) for event in read_journal(kit.root).events), "")
    return f"lab/{kit.workshop}/{kit.group}/{began}/{title}"


class _Heard(io.StringIO):
    """What a command prints, shown as it comes."""

    def __init__(self, form: CommandForm) -> None:
        super().__init__()
        self._form = form

    def write(self, text: str) -> int:
        written = super().write(text)
        self._form.said = self.getvalue()
        return written
