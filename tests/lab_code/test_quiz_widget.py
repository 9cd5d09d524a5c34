"""The quiz form, filled in and clicked as a browser would do it through the widgets' own events."""

from pathlib import Path

import ipywidgets as widgets
import pytest

from lab_code import cli
from lab_code.quiz_widget import _make_field, quiz, read_field
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, read_questions


@pytest.fixture(autouse=True)
def inside(kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it


def fields_of(form: widgets.VBox) -> list[widgets.Widget]:
    return [part for part in form.children if isinstance(part, widgets.RadioButtons | widgets.Text)]


def button_of(form: widgets.VBox) -> widgets.Button:
    return next(part for part in form.children if isinstance(part, widgets.Button))


def texts_of(form: widgets.VBox) -> str:
    return " ".join(part.value for part in form.children if isinstance(part, widgets.HTML))


def answer(form: widgets.VBox, answers: str) -> None:
    for field, text in zip(fields_of(form), answers.split(","), strict=True):
        field.value = text


def test_the_form_shows_every_question_and_option(kit) -> None:
    form, questions = quiz(1), read_questions(read_kit(kit.root))["1-configuration"]
    assert len(fields_of(form)) == len(questions)
    for question, field in zip(questions, fields_of(form), strict=True):
        assert question.look_in in texts_of(form)
        if question.options:
            assert [label.split("  ", 1)[1] for label, _ in field.options] == list(question.options)
        assert field.tooltip == question.text


def test_the_command_follows_the_answers_and_the_button_waits_for_all_of_them(kit) -> None:
    form = quiz(1)
    assert button_of(form).disabled and "answer every question first" in texts_of(form)
    answer(form, kit.answers[0])
    assert not button_of(form).disabled
    assert f"lab unlock --stage 1 --answers {kit.answers[0]}" in texts_of(form)


def test_the_right_answers_open_the_stage_and_the_form_says_so(kit) -> None:
    form = quiz(1)
    answer(form, kit.answers[0])
    button_of(form).click()
    assert (kit.root / "lab_code/conf/experiment/baseline.yaml").is_file()
    assert "Stage 1 is open" in texts_of(form) and fields_of(form) == []
    assert "Stage 1 is open" in texts_of(quiz(1))  # another kernel finds the same


def test_wrong_answers_are_counted_and_the_form_stays(kit) -> None:
    form = quiz(1)
    first, _, rest = kit.answers[0].partition(",")
    wrong = (
        f"{int(first) % 4 + 1},{rest}" if fields_of(form)[0].__class__ is widgets.RadioButtons else f"9{first},{rest}"
    )
    answer(form, wrong)
    button_of(form).click()
    assert len(read_journal(kit.root).of("unlock_failed")) == 1
    assert len(fields_of(form)) == 3 and not button_of(form).disabled


def test_a_file_that_was_lost_brings_the_form_back(kit) -> None:
    form = quiz(1)
    answer(form, kit.answers[0])
    button_of(form).click()
    Path("lab_code/conf/experiment/baseline.yaml").unlink()
    assert len(fields_of(quiz(1))) == 3


@pytest.mark.parametrize(
    ("question", "fill", "text"),
    [
        (Question("q", "choice", "?", ("a", "b"), "x"), lambda f: setattr(f, "value", "2"), "2"),
        (Question("q", "number", "?", (), "x"), lambda f: setattr(f, "value", " 0,5 "), "0.5"),
        (Question("q", "name", "?", (), "x"), lambda f: setattr(f, "value", "trainer.py"), "trainer.py"),
        (
            Question("q", "several", "?", ("a", "b", "c"), "x"),
            lambda f: [setattr(f.children[n], "value", True) for n in (2, 0)],
            "1+3",
        ),
    ],
)
def test_every_kind_of_question_has_a_field(question: Question, fill, text: str) -> None:
    field = _make_field(question)
    assert read_field(field) == ""
    fill(field)
    assert read_field(field) == text
