"""What the notebooks use: the same commands as in a terminal, forms, and figures with a text alternative.

from lab_code.notebook import bet, lab, progress, quiz, show   # and more: __all__
"""

import importlib
import shlex
import sys
from collections.abc import Callable
from typing import Any

from IPython.display import HTML, Code, display
from matplotlib.figure import Figure

from lab_code.cli.app import main
from lab_code.cli.notebook_console import show_table
from lab_code.cli.progress_bar import report_by
from lab_code.cli.terminal import INTERRUPTED
from lab_code.errors import LabError, suggest
from lab_code.notebook.command_form import CommandForm
from lab_code.notebook.live_table import LiveTable, find_link
from lab_code.notebook.opinion_widgets import feedback, handin, review
from lab_code.notebook.picture import Picture
from lab_code.notebook.progress_strip import progress, refresh
from lab_code.notebook.quiz_widget import hint, quiz
from lab_code.notebook.statement_widgets import bet, duel, look_again, sentence
from lab_code.plots.one_run import to_png
from lab_code.workshop.by_hand import in_notebook
from lab_code.workshop.desk import read_servers
from lab_code.workshop.kit import find_kit, locked_file
from lab_code.workshop.mlflow_gate import HOST
from lab_code.workshop.spelling import spell_commands

__all__ = [
    "StoppedError",
    "bet",
    "duel",
    "feedback",
    "handin",
    "hint",
    "lab",
    "mlflow_page",
    "progress",
    "quiz",
    "review",
    "sentence",
    "show",
    "show_file",
    "show_table",
]


class StoppedError(LabError):
    """Ends a cell whose command failed; the command has said why."""

    def _render_traceback_(self) -> list[str]:
        return [self.message]


class StoppedByHandError(StoppedError):
    """Ends a cell whose command the group has stopped itself (■): "Run all" goes no further, and nothing is wrong."""


def tell_stop(*_: Any, **__: Any) -> None:
    """What a cell shows that was stopped by hand, in the place of an error."""
    text = "■ Stopped by you. Nothing is lost: run the cell again, and it goes on."
    display({"text/html": f"<div>{text}</div>", "text/plain": text}, raw=True)


if in_notebook():
    report_by(LiveTable)
    sys.modules["IPython"].get_ipython().set_custom_exc((StoppedByHandError, KeyboardInterrupt), tell_stop)


def lab(command: str) -> None:
    """Run a `lab` command in this notebook: `lab("train experiment=baseline")`.

    What costs points or is final (`hint 1`, `handin`) only shows a button: "Run all" would do it once more.
    Raises `StoppedError` where it fails, so that "Run all" stops there.
    """
    importlib.invalidate_caches()  # an unlock may have brought new modules
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise LabError(
            f"a quotation mark in {command!r} is not closed",
            hint="put the word around it into the other kind of quotes",
        ) from error
    make_form = _find_form(words)
    if make_form is not None:
        display(make_form())
        return
    code = main(words)
    refresh()
    look_again()
    if code == INTERRUPTED:
        raise StoppedByHandError(f"lab {words[0]} was stopped by hand")
    if code:
        raise StoppedError(f"lab {command.split()[0]} did not succeed: see the message above")


def _find_form(words: list[str]) -> Callable[[], CommandForm | None] | None:
    """What makes the form of `handin`, `hint 1` or `hint 1 --stage 2`; None for every other command."""
    if words == ["handin"]:
        return handin
    numbers = [word.removeprefix("--stage=") for word in words[1:] if word != "--stage"]
    if words[:1] != ["hint"] or not numbers or not all(number.isdigit() for number in numbers):
        return None
    if words[1].startswith("--"):  # the stage first
        numbers.reverse()
    return lambda: hint(int(numbers[0]), *numbers[1:2])


def mlflow_page() -> HTML:
    """A link to MLflow's page, which `lab start` has opened beside this notebook; or how to open it."""
    root, command = find_kit().root, f"<code>{spell_commands('lab ui')}</code>"
    running = {server.name: server for server in read_servers(root) if server.process()}
    # This page is saved with the notebook: no token may stand in it.
    address = find_link(root)
    if not address and "mlflow" not in running:
        return HTML(f"MLflow is not running beside this notebook. In a terminal: {command}")
    address = address or f"http://{HOST}:{running['mlflow'].port}/"
    link = f'<a href="{address}" target="_blank" rel="noopener">Open MLflow in a new tab</a>'
    return HTML(f"{link} &nbsp; The same in a terminal: {command}")


def show_file(path: str) -> Code:
    """A file of the kit, with colours. Raises `LabError` where it is not there: most often it is still locked."""
    kit = find_kit()
    if not (kit.root / path).is_file():
        meant = suggest(path, [*kit.files, *(opened for stage in kit.stages for opened in stage.opens)])
        raise locked_file(kit, path) or LabError(f"there is no file {path}", hint=f"{meant}lost files: lab doctor")
    return Code(filename=str(kit.root / path))


def show(figure: Figure, text: str) -> None:
    """Show a figure as a picture, with a text for people (and programs) that cannot see it."""
    display(Picture(to_png(figure), text, find_kit().mark))
