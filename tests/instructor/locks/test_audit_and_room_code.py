"""The audit's arithmetic against counting by hand, and room codes from the word list to an opened stage."""

import itertools
import json
import math
import shutil
from pathlib import Path

import pytest
import yaml

from instructor.cli import app as cli
from instructor.locks.audit import (
    StageAudit,
    audit_locks,
    candidates_in,
    count_combinations,
    count_numbers,
    describe_seconds,
    time_guess,
)
from instructor.locks.guesser import count_lists, order_by_looks, place_of
from instructor.locks.room_code import draw_room_code, make_room_code, room_code_bits
from instructor.provision.workshop_kits import provision
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import COMMAND, GroupQuestion, make_variants
from instructor.vault import Vault
from instructor.workshop import WORKSHOP_FILE, LockCost, LockSettings, Workshop, read_workshop
from lab_code.errors import LabError
from lab_code.workshop.kit import read_kit
from lab_code.workshop.locks import open_with_answers, read_lock
from lab_code.workshop.progress import read_journal
from lab_code.workshop.quiz import Question, example_answers, read_questions
from lab_code.workshop.unlock import unlock_with_answers, unlock_with_rescue
from tests.conftest import make_small_workshop, no_progress


def choice(options: int) -> GroupQuestion:
    return GroupQuestion(Question("q", "choice", "?", tuple("abcdefgh"[:options]), "x"), "1", None)  # type: ignore[arg-type]


def number(answer: str) -> GroupQuestion:
    return GroupQuestion(Question("n", "number", "?", (), "x"), answer, None)  # type: ignore[arg-type]


def test_combinations_are_the_product_over_the_questions() -> None:
    written = {str(n) for n in range(40)}
    assert count_combinations([choice(4), choice(4), choice(3)], written) == 48
    assert count_combinations([choice(4), number("7")], written) == 160
    assert count_combinations([choice(2), number("61")], written) == 200


@pytest.mark.parametrize(
    ("answer", "count"), [("7", 3), ("9", 10), ("61", 100), ("100", 1000), ("0.5", 20), ("0.25", 300), ("0", 10)]
)
def test_a_number_is_guessed_among_those_in_the_kit_or_all_with_its_digits(answer: str, count: int) -> None:
    assert count_numbers(answer, {"7", "8", "3.5"}) == count


def test_numbers_and_names_of_the_kit_are_read_from_code_and_settings(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 0.50 + 3  # 1e-3, and v2 and 4.5.6\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("lr: 1e-2\nfolder: data2\n", encoding="utf-8")
    (tmp_path / "c.md").write_text("77\n", encoding="utf-8")
    assert candidates_in(tmp_path) == {"0.5", "3", "0.001", "0.01", "a.py", "b.yaml", "x", "lr", "folder"}


def test_the_estimate_agrees_with_a_guesser_that_was_really_run(kit, build: Path) -> None:
    """Try what lies at hand for the first stage, the number looked up: nothing takes longer than was promised."""
    identity = read_kit(kit.root)
    stage, workshop = identity.stages[0], make_small_workshop(groups=["group-1"])
    lock = read_lock(kit.root / stage.lock, identity.workshop, identity.group, stage.id)
    variants = make_variants(workshop, load_bank(workshop), Vault(build).answer_secret("small"))
    (audit, *_) = audit_locks(workshop, variants, 1.0)
    asked = read_questions(identity)[stage.id]
    right = kit.answers[0].split(",")
    looked_up = {q.shown.id: q.answer for q in variants["group-1"][stage.id] if COMMAND in q.source.tags}
    offered = [
        [looked_up[question.id]] if question.id in looked_up else [str(n + 1) for n in order_by_looks(question.options)]
        for question in asked
    ]
    tried = 0
    for answers in itertools.product(*offered):
        tried += 1
        try:
            open_with_answers(lock, list(answers), None)
            break
        except LabError:
            continue
    assert list(answers) == right
    assert tried <= audit.rest == math.prod(map(len, offered)) < audit.quickest <= audit.combinations
    assert audit.seconds(8) == audit.quickest / 8


@pytest.mark.parametrize("choices", [[], [3], [4, 4], [2, 3, 4]])
@pytest.mark.parametrize("number", [(1, 100), (7, 100), (60, 70)])
def test_lists_are_counted_as_somebody_would_try_them(choices: list[int], number: tuple[int, int]) -> None:
    """Against a list of all lists, ordered by the product of their places."""
    for places in itertools.product(*(range(1, size + 1) for size in choices)):
        right, sizes = (*places, number[0]), [*choices, number[1]]
        lists = itertools.product(*(range(1, size + 1) for size in sizes))
        assert count_lists(list(right), sizes) == sum(math.prod(tried) <= math.prod(right) for tried in lists)


TEXTS = {
    "lab_code/conf/train.yaml": "defaults:\n  - optimizer: adamw\nseed: 3\n",
    "lab_code/conf/optimizer/adamw.yaml": "lr: 0.005\nname: adamw\n",
    "lab_code/conf/trainer/default.yaml": "epochs: 10\n",
    "lab_code/training/trainer.py": "def fit(steps=77):\n    rate = 5\n",
}


@pytest.mark.parametrize(
    ("text", "look_in", "hint", "answer", "place"),
    [
        ("How many?", "lab_code/conf/train.yaml", "look", "3", 1),  # in the file itself
        ("How large?", "lab_code/conf/train.yaml", "look", "0.005", 2),  # in the one that it picks
        ("With 42 and 43?", "lab_code/conf/train.yaml", "look", "3", 3),  # after the numbers of the question
        ("How many?", "lab_code/conf/train.yaml", "see trainer.py", "77", 3),  # where the hint points
        ("How many?", "lab_code/conf/train.yaml", "in conf/trainer/ it is", "10", 3),  # a folder
        ("How many?", "lab_code/conf/train.yaml", "look", "10", 3),  # elsewhere in the kit
        ("How many?", "lab_code/conf/train.yaml", "look", "1", 2),  # nowhere: counted up from 0
        ("How many?", "lab_code/conf/train.yaml", "look", "61143", 61144),
        ("How many?", "lab_code/conf/train.yaml", "look", "0.25", 26),
    ],
)
def test_numbers_are_taken_from_what_lies_at_hand(text: str, look_in: str, hint: str, answer: str, place: int) -> None:
    asked = GroupQuestion(Question("n", "number", text, (), look_in, (hint,)), answer, None)  # type: ignore[arg-type]
    assert place_of(asked, TEXTS) == place


@pytest.mark.parametrize(
    ("answer", "place"), [("train.yaml", 1), ("adamw.yaml", 2), ("trainer.py", 4), ("fit", 6), ("nothing", 8)]
)
def test_names_are_taken_from_what_lies_at_hand(answer: str, place: int) -> None:
    shown = Question("n", "name", "Which?", (), "lab_code/conf/train.yaml", ("look",))
    found = place_of(GroupQuestion(shown, answer, None), TEXTS)  # type: ignore[arg-type]
    assert found == place


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (("ab", "abcdef", "abc", "abcd"), 1),
        (("abcd", "abcdef", "a", "abcd"), 1),
        (("0.001", "0.01", "0.1", "10"), 0),
        (("12", "30 ms", "17", "99"), 1),
        (("abc", "abd", "abe"), 0),
    ],
)
def test_options_are_tried_by_their_looks(options: tuple[str, ...], first: int) -> None:
    assert order_by_looks(options)[0] == first


def audit_of(lists: int, *, room_code: bool = False) -> StageAudit:
    return StageAudit("s", "S", 2 * lists, (3 * lists, lists), None, room_code, guess_s=1.0, activity_s=1800)


@pytest.mark.parametrize(
    ("combinations", "verdict", "fix"),
    [
        (64, "a program opens it in class", "a room code (locks.room_code: true)"),
        (1_700, "a program opens it in class", "one more question that asks for a number"),
        (6_400, "holds on one core, not on eight", "one more question that asks for a number"),
        (20_000, "holds on a laptop, not on a server", "one more question that asks for a number"),
        (64 * 1800 // 3, "holds on a laptop, not on a server", "one more question"),
        (64 * 1800 + 1, "holds", ""),
    ],
)
def test_verdict_and_fix_follow_from_the_times(combinations: int, verdict: str, fix: str) -> None:
    audit = audit_of(combinations)
    assert (audit.verdict, audit.fix) == (verdict, fix)


def test_a_room_code_makes_guessing_hopeless() -> None:
    audit = audit_of(64, room_code=True)
    assert audit.verdict == "holds" and audit.seconds(64) > 10 * 365 * 86400


def test_by_hand_the_pauses_count() -> None:
    assert audit_of(4).seconds_by_hand() == 4 + 0 + 0 + 10 + 20
    assert audit_of(64).seconds_by_hand() > 3000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.93, "0.9 s"), (64, "64 s"), (1080, "18 min"), (7200, "2 h"), (5 * 86400, "5 days"), (4e10, "1,268 years")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text


def test_a_guess_is_timed_with_the_real_derivation() -> None:
    cheap, dear = time_guess(LockCost(64, 1, 1)), time_guess(LockCost(65_536, 2, 1))
    assert 0 < cheap < dear


def test_the_command_prints_both_guessers_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = yaml.safe_load(WORKSHOP_FILE.read_text(encoding="utf-8"))
    described["locks"] |= {"memory_kib": 8192}  # a guess is timed, several times
    (tmp_path / "workshop.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    (tmp_path / "build").mkdir()
    options = ["--workshop", str(tmp_path / "workshop.yaml"), "--build", str(tmp_path / "build")]
    assert cli.main(["locks", "audit", *options]) == 0
    shown = capsys.readouterr().out
    for words in ("64 cores", "every list", "lazily: median", "activity", "16 lists left", "figures of an example"):
        assert words in shown
    assert not list((tmp_path / "build").iterdir())
    assert cli.main(["locks", "audit", "--json", *options]) == 0
    audits = json.loads(capsys.readouterr().out)
    assert [audit["stage"] for audit in audits] == [stage.id for stage in read_workshop().stages]
    assert all(audit["seconds"]["8"] == pytest.approx(audit["seconds"]["1"] / 8, abs=0.1) for audit in audits)


def test_no_group_has_the_answers_that_stand_in_every_help(workshop: Workshop) -> None:
    bank = load_bank(workshop)
    for seed in range(60):
        for variant in make_variants(workshop, bank, str(seed)).values():
            for questions in variant.values():
                assert ",".join(q.answer for q in questions) != example_answers([q.shown for q in questions])


@pytest.fixture(scope="module")
def real_audits() -> list[StageAudit]:
    """The real workshop with the answers of three vaults, at half a second a guess on one core: quicker than the
    machines it was measured on."""
    real = read_workshop()
    bank = load_bank(real)
    secrets = ("one", "another", "a third")
    return [audit for secret in secrets for audit in audit_locks(real, make_variants(real, bank, secret), 0.5)]


@pytest.mark.parametrize("stage", [stage.id for stage in read_workshop().stages])
def test_a_lazy_guesser_needs_longer_than_the_activity_whatever_the_vault_drew(
    real_audits: list[StageAudit], stage: str
) -> None:
    audits = [audit for audit in real_audits if audit.stage == stage]
    assert len(audits) == 3 and min(audit.seconds(1) for audit in audits) > read_workshop().activity_minutes * 60
    assert {audit.verdict for audit in audits} <= {"holds", "holds on a laptop, not on a server"}


def test_a_room_code_is_three_words_that_are_hard_to_mishear() -> None:
    code = make_room_code(bytes(range(32)))
    assert code == make_room_code(bytes(range(32))) != make_room_code(bytes(32))
    words = code.split("-")
    assert len(words) == 3 and all(word.isalpha() and word.islower() for word in words)
    assert room_code_bits() > 30


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_large_letters_fit_the_terminal(width: int) -> None:
    drawn = draw_room_code("acorn-lemon-tiger", width)
    assert max(map(len, drawn.splitlines())) <= width and len(drawn.splitlines()) > 12


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, store_script: Path) -> Path:
    """A build whose locks ask for a room code."""
    folder = tmp_path_factory.mktemp("guarded")
    shutil.copy(store_script, folder)
    workshop = make_small_workshop(groups=["group-1"], locks=LockSettings(64, 1, 1, room_code=True))
    assert not provision(workshop, folder, no_progress).failed
    return folder


def test_answers_open_only_together_with_the_room_code(guarded: Path) -> None:
    kit, entry = read_kit(guarded / "kits" / "group-1"), Vault(guarded).read_key()["group-1"][0]
    stage, words = kit.stages[0], Vault(guarded).room_code("small", kit.stages[0].id)
    with pytest.raises(LabError, match="also needs the room code") as caught:
        unlock_with_answers(kit, stage, entry["answers"])
    assert "--room-code" in (caught.value.hint or "")
    assert not (kit.root / "progress.jsonl").exists()  # forgetting it is no attempt
    with pytest.raises(LabError) as caught:
        unlock_with_answers(kit, stage, entry["answers"], "acorn lemon tiger")
    assert "read as acorn-lemon-tiger" in (caught.value.hint or "")
    assert unlock_with_answers(kit, stage, entry["answers"], words.replace("-", ", ").upper()).written


def test_a_rescue_code_needs_no_room_code(guarded: Path) -> None:
    kit, entry = read_kit(guarded / "kits" / "group-1"), Vault(guarded).read_key()["group-1"][1]
    assert unlock_with_rescue(kit, None, entry["rescue"]).stage.id == kit.stages[1].id
    assert read_journal(kit.root).of("unlocked", kit.stages[1].id)[0]["by"] == "rescue"


WORKSHOP = """
id: small
title: Small
seed: 7
groups: [group-1, group-2, group-3]
stages:
  - {id: 1-configuration, title: One, questions: 3}
  - {id: 2-imbalance, title: Two, questions: 3}
  - {id: 3-your-own, title: Three, questions: 3}
"""


@pytest.fixture
def options(tmp_path: Path, guarded: Path) -> list[str]:
    (tmp_path / "workshop.yaml").write_text(WORKSHOP + "locks: {room_code: true}\n", encoding="utf-8")
    return ["--workshop", str(tmp_path / "workshop.yaml"), "--build", str(guarded)]


def test_the_command_shows_the_code_that_the_locks_want(guarded, options, capsys) -> None:
    assert cli.main(["room-code", "--stage", "2", *options]) == 0
    assert Vault(guarded).room_code("small", "2-imbalance") in capsys.readouterr().out


def test_without_room_codes_the_command_says_how_to_have_them(build: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "workshop.yaml").write_text(WORKSHOP, encoding="utf-8")
    code = cli.main(["room-code", "--stage", "2", "--workshop", str(tmp_path / "workshop.yaml"), "--build", str(build)])
    assert code == 1 and "room_code: true" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["1", "1-configuration"])
def test_a_rescue_code_can_be_shown_again(build: Path, tmp_path: Path, capsys, stage: str) -> None:
    (tmp_path / "workshop.yaml").write_text(WORKSHOP, encoding="utf-8")
    options = ["--workshop", str(tmp_path / "workshop.yaml"), "--build", str(build)]
    assert cli.main(["rescue", "--group", "3", "--stage", stage, *options]) == 0
    entry = Vault(build).read_key()["group-3"][0]
    assert f"lab unlock --rescue {entry['rescue']}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--group", "9", "--stage", "1"], "there is no group '9'"),
        (["--group", "1", "--stage", "7"], "there is no stage '7'"),
    ],
)
def test_a_wrong_group_or_stage_lists_those_there_are(build, tmp_path, capsys, argv: list[str], message: str) -> None:
    (tmp_path / "workshop.yaml").write_text(WORKSHOP, encoding="utf-8")
    code = cli.main(["rescue", *argv, "--workshop", str(tmp_path / "workshop.yaml"), "--build", str(build)])
    error = capsys.readouterr().err
    assert code == 1 and message in error and "1" in error.split("hint:")[1]
