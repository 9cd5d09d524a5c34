"""Human against machine: which photographs are chosen, where they come from, whose answers count, what it comes to."""

import base64
import csv
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from instructor.classroom.duel import (
    Wish,
    choose_photographs,
    find_machine,
    prepare_duel,
    read_kits,
    read_room,
    write_duel_page,
)
from instructor.classroom.duel_looks import cover_places, describe_heat, draw_heat, draw_picture
from instructor.classroom.room import Room
from instructor.cli import app as cli
from instructor.results.duel import (
    Duel,
    DuelPhotograph,
    check_answers,
    choose_answers,
    join_humans,
    keep_played,
    read_duel_result,
    read_played,
    score_duel,
    settle_duel,
    write_duel,
)  # fmt: skip
from instructor.results.evidence import Evidence, write_evidence
from instructor.vault import Vault
from lab_code.data.ham10000 import DIAGNOSES, read_photographs
from lab_code.errors import LabError
from lab_code.workshop.duel import answer_duel, list_choices, make_duel_code
from lab_code.workshop.kit import read_kit
from lab_code.workshop.standing import read_standing, standing_from_json, standing_to_json
from tests.conftest import make_small_workshop
from tests.instructor.classroom.test_clock import standing
from tests.instructor.collect.conftest import Desk, desk, few_processes, handins, no_figures, worked_in
from tests.instructor.collect.hand_ins import put
from tests.instructor.results.made_up import LABELS, make_evidence

__all__ = ["desk", "few_processes", "handins", "no_figures", "worked_in"]
WORKSHOP = make_small_workshop()
CODE = make_duel_code("small", 3, b"abc")
_SHOWN = [("mel", "mel"), ("nv", "bcc"), ("df", "df")]  # what each is, and what the machine says
DUEL = Duel(
    "small", CODE, 1, "run", True, list(DIAGNOSES),
    [DuelPhotograph(f"SYN_{n}", dx, said, 0.5, "", "") for n, (dx, said) in enumerate(_SHOWN)],
)  # fmt: skip


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence(WORKSHOP, {"group-1": 9, "group-2": 20, "group-3": 0})


def test_both_can_win_diagnoses_come_evenly_and_a_seed_shows_the_same(evidence: Evidence) -> None:
    assert find_machine(evidence)[0] == "group-2"
    chosen = choose_photographs(evidence, "group-2", 10, 1)
    assert chosen == choose_photographs(evidence, "group-2", 10, 1) != choose_photographs(evidence, "group-2", 10, 2)
    right = evidence.predictions()["group-2"][chosen] == LABELS[chosen]
    assert right.sum() == 5 and len(set(chosen)) == 10
    counts = Counter(LABELS[chosen].tolist())
    assert len(counts) == len(DIAGNOSES) and max(counts.values()) == 2
    known = {index: evidence.predictions()["group-1"][index] == LABELS[index] for index in chosen}
    assert set(known.values()) == {True, False}  # what others know as well, and what they do not


def test_one_lesion_is_shown_once_and_a_machine_that_is_always_right_plays_all_the_same(evidence: Evidence) -> None:
    perfect = replace(evidence, lesions=[index // 2 for index in range(len(LABELS))])
    perfect.groups[1] = replace(perfect.groups[1], predicted=LABELS.tolist())
    chosen = choose_photographs(perfect, "group-2", 20, 1)
    assert len({index // 2 for index in chosen}) == 20


@pytest.mark.parametrize("number", [0, -1, 31, 1000])
def test_a_number_of_photographs_that_cannot_be_is_named(evidence: Evidence, number: int) -> None:
    with pytest.raises(LabError, match="cannot be") as caught:
        choose_photographs(evidence, "group-2", number, 1)
    assert caught.value.hint == "--photographs from 1 to 30"


def test_without_a_model_without_hand_ins_and_with_other_photographs_there_is_no_duel(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="nothing is collected yet"):
        prepare_duel(WORKSHOP, tmp_path, Wish())
    write_evidence(tmp_path / "collected", make_evidence(WORKSHOP, {"group-1": 0}))
    with pytest.raises(LabError, match="no model of the class") as caught:
        prepare_duel(WORKSHOP, tmp_path, Wish())
    assert "one finished run" in (caught.value.hint or "")
    write_evidence(tmp_path / "collected", make_evidence(WORKSHOP, {"group-1": 9}))
    with pytest.raises(LabError, match="does not hold the photographs"):
        prepare_duel(WORKSHOP, tmp_path, Wish())
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "duel.json").write_text("{")
    with pytest.raises(LabError, match=r"duel\.json cannot be read") as caught:
        prepare_duel(WORKSHOP, tmp_path, Wish())
    assert caught.value.hint == "instructor duel --new"


@pytest.mark.parametrize(
    ("code", "answers", "said"),
    [
        (CODE, ["nv", "nv", "nv"], ""),
        ("1AJM-YTAW-J", ["nv", "nv", "nv"], "are to the duel 1AJM-YTAW-J"),
        (CODE, ["nv", "nv"], "2 answers to 3 photographs"),
        (CODE, ["nv"] * 11, "11 answers to 3"),
        (CODE, ["nv", "wart", "nv"], "'wart' is none of the choices"),
    ],
)
def test_answers_that_cannot_count_are_named_with_their_group(code: str, answers: list[str], said: str) -> None:
    assert (said in check_answers(DUEL, code, answers)) and bool(said) == bool(check_answers(DUEL, code, answers))
    counted, notes = choose_answers(DUEL, [("group-1", code, answers), ("group-2", CODE, ["mel"] * 3)])
    assert set(counted) == ({"group-2"} if said else {"group-1", "group-2"})
    assert [note.partition(":")[0] for note in notes] == (["group-1"] if said else [])


def test_the_class_is_its_hands_or_else_most_groups_and_a_tie_is_no_answer() -> None:
    answers = {"group-1": ["mel", "nv", "df"], "group-2": ["mel", "bcc", ""], "group-3": ["nv", "", "nv"]}
    assert join_humans(DUEL, answers, ["", "", ""]) == ["mel", "", ""]
    assert join_humans(DUEL, answers, ["nv", "nv", ""]) == ["nv", "nv", ""]
    result = score_duel(DUEL, answers, [])
    assert (result.machine, result.humans, result.groups) == (2, 1, {"group-1": 3, "group-2": 1, "group-3": 0})
    assert score_duel(DUEL, {}, ["", "", ""]).humans is None and result.best == ["group-1"]


def saved(**changes: object) -> str:
    usual = {"code": CODE, "votes": ["mel", "", "df"], "answers": {"group-2": ["mel", "nv", "df"]}}
    return json.dumps({**usual, **changes})


BAD = {
    "empty": ("", "is nothing that a duel has saved"),
    "a list": ("[]", "is nothing that a duel has saved"),
    "other duel": (saved(code="1AJM-YTAW-J"), "is of the duel 1AJM-YTAW-J"),
    "votes missing": (saved(votes=["mel"]), "the class"),
    "an unknown diagnosis": (saved(votes=["wart", "", ""]), "'wart' is none of the choices"),
    "an unknown group": (saved(answers={"group-9": ["", "", ""]}), "group-9"),
    "eleven answers": (saved(answers={"group-1": ["mel"] * 11}), "11 answers"),
    "no answers": (json.dumps({"code": CODE, "votes": []}), "'answers'"),
    "deep": ("[" * 100_000, "is nothing that a duel has saved"),
    "huge": (" " * 300_000, "too large"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_result_that_no_page_has_saved_is_named(tmp_path: Path, case: str) -> None:
    text, said = BAD[case]
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(LabError, match=said) as caught:
        read_played(tmp_path / "result.json", DUEL, ["group-1", "group-2"])
    assert "press S" in (caught.value.hint or "")


def test_what_was_counted_goes_with_the_answers_that_were_handed_in(tmp_path: Path) -> None:
    vault, collected, groups = tmp_path / "vault", tmp_path / "collected", ["group-1", "group-2"]
    vault.mkdir()
    collected.mkdir()
    assert settle_duel(vault, collected, groups) == [] and read_duel_result(collected) is None
    (collected / "duel-answers.csv").write_text(f"group,code,answers\ngroup-1,{CODE},mel nv nv\n", encoding="utf-8")
    assert "which this vault does not know" in settle_duel(vault, collected, groups)[0]
    write_duel(vault, DUEL)
    assert settle_duel(vault, collected, groups) == []
    (tmp_path / "saved.json").write_text(saved())
    keep_played(vault, read_played(tmp_path / "saved.json", DUEL, groups))
    settle_duel(vault, collected, groups)
    result = read_duel_result(collected)
    assert result is not None and (result.humans, result.groups) == (3, {"group-1": 2, "group-2": 3})
    with (collected / "duel.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file))[-1] == {
            "photograph": "right", "truth": "3", "machine": "2", "class": "3", "group-1": "2", "group-2": "3",
        }  # fmt: skip
    (vault / "duel.json").write_text("{")
    assert "the duel is left out" in settle_duel(vault, collected, groups)[0]  # and collecting goes on


class Brightness:
    """A learner without maps: the brighter the upper left quarter, the surer it is of the first diagnosis."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        first = images[:, :8, :8].mean(axis=(1, 2, 3)) / 255
        return np.stack([first, 1 - first], axis=1)


def test_a_model_without_maps_is_asked_by_covering_one_place_after_the_other() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:8, :8] = 255
    heat = cover_places(Brightness(), image)  # type: ignore[arg-type]
    assert heat.shape == (16, 16) and heat[:8, :8].mean() > 10 * heat[8:, 8:].mean()
    assert describe_heat(heat) == "most in the upper left" and describe_heat(np.ones((9, 9))) == "nowhere in particular"
    assert draw_heat(heat).startswith("data:image/png;base64,")


def decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_a_duel_from_hidden_photographs_to_the_ceremony(desk: Desk, worked_in, tmp_path: Path, capsys) -> None:
    """One way through: collect, choose, answer in a kit, hand in, collect, count."""
    desk.collect()
    made, is_new = prepare_duel(desk.workshop, desk.build, Wish(photographs=4))
    assert is_new and len(made.photographs) == 4 and made.synthetic
    hidden = {one.image_id: one for one in read_photographs(desk.build / "vault" / "test")}
    for one in made.photographs:
        assert hidden[one.image_id].dx == one.dx and draw_picture(hidden[one.image_id].path) == one.picture
        assert decode(one.heat).shape[:2] == (16, 16) and one.how == "Grad-CAM" and one.said in DIAGNOSES
    shipped = {path.stem for path in (worked_in["group-1"] / "data").rglob("*.jpg")}
    assert not shipped & {one.image_id for one in made.photographs}
    pictures = {hidden[one.image_id].path.read_bytes() for one in made.photographs}
    for root in worked_in.values():
        for path in root.rglob("*"):
            if path.is_file() and path.stat().st_size < 10_000_000:
                content = path.read_bytes()
                assert not any(picture in content for picture in pictures), path
                assert made.code.encode() not in content, path

    members = desk.members("group-2")
    truth = [one.dx for one in made.photographs]
    said = {"bets": [], "sentence": "", "duel": {"code": made.code, "answers": truth}}
    put(members, "statements.json", json.dumps(said).encode())
    desk.replace("group-2", members)
    assert not [note for note in desk.collect().notes if "duel" in note]
    assert prepare_duel(desk.workshop, desk.build, Wish()) == (made, False)  # the code on the wall stays
    result = read_duel_result(desk.build / "collected")
    assert result is not None and result.groups == {"group-2": 4} and result.humans == 4
    assert result.machine == sum(one.said == one.dx for one in made.photographs)
    assert Vault(desk.build).folder.joinpath("duel.json").stat().st_mode & 0o077 == 0
    page = tmp_path / "duel.html"
    write_duel_page(page, desk.workshop, made, list_choices(Path()), {"group-2": truth})
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 5_000_000 and made.code in text and "The photographs are synthetic" in text


def test_kits_that_lie_here_are_asked_and_those_of_another_workshop_are_not(make_kit, tmp_path: Path) -> None:
    one, two = make_kit("group-1"), make_kit("group-2")
    answer_duel(read_kit(one.root), CODE, "5,6,4")
    (two.root / "statements.json").write_text("{")
    found, notes = read_kits([tmp_path / "kits"], "small")
    assert found == [("group-1", CODE, ["mel", "nv", "df"])] and "statements.json cannot be read" in notes[0]
    assert read_kits([tmp_path / "kits"], "large") == ([], [])


def test_answers_that_laptops_report_to_the_board_are_found(make_kit, tmp_path: Path) -> None:
    kit = make_kit("group-2")
    room = Room(WORKSHOP, tmp_path / "room.json")
    room.hear(read_standing(read_kit(kit.root)), 1.0)
    answer_duel(read_kit(kit.root), CODE, "5,6,4")
    room.hear(standing_from_json(standing_to_json(read_standing(read_kit(kit.root)))), 2.0)
    assert room.news[-1].text == "answered the duel"
    assert read_room(WORKSHOP, tmp_path / "room.json") == [("group-2", CODE, ["mel", "nv", "df"])]
    assert read_room(WORKSHOP, tmp_path / "nowhere.json") == []


@pytest.mark.parametrize("duel", [7, "x\x1b[2J", "x" * 2000, None])
def test_a_report_with_answers_that_cannot_be_is_refused(duel: object) -> None:
    good = standing_to_json(standing("group-1", events=3))
    with pytest.raises(ValueError, match="duel cannot be"):
        standing_from_json(good | {"duel": duel})
    del good["duel"]
    assert standing_from_json(good).duel == ""  # a kit of an earlier version


def test_counting_without_a_duel_says_what_comes_first(tmp_path: Path, capsys) -> None:
    (tmp_path / "r.json").write_text(saved())
    assert cli.main(["duel", "--build", str(tmp_path), "--count", str(tmp_path / "r.json")]) == 1
    assert "there is no duel yet" in capsys.readouterr().err
