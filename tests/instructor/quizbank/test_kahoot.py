"""What Kahoot's importer and Excel find in the exported files, and which questions are refused."""

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from instructor.quizbank.bank import CHOICE, KAHOOT, NUMBER, BankQuestion, load_bank, stage_questions
from instructor.quizbank.kahoot import excel_length, export_kahoot
from instructor.workshop import read_workshop
from lab_code.errors import LabError

TEMPLATE = Path(__file__).parents[4] / "shared" / "kahoot-samples" / "import-template-2021.xlsx"
SEED = 7
RUN = BankQuestion(
    "k-run", KAHOOT, CHOICE, "What is a run?", ("One training",), ("A group", "A layer", "A copy"), "", "why",
    ("clue",),
    20, 1,
)  # fmt: skip
SMILE = "\N{GRINNING FACE}"


def export(folder: Path, *questions: BankQuestion, seed: int = SEED) -> Worksheet:
    """The sheet of an export, read back."""
    paths, _ = export_kahoot(list(questions), folder, seed)
    return load_workbook(paths[0]).active


def read_options(sheet: Worksheet, row: int = 9) -> list[str]:
    return [sheet.cell(row, column).value for column in range(3, 7) if sheet.cell(row, column).value is not None]


def find_fault(folder: Path, *questions: BankQuestion) -> str:
    with pytest.raises(LabError) as caught:
        export_kahoot(list(questions), folder, SEED)
    assert caught.value.hint
    return caught.value.message


def test_the_question_stands_in_row_nine_with_its_right_answer_marked(tmp_path: Path) -> None:
    sheet = export(tmp_path, RUN)
    assert sheet["A9"].value == 1 and sheet["B9"].value == RUN.text
    assert sorted(read_options(sheet)) == sorted((RUN.right, *RUN.wrong))
    assert sheet["G9"].value == 20
    assert read_options(sheet)[int(sheet["H9"].value) - 1] == RUN.right


def test_every_question_of_the_bank_is_exported_in_order_with_its_own_time(tmp_path: Path) -> None:
    questions = stage_questions(load_bank(read_workshop()), KAHOOT)
    paths, warnings = export_kahoot(questions, tmp_path, SEED)
    sheet = load_workbook(paths[0]).active
    assert [sheet.cell(9 + index, 2).value for index in range(len(questions))] == [each.text for each in questions]
    assert not [warning for warning in warnings if "no time limit" in warning]


def test_the_header_is_the_one_of_kahoots_template(tmp_path: Path) -> None:
    if not TEMPLATE.exists():
        pytest.skip("Kahoot's template is not shipped with this project: shared/kahoot-samples is absent")
    theirs, ours = load_workbook(TEMPLATE).active, export(tmp_path, RUN)
    assert ours.title == theirs.title
    assert [cell.value for cell in ours[8]] == [cell.value for cell in theirs[8]][: ours.max_column]
    assert not any(cell.value for cell in theirs[8][ours.max_column :])
    assert {str(area) for area in ours.merged_cells.ranges} == {str(area) for area in theirs.merged_cells.ranges}
    for row in (1, 2, 7):
        assert [cell.value for cell in ours[row]] == [cell.value for cell in theirs[row]][: ours.max_column]
    numbers = [sheet.cell(row, 1).value for sheet in (theirs, ours) for row in range(9, 110)]
    assert numbers[:101] == numbers[101:]


def test_the_instructions_are_in_our_own_words(tmp_path: Path) -> None:
    if not TEMPLATE.exists():
        pytest.skip("Kahoot's template is not shipped with this project: shared/kahoot-samples is absent")
    theirs, ours = load_workbook(TEMPLATE).active, export(tmp_path, RUN)
    for row in range(3, 7):
        assert ours.cell(row, 2).value and ours.cell(row, 2).value != theirs.cell(row, 2).value


def test_the_header_texts_are_exact(tmp_path: Path) -> None:
    assert [cell.value for cell in export(tmp_path, RUN)[8]] == [
        None,
        "Question - max 120 characters",
        "Answer 1 - max 75 characters",
        "Answer 2 - max 75 characters",
        "Answer 3 - max 75 characters",
        "Answer 4 - max 75 characters",
        "Time limit (sec) \N{EN DASH} 5, 10, 20, 30, 60, 90, 120, or 240 secs",
        "Correct answer(s) - choose at least one",
    ]


def test_text_that_is_edited_beyond_the_limit_turns_red(tmp_path: Path) -> None:
    formats = export(tmp_path, RUN).conditional_formatting
    found = {str(each.sqref): (each.rules[0].formula[0], each.rules[0].dxf.font.color.rgb) for each in formats}
    expected = {"B9:B108": ("LEN(B9)>120", "FF9C0006")}
    expected |= {f"{letter}9:{letter}108": (f"LEN({letter}9)>75", "FF9C0006") for letter in "CDEF"}
    assert found == expected


def test_the_time_column_offers_the_times_that_kahoot_takes(tmp_path: Path) -> None:
    [times] = export(tmp_path, RUN).data_validations.dataValidation
    assert (times.type, times.formula1, str(times.sqref)) == ("list", '"5,10,20,30,60,120"', "G9:G108")


def test_the_csv_is_the_same_table_with_a_mark_for_excel(tmp_path: Path) -> None:
    question = replace(RUN, rights=("Größe, “quoted”",), wrong=('a "b"',))
    sheet = export(tmp_path, question)
    data = (tmp_path / "kahoot.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows == [["" if cell.value is None else str(cell.value) for cell in sheet[row][1:8]] for row in (8, 9)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "@x", "-2+3", "x;=1", "＝1", " =1"])
def test_no_cell_of_the_csv_is_a_formula_and_the_workbook_has_the_text_itself(tmp_path: Path, text: str) -> None:
    sheet = export(tmp_path, replace(RUN, text=text, rights=(text,)))
    assert sheet["B9"].value == text and text in read_options(sheet)
    data = (tmp_path / "kahoot.csv").read_text(encoding="utf-8-sig")
    for separator in ",;":
        for row in csv.reader(io.StringIO(data, newline=""), delimiter=separator):
            assert not [cell for cell in row if cell.lstrip(' "')[:1] in ("=", "+", "-", "@", "＝")]


def test_a_true_false_question_fills_two_answers(tmp_path: Path) -> None:
    sheet = export(tmp_path, replace(RUN, rights=("True",), wrong=("False",)))
    assert sorted(read_options(sheet)) == ["False", "True"]
    assert sheet["E9"].value is None and sheet["F9"].value is None
    assert [sheet["C9"].value, sheet["D9"].value][int(sheet["H9"].value) - 1] == "True"


@pytest.mark.parametrize(
    "text", ["=1+1", "=SUM(A1:A9)", "#N/A", "1", "1.0", "1,3", "007", "1e3", "TRUE", "50%", "2026-01-02"]
)
def test_text_that_looks_like_something_else_stays_text(tmp_path: Path, text: str) -> None:
    sheet = export(tmp_path, replace(RUN, text=text, rights=(text,)))
    answer = sheet.cell(9, 2 + int(sheet["H9"].value))
    for cell in (sheet["B9"], answer):
        assert (cell.value, cell.data_type, cell.number_format) == (text, "s", "@")


def test_the_number_of_the_right_answer_is_text_and_the_time_a_number(tmp_path: Path) -> None:
    sheet = export(tmp_path, RUN)
    assert (sheet["G9"].data_type, sheet["H9"].data_type) == ("n", "s")


@pytest.mark.parametrize(
    ("text", "length"),
    [("", 0), ("abc", 3), ("é–“", 3), (SMILE, 2), ("\N{HEAVY CHECK MARK}\N{VARIATION SELECTOR-16}", 2)],
)
def test_characters_are_counted_as_excel_does(text: str, length: int) -> None:
    assert excel_length(text) == length


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        ({"text": "x" * 95}, False),
        ({"text": "x" * 96}, True),
        ({"text": "x" * 120}, True),
        ({"text": SMILE * 47}, False),
        ({"text": SMILE * 48}, True),
        ({"rights": ("x" * 60,)}, False),
        ({"rights": ("x" * 61,)}, True),
        ({"rights": ("x" * 75,)}, True),
        ({"wrong": ("x" * 75,)}, True),
        ({"wrong": (SMILE * 30,)}, False),
    ],
)
def test_long_texts_are_written_with_a_warning(tmp_path: Path, change: dict, warned: bool) -> None:
    _, warnings = export_kahoot([replace(RUN, **change)], tmp_path, SEED)
    assert len(warnings) == warned
    assert all("question 'k-run': the " in warning and "kahoot may refuse" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"text": "x" * 121}, f"the question has 121 characters, at most 120: '{'x' * 121}'"),
        ({"text": SMILE * 61}, f"the question has 122 characters, at most 120: '{SMILE * 61}'"),
        ({"rights": ("x" * 76,)}, f"the answer has 76 characters, at most 75: '{'x' * 76}'"),
        ({"wrong": ("a", SMILE * 38)}, f"the answer has 76 characters, at most 75: '{SMILE * 38}'"),
        ({"text": "two\nlines"}, r"a line break or a control character: 'two\nlines'"),
        ({"rights": ("a\x00b",)}, r"a line break or a control character: 'a\x00b'"),
        ({"rights": ("a\ud83d",)}, r"a line break or a control character: 'a\ud83d'"),
        ({"wrong": ("a", " ")}, "the answer is empty"),
        ({"text": ""}, "the question is empty"),
        ({"wrong": ()}, "expected 2 to 4 options, found 1"),
        ({"wrong": ("a", "b", "c", "d")}, "expected 2 to 4 options, found 5"),
        ({"kind": NUMBER, "wrong": ()}, "its kind is 'number', expected 'choice'"),
    ],
)
def test_what_kahoot_cannot_take_is_refused_by_name(tmp_path: Path, change: dict, fault: str) -> None:
    message = find_fault(tmp_path, replace(RUN, **change))
    assert message.count("question 'k-run'") == 1 and fault in message


def test_all_problems_of_all_questions_are_reported_at_once(tmp_path: Path) -> None:
    long = replace(RUN, id="k-long", text="x" * 121, rights=("y" * 76,))
    message = find_fault(tmp_path, long, RUN, replace(RUN, id="k-number", kind=NUMBER))
    assert len(message.splitlines()) == 4
    assert [message.count(name) for name in ("'k-long'", "'k-run'", "'k-number'")] == [2, 0, 1]


def test_only_the_first_five_problems_are_listed(tmp_path: Path) -> None:
    message = find_fault(tmp_path, *(replace(RUN, id=f"k-{number}", kind=NUMBER) for number in range(8)))
    assert "'k-4'" in message and "'k-5'" not in message
    assert message.endswith("and 3 more")


@pytest.mark.parametrize(
    ("count", "fault"), [(0, "no question to export"), (101, "101 questions, but the sheet has 100")]
)
def test_a_round_without_questions_or_with_too_many_is_refused(tmp_path: Path, count: int, fault: str) -> None:
    assert fault in find_fault(tmp_path, *[RUN] * count)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked_s", "written_s"),
    [(-1, 20), (0, 20), (1, 5), (7, 5), (8, 10), (12, 10), (15, 20), (44, 30), (45, 60), (90, 120), (240, 120)],
)
def test_other_times_become_the_nearest_with_a_warning(tmp_path: Path, asked_s: int, written_s: int) -> None:
    paths, warnings = export_kahoot([replace(RUN, time_limit_s=asked_s)], tmp_path, SEED)
    assert load_workbook(paths[0]).active["G9"].value == written_s
    assert warnings == [f"question 'k-run': {asked_s} s is no time limit of kahoot's; written as {written_s} s"]


@pytest.mark.parametrize("time_s", [5, 10, 20, 30, 60, 120])
def test_the_times_of_kahoot_are_kept(tmp_path: Path, time_s: int) -> None:
    paths, warnings = export_kahoot([replace(RUN, time_limit_s=time_s)], tmp_path, SEED)
    assert load_workbook(paths[0]).active["G9"].value == time_s
    assert not warnings


def test_two_exports_are_the_same_bytes(tmp_path: Path) -> None:
    first, _ = export_kahoot([RUN], tmp_path / "first", SEED)
    second, _ = export_kahoot([RUN], tmp_path / "second", SEED)
    assert [path.name for path in first] == ["kahoot.xlsx", "kahoot.csv"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_workbook_does_not_hold_the_present_moment(tmp_path: Path) -> None:
    properties = export(tmp_path, RUN).parent.properties
    with zipfile.ZipFile(tmp_path / "kahoot.xlsx") as archive:
        years = {member.date_time[0] for member in archive.infolist()}
    assert years | {properties.created.year, properties.modified.year} == {2020}


def test_the_order_of_options_depends_on_seed_and_question(tmp_path: Path) -> None:
    by_seed = {tuple(read_options(export(tmp_path, RUN, seed=seed))) for seed in range(8)}
    by_question = {tuple(read_options(export(tmp_path, replace(RUN, id=f"k-{number}")))) for number in range(8)}
    assert len(by_seed) > 1 and len(by_question) > 1


def test_the_order_of_options_does_not_depend_on_their_order_in_the_bank(tmp_path: Path) -> None:
    turned = replace(RUN, wrong=RUN.wrong[::-1])
    assert read_options(export(tmp_path, RUN)) == read_options(export(tmp_path, turned))


def test_a_refused_export_leaves_the_files_that_were_there(tmp_path: Path) -> None:
    paths, _ = export_kahoot([RUN], tmp_path, SEED)
    before = [path.read_bytes() for path in paths]
    find_fault(tmp_path, replace(RUN, text="Another question?"), replace(RUN, text="x" * 121))
    assert [path.read_bytes() for path in paths] == before
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_an_export_replaces_the_one_before(tmp_path: Path) -> None:
    export(tmp_path, RUN, replace(RUN, id="k-other"))
    assert export(tmp_path, replace(RUN, text="Another question?"))["B9"].value == "Another question?"
    assert len((tmp_path / "kahoot.csv").read_text(encoding="utf-8-sig").splitlines()) == 2
