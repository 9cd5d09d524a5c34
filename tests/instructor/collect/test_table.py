"""CSV files that a spreadsheet opens: no text becomes a formula, wherever its country splits the lines."""

import csv
import unicodedata
from pathlib import Path

import pytest

from instructor.collect.table import bare_cell, safe_cell, write_table

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", " =1", "\t=1", "\n=1", "\r\n=1", "\x0b=1", "\u00a0=1", "\u200b=1", "\ufeff=1",
    "\x00=1", "\x1b[0m;=1", "-5", "-0.25", "x;-3",
    "＝1", "＋1", "－1", "＠A1", "﹦1", "⁼1", '"=1', "'=1", "''=1", '" =1', "“=1", "«=1", "`=1",
    "x;=1", "x; =1", "x;\t=1", 'x;"=1', "x;'=1", "x;＝1", "x;\u200b=1", "x,=1", "x|=1", "x;y;=1;z",
    ";=1", ";;=1", "x;\n=1", "x\t=1;+2,@3", "=cmd|' /C calc'!A0",
]  # fmt: skip
HARMLESS = [
    "plain", "-", "+", "=", "@", "5", "a=b", "a - b", "x;y", "x; y, z", "lr=0.1", "1+1", "someone@example.org", "🦉",
    "ناس", "'tis", "don't", "", "a;b;3",
]  # fmt: skip


def starts_formula(cell: str) -> bool:
    """As the most suspicious spreadsheet might see it; an apostrophe in front makes it text."""
    shown = unicodedata.normalize("NFKC", cell).lstrip(' "\u200b\ufeff“«`\u00a0')
    return len(shown) > 1 and shown[0] in "=+-@"


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_piece_of_a_line_is_a_formula_whatever_separates_cells(tmp_path: Path, text: str, separator: str) -> None:
    write_table(tmp_path / "t.csv", ["a", "b", "c"], [{"a": text, "b": f"b {text}", "c": text}])
    content = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert content.count("\n") == 2 and not any(
        unicodedata.category(sign) == "Cc" for sign in content.replace("\n", "")
    )
    for line in content.splitlines():
        for cells in (next(csv.reader([line], delimiter=separator)), line.split(separator)):
            assert not [cell for cell in cells if starts_formula(cell)]


@pytest.mark.parametrize("text", FORMULAS)
def test_the_marks_come_off_again_and_do_not_pile_up(text: str) -> None:
    plain = " ".join("".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text).split())
    assert bare_cell(safe_cell(text)) == plain
    assert safe_cell(bare_cell(safe_cell(text))) == safe_cell(text) != plain


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_and_numbers_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == bare_cell(text) == text


@pytest.mark.parametrize("value", [0, -3, True, None])
def test_what_is_no_text_stays_as_it_is(value: object) -> None:
    assert safe_cell(value) == value
