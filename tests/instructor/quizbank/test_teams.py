"""Which group a nickname means, and what several lines of one group are worth."""

from pathlib import Path

import pytest

from instructor.cli import app as cli
from instructor.quizbank.group_names import guess_group
from instructor.quizbank.kahoot_report import Player, Report, read_report
from instructor.quizbank.teams import MEAN, SUM, rank_groups, review_players
from instructor.workshop import WORKSHOP_FILE, read_workshop
from lab_code.errors import LabError

GROUPS = ["group-1", "group-2", "group-3"]


def make_report(*players: tuple[str, int]) -> Report:
    return Report(Path("r.xlsx"), [Player(*player) for player in players])


@pytest.mark.parametrize(
    "nickname",
    ["group-2", "Group 2", "GROUP_2", "g2", "G 2", "Team 2", "2", "Ｇ２", "group.2", "02", "g-02", "2.0", "2.00"],
)
def test_a_nickname_that_names_a_group_needs_no_table(nickname: str) -> None:
    assert review_players(make_report((nickname, 5)), {}, GROUPS).groups == {"group-2": [Player(nickname, 5)]}


@pytest.mark.parametrize(
    ("nickname", "groups", "meant"),
    [
        # a name as it is written comes before a number, and a number before a place
        ("2", ["2", "1"], "2"),
        ("1", ["2", "1"], "1"),
        ("G1", ["group-2", "group-1"], "group-1"),
        ("team 3", ["group-3", "group-1", "group-2"], "group-3"),
        ("g1", ["owls", "g1", "group-1"], "g1"),
        ("group 1", ["team-1", "owls"], "team-1"),
        ("g2", ["team-02", "team-03"], "team-02"),
        ("1", ["group-2", "group-3"], None),
        ("2", ["group-2b", "group-3b"], "group-2b"),
        # the place is what is left
        ("G2", ["owls", "bears", "cats"], "bears"),
        ("4", ["owls", "bears", "cats"], None),
        ("2", ["owls-1", "bears", "cats"], None),
        # what fits two groups fits none
        ("2", ["red-2", "blue-2"], None),
        ("group11", ["group-1-1", "group-11"], None),
        ("group-11", ["group-1-1", "group-11"], "group-11"),
        ("GROUP-1-1", ["group-1-1", "group-11"], "group-1-1"),
        ("owls", ["owls", "bears"], "owls"),
        ("", ["owls"], None),
        ("...", ["owls"], None),
        ("10", [f"group-{n}" for n in range(1, 11)], "group-10"),
        ("1.0", [f"group-{n}" for n in range(1, 11)], "group-1"),
    ],
)
def test_names_come_before_numbers_in_names_and_those_before_places(
    nickname: str, groups: list[str], meant: str | None
) -> None:
    assert guess_group(nickname, groups) == meant


def test_the_table_decides_before_the_name() -> None:
    aliases = {"G1": "group-3", "the owls": "group-2", "teacher": "-"}
    review = review_players(make_report(("G1", 1), ("The Owls", 2), ("teacher", 9), ("late", 4)), aliases, GROUPS)
    assert {group: players[0].nickname for group, players in review.groups.items()} == {
        "group-3": "G1",
        "group-2": "The Owls",
    }
    assert [p.nickname for p in review.ignored] == ["teacher"] and [p.nickname for p in review.unmatched] == ["late"]
    assert review.missing == ["group-1"]


def test_two_nicknames_that_are_spelt_alike_keep_their_own_groups() -> None:
    aliases = {"Joe.1": "group-1", "joe1": "group-2"}
    report = make_report(("Joe.1", 1), ("joe1", 2), ("JOE 1", 3), ("...", 4), ("---", 5))
    review = review_players(report, aliases | {"...": "group-3"}, GROUPS)
    assert review.groups == {
        "group-1": [Player("Joe.1", 1)],
        "group-2": [Player("joe1", 2)],
        "group-3": [Player("...", 4)],
    }
    assert [player.nickname for player in review.unmatched] == ["JOE 1", "---"]


def answering(*lines: tuple[str, int, str], questions: int = 10) -> Report:
    """Players with points and the questions that they answered: `1-5`, `6-10`, ``."""
    players = []
    for nickname, score, span in lines:
        first, _, last = span.partition("-")
        answered = {f"{n} Quiz" for n in range(int(first), int(last) + 1)} if span else set()
        players.append(Player(nickname, score, answered=frozenset(answered)))
    return Report(Path("r.xlsx"), players, questions=questions)


TEAMS = [
    # lines of group 1, devices, mean, sum
    ([("G1", 900, "1-10"), ("g.1", 600, "1-10")], 2, 750, 1500),
    ([("G1", 900, "1-10"), ("g.1", 601, "1-9")], 2, 751, 1501),
    ([("G1", 900, "1-10"), ("g.1", 600, "1-10"), ("g 1", 300, "2-10")], 3, 600, 1800),
    ([("G1", 500, "1-5"), ("g.1", 600, "6-10")], 1, 1100, 1100),
    ([("G1", 500, "1-5"), ("g.1", 600, "5-10")], 1, 1100, 1100),
    ([("G1", 500, "1-3"), ("g.1", 600, "4-6"), ("g 1", 100, "7-10")], 1, 1200, 1200),
    ([("G1", 900, "1-10"), ("g.1", 300, "1-5"), ("g 1", 300, "6-10")], 2, 750, 1500),
    ([("G1", 300, "1-5"), ("g.1", 300, "1-5"), ("g 1", 300, "6-10"), ("g-1", 300, "6-10")], 2, 600, 1200),
    ([("G1", 900, "1-10"), ("g.1", 0, "")], 1, 900, 900),
    ([("G1", 100, "10-10"), ("g.1", 900, "1-10")], 2, 500, 1000),
    ([("G1", 900, "1-10")], 1, 900, 900),
]


@pytest.mark.parametrize(("lines", "devices", "mean", "together"), TEAMS)
def test_players_who_answered_the_same_questions_are_a_team_and_others_came_back(
    lines: list[tuple[str, int, str]], devices: int, mean: int, together: int
) -> None:
    review = review_players(answering(*lines, ("G2", 1, "1-10")), {}, GROUPS)
    assert review.devices == {"group-1": devices, "group-2": 1}
    for teams, score in ((MEAN, mean), (SUM, together)):
        assert {entry.group: entry.score for entry in rank_groups(review, GROUPS, teams)} == {
            "group-1": score,
            "group-2": 1,
        }
        notes = " ".join(review.notes(teams))
        assert (f"as a team of {devices}: the {teams} of their scores counts" in notes) == (devices > 1)
        assert ("came back?" in notes) == (len(lines) > devices)


@pytest.mark.parametrize(
    ("answers", "devices"), [((10, 9), 2), ((5, 5), 1), ((7, 2), 1), ((7, 7, 3), 2), ((10, 10, 10), 3), ((0, 10), 1)]
)
def test_numbers_of_answers_tell_a_team_where_the_report_has_no_more(answers: tuple[int, ...], devices: int) -> None:
    players = [Player(f"g{'.' * n}1", 100, answers=count) for n, count in enumerate(answers)]
    review = review_players(Report(Path("r.xlsx"), players, questions=10), {}, GROUPS)
    assert review.devices == {"group-1": devices} and not review.unsure


def test_where_nothing_tells_it_lines_are_added_up_and_it_is_said() -> None:
    review = review_players(make_report(("G1", 100), ("g.1", 50), ("G2", 120)), {}, GROUPS)
    assert review.unsure == ("group-1",) and "does not say who answered what" in review.notes(MEAN)[0]
    assert [(entry.rank, entry.group, entry.score) for entry in rank_groups(review, GROUPS)] == [
        (1, "group-1", 150), (2, "group-2", 120),
    ]  # fmt: skip


def test_ties_share_a_rank() -> None:
    review = review_players(make_report(("G1", 7), ("G2", 9), ("G3", 9)), {}, GROUPS)
    ranking = rank_groups(review, GROUPS)
    assert [(entry.rank, entry.group) for entry in ranking] == [(1, "group-2"), (1, "group-3"), (3, "group-1")]


def write_csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_who_answered_what_is_read_from_the_report(tmp_path: Path) -> None:
    lines = ["Question Number,Player,Answer,Score (points)"]
    lines += [
        f"{n} Quiz,{player},{'x' if n != gap else ''},100" for player, gap in (("a", 0), ("b", 2)) for n in (1, 2, 3)
    ]
    players = read_report(write_csv(tmp_path / "r.csv", *lines)).players
    assert [sorted(player.answered or ()) for player in players] == [
        ["1 Quiz", "2 Quiz", "3 Quiz"],
        ["1 Quiz", "3 Quiz"],
    ]


FINAL = "Rank,Player,Total Score (points),Correct Answers,Incorrect Answers"


@pytest.mark.parametrize(("teams", "score"), [(MEAN, 750), (SUM, 1500)])
def test_the_workshop_says_what_a_team_is_worth(
    tmp_path: Path, teams: str, score: int, capsys: pytest.CaptureFixture[str]
) -> None:
    report = write_csv(tmp_path / "r.csv", FINAL, "1,G1,900,10,0", "2,g.1,600,9,1", "3,G2,800,8,2")
    text = WORKSHOP_FILE.read_text(encoding="utf-8")
    (tmp_path / "w.yaml").write_text(text.replace("kahoot_teams: mean", f"kahoot_teams: {teams}"), encoding="utf-8")
    command = ["kahoot", "results", str(report), "--count", "--out", str(tmp_path)]
    assert cli.main([*command, "--workshop", str(tmp_path / "w.yaml")]) == 0
    assert (
        f"group-1 is there 2 times and answered the same questions, as a team of 2: the {teams}"
        in capsys.readouterr().err
    )
    assert f"group-1,{score}" in (tmp_path / "kahoot-ranking.csv").read_text(encoding="utf-8")


def test_a_setting_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    text = WORKSHOP_FILE.read_text(encoding="utf-8")
    (tmp_path / "w.yaml").write_text(text.replace("kahoot_teams: mean", "kahoot_teams: best"), encoding="utf-8")
    with pytest.raises(LabError, match="kahoot_teams is out of range"):
        read_workshop(tmp_path / "w.yaml")


def test_a_round_without_points_is_ranked_by_right_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = write_csv(tmp_path / "r.csv", FINAL, "1,G1,0,3,2", "2,G2,0,5,0")
    assert cli.main(["kahoot", "results", str(report), "--count", "--out", str(tmp_path)]) == 0
    assert "right answers are counted instead" in capsys.readouterr().err
    ranking = (tmp_path / "kahoot-ranking.csv").read_text(encoding="utf-8")
    assert ranking == "rank,group,correct_answers\n1,group-2,5\n2,group-1,3\n"
