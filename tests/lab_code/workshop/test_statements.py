"""Bets before runs and the honest sentence: kept in the kit, told beside the result, handed in."""

import json
import zipfile
from pathlib import Path

import pytest

from lab_code.cli import app as cli
from lab_code.errors import LabError
from lab_code.notebook.statement_widgets import bet, look_again, sentence
from lab_code.tracking.runs import Run
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import Kit, Stage, read_kit
from lab_code.workshop.progress import read_journal
from lab_code.workshop.statements import (
    OWN,
    Bet,
    Statements,
    describe_result,
    find_result,
    place_bet,
    read_statements,
    write_sentence,
)

COMMON = ["baseline", "balanced"]


@pytest.fixture
def identity(tmp_path: Path) -> Kit:
    """A kit of which only the folder and what its stages open matter."""
    opens = [f"lab_code/conf/experiment/{name}.yaml" for name in (*COMMON, "focal")]
    stages = tuple(Stage(str(number), "", "", (path,), 3) for number, path in enumerate(opens))
    return Kit(tmp_path, "small", "", "group-1", stages, {})


def make_run(name: str, status: str = "FINISHED", **metrics: float) -> Run:
    scores = metrics or ({"best_balanced_accuracy": 0.4} if status == "FINISHED" else {})
    return Run(f"id-{name}", name, status, 0, 0, Path(), metrics=scores)


def test_a_bet_is_kept_and_takes_the_place_of_an_earlier_one_on_the_same_run(identity: Kit) -> None:
    assert place_bet(identity, Bet("baseline", 0.3, "few"), []) is None
    place_bet(identity, Bet("balanced", 0.5), [])
    assert place_bet(identity, Bet("baseline", 0.35), []) == Bet("baseline", 0.3, "few")
    write_sentence(identity.root, "  0.2 more  ")
    assert read_statements(identity.root) == Statements((Bet("balanced", 0.5), Bet("baseline", 0.35)), "0.2 more")
    noted = [(event["event"], event.get("run"), event.get("score")) for event in read_journal(identity.root).events]
    bets = [("bet", "baseline", 0.3), ("bet", "balanced", 0.5), ("bet", "baseline", 0.35)]
    assert noted == [*bets, ("sentence", None, None)]


@pytest.mark.parametrize(
    ("name", "run", "taken"),
    [
        ("baseline", make_run("baseline"), False),
        ("baseline", make_run("baseline", "RUNNING", balanced_accuracy=0.2), False),  # an epoch can be seen
        ("baseline", make_run("baseline", "FAILED"), True),
        ("balanced", make_run("baseline"), True),
        (OWN, make_run("baseline"), True),
        (OWN, make_run("no-weights"), False),
    ],
)
def test_a_bet_stands_once_a_score_of_its_run_can_be_seen(identity: Kit, name: str, run: Run, taken: bool) -> None:
    if taken:
        place_bet(identity, Bet(name, 0.5), [run])
    else:
        with pytest.raises(LabError, match="has scores already: a bet is made before its run"):
            place_bet(identity, Bet(name, 0.5), [run])
    assert (read_statements(identity.root).bet_on(name) is not None) == taken


@pytest.mark.parametrize(
    ("placed", "message"),
    [
        (Bet("baseline", 1.5), "lies between 0 and 1"),
        (Bet("baseline", -0.1), "lies between 0 and 1"),
        (Bet("baseline", float("nan")), "lies between 0 and 1"),
        (Bet("baseline", 0.5, "x" * 501), "'why' has 501 characters"),
    ],
)
def test_what_is_no_bet_is_refused_with_the_reason(identity: Kit, placed: Bet, message: str) -> None:
    with pytest.raises(LabError, match=message):
        place_bet(identity, placed, [])
    assert read_statements(identity.root) == Statements()


@pytest.mark.parametrize("text", ["", "[]", '{"bets": 3}', '{"bets": [{"run": "a"}], "sentence": ""}', "[" * 100_000])
def test_a_damaged_file_is_an_error_that_says_what_to_do(identity: Kit, text: str) -> None:
    (identity.root / "statements.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match="cannot be read") as caught:
        read_statements(identity.root)
    assert caught.value.hint == "remove statements.json, and bet again"


def test_the_first_finished_run_of_a_name_decides_and_own_is_what_not_everybody_runs() -> None:
    runs = [make_run("baseline"), make_run("mine", "KILLED"), make_run("mine", best_balanced_accuracy=0.6)]
    found = {name: find_result(Bet(name, 0.5), runs, COMMON) for name in ("baseline", OWN, "balanced")}
    assert found == {"baseline": runs[0], OWN: runs[2], "balanced": None}


@pytest.mark.parametrize(
    ("score", "result", "said"),
    [(0.5, 0.4, "0.100 too high"), (0.3, 0.4, "0.100 too low"), (0.4, 0.4001, "exactly")],
)
def test_a_bet_is_compared_in_words(score: float, result: float, said: str) -> None:
    assert describe_result(Bet("x", score), result) == f"your bet was {score:.3f}: {said}"


@pytest.fixture
def inside(kit, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it
    return kit.root


def press(form) -> None:
    form._handle_custom_msg({"press": form.heard + 1, "values": form.values}, [])


def test_the_forms_keep_what_is_said_and_show_it_again(inside: Path) -> None:
    form = bet("baseline")
    assert form.missing == "1 answer missing" and form.command == "lab bet baseline '?'"
    form.values = {"score": "0.42", "why": "two of three are naevi"}
    press(form)
    assert form.said.startswith("Your bet on baseline: balanced accuracy 0.420")
    again = bet("baseline")
    assert again.values["score"] == "0.42" and "0.420" in again.said and not again.done
    own = bet("own")
    own.values = {"change": "-loss", "score": "0.5"}
    press(own)
    words = sentence()
    words.values = {"text": "-0.2, since the loss changed"}
    press(words)
    assert "Your sentence is kept" in words.said and "names no number" not in words.said
    assert sentence().values == {"text": "-0.2, since the loss changed"}
    assert read_statements(inside) == Statements(
        (Bet("baseline", 0.42, "two of three are naevi"), Bet("own", 0.5, "", "-loss")), "-0.2, since the loss changed"
    )


def test_a_sentence_without_a_number_is_kept_with_a_question_and_an_empty_one_is_refused(inside: Path, capsys) -> None:
    assert cli.main(["sentence", "it was better"]) == 0 and "It names no number yet" in capsys.readouterr().out
    assert cli.main(["sentence", " "]) == 1 and "the sentence is empty" in capsys.readouterr().err
    assert read_statements(inside).sentence == "it was better"


def test_a_bet_stands_beside_the_result_and_goes_into_the_hand_in(inside: Path, capsys) -> None:
    form = bet("mine")
    form.values = {"score": "1"}
    press(form)
    changes = ["name=mine", "trainer.epochs=1", "model.width=2", "data.image_size=16", "trainer.threads=1"]
    assert cli.main(["train", *changes]) == 0
    said = capsys.readouterr().out
    assert "your bet was 1.000" in said and "too high" in said
    look_again()
    assert "mine: balanced accuracy" in form.done and form.outcome["bet"] == 1 and form.outcome["result"] < 1
    assert bet("mine").outcome == form.outcome
    assert cli.main(["train", *changes, "--once"]) == 0 and "your bet was 1.000" in capsys.readouterr().out
    assert cli.main(["bet", "mine", "0.1"]) == 1 and "has scores already" in capsys.readouterr().err
    assert bet("own").done.startswith("mine is finished")  # a run of one's own, without a prediction
    path, _, _ = write_handin(read_kit(inside))
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("statements.json"))["bets"][0]["score"] == 1
