"""A group's answers to the photographs on the wall: what is typed wrongly is named, and the first list stands."""

from pathlib import Path

import pytest

from lab_code.cli import app as cli
from lab_code.errors import LabError
from lab_code.notebook.statement_widgets import duel
from lab_code.workshop.duel import answer_duel, list_choices, make_duel_code, read_answers, read_duel_code
from lab_code.workshop.kit import Kit
from lab_code.workshop.progress import read_journal
from lab_code.workshop.statements import Duel, place_bet, read_statements, write_sentence
from tests.lab_code.workshop.test_statements import Bet, press

CODE = make_duel_code("small", 3, b"abc")
OTHER = make_duel_code("small", 3, b"xyz")


@pytest.fixture
def identity(tmp_path: Path) -> Kit:
    return Kit(tmp_path, "small", "", "group-1", (), {})


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "the code has 0 characters"),
        ("hello", "not the code of a duel"),
        (CODE[:-1], "the code has 8 characters"),
        (("1" if CODE[0] != "1" else "2") + CODE[1:], "typing error"),
        (make_duel_code("large", 3, b"abc"), "belongs to another workshop"),
        (make_duel_code("small", 0, b"abc"), "belongs to another workshop, or to something else"),
    ],
)
def test_a_wrong_code_is_named(typed: str, said: str) -> None:
    with pytest.raises(LabError, match=said):
        read_duel_code(typed, "small")


def test_a_code_is_read_however_it_is_spelt_and_tells_the_number_of_photographs() -> None:
    assert read_duel_code(f" {CODE.lower().replace('-', ' ')} ", "small") == (CODE, 3)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("6,5,1", ("nv", "mel", "akiec")), ("6 5;1", ("nv", "mel", "akiec")), ("NV, mel ,1", ("nv", "mel", "akiec"))],
)
def test_answers_are_numbers_or_names(typed: str, expected: tuple[str, ...]) -> None:
    assert read_answers(typed, 3, list_choices(Path())) == expected


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("6,5", "2 answers, but the code is for 3 photographs"),
        ("6,5,1,1", "4 answers, but the code is for 3"),
        ("", "0 answers"),
        ("6,8,1", "answer 2 is '8'"),
        ("6,0,1", "answer 2 is '0'"),
        ("6,wart,1", "answer 2 is 'wart'"),
        ("6,5,\x1b[2J", "answer 3"),
        ("651", "answer 1 is '651'"),
    ],
)
def test_answers_that_are_missing_too_many_or_unknown_are_named_and_nothing_is_kept(
    identity: Kit, typed: str, said: str
) -> None:
    with pytest.raises(LabError) as caught:
        answer_duel(identity, CODE, typed)
    assert said in caught.value.message and caught.value.hint
    assert not list(identity.root.iterdir())


def test_the_first_list_stands_and_leaves_bets_and_sentence_as_they_are(identity: Kit) -> None:
    write_sentence(identity.root, "0.2 more")
    assert answer_duel(identity, CODE, "6,5,1") == (Duel(CODE, ("nv", "mel", "akiec")), True)
    place_bet(identity, Bet("x", 0.5), [])
    assert answer_duel(identity, CODE.lower(), "nv mel akiec")[1] is False
    with pytest.raises(LabError, match="stand already: 6 nv, 5 mel, 1 akiec"):
        answer_duel(identity, CODE, "1,1,1")
    said = read_statements(identity.root)
    assert said.sentence == "0.2 more" and said.bets and said.duel == Duel(CODE, ("nv", "mel", "akiec"))
    answer_duel(identity, OTHER, "1,1,1")  # another duel
    noted = [(event["code"], event["answers"]) for event in read_journal(identity.root).of("duel")]
    assert noted == [(CODE, "nv mel akiec"), (OTHER, "akiec akiec akiec")]


def test_command_and_form_say_what_a_photograph_can_be(kit, monkeypatch, capsys) -> None:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it
    form = duel(3)
    assert "melanoma (mel)" in capsys.readouterr().out
    assert form.missing == "4 answers missing"
    form.values = {"code": CODE, "photograph 1": "6", "photograph 2": "5", "photograph 3": "1"}
    assert form.command == f"lab duel {CODE} --answers 6,5,1"
    press(form)
    assert f"Your answers to {CODE} are kept" in form.said and "lab handin" in form.said
    assert "6 nv, 5 mel, 1 akiec" in duel(3).said
    assert cli.main(["duel", CODE]) == 1 and "needs the answers as well" in capsys.readouterr().err
