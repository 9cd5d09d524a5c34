"""What a group gets to see of another one, and what it answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab_code.errors import LabError
from lab_code.tracking.empty_store import make_from_script
from lab_code.tracking.runs import Run
from lab_code.workshop.handin import _collect_members
from lab_code.workshop.kit import read_kit
from lab_code.workshop.review import read_review, review_to_json, write_answers

ANSWERS = {"changed": "the loss", "effect": "mel from 0.1 to 0.7", "doubt": "one seed"}


def make_run(name: str, tmp_path: Path, **params: str) -> Run:
    return Run("0123abcd", name, "FINISHED", 1, 2, tmp_path, {"name": name, **params}, {"best_accuracy": 0.7}, {})


def write_review(tmp_path: Path) -> dict:
    runs = make_run("group 3 wins", tmp_path, **{"machine.node": "laptop-3", "code.commit": "c", "loss.name": "focal"})
    document = review_to_json("id-1", (runs, runs), (np.eye(7, dtype=int), np.eye(7, dtype=int)))
    (tmp_path / "review.json").write_text(json.dumps(document), encoding="utf-8")
    return document


def test_nothing_in_it_names_the_group_or_its_laptop(tmp_path: Path) -> None:
    text = json.dumps(write_review(tmp_path))
    assert not [word for word in ("group 3", "laptop-3", "0123abcd", "code.commit") if word in text]
    found = read_review(tmp_path)
    assert [run.name for run in found.runs] == ["A", "B"] and found.runs[0].params == {"loss.name": "focal"}
    assert found.confusions[1].trace() == 7


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"id": 1, "runs": []}', '{"id": 1, "runs": [1, 2]}',
     json.dumps({"id": 1, "runs": 2 * [{"params": {}, "metrics": {}, "confusion": [1]}]}),
     json.dumps({"id": 1, "runs": 2 * [{"params": {}, "metrics": {}, "confusion": [[10**30] * 7] * 7}]}),
     json.dumps({"id": 1, "runs": 2 * [{"params": {}, "metrics": {"m": "x"}, "confusion": [[1] * 7] * 7}]}),
     "[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "review.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"review\.json cannot be read") as caught:
        read_review(tmp_path)
    assert "bring it again" in (caught.value.hint or "")


def test_what_another_group_chose_is_short_and_printable(tmp_path: Path) -> None:
    params = {"loss.name": "focal\x1b[2J\n" + 1000 * "x", "model.weights": "/home/group-3/best", "data.folder": "~"}
    run = make_run("x", tmp_path, **params)
    document = review_to_json("id", (run, run), (np.eye(7, dtype=int), np.eye(7, dtype=int)))
    (value,) = document["runs"][0]["params"].values()
    assert value.startswith("focal[2Jxxx") and len(value) == 80


@pytest.mark.parametrize("change", [{"doubt": " "}, {"effect": "x" * 501}])
def test_an_empty_or_endless_answer_changes_nothing(tmp_path: Path, change: dict[str, str]) -> None:
    write_review(tmp_path)
    path = write_answers(tmp_path, read_review(tmp_path), ANSWERS)
    before = path.read_bytes()
    with pytest.raises(LabError, match=next(iter(change))):
        write_answers(tmp_path, read_review(tmp_path), ANSWERS | change)
    assert path.read_bytes() == before


def test_the_command_shows_then_keeps_and_the_hand_in_takes_it_along(kit, tmp_path: Path) -> None:
    assert "has not arrived" in kit.lab("review", check=False).stderr
    write_review(kit.root)
    shown = kit.lab("review").stdout
    assert "The two runs have the same settings." in shown and "1. What was changed" in shown
    assert "is empty" in kit.lab("review", "--changed", "the loss", check=False).stderr
    kit.lab("review", *(word for key, text in ANSWERS.items() for word in (f"--{key}", text)))
    kept = json.loads((kit.root / "review-answers.json").read_text(encoding="utf-8"))
    assert kept == {"id": "id-1", **ANSWERS}

    assert make_from_script(kit.root)
    members, _ = _collect_members(read_kit(kit.root), tmp_path)
    assert "review-answers.json" in members


@pytest.mark.parametrize(
    ("sentence", "stars", "said"),
    [("0.2 more", 0, "0 stars"), ("0.2 more", 6, "6 stars"), ("", 3, "has written no sentence to be rated")],
)
def test_stars_that_cannot_be_are_named(tmp_path: Path, sentence: str, stars: int, said: str) -> None:
    document = write_review(tmp_path) | {"sentence": sentence}
    (tmp_path / "review.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(LabError, match=said):
        write_answers(tmp_path, read_review(tmp_path), ANSWERS, stars)
    assert not (tmp_path / "review-answers.json").exists()


def test_the_sentence_of_the_other_group_may_be_rated_and_need_not_be(tmp_path: Path) -> None:
    (tmp_path / "review.json").write_text(json.dumps(write_review(tmp_path) | {"sentence": "0.2 more\x1b"}))
    found = read_review(tmp_path)
    assert found.sentence == "0.2 more"
    for stars in (None, 5):
        kept = json.loads(write_answers(tmp_path, found, ANSWERS, stars).read_text(encoding="utf-8"))
        assert kept.get("stars") == stars
