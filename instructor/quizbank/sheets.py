"""Spreadsheets that other people saved: their cells as they are stored, in any of Excel's ways to save them.

    for sheet in read_sheets(path, is_known):         # an .xlsx workbook, or one sheet as CSV
        table = find_table(sheet.rows, _PLAYER, _TOTAL)   # the header's row and its columns, wherever they are

Nothing is believed that a file says about itself: not the size of a sheet, not its separator, not its code page. A
number that two countries would read differently is refused with its file, sheet and cell.
"""

import io
import math
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from lab_code.data.csv_file import refuse_quotes, split_rows
from lab_code.errors import LabError

SEPARATORS = ",;\t"
_TEXT_FILES = (".csv", ".tsv")
_HEADER_ROWS = 12  # a header is looked for in so many rows
_SIZE = re.compile(rb"<(\w+:)?dimension\b[^>]*?(/>|>\s*</(\w+:)?dimension\s*>)")
_ZIP = b"PK\x03\x04"
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_GROUPED = r"[1-9]\d{0,2}(?:%s\d{3})+"
_SPELT = str.maketrans({"\u2212": "-", "\u066b": ".", "\u066c": "'", "’": "'", "‘": "'", "`": "'", "´": "'"})

Rows = list[list[object]]


@dataclass(frozen=True)
class Sheet:
    """One sheet: what to call it in an error, its cells, and where they were separated by a sign (CSV), that sign."""

    path: Path
    title: str
    rows: Rows
    separator: str = ""

    def name_cell(self, row: int, column: int) -> str:
        """As a spreadsheet names it, both counted from 0: `report.xlsx, sheet 'Final Scores', cell C4`."""
        sheet = "" if self.separator else f", sheet '{self.title}'"
        return f"{self.path}{sheet}, cell {get_column_letter(column + 1)}{row + 1}"


def read_sheets(path: Path, is_known: Callable[[Rows], bool]) -> list[Sheet]:
    """All sheets. Among a CSV file's possible separators `is_known` chooses: it says whether rows hold a table.

    Raises `LabError` that says why a file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
    except FileNotFoundError as error:
        raise LabError(f"there is no file {path}", hint="give the report that Kahoot lets you download") from error
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}", hint="give .xlsx, or a sheet as .csv") from error
    if path.suffix.lower() in _TEXT_FILES and start != _ZIP:
        return [read_csv(path, is_known)]
    if start != _ZIP:
        raise LabError(f"{path} is no .xlsx workbook", hint="download the report again; give .xlsx, or a sheet as .csv")
    return _read_workbook(path)


def _read_workbook(path: Path) -> list[Sheet]:
    try:
        book = load_workbook(_drop_sizes(path), read_only=True, data_only=True)
        return [Sheet(path, s.title, [list(row) for row in s.iter_rows(values_only=True)]) for s in book.worksheets]
    except Exception as error:  # openpyxl's, zipfile's and the XML parser's errors share no base
        reason = " ".join(str(error).split())
        raise LabError(
            f"{path} is damaged: {type(error).__name__}: {reason}", hint="download the report again"
        ) from error


def _drop_sizes(path: Path) -> io.BytesIO:
    """The workbook without the sizes that its sheets state: they are wrong in some that Kahoot has written itself."""
    plain = io.BytesIO()
    with zipfile.ZipFile(path) as given, zipfile.ZipFile(plain, "w") as written:
        for name in dict.fromkeys(given.namelist()):
            content = given.read(name)
            written.writestr(name, _SIZE.sub(b"", content) if name.endswith(".xml") else content)
    return plain


def read_csv(path: Path, is_known: Callable[[Rows], bool]) -> Sheet:
    """A sheet that was saved with commas, semicolons or tabs, in UTF-8, UTF-16 or Windows' code page."""
    text = _decode(path)
    declared = re.match(r"sep=(.)(?=\r?\n)", text, re.IGNORECASE)  # a line that some programs put on top for Excel
    body = text[declared.end() :] if declared else text
    for separator in declared[1] if declared else SEPARATORS:
        lines, problem = split_rows(body, separator)
        rows: Rows = [list(cells) for _, cells in lines]
        if is_known(rows):
            if problem:
                raise refuse_quotes(path, problem)
            return Sheet(path, path.name, rows, separator)
    return Sheet(path, path.name, [[line] for line in body.splitlines()], SEPARATORS[0])


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}", hint="save the sheet as CSV") from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    if "\0" in text:
        raise LabError(f"{path} is no text", hint="save the sheet as CSV, in UTF-8")
    return text


def find_table(rows: Rows, *columns: re.Pattern[str]) -> tuple[int, list[int]] | None:
    """The header's row and the places of the columns, wherever in the first rows they are."""
    for number, row in enumerate(rows[:_HEADER_ROWS]):
        texts = [read_text(cell) for cell in row]
        places = [next((i for i, text in enumerate(texts) if column.match(text)), None) for column in columns]
        if None not in places:
            return number, [place for place in places if place is not None]
    return None


def cell_of(row: list[object], place: int) -> object:
    """A cell, or None beyond the end of a short row."""
    return row[place] if place < len(row) else None


def read_text(cell: object) -> str:
    """A cell's text in one line, without what steers a terminal; a number without the `.0` that some programs add."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a nickname of digits
    plain = "" if cell is None else " ".join(_STEERING.sub(" ", str(cell)).split())
    return unicodedata.normalize("NFC", plain)  # a file saved on macOS may hold a letter and its accent apart


def find_decimal_sign(cells: Iterable[object]) -> str:
    """The decimal sign that a column's cells prove, such as `3465,0`; empty where none does, or two are used."""
    signs = {sign for cell in cells for sign in ".," if _reads_only_with(_spell_number(cell), sign)}
    return signs.pop() if len(signs) == 1 else ""


def _reads_only_with(text: str, sign: str) -> bool:
    other = "," if sign == "." else "."
    return sign in text and _read_with(text, sign) is not None and _read_with(text, other) is None


def read_number(cell: object, sign: str = "") -> int | None:
    """A whole number, rounded half up, where there is only one way to read the cell; else None.

    Text may have blanks, apostrophes, dots or commas between thousands: `5222.0`, `3465,0`, `12 345`, `1.234,5`. What
    reads differently in two countries, `4.394` or `12,345`, is read only where the decimal `sign` of its column makes
    thousands of it: points are whole, so whoever writes `12,345` has hardly meant twelve and a third.
    """
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        return None if may_be_two(cell) else math.floor(cell + 0.5)
    values = _readings(cell, sign or ".,")
    value = values.pop() if len(values) == 1 else None
    if value is None or abs(value) < max(map(abs, _readings(cell, ".,"))):
        return None
    return math.floor(value + 0.5)


def may_be_two(cell: object) -> bool:
    """Whether a cell may be two numbers; of a stored one, whether a program may have made 4.394 of four thousand."""
    if not isinstance(cell, int | float):
        return len(_readings(cell, ".,")) > 1
    return not math.isfinite(cell) or (1 <= abs(cell) < 1000 and cell != int(cell) and cell == round(cell, 3))


def _readings(cell: object, signs: str) -> set[float]:
    text = _spell_number(cell)
    return {value for value in (_read_with(text, sign) for sign in signs) if value is not None}


def _spell_number(cell: object) -> str:
    """Digits of any script as 0 to 9, kinds of blanks and apostrophes as one; Excel's mark for text is dropped."""
    if not isinstance(cell, str):
        return ""
    text = unicodedata.normalize("NFKC", cell.translate(_SPELT)).translate(_SPELT).strip().removeprefix("'").strip()
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def _read_with(text: str, sign: str) -> float | None:
    """The number where `sign` is the decimal sign, and the other one or blanks and apostrophes part thousands."""
    grouped = "|".join(_GROUPED % re.escape(one) for one in (",.".replace(sign, ""), " ", "'"))
    found = re.fullmatch(rf"([+-]?)({grouped}|\d+)(?:{re.escape(sign)}(\d+))?", text)
    if not found:
        return None
    whole = re.sub(r"\D", "", found[2])
    return float(f"{found[1]}{whole}.{found[3] or 0}")
