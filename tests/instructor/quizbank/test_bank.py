"""The bank as it is, and what happens when the code under it changes."""

import shutil
from pathlib import Path

import pytest

from instructor.quizbank.bank import BANK_FILE, KAHOOT, NUMBER, load_bank, stage_questions
from instructor.quizbank.facts import CodeFacts
from instructor.quizbank.variants import make_variant
from instructor.workshop import read_workshop
from lab_code.errors import LabError

PROJECT = Path(__file__).parent.parent.parent.parent
STAGES = [stage.id for stage in read_workshop().stages]


@pytest.fixture(scope="module")
def bank():
    return load_bank(read_workshop())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the questions ask about."""
    for name in ("lab_code", "locked", "notebooks"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_four_questions_or_more_and_a_number_question(bank, stage: str) -> None:
    questions = stage_questions(bank, stage)
    assert len(questions) >= 4
    assert any(question.kind == NUMBER for question in questions)


def test_the_kahoot_round_has_ten_questions(bank) -> None:
    assert len(stage_questions(bank, KAHOOT)) == 10


def test_every_question_explains_itself_and_hints_without_giving_the_answer_away(bank) -> None:
    for question in bank:
        assert question.explanation and question.hints, question.id
        assert question.right.lower() not in question.text.lower() or question.id == "k-parameter-metric", question.id


def test_every_group_has_its_own_answers() -> None:
    workshop = read_workshop()
    bank = load_bank(workshop)
    keys = set()
    for group in workshop.groups:
        variant = make_variant(workshop, bank, group)
        for questions in variant.values():
            for question in questions:
                shown = question.shown
                if shown.options:
                    assert shown.options[int(question.answer) - 1] == question.source.right
                else:
                    assert question.answer == question.source.right
        keys.add(tuple(question.answer for questions in variant.values() for question in questions))
    assert len(keys) == len(workshop.groups)


def test_no_groups_first_answers_are_the_readmes_example() -> None:
    workshop = read_workshop()
    first = [make_variant(workshop, load_bank(workshop), group)[STAGES[0]] for group in workshop.groups]
    assert ["3", "1", "4"] not in [[question.answer for question in questions] for questions in first]


def test_option_orders_are_the_same_on_every_machine() -> None:
    workshop = read_workshop()
    variant = make_variant(workshop, load_bank(workshop), "group-3")
    assert variant[STAGES[0]][0].shown.options == ("0.005", "0.001", "0.01", "0.1")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"config": "trainer.epochs"}, "10"),
        ({"config": "optimizer.lr", "experiment": "baseline"}, "0.001"),
        ({"config": "loss.weight_power", "experiment": "balanced"}, "0.5"),
        ({"default": "lab_code.models.small_cnn:SmallCNN.dropout"}, "0.1"),
        ({"default": "lab_code.config:LossConfig.gamma"}, "0"),
        ({"constant": "lab_code.runs:DATABASE"}, "mlflow.db"),
        ({"count": "lab_code.data.ham10000:DIAGNOSES"}, "7"),
        ({"file_of": "Trainer"}, "lab_code/trainer.py"),
        ({"file_of": "FocalLoss"}, "lab_code/losses/focal.py"),
        ({"changed_by": "baseline"}, "optimizer"),
    ],
)
def test_answers_come_from_the_code(source: dict[str, str], value: str) -> None:
    assert CodeFacts(PROJECT, STAGES).resolve(source) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"config": "trainer.epoch"}, "no key 'trainer.epoch'"),
        ({"config": "seed", "experiment": "nothing"}, "experiment 'nothing' does not exist"),
        ({"default": "lab_code.trainer:fit.model"}, "has no default"),
        ({"constant": "lab_code.trainer:NOTHING"}, "no constant"),
        ({"constant": "lab_code.nothing:X"}, "no module 'lab_code.nothing'"),
        ({"file_of": "nothing_at_all"}, "defined in 0 files"),
        ({"value_of": "x"}, "answer_from has the keys value_of"),
        ({"changed_by": "balanced"}, "changes 3 groups: data, loss, trainer"),
    ],
)
def test_a_source_that_names_nothing_is_an_error(source: dict[str, str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        CodeFacts(PROJECT, STAGES).resolve(source)


def test_a_changed_default_changes_the_answer(project: Path) -> None:
    edit(project / "lab_code/conf/optimizer/adamw.yaml", "lr: 0.005", "lr: 0.02")
    bank = {question.id: question for question in load_bank(read_workshop(), project=project)}
    assert bank["default-learning-rate"].right == "0.02"


def test_a_changed_default_that_makes_a_wrong_option_right_is_refused(project: Path) -> None:
    edit(project / "lab_code/conf/optimizer/adamw.yaml", "lr: 0.005", "lr: 0.001")
    with pytest.raises(LabError, match=r"'default-learning-rate'.*'0.001' is the right answer now"):
        load_bank(read_workshop(), project=project)


def test_a_moved_function_changes_the_answer(project: Path) -> None:
    (project / "lab_code/data/split.py").write_text('"""x"""\n\n\ndef split_by_lesion():\n    pass\n', encoding="utf-8")
    edit(project / "lab_code/data/lesions.py", "def split_by_lesion", "def split_somehow")
    bank = {question.id: question for question in load_bank(read_workshop(), project=project)}
    assert bank["split-file"].right == "lab_code/data/split.py"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: split-file", "id: mlflow-file", "'mlflow-file' is there twice"),
        ("stage: 1-configuration", "stage: 4-nothing", "there is no stage '4-nothing'"),
        ('wrong: ["0.001", "0.01", "0.1"]', 'wrong: ["0.01", "0.01"]', "two wrong options are the same"),
        ('wrong: ["0.001", "0.01", "0.1"]', "wrong: []", "has 0 wrong options"),
        ("answer_from: {config: optimizer.lr}", "", "exactly one of `answer` and `answer_from`"),
        ("look_in: lab_code/conf/train.yaml", "look_in: lab_code/conf/none.yaml", "cannot see yet"),
        ("look_in: lab_code/conf/train.yaml", "look_in: lab_code/losses/focal.py", "cannot see yet"),
        ("kind: number", "kind: essay", "kind is 'essay'"),
        ("explanation:", "explanatoin:", "explanatoin"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    shutil.copyfile(BANK_FILE, tmp_path / "bank.yaml")
    edit(tmp_path / "bank.yaml", old, new)
    with pytest.raises(LabError) as caught:
        load_bank(read_workshop(), tmp_path / "bank.yaml")
    assert message in caught.value.message and "bank.yaml" in caught.value.message


def test_a_stage_without_enough_questions_is_an_error() -> None:
    workshop = read_workshop()
    workshop.stages[0].questions = 12
    with pytest.raises(LabError, match="asks 12 questions, but the bank has 6"):
        load_bank(workshop)
