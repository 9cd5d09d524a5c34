"""Pauses after wrong answers, points, hints: all of it computed from the journal."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from lab_code.cli import app as cli
from lab_code.errors import LabError
from lab_code.workshop.attempts import count_wrong_in_a_row, pause_after, pause_left
from lab_code.workshop.hints import list_hints, take_hint
from lab_code.workshop.kit import read_kit
from lab_code.workshop.points import PointRules, count_points
from lab_code.workshop.progress import Journal, append_event, read_journal
from lab_code.workshop.unlock import unlock_with_answers, unlock_with_rescue
from tests.lab_code.workshop.test_kit_unlock_quiz import wrong_answers

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def wrong(seconds_ago: float, stage: str = "one") -> dict:
    return {"event": "unlock_failed", "stage": stage, "time": (NOON - timedelta(seconds=seconds_ago)).isoformat()}


def test_the_pause_doubles_up_to_a_minute() -> None:
    assert [pause_after(wrong) for wrong in (0, 1, 2, 3, 4, 5, 6, 7, 10_000)] == [0, 0, 10, 20, 40, 60, 60, 60, 60]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], 0),
        ([wrong(0)], 0),
        ([wrong(100), wrong(4)], 6),
        ([wrong(100), wrong(10)], 0),
        ([wrong(9), wrong(5), wrong(4)], 16),
        ([wrong(9), wrong(5, "two"), wrong(4)], 6),
        ([wrong(9), {"event": "unlocked", "stage": "one"}, wrong(4)], 0),
        ([wrong(9), {"event": "hint", "stage": "one"}, wrong(4)], 6),
        ([wrong(9), wrong(-3600)], 10),  # the clock was set back: the whole pause, and not an hour
        ([wrong(9), {"event": "unlock_failed", "stage": "one", "time": "yesterday"}], 0),
        ([wrong(9), {"event": "unlock_failed", "stage": "one", "time": "2026-11-23T12:00:00"}], 0),
        ([wrong(9), {"event": "unlock_failed", "stage": "one"}], 0),
    ],
)
def test_what_is_left_of_the_pause(events: list[dict], left: float) -> None:
    assert pause_left(Journal(events, []), "one", NOON) == pytest.approx(left)


def test_wrong_lists_in_a_row_make_the_next_try_wait_and_a_right_one_ends_it(kit) -> None:
    identity, waited = read_kit(kit.root), []
    stage = identity.stages[0]
    for _ in range(4):
        with pytest.raises(LabError):
            unlock_with_answers(identity, stage, wrong_answers(kit.answers[0]), pause=waited.append)
    assert [round(seconds, -1) for seconds in waited] == [10, 20]
    unlock_with_answers(identity, stage, kit.answers[0], pause=waited.append)
    assert [round(seconds, -1) for seconds in waited] == [10, 20, 40]
    assert count_wrong_in_a_row(read_journal(kit.root), stage.id) == 0


def test_the_message_says_how_long_the_next_try_waits(kit) -> None:
    identity, hints = read_kit(kit.root), []
    for _ in range(2):
        with pytest.raises(LabError) as caught:
            unlock_with_answers(identity, identity.stages[0], wrong_answers(kit.answers[0]), pause=lambda left: None)
        hints.append(caught.value.hint or "")
    assert "waits" not in hints[0] and "the next try waits 10 s" in hints[1] and "lab hint" in hints[1]


def test_a_typing_error_and_a_rescue_code_never_wait(kit) -> None:
    identity, waited = read_kit(kit.root), []
    for _ in range(3):
        append_event(kit.root, "unlock_failed", stage=identity.stages[0].id)
    with pytest.raises(LabError, match="is not a number"):
        unlock_with_answers(identity, identity.stages[0], "a,b,c", pause=waited.append)
    unlock_with_rescue(identity, identity.stages[0], kit.rescue[0])
    assert waited == []


def test_the_command_counts_down_and_then_tries(kit, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    waited: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(waited), sleep=waited.append)
    monkeypatch.setattr(cli, "time", clock)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it
    monkeypatch.chdir(kit.root)
    for _ in range(2):
        append_event(kit.root, "unlock_failed", stage=read_kit(kit.root).stages[0].id)
    assert cli.main(["unlock", "--answers", kit.answers[0]]) == 0
    said = capsys.readouterr()
    assert "Next try in" in said.err and "is open" in said.out
    assert 0 < sum(waited) <= 10 and max(waited) <= 1


def test_a_rescue_code_finds_its_own_stage(kit) -> None:
    done = unlock_with_rescue(read_kit(kit.root), None, kit.rescue[2])
    assert done.stage.id == "3-your-own"
    with pytest.raises(LabError, match="opens no stage of group-1"):
        unlock_with_rescue(read_kit(kit.root), None, "0000-0000-0000-0000-0")


def opened(by: str = "answers", stage: str = "a") -> dict:
    return {"event": "unlocked", "stage": stage, "by": by}


def hint(number: object, question: object = "q") -> dict:
    return {"event": "hint", "question": question, "number": number}


@pytest.mark.parametrize(
    ("events", "points"),
    [
        ([], 0),
        ([opened()], 10),
        ([opened("rescue")], 4),
        ([opened("rescue"), opened()], 4),
        ([opened(stage="other")], 0),
        ([hint(1)], 0),
        ([opened(), hint(1)], 9),
        ([opened(), hint(1), hint(2), hint(3)], 5),
        ([opened(), hint(1), hint(1)], 9),
        ([opened(), hint("x")], 10),
        ([opened(), hint(-3, ["q"])], 10),
    ],
)
def test_points(events: list[dict], points: int) -> None:
    assert count_points(Journal(events, []), ["a", "b"], PointRules(10, 4, (1, 2))) == points


def test_hints_come_one_after_the_other_and_cost(kit) -> None:
    identity = read_kit(kit.root)
    stage = identity.stages[0]
    first = list_hints(identity, stage)[1].question
    assert list_hints(identity, stage)[1].price == 1
    taken = [take_hint(identity, stage, 2) for _ in first.hints]
    assert [text for text, _ in taken] == list(first.hints)
    assert [price for _, price in taken] == [identity.points.price(n + 1) for n in range(len(taken))]
    assert list_hints(identity, stage)[1].taken == first.hints and list_hints(identity, stage)[0].taken == ()
    with pytest.raises(LabError, match="question 2 has no further hint"):
        take_hint(identity, stage, 2)
    assert len(read_journal(kit.root).of("hint")) == len(first.hints)


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_hint_to_a_question_that_is_not_there(kit, number: int) -> None:
    identity = read_kit(kit.root)
    with pytest.raises(LabError, match="has the questions 1 to 3"):
        take_hint(identity, identity.stages[0], number)


def test_the_command_shows_prices_first_and_a_hint_when_asked(kit) -> None:
    prices = kit.lab("hint").stdout
    assert "1 point" in prices and not (kit.root / "progress.jsonl").exists()
    kit.lab("unlock", "--answers", kit.answers[0])
    given = kit.lab("hint", "1").stdout
    assert "Hint to question 1 (cost 1 point, you have 9 points)" in given
    assert "9 points" in kit.lab("status").stdout
