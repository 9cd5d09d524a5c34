"""Kahoot's reports: three real files where they are at hand, and the layouts and faults that others have met."""

import re
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from instructor.cli import app as cli
from instructor.quizbank.kahoot_report import CORRECT, POINTS, Player, read_report
from lab_code.errors import LabError

GROUPS = ["group-1", "group-2", "group-3"]
HEADER = ["Rank", "Player", "Total Score (points)", "Correct Answers", "Incorrect Answers"]


@pytest.fixture(scope="session")
def samples(project: Path) -> Path:
    folder = project.parent / "shared" / "kahoot-samples"
    if not folder.is_dir():
        pytest.skip("the real Kahoot files are not beside this checkout")
    return folder


def write_book(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def final_scores(rows: list[list[object]], header: list[str] = HEADER) -> list[list[object]]:
    return [["A quiz"], ["Final Scores"], header, *rows]


def test_the_real_report_of_2019(samples: Path) -> None:
    assert read_report(samples / "report-2019-full.xlsx").players == [Player("Alice", 3018)]


def test_the_real_report_of_2022_that_was_edited_by_hand(samples: Path) -> None:
    players = {player.nickname: player.score for player in read_report(samples / "report-2022-trimmed.xlsx").players}
    assert players["גוגו"] == 5222 and players[".Joe1"] == 4566 and len(players) == 6


def test_the_import_template_is_no_report(samples: Path) -> None:
    with pytest.raises(LabError, match="holds no table with the columns Player and Total Score"):
        read_report(samples / "import-template-2021.xlsx")


DIMENSIONS = [
    '<dimension ref="A1"/>',
    '<dimension ref="A1:E6"/>',
    '<dimension ref="A1:XFD1048576"/>',
    '<dimension ref="C9:D9"/>',
    '<dimension ref="A1:A1"></dimension>',
    '<dimension ref="kaputt"/>',
    '<dimension ref=""/>',
    "<dimension/>",
    "",
]


def restate_size(source: Path, target: Path, dimension: str) -> Path:
    """The same workbook, in which every sheet states another size."""
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(target, "w") as written:
        for name in given.namelist():
            content = given.read(name)
            if name.startswith("xl/worksheets/sheet"):
                content, count = re.subn(rb"<dimension [^>]*/>", dimension.encode(), content)
                assert count == 1
            written.writestr(name, content)
    return target


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_all_players_are_read_whatever_size_the_sheet_states(tmp_path: Path, dimension: str) -> None:
    rows = [[n, f"player {n}", 1000 - n, 5, 0] for n in range(1, 16)]
    whole = write_book(tmp_path / "whole.xlsx", {"Overview": [["x"]], "Final Scores": final_scores(rows)})
    report = read_report(restate_size(whole, tmp_path / "r.xlsx", dimension))
    assert report.players == [Player(f"player {n}", 1000 - n) for n in range(1, 16)] and not report.notes


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize(("name", "count"), [("report-2019-full.xlsx", 1), ("report-2022-trimmed.xlsx", 6)])
def test_real_reports_that_state_a_wrong_size(
    tmp_path: Path, samples: Path, name: str, count: int, dimension: str
) -> None:
    report = read_report(restate_size(samples / name, tmp_path / "r.xlsx", dimension))
    assert report.players == read_report(samples / name).players and len(report.players) == count


@pytest.mark.parametrize(
    ("score", "points"),
    [
        (5222, 5222), (5222.0, 5222), (5221.6, 5222), (987.5001220703125, 988), ("5222", 5222), ("5222.0", 5222),
        ("3465,0", 3465), ("3465,5", 3466), ("3465,000", 3465), ("0,394", 0), ("12,34", 12), ("5 222", 5222),
        ("5\u00a0222", 5222), ("5\u202f222", 5222), ("5\u2009222", 5222), ("5’222", 5222), ("5'222.50", 5223),
        ("'5222", 5222), ("1.234,5", 1235), ("1,234.5", 1235), ("1 234,5", 1235), ("1.234.567", 1234567),
        ("1,234,567", 1234567), (" 5222 ", 5222), ("٥٢٢٢", 5222), ("５２２２", 5222), ("5٬222", 5222), ("0", 0),
        ("-5", -5), ("\u22125", -5),
    ],
)  # fmt: skip
def test_a_score_is_read_however_it_is_stored(tmp_path: Path, score: object, points: int) -> None:
    path = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", score]])})
    assert read_report(path).players == [Player("G1", points)]


@pytest.mark.parametrize(
    "score",
    ["4.394", "5,222", "532.667", "12,345", "-4.394", 4.394, 12.34, 532.5, "1 2 3", "12 34", "1,23,456", "1.2.3",
     "1.000.00", "1e3", "50%", "4394 points", "a lot", "#REF!", "4/394", True, "--5", "1.234 567", None],
)  # fmt: skip
def test_a_score_that_may_be_two_numbers_or_none_is_refused_with_its_cell(tmp_path: Path, score: object) -> None:
    rows = [[1, "G0", 4000], [2, "G1", score]]
    path = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)})
    with pytest.raises(LabError, match=r"r\.xlsx, sheet 'Final Scores', cell C5: ") as caught:
        read_report(path)
    assert "digits only" in caught.value.hint and (score is None or str(score) in caught.value.message)


@pytest.mark.parametrize(
    ("column", "points"),
    [
        (["4.394", "3465,0"], [4394, 3465]),
        (["4,394", "3465.0"], [4394, 3465]),
        (["4.394", "1.234,5"], [4394, 1235]),
        (["987", "3465,0", "532.667"], [987, 3465, 532667]),
    ],
)
def test_another_cell_of_the_column_tells_which_sign_is_the_decimal_one(
    tmp_path: Path, column: list[str], points: list[int]
) -> None:
    rows = [[n, f"p{n}", score] for n, score in enumerate(column)]
    path = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)})
    assert [player.score for player in read_report(path).players] == points


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (["4,394", "3,465", "12,5"], "4,394"),
        (["4.394", "3.465", "12.5"], "4.394"),
        (["987", "4,000", "12,50"], "4,000"),
        (["3465,0", "-4,394"], "-4,394"),
        (["3465.0", "12.345"], "12.345"),
    ],
)
def test_what_looks_like_thousands_is_never_a_few_points(tmp_path: Path, column: list[object], cell: str) -> None:
    rows = [[place, f"player {place}", points] for place, points in enumerate(column, 1)]
    found = f"cell C{4 + column.index(cell)}: '{re.escape(cell)}' may be two different numbers"
    with pytest.raises(LabError, match=found) as refused:
        read_report(write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)}))
    assert "sheet 'Final Scores'" in refused.value.message and "r.xlsx" in refused.value.message


def test_a_column_with_two_decimal_signs_settles_nothing(tmp_path: Path) -> None:
    rows = [[1, "a", "3465,0"], [2, "b", "3465.0"], [3, "c", "4.394"]]
    with pytest.raises(LabError, match=r"cell C6: '4\.394' may be two different numbers"):
        read_report(write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)}))


def test_a_comma_that_moves_the_cells_of_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("Rank,Player,Total Score (points)\n1,G1,3465,0\n", encoding="utf-8")
    with pytest.raises(LabError, match=r"r\.csv, cell D2: the line has more cells than the header"):
        read_report(tmp_path / "r.csv")


@pytest.mark.parametrize("column", ["Player", "Players", "Player(s)", "player", " Player "])
def test_the_column_of_players_has_had_several_names(tmp_path: Path, column: str) -> None:
    header = ["Rank", column, "Total Score (points)"]
    path = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", 7]], header)})
    assert read_report(path).players == [Player("G1", 7)]


def test_columns_in_another_order_and_more_of_them(tmp_path: Path) -> None:
    header = ["", "Total  Score (points)", "Identifier", "Player"]
    path = write_book(tmp_path / "r.xlsx", {"Any name": final_scores([["", 12, "x", "G2"]], header)})
    assert read_report(path).players == [Player("G2", 12)]


def test_the_footer_and_empty_rows_are_no_players(tmp_path: Path) -> None:
    rows = [[1, "G1", 10], [], [None, None, None], ["Switch tabs/pages to view other result breakdown"]]
    report = read_report(write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)}))
    assert report.players == [Player("G1", 10)] and report.notes == []


def test_a_line_with_neither_rank_nor_score_is_left_out_and_named(tmp_path: Path) -> None:
    rows = [[1, "G2", 3], [None, "Well done, all of you!", None]]
    report = read_report(write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)}))
    assert report.players == [Player("G2", 3)] and "row 5: 'Well done, all of you!'" in report.notes[0]


def test_a_score_without_a_nickname_is_refused_with_its_cell(tmp_path: Path) -> None:
    path = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", 9], [2, "=1+1", 3]])})
    with pytest.raises(LabError, match=r"sheet 'Final Scores', cell B5: a score, but no nickname"):
        read_report(path)  # a formula whose value nobody has stored


def test_what_steers_a_terminal_is_not_in_a_nickname(tmp_path: Path) -> None:
    text = "Rank,Player,Total Score (points)\n1,\x1b[31mG1\x07\u202e,5\n"
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    assert read_report(tmp_path / "r.csv").players == [Player("[31mG1", 5)]


RAW = ["Question Number", "Question", "Answer 1", "Player", "Answer", "Score (points)", "Answer Time (%)"]


def raw(rows: list[tuple[str, str, object]]) -> list[list[object]]:
    return [RAW, *([question, "?", "a", player, "a", points, "14.50%"] for question, player, points in rows)]


def test_without_final_scores_the_questions_are_added_up(tmp_path: Path) -> None:
    rows = raw([("1 Quiz", "G1", 900), ("1 Quiz", "G2", "800"), ("2 Quiz", "G1", 50)])
    report = read_report(write_book(tmp_path / "r.xlsx", {"RawReportData Data": rows}))
    assert report.players == [Player("G1", 950), Player("G2", 800)] and "added up" in report.notes[0]


def test_a_total_that_differs_from_the_questions_is_noted(tmp_path: Path) -> None:
    sheets = {"Final Scores": final_scores([[1, "G1", 999]]), "RawReportData Data": raw([("1 Quiz", "G1", 900)])}
    report = read_report(write_book(tmp_path / "r.xlsx", sheets))
    assert report.players == [Player("G1", 999)] and "999 points in total, but 900" in report.notes[0]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_sheet_saved_as_csv(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [
        "A quiz",
        "Final Scores",
        separator.join(HEADER[:3]),
        separator.join(["1", "Jürgen", "5222"]),
        "",
        "Switch tabs",
    ]
    (tmp_path / "r.csv").write_text("\n".join(lines), encoding=encoding)
    assert read_report(tmp_path / "r.csv").players == [Player("Jürgen", 5222)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.xlsx", b"", "no .xlsx workbook|damaged"),
        ("r.xlsx", b"not a zip", "no .xlsx workbook|damaged"),
        ("r.xlsx", b"PK\x03\x04" + b"\0" * 50, "no .xlsx workbook|damaged"),
        ("r.csv", b"\0\1\2\0", "no text"),
        ("r.csv", b"a,b\n1,2\n", "holds no table"),
        ("r.txt", b"x", "no .xlsx workbook"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabError, match=message) as caught:
        read_report(tmp_path / name)
    assert caught.value.hint


def test_an_empty_workbook_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="holds no table"):
        read_report(write_book(tmp_path / "r.xlsx", {"Overview": []}))
    with pytest.raises(LabError, match="there is no file"):
        read_report(tmp_path / "none.xlsx")


NO_POINTS = [[1, "G1", 0, 3, 2], [2, "G2", 0, 5, 0]]


def test_where_no_question_gave_points_the_right_answers_count(tmp_path: Path) -> None:
    report = read_report(write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(NO_POINTS)}))
    assert report.counts == CORRECT and report.players == [Player("G1", 3), Player("G2", 5)]
    assert report.notes == ["every total is 0 (questions without points?); right answers are counted instead"]


def test_right_answers_are_counted_from_the_questions_where_no_column_has_them(tmp_path: Path) -> None:
    header = [*RAW, "Correct"]
    rows = [[f"{n} Quiz", "?", "a", player, "a", 0, "", right] for n, player, right in
            [(1, "G1", 1), (2, "G1", "1"), (1, "G2", 0), (2, "G2", 1)]]  # fmt: skip
    sheets = {"Final Scores": final_scores([[1, "G1", 0], [2, "G2", 0]], HEADER[:3]), "Raw": [header, *rows]}
    report = read_report(write_book(tmp_path / "r.xlsx", sheets))
    assert report.counts == CORRECT and report.players == [Player("G1", 2), Player("G2", 1)]
    del sheets["Final Scores"]
    assert read_report(write_book(tmp_path / "r.xlsx", sheets)).players == [Player("G1", 2), Player("G2", 1)]


def test_a_report_without_points_and_right_answers_says_that_all_are_equal(tmp_path: Path) -> None:
    report = read_report(write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", 0]], HEADER[:3])}))
    assert report.counts == POINTS and "all groups are equal" in report.notes[0]


def test_a_player_who_is_not_among_the_final_scores_is_named(tmp_path: Path) -> None:
    sheets = {
        "Final Scores": final_scores([[1, "G1", 900]]),
        "Raw": raw([("1 Quiz", "G1", 900), ("1 Quiz", "G2", 1)]),
    }
    notes = read_report(write_book(tmp_path / "r.xlsx", sheets)).notes
    assert notes == ["'G2' answered questions, but is not among the final scores"]


def test_final_scores_are_read_before_other_sheets_with_totals(tmp_path: Path) -> None:
    other = [["A quiz"], [], ["Rank", "Player", "Total Score (points)"], [1, "G1", 1]]
    sheets = {"Kahoot! Summary": other, "Final Scores": final_scores([[1, "G1", 900]])}
    assert read_report(write_book(tmp_path / "r.xlsx", sheets)).players == [Player("G1", 900)]


def test_a_workbook_under_another_name_is_read(tmp_path: Path) -> None:
    book = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", 7]])})
    assert read_report(book.rename(tmp_path / "r.csv")).players == [Player("G1", 7)]


def test_the_command_reviews_first_and_counts_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[1, "G1", 900], [2, "the owls", 700], [3, "G3", 700]]
    path, out = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)}), tmp_path / "out"
    command = ["kahoot", "results", str(path), "--out", str(out)]
    assert cli.main(command) == 0
    shown = capsys.readouterr()
    assert "Nothing is counted yet" in shown.out and "'the owls' belongs to no group" in shown.err
    assert not (out / "kahoot-ranking.csv").exists()
    assert cli.main([*command, "--count"]) == 1
    assert "1 player belongs to no group: the owls" in capsys.readouterr().err
    table = out / "kahoot-players.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("the owls,", "the owls,2"), encoding="utf-8")
    assert cli.main([*command, "--count"]) == 0
    ranking = (out / "kahoot-ranking.csv").read_text(encoding="utf-8")
    assert ranking == "rank,group,points\n1,group-1,900\n2,group-2,700\n2,group-3,700\n"
    assert "owls" not in ranking
