"""Experiment management, read from runs: each question with runs that answer it well, and badly."""

from typing import Any

import pytest

from instructor.results.management import check_management
from instructor.results.opinions import Opinions
from instructor.results.runs_table import make_runs_table
from instructor.results.settings import find_changes
from tests.conftest import make_small_workshop
from tests.instructor.results.made_up import PLAIN, make_evidence, make_run

Spec = tuple[str, dict[str, Any]]
BASE: Spec = ("baseline", {})


def check(*runs: Spec, best: int = 1, opinions: Opinions | None = None) -> dict[str, tuple[float, str]]:
    """What is said of a group with these runs, the `best` of which (counted from 1) it is ranked by."""
    made = []
    for number, (name, settings) in enumerate(runs, 1):
        given = {"score": 0.4 + 0.01 * number} | settings
        made.append(make_run("group-1", name, number, **given))
    evidence = make_evidence(make_small_workshop(), {"group-1": 20}, group_1={"run_id": f"group-1-{best}"})
    table = make_runs_table(made, evidence)
    found = check_management(table, opinions or Opinions(), "group-1")
    return {one.name: (one.share, one.line) for one in found}


@pytest.mark.parametrize(
    ("first", "share", "line"),
    [("start", 1, "the first run was the baseline ('start')"), ("baseline", 0.5, "came, but only after 'baseline'")],
)
def test_a_workshop_of_other_experiments_has_another_baseline(first: str, share: float, line: str) -> None:
    made = [make_run("group-1", name, number) for number, name in enumerate((first, "start"), 1)]
    table = make_runs_table(made, make_evidence(make_small_workshop(), {"group-1": 20}))
    found = check_management(table, Opinions(), "group-1", "start")[0]
    assert found.share == share and line in found.line


@pytest.mark.parametrize(
    ("question", "runs", "best", "share", "line"),
    [
        ("a baseline first", [BASE], 1, 1, "the first run was the baseline"),
        ("a baseline first", [("My Baseline 2", {})], 1, 1, "the first run was the baseline"),
        ("a baseline first", [("quick", {"loss__name": "focal"}), BASE], 1, 0.5, "only after 'quick'"),
        ("a baseline first", [("quick", {})], 1, 0, "no run is called baseline"),
        ("a baseline first", [], 1, 0, "no run has finished"),
        ("a baseline first", [("baseline", {"status": "KILLED"}), ("quick", {})], 1, 0, "the first was 'quick'"),
        ("one change at a time", [BASE, ("wide", {"model__width": 32})], 2, 1, "model.width 16 → 32"),
        ("one change at a time", [BASE], 1, 0, "no experiment of its own"),
        ("one change at a time", [BASE, ("balanced", {"data__augment": "flips"})], 1, 0, "no experiment of its own"),
        (
            "one change at a time",
            [BASE, ("wide", {"model__width": 32}), ("all", {"data__augment": "flips", "trainer__epochs": 9})],
            2, 0.5, "1 of 2 own experiments changed one thing; 'all' changed 2",
        ),
        ("one change at a time", [BASE, ("again", {"seed": 1})], 1, 0, "no experiment of its own"),
        ("more than one seed", [BASE], 1, 0, "only one setting was tried"),
        ("more than one seed", [BASE, ("w", {"model__width": 8})], 2, 0, "with one seed each"),
        (
            "more than one seed",
            [BASE, ("w", {"model__width": 8}), ("w1", {"model__width": 8, "seed": 1})],
            2, 1, "the best settings ran with 2 seeds",
        ),
        ("more than one seed", [BASE, ("b1", {"seed": 1}), ("w", {"model__width": 8})], 3, 0.5, "not the best ones"),
        ("runs with names", [BASE, ("w", {"model__width": 8})], 1, 1, "every run has a name"),
        ("runs with names", [("default", {}), ("w", {"model__width": 8})], 1, 0.5, "says nothing"),
        ("runs with names", [("x", {}), ("x", {"model__width": 8})], 1, 0, "stands for different settings"),
        ("runs with names", [("x", {}), ("x", {"seed": 1})], 1, 1, "every run has a name"),
        ("a best run that repeats", [BASE], 1, 0, "was made once, and never again"),
        ("a best run that repeats", [BASE, ("b2", {"score": 0.41})], 1, 1, "gave the same score"),
        ("a best run that repeats", [BASE, ("b2", {"score": 0.45})], 1, 0.5, "its score differs by 0.040"),
        (
            "a best run that repeats",
            [BASE, ("baseline-repeat", {"score": 0.41, "tags": {"repeats": "group-1-1"}})],
            1, 1, "gave the same score",
        ),
        ("a best run that repeats", [BASE, ("b2", {"seed": 1, "score": 0.41})], 1, 0, "never again"),
    ],
)  # fmt: skip
def test_every_question_is_answered_from_the_runs(
    question: str, runs: list[Spec], best: int, share: float, line: str
) -> None:
    found_share, found_line = check(*runs, best=best)[question]
    assert found_share == pytest.approx(share) and line in found_line


def test_only_what_was_asked_for_is_a_question() -> None:
    assert set(check(BASE)).isdisjoint({"the sentence", "a bet before the run", "a review"})
    said = Opinions(
        reviews=[{"reviewer": "group-1", "reviewed": "group-2"}],
        sentences=[{"group": "group-2", "sentence": "x"}],
        bets=[{"group": "group-1", "run_id": "group-1-1", "bet": "0.5"}],
    )
    found = check(BASE, ("w", {"model__width": 8}), opinions=said)
    assert found["the sentence"] == (0, "wrote no sentence about what it found")
    assert found["a review"][0] == 1
    assert found["a bet before the run"] == (0.5, "bet on the result of 1 of 2 runs before they began")


@pytest.mark.parametrize(("found", "share"), [("same", 1), ("differs", 0)])
def test_a_repetition_by_the_instructor_counts_as_well(found: str, share: float) -> None:
    assert check(BASE, opinions=Opinions(repeats={"group-1-1": found}))["a best run that repeats"][0] == share


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        ({}, []),
        ({"seed": "3", "name": "x", "trainer.threads": "2"}, []),
        ({"model.width": "32"}, ["model.width 16 → 32"]),
        ({"loss.name": "focal", "loss.weight_power": "0.5"}, ["loss cross_entropy → focal"]),
        ({"loss.weight_power": "0.5"}, ["loss.weight_power 0.0 → 0.5"]),
        (
            {
                "framework": "sklearn",
                "model.name": "colour_texture",
                "optimizer.name": "adamw",
                "data.augment": "flips",
            },
            ["framework pytorch → sklearn", "data.augment none → flips"],
        ),
        ({"data.augment": "flips", "trainer.epochs": "9"}, ["data.augment none → flips", "trainer.epochs 3 → 9"]),
        ({"=cmd|' /C calc'!A0": "1"}, []),  # no setting of ours
    ],
)
def test_what_belongs_to_one_choice_is_one_change(after: dict[str, str], changes: list[str]) -> None:
    assert [str(change) for change in find_changes(PLAIN, PLAIN | after)] == changes
