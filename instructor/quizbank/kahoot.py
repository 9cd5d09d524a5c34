"""The Kahoot round as files: `kahoot.xlsx` in the layout of Kahoot's import template, and `kahoot.csv` to read.

`export_kahoot(questions, folder, seed)` checks every question, then writes both files; Kahoot imports only the .xlsx.
The layout (header in B8:H8, questions from row 9, row numbers in column A) is the one of Kahoot's template of 2021,
built here cell by cell. Which questions belong to the round is up to the caller.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.writer.excel import ExcelWriter

from instructor.collect.table import safe_cell
from instructor.quizbank.bank import CHOICE, BankQuestion
from instructor.quizbank.markup import UNWRITABLE
from instructor.quizbank.variants import order_options
from lab_code.errors import LabError
from lab_code.files import write_whole

QUESTION_LIMIT, ANSWER_LIMIT = 120, 75  # characters: the template's
QUESTION_ADVICE, ANSWER_ADVICE = 95, 60  # characters: what Kahoot's help is said to ask for
TIMES_S = (5, 10, 20, 30, 60, 120)  # every source agrees on these; the template adds 90 and 240
DEFAULT_TIME_S = 20
OPTIONS = 4
HEADER_ROW, LAST_ROW = 8, 108
HEADER = (
    "Question - max 120 characters",
    *(f"Answer {number} - max 75 characters" for number in range(1, OPTIONS + 1)),
    "Time limit (sec) – 5, 10, 20, 30, 60, 90, 120, or 240 secs",  # an en dash, as in the template
    "Correct answer(s) - choose at least one",
)
INSTRUCTIONS = {
    "B2": "Quiz template",
    "B3": "Made from quiz/bank.yaml by `instructor quiz export kahoot`: change the bank and export again.",
    "B4": f"Text is red where it is too long: over {QUESTION_LIMIT} characters (question) or {ANSWER_LIMIT} (answer).",
    "B5": "One question per row, from row 9; the last column is the number of the right answer.",
    "B6": "Import this .xlsx into Kahoot; the .csv beside it is only for reading.",
}
RED = "FF9C0006"
FIXED_DATE = datetime(2020, 1, 1)  # in place of the present moment: the same questions give the same bytes
LISTED_PROBLEMS = 5

Row = tuple[str | int | None, ...]  # the seven columns of HEADER


def export_kahoot(questions: list[BankQuestion], folder: Path, seed: int) -> tuple[list[Path], list[str]]:
    """Write `kahoot.xlsx` and `kahoot.csv` into `folder`; return their paths and what the instructor should know.

    Options are ordered by SHA-256 of seed, question and option. Raises `LabError`, and writes nothing, where there is
    no question or Kahoot cannot take one of them; it lists what is wrong with all of them.
    """
    check_questions(questions)
    rows = [_make_row(question, seed) for question in questions]
    contents = {folder / "kahoot.xlsx": _make_workbook(rows), folder / "kahoot.csv": _make_table(rows)}
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents), [warning for question in questions for warning in _find_warnings(question)]


def check_questions(questions: list[BankQuestion]) -> None:
    """Raise `LabError` that lists what Kahoot would not take."""
    if not questions:
        raise LabError("no question to export to kahoot", hint="give some questions of quiz/bank.yaml `stage: kahoot`")
    room = LAST_ROW - HEADER_ROW
    problems = [f"{len(questions)} questions, but the sheet has {room} rows"] if len(questions) > room else []
    problems += [problem for question in questions for problem in _find_problems(question)]
    if problems:
        more = len(problems) - LISTED_PROBLEMS
        listed = problems[:LISTED_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise LabError(
            "\n  ".join(["kahoot cannot take these questions:", *listed]), hint="put them right in quiz/bank.yaml"
        )


def _find_problems(question: BankQuestion) -> Iterator[str]:
    where = f"question '{question.id}'"
    if question.kind != CHOICE:
        yield f"{where}: its kind is '{question.kind}', expected '{CHOICE}'"
        return
    if not 2 <= 1 + len(question.wrong) <= OPTIONS:
        yield f"{where}: expected 2 to {OPTIONS} options, found {1 + len(question.wrong)}"
    for name, text, limit, _ in _name_texts(question):
        if not text.strip():
            yield f"{where}: the {name} is empty"
        elif UNWRITABLE.search(text):
            yield f"{where}: the {name} has a line break or a control character: {text!a}"
        elif (length := excel_length(text)) > limit:
            yield f"{where}: the {name} has {length} characters, at most {limit}: '{text}'"


def _find_warnings(question: BankQuestion) -> Iterator[str]:
    where = f"question '{question.id}'"
    for name, text, _, advice in _name_texts(question):
        if (length := excel_length(text)) > advice:
            yield f"{where}: the {name} has {length} characters, kahoot may refuse more than {advice}: '{text}'"
    time_s = _snap_time(question.time_limit_s)
    if time_s != question.time_limit_s:
        yield f"{where}: {question.time_limit_s} s is no time limit of kahoot's; written as {time_s} s"


def _name_texts(question: BankQuestion) -> Iterator[tuple[str, str, int, int]]:
    """What each text is called, the text, its limit and the length above which Kahoot may refuse it."""
    yield "question", question.text, QUESTION_LIMIT, QUESTION_ADVICE
    for option in question.options:
        yield "answer", option, ANSWER_LIMIT, ANSWER_ADVICE


def excel_length(text: str) -> int:
    """Characters as Excel's LEN counts them: UTF-16 units, so most emoji are two."""
    return len(text.encode("utf-16-le")) // 2


def _snap_time(time_s: int) -> int:
    """The nearest of Kahoot's times, the longer one between two; the default where there is no time."""
    if time_s <= 0:
        return DEFAULT_TIME_S
    return min(TIMES_S, key=lambda allowed: (abs(allowed - time_s), -allowed))


def _make_row(question: BankQuestion, seed: int) -> Row:
    options = order_options(question, str(seed))
    empty = [None] * (OPTIONS - len(options))
    correct = str(options.index(question.right) + 1)
    return (question.text, *options, *empty, _snap_time(question.time_limit_s), correct)


def _make_table(rows: list[Row]) -> bytes:
    table = io.StringIO(newline="")
    csv.writer(table).writerows([HEADER, *([safe_cell(value) for value in row] for row in rows)])
    return table.getvalue().encode("utf-8-sig")  # without the mark, Excel takes UTF-8 for its local code page


def _make_workbook(rows: list[Row]) -> bytes:
    book = Workbook()
    book.properties.created = book.properties.modified = FIXED_DATE
    sheet = book.worksheets[0]
    sheet.title = "Sheet1"
    _write_frame(sheet)
    for number, row in enumerate(rows, start=HEADER_ROW + 1):
        for column, value in enumerate(row, start=2):
            cell = sheet.cell(number, column)
            assert isinstance(cell, Cell)  # only the instructions above are merged
            _write_cell(cell, value)
    _guard_edits(sheet)
    return _save_workbook(book)


def _write_frame(sheet: Worksheet) -> None:
    """Everything but the questions: widths, instructions, header and row numbers."""
    for letter, width in zip("ABCDEFGH", (12, 50, 32, 32, 32, 32, 26, 33), strict=True):
        sheet.column_dimensions[letter].width = width
    for place, text in INSTRUCTIONS.items():
        sheet[place] = text
    for row in (3, 4, 6):
        sheet.merge_cells(f"B{row}:H{row}")
    for column, text in enumerate(HEADER, start=2):
        cell = sheet.cell(HEADER_ROW, column, text)
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
    for row in range(HEADER_ROW + 1, LAST_ROW + 1):
        sheet.cell(row, 1, row - HEADER_ROW)


def _write_cell(cell: Cell, value: str | int | None) -> None:
    cell.value = value
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    if isinstance(value, str):
        cell.data_type = "s"  # openpyxl takes '=…' for a formula and '#N/A' for an error
        cell.number_format = "@"  # Excel keeps '1' and '=…' as text when somebody edits the cell


def _guard_edits(sheet: Worksheet) -> None:
    """Red text over the limits and a list of times, as in the template, for whoever edits the sheet by hand."""
    first = HEADER_ROW + 1
    for letter, limit in zip("BCDEF", (QUESTION_LIMIT, *[ANSWER_LIMIT] * OPTIONS), strict=True):
        rule = FormulaRule(formula=[f"LEN({letter}{first})>{limit}"], font=Font(color=RED))
        sheet.conditional_formatting.add(f"{letter}{first}:{letter}{LAST_ROW}", rule)
    times = DataValidation(type="list", formula1=f'"{",".join(map(str, TIMES_S))}"', allow_blank=True)
    times.add(f"G{first}:G{LAST_ROW}")
    sheet.add_data_validation(times)


def _save_workbook(book: Workbook) -> bytes:
    """The workbook's bytes, without the present moment that `book.save` and the zip's members would hold."""
    stamped, fixed = io.BytesIO(), io.BytesIO()
    ExcelWriter(book, zipfile.ZipFile(stamped, "w")).save()
    with zipfile.ZipFile(stamped) as source, zipfile.ZipFile(fixed, "w") as target:
        for name in source.namelist():
            member = zipfile.ZipInfo(name, FIXED_DATE.timetuple()[:6])
            target.writestr(member, source.read(name), zipfile.ZIP_DEFLATED)
    return fixed.getvalue()
