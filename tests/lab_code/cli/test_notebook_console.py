"""What commands say in a notebook: lines without gaps and colours, and tables that are tables."""

from typing import Any
from xml.etree import ElementTree

import pytest

from lab_code.cli import terminal
from lab_code.cli.notebook_console import NotebookConsole, draw_table
from lab_code.cli.terminal import make_console, make_table, print_error
from lab_code.errors import LabError


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What is displayed beside the text."""
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr(terminal, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: outputs.append(data))
    return outputs


def test_an_error_is_two_lines_of_plain_text_on_one_stream(
    shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(LabError("it is [locked]", hint="open it"))
    make_console().print("[bold green]Done[/] [yellow]note[/]")
    captured = capsys.readouterr()
    lines = captured.out.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert lines == ["error: it is [locked]", "hint: open it", "Done note"] and not captured.err and not shown


def test_a_table_is_html_that_says_what_its_cells_are(shown: list[dict[str, str]]) -> None:
    table = make_table("run", title="Your runs", right=["score"])
    table.add_row("<b>\\[x]", "[bold]0.5[/]")
    console = make_console()
    assert isinstance(console, NotebookConsole)
    console.print(table)
    (output,) = shown
    page = ElementTree.fromstring(output["text/html"])
    assert page.findtext("caption") == "Your runs"
    assert [(cell.text, cell.attrib["scope"]) for cell in page.iter("th")] == [
        ("run", "col"), ("score", "col"), ("<b>[x]", "row"),
    ]  # fmt: skip
    (cell,) = page.iter("td")
    assert cell.text == "0.5" and "text-align:right" in cell.attrib["style"]
    assert output["text/plain"].splitlines() == ["Your runs", "run  score", "<b>[x]  0.5"]


def test_an_empty_heading_is_no_heading() -> None:
    page = ElementTree.fromstring(draw_table(["", "n"], [["", "1"]]))
    assert [cell.text for cell in page.iter("th")] == ["n"]
