"""Kahoot's reports: three real files where they are at hand, and the layouts and faults that others have met."""

import csv
from pathlib import Path

import pytest
from openpyxl import Workbook

from instructor import cli
from instructor.quizbank.kahoot_report import (
    Player,
    Report,
    aliases_to_csv,
    rank_groups,
    read_aliases,
    read_report,
    review_players,
)
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


@pytest.mark.parametrize(
    "score", [5222, 5222.0, "5222", "5222.0", "5,222", "5 222", "5\u00a0222", "5\u202f222", "5’222", 5221.6]
)
def test_a_score_is_read_however_it_is_stored(tmp_path: Path, score: object) -> None:
    path = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", score]])})
    assert read_report(path).players == [Player("G1", 5222)]


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


def test_a_row_without_a_number_is_left_out_and_named(tmp_path: Path) -> None:
    report = read_report(
        write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores([[1, "G1", "a lot"], [2, "G2", 3]])})
    )
    assert report.players == [Player("G2", 3)] and "row 4: 'G1' has the score 'a lot'" in report.notes[0]


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


def make_report(*players: tuple[str, int]) -> Report:
    return Report(Path("r.xlsx"), [Player(*player) for player in players])


@pytest.mark.parametrize("nickname", ["group-2", "Group 2", "GROUP_2", "g2", "G 2", "Team 2", "2", "Ｇ２", "group.2"])
def test_a_nickname_that_names_a_group_needs_no_table(nickname: str) -> None:
    assert review_players(make_report((nickname, 5)), {}, GROUPS).groups == {"group-2": [Player(nickname, 5)]}


def test_the_table_decides_before_the_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("nickname,group\nG1,group-3\nthe owls,2\nteacher,-\nlate,\n", encoding="utf-8")
    aliases = read_aliases(tmp_path / "t.csv", GROUPS)
    review = review_players(make_report(("G1", 1), ("The Owls", 2), ("teacher", 9), ("late", 4)), aliases, GROUPS)
    assert {group: players[0].nickname for group, players in review.groups.items()} == {
        "group-3": "G1",
        "group-2": "The Owls",
    }
    assert [p.nickname for p in review.ignored] == ["teacher"] and [p.nickname for p in review.unmatched] == ["late"]
    assert review.missing == ["group-1"]


def test_a_group_that_dropped_out_and_came_back_is_added_up_and_shown() -> None:
    review = review_players(make_report(("G1", 100), ("g.1", 50), ("G2", 120)), {}, GROUPS)
    assert list(review.rejoined) == ["group-1"]
    assert [(entry.rank, entry.group, entry.score) for entry in rank_groups(review, GROUPS)] == [
        (1, "group-1", 150), (2, "group-2", 120),
    ]  # fmt: skip


def test_ties_share_a_rank() -> None:
    review = review_players(make_report(("G1", 7), ("G2", 9), ("G3", 9)), {}, GROUPS)
    ranking = rank_groups(review, GROUPS)
    assert [(entry.rank, entry.group) for entry in ranking] == [(1, "group-2"), (1, "group-3"), (3, "group-1")]


def test_the_table_keeps_what_was_entered_and_any_nickname(tmp_path: Path) -> None:
    odd = ['a,"b"', "=1+1", "ناس", "🦉", "line\nbreak"]
    report = make_report(*((name, 1) for name in odd), ("G1", 2))
    aliases = {'a,"b"': "group-2", "gone": "-"}
    text = aliases_to_csv(report, review_players(report, aliases, GROUPS), aliases)
    rows = dict(list(csv.reader(text.splitlines(keepends=True)))[1:])
    assert rows == {**dict.fromkeys(odd, ""), 'a,"b"': "group-2", "gone": "-", "G1": "group-1"}


def test_a_wrong_group_in_the_table_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("nickname,group\nowls,group-9\n", encoding="utf-8")
    with pytest.raises(LabError, match=r"t\.csv line 2: there is no group 'group-9'"):
        read_aliases(tmp_path / "t.csv", GROUPS)


def test_the_command_reviews_first_and_counts_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[1, "G1", 900], [2, "the owls", 700], [3, "G3", 700]]
    path, out = write_book(tmp_path / "r.xlsx", {"Final Scores": final_scores(rows)}), tmp_path / "out"
    command = ["kahoot", "results", str(path), "--out", str(out)]
    assert cli.main(command) == 0
    shown = capsys.readouterr()
    assert "Nothing is counted yet" in shown.out and "'the owls' belongs to no group" in shown.err
    assert not (out / "kahoot-ranking.csv").exists()
    assert cli.main([*command, "--count"]) == 1
    assert "1 players belong to no group: the owls" in capsys.readouterr().err
    table = out / "kahoot-players.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("the owls,", "the owls,2"), encoding="utf-8")
    assert cli.main([*command, "--count"]) == 0
    ranking = (out / "kahoot-ranking.csv").read_text(encoding="utf-8")
    assert ranking == "rank,group,points\n1,group-1,900\n2,group-2,700\n2,group-3,700\n"
    assert "owls" not in ranking
