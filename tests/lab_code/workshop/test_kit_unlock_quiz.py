"""A kit's game, on a kit that was really built."""

import shutil

import pytest

from lab_code.errors import LabError
from lab_code.workshop.kit import find_kit, read_kit
from lab_code.workshop.progress import HEAD, read_journal
from lab_code.workshop.quiz import canonical_answer, parse_answers, read_questions
from lab_code.workshop.unlock import next_stage, unlock_with_answers, unlock_with_rescue


def wrong_answers(answers: str) -> str:
    first, _, rest = answers.partition(",")
    return f"{int(first) % 4 + 1},{rest}"


def test_a_kit_is_found_from_inside(kit) -> None:
    found = find_kit(kit.root / "lab_code" / "conf")
    assert (found.root, found.group, found.workshop) == (kit.root.resolve(), "group-1", "small")
    assert len(found.stages) == 3


def test_outside_of_a_kit_is_an_error(tmp_path) -> None:
    with pytest.raises(LabError, match="not inside a kit"):
        find_kit(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"workshop": "x", "title": "", "group": "g", "stages": 3}'])
def test_a_damaged_kit_file_is_an_error(tmp_path, text: str) -> None:
    (tmp_path / "kit.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"kit\.json cannot be read"):
        read_kit(tmp_path)


def test_stages_open_one_after_the_other(kit) -> None:
    identity = read_kit(kit.root)
    for stage, answers in zip(identity.stages, kit.answers, strict=True):
        assert next_stage(identity) == stage
        done = unlock_with_answers(identity, stage, answers)
        assert set(stage.opens) <= set(done.written)
        assert all((kit.root / name).is_file() for name in stage.opens)
    assert next_stage(identity) is None
    assert read_journal(kit.root).faults == []


def test_wrong_answers_are_counted_and_change_nothing_else(kit) -> None:
    identity, before = read_kit(kit.root), kit.files()
    for attempt in (1, 2):
        with pytest.raises(LabError, match=rf"\(attempt {attempt}\)"):
            unlock_with_answers(identity, identity.stages[0], wrong_answers(kit.answers[0]))
    after = kit.files()
    assert len(read_journal(kit.root).of("unlock_failed")) == 2
    assert {
        name: content for name, content in after.items() if not name.startswith((".progress", "progress"))
    } == before


def test_the_second_stage_needs_the_first(kit) -> None:
    identity = read_kit(kit.root)
    with pytest.raises(LabError, match="stage 2 needs stage 1 first"):
        unlock_with_answers(identity, identity.stages[1], kit.answers[1])


def test_a_rescue_code_opens_any_stage(kit) -> None:
    identity = read_kit(kit.root)
    unlock_with_rescue(identity, identity.stages[1], kit.rescue[1].lower())
    assert (kit.root / "lab_code/conf/experiment/balanced.yaml").is_file()
    assert read_journal(kit.root).of("unlocked")[0]["by"] == "rescue"


def test_a_rescue_code_of_another_stage_does_not(kit) -> None:
    identity = read_kit(kit.root)
    with pytest.raises(LabError, match="not the one of this group and stage"):
        unlock_with_rescue(identity, identity.stages[0], kit.rescue[1])


def test_another_groups_lock_is_refused(make_kit) -> None:
    mine, other = make_kit("group-1"), make_kit("group-2")
    identity = read_kit(mine.root)
    shutil.copyfile(other.root / identity.stages[0].lock, mine.root / identity.stages[0].lock)
    with pytest.raises(LabError, match="belongs to small / group-2 / 1-configuration"):
        unlock_with_answers(identity, identity.stages[0], mine.answers[0])


def test_unlocking_again_repairs_what_is_missing_and_keeps_what_was_edited(kit) -> None:
    identity = read_kit(kit.root)
    for stage, answers in zip(identity.stages[:2], kit.answers, strict=False):
        unlock_with_answers(identity, stage, answers)
    edited, missing = (kit.root / name for name in identity.stages[1].opens[:2])
    edited.write_text("ours", encoding="utf-8")
    original = missing.read_bytes()
    missing.unlink()
    assert next_stage(identity) == identity.stages[1]
    done = unlock_with_answers(identity, identity.stages[1], kit.answers[1])
    assert done.kept == [identity.stages[1].opens[0]] and done.written == [identity.stages[1].opens[1]]
    assert edited.read_text(encoding="utf-8") == "ours" and missing.read_bytes() == original
    assert len(read_journal(kit.root).of("unlocked", identity.stages[1].id)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2", "asks 3 questions, but you gave 2"),
        ("1,2,3,4", "asks 3 questions, but you gave 4"),
        ("", "asks 3 questions, but you gave 0"),
        ("a,b,c", "'a' is not a number"),
        ("1,2,nan", "'nan' is not a number"),
        ("1,2,5", "answer 3 is 5, but question 3 has the options 1 to 4"),
        ("0,2,3", "answer 1 is 0"),
        ("1.5,2,3", "answer 1 is 1.5"),
    ],
)
def test_a_typing_error_is_explained_and_is_no_attempt(kit, text: str, message: str) -> None:
    identity = read_kit(kit.root)
    with pytest.raises(LabError, match=message):
        parse_answers(text, identity, identity.stages[0])
    assert not (kit.root / "progress.jsonl").exists()


@pytest.mark.parametrize("text", ["3,1,4", "3, 1, 4", " 3 1 4 ", "3;1;4", "03,1.0,4"])
def test_answers_have_one_spelling(kit, text: str) -> None:
    identity = read_kit(kit.root)
    assert parse_answers(text, identity, identity.stages[0]) == ["3", "1", "4"]


@pytest.mark.parametrize(
    ("text", "canonical"), [("8", "8"), ("+8", "8"), ("100", "100"), ("0.50", "0.5"), ("-0", "0"), ("1e2", "100")]
)
def test_numbers_have_one_spelling(text: str, canonical: str) -> None:
    assert canonical_answer(text) == canonical


def test_questions_are_those_of_the_stages(kit) -> None:
    identity = read_kit(kit.root)
    questions = read_questions(identity)
    assert [len(questions[stage.id]) for stage in identity.stages] == [stage.questions for stage in identity.stages]


def test_a_damaged_question_file_points_to_the_sheet(kit) -> None:
    (kit.root / "questions.json").write_text("{", encoding="utf-8")
    with pytest.raises(LabError) as caught:
        read_questions(read_kit(kit.root))
    assert "sheet" in (caught.value.hint or "")


def test_unlocking_again_removes_what_a_killed_command_left_beside_the_journal(kit) -> None:
    kit.lab("unlock", "--answers", kit.answers[0])
    (kit.root / f".{HEAD}.abc.part").write_text("half", encoding="ascii")
    kit.lab("unlock", "--stage", "1", "--answers", kit.answers[0])
    assert list(kit.root.rglob("*.part")) == []
    assert len(read_journal(kit.root).of("unlocked")) == 1
