"""The bank as it is, and what happens when the code under it changes."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from instructor.cli import app as cli
from instructor.locks.guesser import HABITS, numbers_in, read_texts
from instructor.quizbank.bank import (
    BANK_FILE,
    CHOICE,
    KAHOOT,
    NAME,
    NUMBER,
    SEVERAL,
    BankQuestion,
    check_question,
    load_bank,
    load_bank_with_notes,
    stage_questions,
)
from instructor.quizbank.facts import CodeFacts
from instructor.quizbank.schema import read_bank
from instructor.quizbank.variants import COMMAND, GroupQuestion, _vary, make_variant, make_variants
from instructor.workshop import WORKSHOP_FILE, DataSource, read_workshop
from lab_code.errors import LabError
from tests.conftest import make_small_workshop

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


def test_the_bank_is_worth_using(bank) -> None:
    assert len(bank) >= 36
    for question in bank:
        assert question.explanation and question.hints and 1 <= question.difficulty <= 3, question.id
    assert {question.kind for question in bank} == {CHOICE, SEVERAL, NUMBER, NAME}


def test_every_group_has_its_own_answers() -> None:
    workshop = read_workshop()
    bank = load_bank(workshop)
    keys = set()
    for group in workshop.groups:
        variant = make_variant(workshop, bank, group, "secret")
        for question in (question for questions in variant.values() for question in questions):
            if question.shown.options:
                chosen = {question.shown.options[int(number) - 1] for number in question.answer.split("+")}
                assert chosen == set(question.source.rights)
            else:
                assert question.answer == question.source.right
        keys.add(tuple(question.answer for questions in variant.values() for question in questions))
    assert len(keys) == len(workshop.groups)


def test_no_groups_first_answers_are_the_readmes_example() -> None:
    workshop = read_workshop()
    first = [make_variant(workshop, load_bank(workshop), group, "secret")[STAGES[0]] for group in workshop.groups]
    assert ["3", "1", "4"] not in [[question.answer for question in questions] for questions in first]


def test_option_orders_are_the_same_on_every_machine() -> None:
    workshop = read_workshop()
    variant = make_variant(workshop, load_bank(workshop), "group-3", "secret")
    assert [(q.shown.id, q.answer) for q in variant[STAGES[0]]] == [
        ("default-learning-rate", "1"),
        ("network-weights", "114957"),
        ("mlflow-file", "2"),
    ]


def test_all_groups_stages_are_equally_hard(bank) -> None:
    workshop = read_workshop()
    variants = make_variants(workshop, bank, "secret")
    for stage in workshop.stages:
        measures = {
            (
                tuple(sorted(q.source.kind for q in variant[stage.id])),
                sum(q.source.difficulty for q in variant[stage.id]),
            )
            for variant in variants.values()
        }
        assert len(measures) == 1
        assert len({tuple(q.shown.id for q in variant[stage.id]) for variant in variants.values()}) > 1
        assert all(NUMBER in {q.source.kind for q in variant[stage.id]} for variant in variants.values())


def test_every_group_finds_numbers_of_its_own(bank) -> None:
    question = next(question for question in bank if question.id == "class-weight")
    for key in ("secret", "another"):
        texts = {_vary(question, key, number).text for number in range(len(question.vary))}
        assert len(texts) == len(question.vary) and not any("{" in text for text in texts)


@pytest.mark.parametrize("stage", STAGES)
def test_six_groups_have_six_numbers(bank, stage: str) -> None:
    for secret in ("secret", "another"):
        variants = make_variants(read_workshop(), bank, secret).values()
        asked = [question.answer for variant in variants for question in variant[stage] if _is_shown(question)]
        assert len(set(asked)) == len(asked) == 6


def _is_shown(question: GroupQuestion) -> bool:
    return COMMAND in question.source.tags


@pytest.mark.parametrize("stage", STAGES)
def test_every_group_is_asked_one_thing_that_only_a_command_shows(bank, stage: str) -> None:
    workshop = read_workshop()
    texts = read_texts(PROJECT, STAGES)  # of everything, whatever is open
    written = {number for text in texts.values() for number in numbers_in(text)}
    for variant in make_variants(workshop, bank, "secret").values():
        (asked,) = [question for question in variant[stage] if COMMAND in question.source.tags]
        assert asked.shown.kind == NUMBER and int(asked.answer) >= 1000
        assert asked.answer not in written
        shown = " ".join((asked.shown.text, *asked.shown.hints))
        assert "--dry-run" in asked.shown.hints[-1]
        assert "{" not in shown


def test_what_only_a_command_shows_is_no_count_of_the_table(bank, kit) -> None:
    """Whoever counts rows, cells and kinds of cells in the table that ships has not answered."""
    text = (kit.root / "data" / "HAM10000_metadata.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    columns = list(zip(*rows[1:], strict=True))
    counts = {len(rows), len(rows) - 1, *(len(set(column)) for column in columns)}
    counts |= {number for column in columns for number in Counter(column).values()}
    for question in (question for question in bank if COMMAND in question.tags):
        assert not {int(values["answer"]) for values in question.vary} & counts, question.id
    entries = read_bank(BANK_FILE).entries
    assert not [entry.id for entry in entries if COMMAND in entry.tags and "metadata" in entry.answer_from]


def test_the_commands_show_what_the_questions_ask(kit, bank) -> None:
    """What the last hint says to type is typed, in a kit that has opened the stages before."""
    questions = {question.id: question for question in load_bank(make_small_workshop(), data=kit.root / "data")}
    for answers in kit.answers[:2]:
        kit.lab("unlock", "--answers", answers)
    for name in ("network-weights", "larger-network", "wider-network"):
        question = questions[name].with_values(questions[name].vary[0])
        command = re.search(r"Type: lab ([\w=. -]*\w)(?:$|\.)", question.hints[-1])
        assert command is not None
        assert re.search(rf"(?<!\d){question.right}(?!\d)", kit.lab(*command[1].split()).stdout), name


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("part", ["stages", "kahoot", "all"])
def test_what_looks_right_is_right_no_more_often_than_chance_has_it(bank, habit: str, part: str) -> None:
    """Of options that stand out one is tried at random, of a question where none does any."""
    hits, chance = 0.0, 0.0
    for question in bank:
        if question.kind != CHOICE or (part != "all" and (question.stage == KAHOOT) != (part == "kahoot")):
            continue
        liked = HABITS[habit](question.options)
        hits += (0 in liked) / len(liked) if liked else 1 / len(question.options)  # the right option is the first
        chance += 1 / len(question.options)
    assert hits <= chance


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"config": "trainer.epochs"}, "10"),
        ({"config": "optimizer.lr", "experiment": "baseline"}, "0.001"),
        ({"config": "loss.weight_power", "experiment": "balanced"}, "0.5"),
        ({"default": "lab_code.models.small_cnn:SmallCNN.dropout"}, "0.1"),
        ({"default": "lab_code.config:LossConfig.gamma"}, "0"),
        ({"constant": "lab_code.tracking.store:DATABASE"}, "mlflow.db"),
        ({"count": "lab_code.data.ham10000:DIAGNOSES"}, "7"),
        ({"file_of": "Trainer"}, "lab_code/training/trainer.py"),
        ({"file_of": "FocalLoss"}, "lab_code/losses/focal.py"),
        ({"changed_by": "baseline"}, "optimizer"),
        ({"shape": "small_cnn:features.0"}, "16 x 32 x 32"),
        ({"shape": "resnet18:layer4"}, "512 x 2 x 2"),
        ({"parameters": "small_cnn"}, "61143"),
        ({"parameters": "small_cnn model.width=24"}, "136639"),
        ({"symbol": "lab_code.training.trainer:BestEpoch"}, "BestEpoch"),
        ({"metadata": "photographs"}, "5000"),
        ({"metadata": "photographs of df"}, "57"),
    ],
)
def test_answers_come_from_the_code(source: dict[str, str], value: str) -> None:
    assert CodeFacts(PROJECT, STAGES).resolve(source) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"config": "trainer.epoch"}, "no key 'trainer.epoch'"),
        ({"config": "seed", "experiment": "nothing"}, "experiment 'nothing' does not exist"),
        ({"default": "lab_code.training.trainer:fit.model"}, "has no default"),
        ({"constant": "lab_code.training.trainer:NOTHING"}, "no constant"),
        ({"constant": "lab_code.nothing:X"}, "no module 'lab_code.nothing'"),
        ({"file_of": "nothing_at_all"}, "defined in 0 files"),
        ({"shape": "small_cnn:body"}, "has no part 'body'"),
        ({"symbol": "lab_code.training.trainer:Nothing"}, "defines no 'Nothing'"),
        ({"metadata": "people"}, "no count 'people'"),
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
    with pytest.raises(LabError, match=r"'default-learning-rate': the wrong option '0.001' is the right answer now"):
        load_bank(read_workshop(), project=project)


def test_a_moved_function_changes_the_answer(project: Path) -> None:
    (project / "lab_code/recorder.py").write_text('"""x"""\n\n\ndef track_run():\n    pass\n', encoding="utf-8")
    edit(project / "lab_code/tracking/tracker.py", "def track_run", "def track_somehow")
    bank = {question.id: question for question in load_bank(read_workshop(), project=project)}
    assert bank["mlflow-file"].right == "lab_code/recorder.py"


def test_counts_come_from_the_photographs_that_are_there(build: Path) -> None:
    facts = CodeFacts(PROJECT, STAGES, DataSource(source="elsewhere"), build / "kits" / "group-1" / "data")
    assert facts.resolve({"metadata": "photographs"}) == "210"
    assert (
        1 <= int(facts.resolve({"metadata": "lesions of df"})) <= int(facts.resolve({"metadata": "photographs of df"}))
    )
    with pytest.raises(LabError, match="not prepared yet"):
        CodeFacts(PROJECT, STAGES, DataSource(source="elsewhere")).resolve({"metadata": "photographs"})


# `below` is how many lines below the edited one the mistake is reported; None: at the beginning of the question.
ASKED = "You start a run and change nothing. How large is its learning rate? Follow the line optimizer to a line lr."
LINE = f"text: {ASKED}"


@pytest.mark.parametrize(
    ("old", "new", "below", "found", "fix"),
    [
        ("id: mlflow-file", "id: split-file", None, "'split-file': this id is there twice", "another id"),
        ("id: split-file", "id: Split File", None, "'id' is 'Split File'", "top of the file"),
        (
            "    stage: 1-configuration\n",
            "    stage: 4-nothing\n",
            None,
            "there is no stage '4-nothing'",
            "stages: 1-con",
        ),
        (
            'wrong: ["0.001", "0.01", "0.1"]',
            'wrong: ["0.01", "0.01"]',
            None,
            "two options are the same: '0.01'",
            "change one",
        ),
        ('wrong: ["0.001", "0.01", "0.1"]', 'wrong: ["0.010", "0.01"]', None, "two options are the same", "change one"),
        ('wrong: ["0.001", "0.01", "0.1"]', "wrong: []", None, "has 0 wrong options", "one to three|one to 3"),
        ('wrong: ["0.001", "0.01", "0.1"]', "wrong: [a, b, c, d]", None, "has 4 wrong options", "one to 3"),
        ('wrong: ["0.001", "0.01", "0.1"]', "wrong: [0.001, 0.01]", 0, "is the number 0.001", 'quotes: "0.001"'),
        ('wrong: ["0.001", "0.01", "0.1"]', "wrong: [no, yes]", 0, "is false, expected a text", "YAML reads yes, no"),
        ('wrong: ["0.001", "0.01", "0.1"]', "wrong: none of these", 0, "'wrong' is 'none of these'", "top of the file"),
        (
            "    answer_from: {config: optimizer.lr}\n",
            "",
            None,
            "has neither `answer` nor `answer_from`",
            "exactly one",
        ),
        ("{config: optimizer.lr}", "{config: optimizer.rate}", None, "no key 'optimizer.rate'", "keys: "),
        (
            "look_in: lab_code/conf/train.yaml",
            "look_in: lab_code/conf/none.yaml",
            None,
            "cannot see yet",
            "file of its kit",
        ),
        (
            "look_in: lab_code/conf/train.yaml",
            "look_in: lab_code/losses/focal.py",
            None,
            "cannot see yet",
            "file of its kit",
        ),
        ("kind: number", "kind: essay", 0, "'kind' is 'essay'", "choice, several, number, name"),
        (
            "    explanation: >-\n      The list",
            "    explanatoin: >-\n      The list",
            0,
            "no key 'explanatoin'",
            "keys: id, stage",
        ),
        (
            "    hints:\n      - train.yaml names",
            "    hintss:\n      - train.yaml names",
            None,
            "'hints' is missing",
            "`hints: …`",
        ),
        (
            LINE,
            "text: How large is it, 0.005 or more?",
            None,
            "the answer '0.005' stands in the question",
            "without saying it",
        ),
        (LINE, "text:", 0, "'text' is empty", "write something"),
        (LINE, LINE + "\n    " + LINE, 1, "the key 'text' is there twice", "remove one"),
        (LINE, "\t" + LINE, 0, "a tab", "blanks"),
        (LINE, "text: a: b: c", 0, "this is not YAML", "quotes"),
        (LINE, "text: [not closed", 1, "this is not YAML", "quotes"),
        ("time_limit_s: 60", "time_limit_s: soon", 0, "'time_limit_s' is 'soon'", "top of the file"),
        ("time_limit_s: 60", "time_limit_s: 999", 0, "'time_limit_s' is '999'", "top of the file"),
        ("difficulty: 2", "difficulty: 7", 0, "'difficulty' is '7'", "top of the file"),
        (
            "wrong: [constant, cosine, step]",
            "wrong: [constant, none of these]",
            None,
            "speaks of other options",
            "another order",
        ),
        ('vary:\n      - {a: "90", ', "vary:\n      - {", None, "no value for {a}", "every entry"),
        ('answer: "{mean}"', 'answer: "{maen}"', None, "entry 1 of `vary` has no value for {maen}", "every entry"),
        ("- The line optimizer under", "- The line {optimizer} under", None, "a place {optimizer}, but no", "`vary`"),
        ("The list defaults in", "The list {defaults} in", None, "a place {defaults}, but no value", "round ones"),
        ('wrong: ["0.001", ', 'wrong: ["{lr}", ', None, "there is a place {lr}, but no value", "`vary`"),
        (LINE, "text: How large is its {lr}?", None, "there is a place {lr}, but no value", "`vary`"),
        ("{config: optimizer.lr}", '{config: "optimizer.{key}"}', None, "a place {key}, but no value", "`vary`"),
        ("model.width={width}", "model.width={wdith}", None, "entry 1 of `vary` has no value for {wdith}", "spelt"),
        ("shall be {width} channels", "shall be { width } channels", None, "no value for {width}", "without blanks"),
        ('- {width: "22"}', '- {width: "22", depth: "3"}', None, "a value for {depth}, which stands nowhere", "remove"),
        ('- {width: "24"}', '- {width: "22"}', None, "the entries 1 and 2 of `vary` are the same", "groups differ"),
        (
            "wrong: [lab train epochs=3,",
            "wrong: [lab train trainer.epochs=3,",
            None,
            "is in `answer` and in `wrong`",
            "one",
        ),
        ('wrong: ["0.001", ', 'wrong: ["0.005", ', None, "'0.005' is the right answer now", "the code has changed"),
    ],
)
def test_a_mistake_is_named_with_line_question_and_fix(
    tmp_path: Path, old: str, new: str, below: int | None, found: str, fix: str
) -> None:
    shutil.copyfile(BANK_FILE, tmp_path / "bank.yaml")
    edit(tmp_path / "bank.yaml", old, new)
    with pytest.raises(LabError) as caught:
        load_bank(read_workshop(), tmp_path / "bank.yaml")
    message = caught.value.message
    assert f"{tmp_path / 'bank.yaml'} has " in message and found in message and re.search(fix, message), message
    text = BANK_FILE.read_text(encoding="utf-8")
    key_line = text[: text.index(old)].count("\n") + 1
    question_line = text[: text.rindex("  - id:", 0, text.index(old) + 10)].count("\n") + 1
    assert f"line {question_line if below is None else key_line + below}" in message, message


ANSWER, WRONG = "answer_from: {config: optimizer.lr}", 'wrong: ["0.001", "0.01", "0.1"]'
SURPRISES = [
    # what YAML makes of something else than a text: the value is named as it is written
    (ANSWER, "answer: yes", "'answer' is true, expected a text", '"yes" \\(YAML reads yes, no'),
    (ANSWER, "answer: Off", "'answer' is false, expected a text", '"Off"'),
    (ANSWER, "answer: 1.0e+3", "'answer' is the number 1.0e+3, expected a text", 'quotes: "1.0e.3"'),
    (ANSWER, "answer: 017", "'answer' is the number 017, expected a text", 'quotes: "017"'),
    (ANSWER, "answer: 0x1F", "'answer' is the number 0x1F, expected a text", 'quotes: "0x1F"'),
    (ANSWER, "answer: 1_000", "'answer' is the number 1_000, expected a text", 'quotes: "1_000"'),
    (ANSWER, "answer: 12:30", "'answer' is the number 12:30, expected a text", 'quotes: "12:30"'),
    (ANSWER, "answer: .inf", "'answer' is the number .inf, expected a text", 'quotes: ".inf"'),
    (ANSWER, "answer: 2024-01-02", "'answer' is the date 2024-01-02, expected a text", 'quotes: "2024-01-02"'),
    (ANSWER, "answer: 2024-13-45", "'answer' is the date 2024-13-45, expected a text", 'quotes: "2024-13-45"'),
    (ANSWER, "answer: !!python/object:os.system x", "expected a text", 'quotes: "x"'),
    (ANSWER, "answer: {a}: b", "this is not YAML", "quotes"),
    (ANSWER, "answer: {a: b}", "'answer' is a mapping with the key a, expected a text", "quotes"),
    (ANSWER, "answer: [[a], b]", "'answer', entry 1, is a list of 1, expected a text", "quotes"),
    (ANSWER, "answer: [a, b]", "the answer of kind 'choice' is the list 'a', 'b'", "only kind: several"),
    (ANSWER, "answer: []", "the answer of kind 'choice' is an empty list", "only kind: several"),
    (ANSWER, ANSWER + "\n    answer: x", "both `answer: x` and `answer_from: {'config'", "exactly one"),
    (ANSWER, "answer_from: optimizer.lr", "'answer_from' is 'optimizer.lr'", "write a source such as"),
    (ANSWER, "answer_from: {config: 5}", "'answer_from', 'config', is the number 5", 'quotes: "5"'),
    (WRONG, "wrong: [2024-01-01, b]", "'wrong', entry 1, is the date 2024-01-01", 'quotes: "2024-01-01"'),
    (WRONG, "wrong: [b, null]", "'wrong', entry 2, is empty", "write something"),
    (WRONG, "wrong:\n      0.001\n      0.01", "'wrong' is '0.001 0.01'", "write a list of texts"),
    (WRONG, "wrong: [a, b, c, d]", "has 4 wrong options: 'a', 'b', 'c', 'd'", "one to 3"),
    (LINE, "text: 2024-01-02", "'text' is the date 2024-01-02", "quotes"),
    (LINE, "text: [a, b]", "'text' is a list of 2, expected a text", "quotes"),
    (LINE, 'text: "a bell \\a here?"', "a control character: 'a bell \\x07 here?'", "remove it"),
    ("id: default-learning-rate", "id: yes", "question 'yes': 'id' is true, expected a text", '"yes"'),
    ("id: default-learning-rate", "id: 5", "question '5': 'id' is the number 5", 'quotes: "5"'),
    ("- id: default-learning-rate\n    stage", "- stage", "question 'number 1': 'id' is missing", "`id: …`"),
    ("stage: 1-configuration", "stage: 1", "'stage' is the number 1", 'quotes: "1"'),
    ("stage: 1-configuration", "stage: 1-configuratoin", "no stage '1-configuratoin'", "mean '1-configuration'.*hoot"),
    ("kind: number", "kind: no", "'kind' is false", "write one of choice, several, number, name"),
    ("kind: number", "kind: [number]", "'kind' is a list of 1", "write one of choice, several, number, name"),
    ("time_limit_s: 60", "time_limit_s: '60'", "'time_limit_s' is '60'", "whole number from 5 to 240, without quotes"),
    ("time_limit_s: 60", "time_limit_s: 60.5", "'time_limit_s' is '60.5'", "whole number from 5 to 240"),
    ("time_limit_s: 60", "time_limit_s: yes", "'time_limit_s' is 'yes'", "whole number from 5 to 240"),
    ("time_limit_s: 60", "time_limit_s: 1_0", "'time_limit_s' is '1_0'", "whole number from 5 to 240"),
    ("difficulty: 2", "difficulty: hard", "'difficulty' is 'hard'", "whole number from 1 to 3"),
    ("difficulty: 2", "dificulty: 2", "there is no key 'dificulty'", "did you mean 'difficulty'. keys: id"),
    ("difficulty: 2", "difficulty: 2\n    difficulty: 3", "the key 'difficulty' is there twice", "remove one"),
    ("difficulty: 2", "yes: 2", "there is no key 'yes'", "keys: id"),
    ("difficulty: 2", "[a]: 2", "a key is a list of 1", "quotes"),
    ("difficulty: 2", "<<: {difficulty: 2}", "a merge with `<<`", "write the keys out"),
    ("difficulty: 2", "difficulty: *nothing", "this is not YAML: found undefined alias", "quotes"),
    ("tags: [configuration]", "tags: configuration", "'tags' is 'configuration'", "write a list of texts"),
    ("tags: [configuration]", "tags: &t [*t]", "'tags', entry 1, is a list of 1", "quotes"),
    ("tags: [configuration]", "tags: [" + "[" * 3000, "brackets within brackets", "undo"),
    ("    hints:\n      - train.yaml", "    hints: train.yaml", "'hints' is 'train.yaml", "a list of one text or more"),
    ("- train.yaml names", "- train.yaml: names", "'hints', entry 1, is a mapping with the key train.yaml", "quotes"),
    ("look_in: lab_code/conf/train.yaml", "look_in: lab_code/conf/trian.yaml", "names 'lab_code/conf/trian.yaml'",
     "such as lab_code/conf/train.yaml"),
    ("questions:", "questions: []\n---\nquestions:", "found another document", "undo"),
    ("questions:", "questions: []\nquestions:", "the key 'questions' is there twice", "remove one"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "found", "fix"), SURPRISES)
def test_a_mistake_is_one_line_with_the_value_as_it_is_written_and_what_is_possible(
    tmp_path: Path, old: str, new: str, found: str, fix: str
) -> None:
    three = BANK_FILE.read_text(encoding="utf-8").partition("  - id: mlflow-file")[0]
    (tmp_path / "bank.yaml").write_text(three, encoding="utf-8")
    edit(tmp_path / "bank.yaml", old, new)
    with pytest.raises(LabError) as caught:
        load_bank(read_workshop(), tmp_path / "bank.yaml")
    first, *lines = caught.value.message.splitlines()
    count = int((re.search(r"has (\d+) mistakes:$", first) or ["", "1"])[1])
    assert count == len(lines) and "pydantic" not in caught.value.message and "constrained" not in caught.value.message
    assert [line for line in lines if found in line and re.search(fix, line.partition("; fix: ")[2])], lines
    assert all(re.match(r"  line \d+(, question '[^']+')?: .+; fix: .+", line) and len(line) < 400 for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        LINE.lower().replace("text: you", "text: YOU"),
        LINE.replace("?", " ?"),
        LINE.replace("text: ", 'text: "  ').replace("learning rate?", " learning-rate").replace("lr.", 'lr"'),
    ],
)
def test_a_text_that_is_there_twice_is_noticed(tmp_path: Path, text: str) -> None:
    bank = BANK_FILE.read_text(encoding="utf-8")
    start = bank.index("  - id: default-learning-rate")
    first = bank[start : bank.index("  - id:", start + 1)]
    again = first.replace("id: default-learning-rate", "id: again").replace(LINE, text)
    (tmp_path / "bank.yaml").write_text(bank[:start] + first + again + bank[start + len(first) :], encoding="utf-8")
    found = (
        r"has a mistake:\n  line \d+, question 'again': the text '.*' is the one of question 'default-learning-rate' in"
    )
    with pytest.raises(LabError, match=found):
        load_bank(read_workshop(), tmp_path / "bank.yaml")


@pytest.mark.parametrize("removed", STAGES)
def test_removing_a_stage_from_the_workshop_makes_no_mistakes(removed: str, capsys: pytest.CaptureFixture[str]) -> None:
    workshop = read_workshop()
    workshop.stages = [stage for stage in workshop.stages if stage.id != removed]
    questions, notes = load_bank_with_notes(workshop)
    assert {question.stage for question in questions} == {*STAGES, KAHOOT} - {removed}
    assert f"the workshop has no stage '{removed}'" in notes[0]
    asked = {question.id for question in questions}
    for note in notes[1:]:  # what cannot be asked without its files
        assert "ask about stages that the workshop does not have" in note and not asked & set(
            note.split(": ")[1].split(", ")
        )


def test_the_command_says_which_questions_a_removed_stage_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = WORKSHOP_FILE.read_text(encoding="utf-8")
    start, end = text.index(f"  - id: {STAGES[-1]}"), text.index("locks:")
    shorter = "".join(line for line in (text[:start] + text[end:]).splitlines(True) if STAGES[-1] not in line)
    shorter = shorter.replace("activity_minutes: 30", "activity_minutes: 25").replace("minutes: 30\n", "minutes: 25\n")
    (tmp_path / "w.yaml").write_text(shorter.replace("  minutes: 50\n", "  minutes: 45\n"), encoding="utf-8")
    assert cli.main(["quiz", "check", "--workshop", str(tmp_path / "w.yaml")]) == 0
    shown = capsys.readouterr()
    assert f"note: the workshop has no stage '{STAGES[-1]}'" in shown.err and "all answers resolved" in shown.out


def test_a_stage_that_lacks_questions_since_another_was_removed_says_so() -> None:
    workshop = read_workshop()
    workshop.stages = workshop.stages[1:]
    workshop.stages[0].questions = 12
    with pytest.raises(LabError, match=r"the bank has \d+ without .+, which ask about removed stages"):
        load_bank(workshop)


def test_all_mistakes_of_a_file_are_reported_together(tmp_path: Path) -> None:
    shutil.copyfile(BANK_FILE, tmp_path / "bank.yaml")
    for old, new in (
        ("kind: number", "kind: essay"),
        ("difficulty: 2", "difficulty: 9"),
        ("time_limit_s: 30", "time_limit_s: x"),
    ):
        edit(tmp_path / "bank.yaml", old, new)
    with pytest.raises(LabError, match="has 3 mistakes") as caught:
        load_bank(read_workshop(), tmp_path / "bank.yaml")
    lines = [int(number) for number in re.findall(r"line (\d+)", caught.value.message)]
    assert lines == sorted(lines) and len(lines) == 3
    shutil.copyfile(BANK_FILE, tmp_path / "bank.yaml")
    edit(tmp_path / "bank.yaml", "{config: optimizer.lr}", "{config: optimizer.rate}")
    edit(tmp_path / "bank.yaml", "{file_of: track_run}", "{file_of: nobody}")
    with pytest.raises(LabError, match=r"(?s)has 2 mistakes.*optimizer\.rate.*nobody"):
        load_bank(read_workshop(), tmp_path / "bank.yaml")


@pytest.mark.parametrize("text", ["", "questions:", "questions: []", "- id: x", "questions: 3", "x: 1"])
def test_a_file_that_is_no_bank_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bank.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"bank\.yaml has") as caught:
        load_bank(read_workshop(), tmp_path / "bank.yaml")
    assert "fix:" in caught.value.message


def test_a_missing_bank_and_one_of_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is missing"):
        load_bank(read_workshop(), tmp_path / "bank.yaml")
    (tmp_path / "bank.yaml").write_bytes(b"questions: \xff\xfe")
    with pytest.raises(LabError, match="cannot be read"):
        load_bank(read_workshop(), tmp_path / "bank.yaml")


def question_with(*options: str, right: str = "the right one", kind: str = CHOICE, **texts: str) -> BankQuestion:
    values = {"text": "What?", "hint": "Look.", **texts}
    return BankQuestion(
        "q", STAGES[0], kind, values["text"], (right,), options, "lab_code/training/trainer.py", "why",
        (values["hint"],), 20, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (question_with("all of the above"), "speaks of other options"),
        (question_with("None of them"), "speaks of other options"),
        (question_with("answer 2"), "speaks of other options"),
        (question_with("The Right  One"), "is in `answer` and in `wrong`"),
        (question_with("the right ones"), "too similar"),
        (question_with("wrong", text="Is the right one good?"), "stands in the question"),
        (question_with("wrong", hint="It is the right one."), "stands in the hint"),
        (question_with("wrong", text="two\nlines"), "a line break"),
        (question_with(kind=NAME, right="__init__.py"), "is the name of several things"),
    ],
)
def test_a_question_that_gives_itself_away_is_refused(question: BankQuestion, found: str) -> None:
    assert any(found in problem for problem, _ in check_question(question, CodeFacts(PROJECT, STAGES)))


@pytest.mark.parametrize(
    "question",
    [
        question_with("it lies below 0.7", "it lies above 0.7"),
        question_with("wrong", right="wrong or right", text="Is it wrong?"),
        question_with("no", right="yes", text="Is yesterday over?"),
        question_with("B", right="A", text="A or B?"),
        question_with("lab train a=1", right="lab train a=2"),
        question_with(kind=NAME, right="split_by_lesion"),
    ],
)
def test_a_sound_question_passes(question: BankQuestion) -> None:
    assert list(check_question(question, CodeFacts(PROJECT, STAGES))) == []


def test_a_stage_without_enough_questions_is_an_error() -> None:
    workshop = read_workshop()
    workshop.stages[0].questions = 12
    with pytest.raises(LabError, match="asks 12 questions, but the bank has 11"):
        load_bank(workshop)
