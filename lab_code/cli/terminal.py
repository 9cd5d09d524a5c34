"""How commands speak: results on stdout, notes, progress and errors on stderr, and one way to end.

`run_app` turns a Typer application into an exit code (0 done, 1 failed, 2 misuse): known errors become two short
lines, unknown ones go to a log file whose name is printed. Used by `lab` and by `instructor`.
"""

import atexit
import gc
import io
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lab_code.errors import LabError
from lab_code.workshop.by_hand import in_notebook
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

INTERRUPTED = 130


# rich is imported only where something is printed with it: `lab --help` starts in half the time.


def make_console(*, stderr: bool = False) -> "Console":
    """A console on the stream of this moment (tests and notebooks replace `sys.stdout`)."""
    from rich.console import Console

    from lab_code.cli.rich_hook import ControlsStripped

    heard = isinstance(sys.stderr if stderr else sys.stdout, io.StringIO)  # by a form in a notebook: text and no more
    if in_notebook() and not heard:
        from lab_code.cli.notebook_console import NotebookConsole

        console: Console = NotebookConsole()
    else:
        plain = False if heard else None
        console = Console(stderr=stderr, highlight=False, soft_wrap=True, force_jupyter=plain, force_terminal=plain)
    console.push_render_hook(ControlsStripped())
    return console


def make_table(*columns: str, title: str = "", right: Sequence[str] = ()) -> "Table":
    """A table with its title on the left; the columns of `right` hold numbers."""
    from rich.table import Table

    table = Table(*columns, title=title or None, title_justify="left")
    for column in right:
        table.add_column(column, justify="right")
    return table


def escape(text: str) -> str:
    """Text in which square brackets mean themselves and no style."""
    from rich.markup import escape as escape_markup

    return escape_markup(text)


def wrap(text: str, indent: str, first: str | None = None) -> str:
    """Text in lines that fit the terminal, each after `indent` (the first after `first`); one line where none looks."""
    console = make_console()
    width = console.width if console.is_terminal else 10_000
    return textwrap.fill(
        text, width, initial_indent=indent if first is None else first, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def print_error(error: LabError, spell: Callable[[str], str] = spell_commands) -> None:
    """Print `error: …` and, where there is one, `hint: …` on stderr; `spell` writes commands as they are typed here."""
    console = make_console(stderr=True)
    console.print("[bold red]error:[/]", end=" ")
    console.print(spell(error.message), markup=False)
    if error.hint:
        console.print("[bold cyan]hint:[/]", end=" ")
        console.print(spell(error.hint), markup=False)


def run_app(
    app: typer.Typer,
    argv: Sequence[str] | None,
    log_folder: Path,
    spell: Callable[[str], str] = spell_commands,
) -> int:
    """Run a command line and return its exit code; no traceback for anything a user can cause.

    An unexpected exception is written to `log_folder/lab-error.log` (without the values of variables, since answers
    and codes may live in them) and the file is named.
    """
    if argv is None:  # a process of its own
        _look_through_memory_rarely()
    try:
        app(args=None if argv is None else list(argv))
    except SystemExit as finished:
        code = finished.code if isinstance(finished.code, int) else int(finished.code is not None)
        if code == INTERRUPTED and not in_notebook():  # Typer turns Ctrl-C into this exit without a word
            make_console(stderr=True).print("interrupted: nothing is lost; the same command can be run again")
        return code
    except LabError as error:
        print_error(error, spell)
        return 1
    except Exception as error:
        print_error(_as_lab_error(error, log_folder), spell)
        return 1
    return 0


def explain_broken_code(error: SyntaxError) -> LabError:
    """A file that is no Python any more: somebody has edited it."""
    place = Path(error.filename or "")
    with suppress(ValueError):
        place = place.relative_to(Path.cwd())
    hint = "undo the last edit there; to get an original back, copy the file from the kit as it was"
    return LabError(f"{place} line {error.lineno}: this is no Python: {error.msg}", hint=hint)


def _look_through_memory_rarely() -> None:
    """Python's search for circles of objects takes two of the six seconds in which PyTorch and MLflow come and go."""
    gc.set_threshold(100_000, 20, 50)
    atexit.register(gc.freeze)


def _as_lab_error(error: Exception, log_folder: Path) -> LabError:
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        return LabError(f"{error.strerror or error}{where}", hint="check the disk's free space and the folder's rights")
    if isinstance(error, SyntaxError) and error.filename:
        return explain_broken_code(error)
    log = log_folder / "lab-error.log"
    text = f"{datetime.now().isoformat(timespec='seconds')} {' '.join(sys.argv[:2])}\n{traceback.format_exc()}\n"
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return LabError(f"unexpected {type(error).__name__}: {error}", hint="run the command again")
    return LabError(
        f"unexpected {type(error).__name__}: {error}", hint=f"the details are in {log}; show them to the instructor"
    )
