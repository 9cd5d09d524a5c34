"""The forms of the notebook, filled in and sent as a browser does it: by their values and the message of the button."""

import json
from pathlib import Path

import pytest

from lab_code import notebook
from lab_code.cli import app as cli
from lab_code.errors import LabError
from lab_code.notebook.command_form import CommandForm, Field
from lab_code.notebook.opinion_widgets import feedback, review
from lab_code.notebook.quiz_widget import hint, make_field, quiz
from lab_code.workshop.by_hand import by_hand
from lab_code.workshop.hints import list_hints
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, read_questions


@pytest.fixture(autouse=True)
def inside(kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it


def answer(form: CommandForm, answers: str) -> None:
    form.values = dict(zip((field["name"] for field in form.fields), answers.split(","), strict=True))


def press(form: CommandForm) -> None:
    form._handle_custom_msg({"press": form.heard + 1, "values": form.values}, [])


def make_wrong(answers: str) -> str:
    first, _, rest = answers.partition(",")
    return f"{int(first) % 4 + 1},{rest}"


def test_the_form_shows_every_question_and_option(kit) -> None:
    form, questions = quiz(1), read_questions(read_kit(kit.root))["1-configuration"]
    for question, field in zip(questions, form.fields, strict=True):
        assert (field["question"], field["look_in"]) == (question.text, question.look_in)
        assert [text.split("  ", 1)[1] for _, text in field["options"]] == list(question.options)
        assert field["kind"] in ("line", "number") or field["options"]


def test_the_command_follows_the_answers_and_the_button_waits_for_all_of_them(kit) -> None:
    form = quiz(1)
    assert form.missing == "3 answers missing" and form.command == "lab unlock --stage 1 --answers '?,?,?'"
    press(form)
    assert read_journal(kit.root).events == []
    answer(form, kit.answers[0])
    assert not form.missing and form.command == f"lab unlock --stage 1 --answers {kit.answers[0]}"


def test_the_right_answers_open_the_stage_and_the_form_says_so(kit) -> None:
    form = quiz(1)
    answer(form, kit.answers[0])
    press(form)
    assert (kit.root / "lab_code/conf/experiment/baseline.yaml").is_file()
    assert form.done.startswith("Stage 1 is open: go on below. It has brought lab_code/conf/experiment/baseline.yaml")
    assert "Stage 1 'Where the settings live' is open." in form.said and "\x1b" not in form.said
    assert quiz(1).done == form.done  # another kernel finds the same
    press(form)
    assert len(read_journal(kit.root).of("unlocked")) == 1


def test_wrong_answers_are_counted_and_the_form_stays(kit) -> None:
    form = quiz(1)
    answer(form, make_wrong(kit.answers[0]))
    press(form)
    assert "error: these answers do not open stage 1" in form.said and "hint: " in form.said
    assert len(read_journal(kit.root).of("unlock_failed")) == 1
    assert not form.done and not form.busy


def test_an_open_stage_adds_the_points_up_and_gives_the_reason_for_every_answer(kit) -> None:
    form = quiz(1)
    form._handle_custom_msg({"press": 1, "values": {}, "hint": form.fields[1]["name"]}, [])
    answer(form, kit.answers[0])
    assert form.opened == {} and not list(kit.root.glob("locked/*.reasons.json"))
    press(form)
    assert form.opened["points"] == "+10 points − 1 for hints. You have 9."
    told = [(reason["question"], reason["answer"]) for reason in form.opened["reasons"]]
    for (text, right), typed, field in zip(told, kit.answers[0].split(","), form.fields, strict=True):
        options = {number: option.split("  ", 1)[1] for number, option in field["options"]}
        assert (text, right) == (field["question"], options.get(typed, typed))
    assert all(len(reason["why"]) > 20 for reason in form.opened["reasons"])
    assert quiz(1).opened == form.opened  # another kernel tells the same


def test_a_rescued_stage_tells_the_answers_and_what_it_is_worth(kit) -> None:
    assert cli.main(["unlock", "--rescue", kit.rescue[0]]) == 0
    assert quiz(1).opened["points"] == "+4 points. You have 4." and len(quiz(1).opened["reasons"]) == 3


def test_a_hint_is_bought_inside_the_form_for_the_question_and_stage_that_it_stands_at(kit) -> None:
    form = quiz(2)  # while stage 1 is locked as well
    name = form.fields[2]["name"]
    assert form.hints[name] == {"taken": [], "price": "1 point"}
    form._handle_custom_msg({"press": 1, "values": {name: "3"}, "hint": name}, [])
    form._handle_custom_msg({"press": 1, "values": {}, "hint": name}, [])  # once more, from another view of the form
    (event,) = read_journal(kit.root).of("hint")
    assert (event["stage"], event["question"]) == ("2-imbalance", name)
    assert len(form.hints[name]["taken"]) == 1 and quiz(2).hints == form.hints and not form.said
    assert form.fields[0]["name"] not in [event["question"] for event in read_journal(kit.root).of("hint")]


def test_what_was_not_sent_is_kept_for_this_group_and_this_copy_of_its_kit(kit) -> None:
    assert cli.main(["hint", "1"]) == 0  # which begins the journal
    kept = quiz(1).keep
    assert quiz(1).keep == kept and len({kept, quiz(2).keep, feedback().keep}) == 3
    (kit.root / "progress.jsonl").write_text('{"event": "began", "time": "2031"}\n', encoding="utf-8")
    assert quiz(1).keep == kept.replace(kept.split("/")[3], "2031") != kept


def test_a_press_that_arrives_twice_is_one_try(kit) -> None:
    form = quiz(1)
    answer(form, make_wrong(kit.answers[0]))
    for _ in range(3):
        form._handle_custom_msg({"press": 1, "values": form.values}, [])
    assert len(read_journal(kit.root).of("unlock_failed")) == 1 and form.heard == 1


def hints_of(kit) -> list[tuple[str, ...]]:
    kit = read_kit(kit.root)
    return [state.taken for state in list_hints(kit, kit.stages[0])]


def test_a_hint_is_bought_by_each_press_and_shown_again_for_nothing(kit) -> None:
    hints = read_questions(read_kit(kit.root))["1-configuration"][0].hints
    form = hint(1)
    assert (form.button, form.said, form.command) == ("Buy a hint for 1 point", "", "lab hint 1 --stage 1")
    press(form)
    assert form.said.startswith("Hint to question 1 (cost 1 point") and hints_of(kit)[0] == hints[:1]
    form._handle_custom_msg({"press": 1, "values": {}}, [])  # once more, from another view of the form
    again = hint(1)
    assert again.said == hints[0] and again.button.startswith("Buy one more hint for ")
    assert hints_of(kit)[0] == hints[:1]
    for _ in hints:
        press(again)
    assert hints_of(kit)[0] == hints and hints[-1] in again.done and hint(1).done == again.done
    assert len(read_journal(kit.root).of("hint")) == len(hints)


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("hint 2", "Stage 1, question 2"),
        ("hint 3 --stage 2", "Stage 2, question 3"),
        ("hint --stage=2 1", "Stage 2, question 1"),
        ("handin", "Hand in"),
    ],
)
def test_a_command_that_costs_something_becomes_a_button(kit, monkeypatch, command: str, title: str) -> None:
    shown: list[CommandForm] = []
    monkeypatch.setattr(notebook, "display", shown.append)
    notebook.lab(command)
    assert [form.title for form in shown] == [title] and not shown[0].missing
    assert not (kit.root / "progress.jsonl").exists() and not (kit.root / "handin").exists()


def test_prices_and_help_stay_commands(capsys: pytest.CaptureFixture[str]) -> None:
    notebook.lab("hint")
    notebook.lab("hint --help")
    assert "what a hint costs" in capsys.readouterr().out


def test_a_hint_that_is_not_there_is_refused_and_one_that_nobody_needs_is_no_error(kit, monkeypatch, capsys) -> None:
    with pytest.raises(LabError, match="stage 1 has the questions 1 to 3, not 9"):
        hint(9)
    monkeypatch.setattr("lab_code.notebook.quiz_widget.next_stage", lambda kit: None)
    assert hint(1) is None and "no hint is needed" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["hint 1", "handin"])
@pytest.mark.parametrize("kernel", ["1", ""])
def test_inside_a_kernel_only_a_press_counts(kit, monkeypatch, capsys, command: str, kernel: str) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "1") if kernel else monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    code = cli.main(command.split())
    refused = f"a cell of a notebook does not run 'lab {command}' by itself" in capsys.readouterr().err
    assert refused == bool(kernel) and code == (0 if command == "hint 1" and not kernel else 1)
    if kernel:
        assert not (kit.root / "progress.jsonl").exists()
        with by_hand():
            assert cli.main(["hint", "1"]) == 0


def test_a_file_that_was_lost_brings_the_form_back(kit) -> None:
    form = quiz(1)
    answer(form, kit.answers[0])
    press(form)
    Path("lab_code/conf/experiment/baseline.yaml").unlink()
    assert not quiz(1).done


def test_a_stage_that_wants_the_room_code_has_a_field_for_it(kit) -> None:
    document = json.loads(Path("kit.json").read_text(encoding="utf-8"))
    document["stages"][0]["room_code"] = True
    Path("kit.json").write_text(json.dumps(document), encoding="utf-8")
    form = quiz(1)
    answer(form, f"{kit.answers[0]},acorn lemon tiger")
    assert form.command.endswith("--room-code 'acorn lemon tiger'")


@pytest.mark.parametrize(
    ("question", "kind", "options"),
    [
        (Question("q", "choice", "?", ("a", "b"), "x"), "one", 2),
        (Question("q", "several", "?", ("a", "b", "c"), "x"), "several", 3),
        (Question("q", "number", "?", (), "x"), "number", 0),
        (Question("q", "name", "?", (), "x"), "line", 0),
    ],
)
def test_every_kind_of_question_has_a_field(question: Question, kind: str, options: int) -> None:
    field = make_field(question)
    assert (field.kind, len(field.options)) == (kind, options)
    assert bool(field.note) == (not options)


def test_what_a_command_says_is_shown_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    form = CommandForm("Status", [Field("x", "line", "?", optional=True)], "Go", lambda values: ["status"])
    form.observe(lambda change: seen.append(change["new"]), "said")
    press(form)
    assert len(seen) > 3 and seen[-1] == form.said and "Stage 1" in seen[1] + seen[2] + seen[3]


def test_feedback_goes_where_the_command_puts_it(kit) -> None:
    form = feedback()
    form.values = {"clear": "4", "learned": "5"}
    assert form.missing == "1 answer missing"
    form.values = {**form.values, "pace": "3", "better": "more time"}
    assert form.command == "lab feedback --clear 4 --learned 5 --pace 3 --better 'more time'"
    press(form)
    kept = json.loads((kit.root / "feedback.json").read_text(encoding="utf-8"))
    assert kept == {"clear": 4, "learned": 5, "pace": 3, "good": "", "better": "more time"}


def test_a_review_that_has_not_arrived_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert review() is None
    assert "nothing to review yet" in capsys.readouterr().out


def test_the_review_form_shows_both_runs_and_keeps_the_answers(kit, capsys: pytest.CaptureFixture[str]) -> None:
    run = {"params": {"loss.name": "focal"}, "metrics": {"best_accuracy": 0.5}, "confusion": [[1] * 7] * 7}
    other = {**run, "params": {"loss.name": "cross_entropy"}}
    Path("review.json").write_text(json.dumps({"id": "abc", "runs": [other, run]}), encoding="utf-8")
    form = review()
    said = capsys.readouterr().out
    assert "loss.name" in said and "focal" in said
    assert form is not None and form.missing == "3 answers missing"
    form.values = {"changed": "the loss", "effect": "0.1 more", "doubt": "one seed only"}
    press(form)
    kept = json.loads((kit.root / "review-answers.json").read_text(encoding="utf-8"))
    assert kept == {"id": "abc", "changed": "the loss", "effect": "0.1 more", "doubt": "one seed only"}
