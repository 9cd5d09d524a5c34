"""Tables as people save them: commas, semicolons or tabs; UTF-8, UTF-16 or what Excel writes on Windows (cp1252).

`read_table(path)` gives the columns and the rows with their line numbers. What cannot be read without guessing is a
`LabError` that names the file and the line. What the columns mean is left to `ham10000.py` and `image_table.py`.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_code.errors import LabError

TABLE_ENDINGS = (".csv", ".tsv", ".tab")
_DELIMITERS = ",;\t|"
_TITLE_LINES = 12  # a header is looked for in so many rows
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_NO_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - set(b"\t\n\r"))  # a terminal would obey them
_SAVE_AGAIN = "open it in Excel or LibreOffice and save it as CSV (UTF-8)"


@dataclass(frozen=True)
class Table:
    """The named columns, and one (line number, cells by column) for every row that is not empty."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]

    def find(self, names: Sequence[str]) -> list[str]:
        """Those of its columns that have one of the names, in the order of the names; `fold_name` says what counts."""
        spelt = {fold_name(column): column for column in self.columns}
        return [spelt[fold_name(name)] for name in names if fold_name(name) in spelt]

    def choose(self, names: Sequence[str]) -> str:
        """The first of them. Raises `LabError` where there is none."""
        for column in self.find(names):
            return column
        header = self._find_header(names)
        raise LabError(
            f"{self.path} has no column '{names[0]}' (found: {', '.join(self.columns[:12]) or 'an empty file'})",
            hint=f"line {header} looks like the names of the columns: remove the lines above it"
            if header
            else f"the first line must name a column {' or '.join(names)}",
        )

    def _find_header(self, names: Sequence[str]) -> int | None:
        """The line near the top that has one of the names in a cell: a title or a comment stands above it."""
        wanted = {fold_name(name) for name in names}
        for line, row in self.rows[:_TITLE_LINES]:
            parts = [part for cell in row.values() for part in re.split(f"[{_DELIMITERS}]", cell)]
            if wanted.intersection(map(fold_name, parts)):
                return line
        return None


def read_table(path: Path) -> Table:
    """Read a table. Text becomes NFC, in which two spellings of one name are the same; empty rows are left out."""
    text = _read_text(path)
    delimiter, text = _split_hint(text)
    first_line = text.lstrip("\r\n").partition("\n")[0]
    split, problem = split_rows(text, delimiter or _guess_delimiter(first_line))
    if problem:
        raise refuse_quotes(path, problem)
    lines = [(line, [cell.strip() for cell in cells]) for line, cells in split if any(map(str.strip, cells))]
    if not lines:
        return Table(path, [], [])
    header = lines[0][1]
    _check_header(path, header)
    _check_widths(path, lines)
    rows = [(line, _name_cells(header, cells)) for line, cells in lines[1:]]
    return Table(path, [column for column in header if column], rows)


def fold_name(name: str) -> str:
    """What a column's name is known by: without capitals, blanks, `_`, `-`, `.` and a `#` before it."""
    return re.sub(r"[\s_.-]", "", name.casefold().lstrip("#"))


def split_rows(text: str, separator: str) -> tuple[list[tuple[int, list[str]]], str]:
    """Every row's cells with the line in which it begins, and what is wrong below them; empty where nothing is.

    A quotation mark that is not closed would swallow rows, up to the next one or to the end. An empty line is a row
    without cells.
    """
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    begin = width = 0
    try:
        for cells in reader:
            if width > 2 and any(_count_cells(line, separator) == width for line in lines[begin + 1 : reader.line_num]):
                return rows, f"a quotation mark in line {begin + 1} or below (a cell holds what looks like a row)"
            rows.append((begin + 1, cells))
            begin, width = reader.line_num, width or len(cells)
    except csv.Error as error:
        quoted = any('"' in line for line in lines[begin : reader.line_num])
        where = f"line {begin + 1}"
        return rows, f"a quotation mark in {where} or below ({error})" if quoted else f"{where} ({error})"
    return rows, ""


def refuse_quotes(path: Path, problem: str) -> LabError:
    """The error for what `split_rows` found to be wrong."""
    return LabError(
        f"{path} is not understood: {problem}",
        hint='in a cell that stands in quotes, write each " twice and no line ends; or let a spreadsheet save the CSV',
    )


def _count_cells(line: str, separator: str) -> int:
    """How many cells a line has, whatever stands in quotes; in a text, a blank follows the separator."""
    return 1 + len(re.findall(re.escape(separator) + "(?! )", line))


def _name_cells(header: list[str], cells: list[str]) -> dict[str, str]:
    """The cells of a row by column, those of columns without a name left out; a row may be too short."""
    filled = cells + [""] * (len(header) - len(cells))
    return {column: cell for column, cell in zip(header, filled, strict=False) if column}


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror}", hint="close it where it is open, then again"
        ) from error
    if content.startswith(_EXCEL):
        raise LabError(f"{path} is an Excel file, whatever it is called", hint=_SAVE_AGAIN)
    try:
        text = content.decode(_guess_encoding(content))
    except UnicodeDecodeError as error:
        raise LabError(f"{path} is not UTF-8 text, nor UTF-16 or cp1252: {error}", hint=_SAVE_AGAIN) from error
    if "\0" in text:
        raise LabError(f"{path} is not UTF-8 text, but something else that was named so", hint=_SAVE_AGAIN)
    return unicodedata.normalize("NFC", text).translate(_NO_CONTROLS)


def _guess_encoding(content: bytes) -> str:
    if content.startswith(_UTF16):
        return "utf-16"
    if content[1:2] == b"\0":  # without a byte order mark, every other byte of plain letters is zero
        return "utf-16-le"
    if content[:1] == b"\0":
        return "utf-16-be"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _split_hint(text: str) -> tuple[str | None, str]:
    """Excel's own first line `sep=;`, where there is one, and the text without it: an empty line stays in its place."""
    first, end, rest = text.partition("\n")
    if first.strip().casefold().startswith("sep=") and len(first.rstrip("\r")) == 5:
        return first[4], end + rest
    return None, text


def _guess_delimiter(line: str) -> str:
    """The separator that is most often in the first line, outside of quotation marks."""
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def _check_widths(path: Path, lines: list[tuple[int, list[str]]]) -> None:
    """Raise `LabError` for a row with more cells than the first line, which may be a title above the names."""
    width = len(lines[0][1])
    named = "1 column" if width == 1 else f"{width} columns"
    for line, cells in lines[1:]:
        if any(cells[width:]):
            title = f"if line {line} names the columns, remove what is above it; else " if line == lines[1][0] else ""
            raise LabError(
                f"{path} line {line} has {len(cells)} cells, but the first line names {named}",
                hint=f"{title}put quotation marks around a cell that holds a separator, or name the column",
            )


def _check_header(path: Path, header: list[str]) -> None:
    seen: dict[str, int] = {}
    for number, column in enumerate(header, 1):
        first = seen.setdefault(fold_name(column) or f"column {number}", number)
        if first != number:
            other = "" if header[first - 1] == column else f" or '{header[first - 1]}'"
            raise LabError(
                f"{path}: columns {first} and {number} are both named '{column}'{other}",
                hint="which of the two is meant cannot be known: rename or remove one",
            )
