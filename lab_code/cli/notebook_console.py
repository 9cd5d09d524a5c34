"""How commands speak in a notebook: lines of text without gaps, and tables as HTML, which screen readers know.

Colours mean nothing here; what must be told apart is told in words.
"""

import html
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab_code.cli.printable import strip_controls
from lab_code.errors import LabError
from lab_code.workshop.kit import find_kit
from lab_code.workshop.mark import Mark, draw_mark


class NotebookConsole(Console):
    """Prints to the cell that runs, results and notes alike; bold stays, colours go."""

    def __init__(self) -> None:
        super().__init__(
            file=sys.stdout, force_jupyter=False, force_terminal=False, color_system="standard", no_color=True,
            highlight=False, soft_wrap=True,
        )  # fmt: skip

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's; a table becomes an output of its own."""
        if len(objects) == 1 and isinstance(objects[0], Table):
            display_table(objects[0])
        else:
            super().print(*objects, **options)


def display_table(table: Table) -> None:
    """Show a table of rich in the cell that runs."""
    columns = [[_to_text(cell) for cell in column.cells] for column in table.columns]
    right = {number for number, column in enumerate(table.columns) if column.justify == "right"}
    headings = [_to_text(column.header) for column in table.columns]
    show_table(headings, zip(*columns, strict=True), title=_to_text(table.title or ""), right=right)


def show_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], title: str = "", right: Collection[int] = ()
) -> None:
    """Show a table in the cell that runs; the columns whose numbers are in `right` hold numbers."""
    from IPython.display import display

    lines = [[str(cell) for cell in row] for row in rows]
    text = "\n".join("  ".join(line) for line in [*([[title]] if title else []), list(headings), *lines])
    display({"text/html": draw_table(headings, lines, title, right), "text/plain": text}, raw=True)


def draw_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", right: Collection[int] = ()
) -> str:
    """A table as HTML, under the group's mark and colour."""
    sides = ["right" if number in right else "left" for number in range(len(headings))]
    head = "".join(_draw_cell(text, side, "col") for text, side in zip(headings, sides, strict=True))
    scopes = ["row", *[""] * (len(headings) - 1)]
    lines = ["".join(map(_draw_cell, row, sides, scopes)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    mark = _find_mark()
    colour, shape = (mark.colour, f"{draw_mark(mark)} ") if mark else ("currentColor", "")
    heading = (
        f'<caption style="text-align:left;font-weight:bold">{shape}{html.escape(title)}</caption>' if title else ""
    )
    rest = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<table style="border-top:3px solid {colour}">{heading}{rest}</table>'


def _draw_cell(text: str, side: str, scope: str) -> str:
    """A cell; `scope` is what it is the heading of: col, row, or nothing. An empty one is none, or it is read aloud."""
    tag, of = ("th", f' scope="{scope}"') if scope and text else ("td", "")
    style = f"text-align:{side};vertical-align:top;white-space:pre-wrap"
    return f'<{tag}{of} style="{style}">{html.escape(text)}</{tag}>'


def _to_text(cell: Any) -> str:
    return strip_controls(Text.from_markup(cell).plain if isinstance(cell, str) else str(cell))


def _find_mark() -> Mark | None:
    try:
        return find_kit().mark
    except LabError:
        return None
