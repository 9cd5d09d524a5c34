"""The whole rehearsal in fast mode, with every behaviour and the real commands; the ranking is computed once more."""

import json
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor.rehearsal.behaviours import BEHAVIOURS
from instructor.rehearsal.rehearse import _QUESTIONS
from lab_code.config import load_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions, load_lesions
from lab_code.experiment import load_learner
from tests.instructor.rehearsal.conftest import AGAIN, make_tiny_workshop

pytestmark = pytest.mark.slow


def test_every_behaviour_is_shown_and_every_accident_ends_well(document: dict[str, Any]) -> None:
    shown = {name for group in document["groups"] for name in group["behaviours"]}
    assert shown == set(BEHAVIOURS)
    incidents = [one for group in document["groups"] for one in group["incidents"]]
    happened = {one["behaviour"] for one in incidents}
    assert happened >= shown - {"perfect", "slow-reader", "damaged-zip", "never-hands-in"}
    assert not [one for one in incidents if not one["coped"]]
    assert any(check["name"].endswith("its damaged zip") and check["ok"] for check in document["checks"])


def test_the_class_fits_and_everything_arrived(document: dict[str, Any]) -> None:
    assert document["fits"], [document["faults"], document["late"]]
    assert {check["name"] for check in document["checks"]} >= {"Kahoot's places", "instructor ceremony"}
    for group in document["groups"]:
        assert f"{group['group']}: what it did" in {check["name"] for check in document["checks"]}
        assert len(group["runs"]) == len(set(group["runs"])) >= 2


def test_one_that_was_interrupted_is_begun_again_with_its_kits(rehearsed: Path) -> None:
    again = json.loads((rehearsed / AGAIN).read_text(encoding="utf-8"))
    assert "the work of an earlier rehearsal" in again["said"][0] and again["kept"]


def test_what_is_to_be_looked_at_is_there(rehearsed: Path) -> None:
    assert (rehearsed / "rehearsal.pdf").read_bytes().startswith(b"%PDF")
    said = (rehearsed / "fast" / "log.txt").read_text(encoding="utf-8")
    assert "group-1: lab unlock --stage 1 --answers" in said and "instructor: instructor collect" in said


def test_the_ranking_is_the_one_that_follows_from_what_the_groups_did(
    rehearsed: Path, document: dict[str, Any]
) -> None:
    groups = {group["group"]: group for group in document["groups"]}
    models = rank_models(rehearsed, groups)
    totals = {
        name: round(
            models[name] + score_stages(group) + score_management(group) + score_quiz(number, len(groups)), 1
        )
        for number, (name, group) in enumerate(groups.items(), 1)
    }  # fmt: skip
    expected = {name: 1 + sum(other > total for other in totals.values()) for name, total in totals.items()}
    found = {row["group"]: (int(row["rank"]), float(row["total"])) for row in document["ranking"]}
    assert found == {name: (expected[name], pytest.approx(totals[name])) for name in groups}


# ── the ranking of docs/ranking.md once more, from the groups' own stores and deeds ──


def read_runs(rehearsed: Path, group: dict[str, Any]) -> list[tuple[str, str, float]]:
    """Id, name and validation score of the group's finished runs, as SQLite tells them."""
    root = find_laptop(rehearsed, group["group"])
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return database.execute(
            "SELECT r.run_uuid, r.name, m.value FROM runs r JOIN latest_metrics m ON m.run_uuid = r.run_uuid"
            " WHERE r.status = 'FINISHED' AND m.key = 'best_balanced_accuracy' ORDER BY r.start_time"
        ).fetchall()


def find_laptop(rehearsed: Path, group: str) -> Path:
    spare = rehearsed / "fast" / "spare" / group
    return spare if spare.exists() else rehearsed / "fast" / "laptops" / group


def rank_models(rehearsed: Path, groups: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Points of every group's best model: ranks are clusters that resampled lesions can tell apart."""
    hidden = load_lesions(rehearsed / "fast" / "build" / "vault" / "test", 64)
    predicted = {}
    for name, group in groups.items():
        run_id = max(read_runs(rehearsed, group), key=lambda run: run[2])[0]
        folder = next((find_laptop(rehearsed, name) / "mlartifacts").glob(f"*/{run_id}/artifacts"))
        weights = next(folder.rglob("*.safetensors"))
        predicted[name] = load_learner(load_config(folder / "config.yaml"), weights).predict(hidden.images).argmax(1)
    order = sorted(groups, key=lambda name: (-balanced(hidden, predicted[name], np.ones(len(hidden))), name))
    ranks, drawn = [1], resample(hidden)
    for place in range(1, len(order)):
        above, below = order[:place], order[place:]
        apart = all(is_apart(hidden, predicted[one], predicted[two], drawn) for one in above for two in below)
        ranks.append(place + 1 if apart else ranks[-1])
    return {name: round(40 * (len(order) - rank + 1) / len(order), 1) for name, rank in zip(order, ranks, strict=True)}


def resample(hidden: Lesions) -> list[np.ndarray]:
    """How often every photograph is drawn, 2000 times: whole lesions, with replacement."""
    lesions = np.unique(hidden.lesion_ids)
    places = np.searchsorted(lesions, hidden.lesion_ids)
    generator, even = np.random.default_rng(0), np.full(len(lesions), 1 / len(lesions))
    draws = [generator.multinomial(len(lesions), even, 250) for _ in range(8)]
    return [draw[places] for draw in np.concatenate(draws)]


def balanced(hidden: Lesions, predicted: np.ndarray, weights: np.ndarray) -> float:
    shares = []
    for label in range(len(DIAGNOSES)):
        mine = weights * (hidden.labels == label)
        if mine.sum():
            shares.append((mine * (predicted == label)).sum() / mine.sum())
    return float(np.mean(shares))


def is_apart(hidden: Lesions, one: np.ndarray, two: np.ndarray, drawn: list[np.ndarray]) -> bool:
    gains = np.array([balanced(hidden, one, w) - balanced(hidden, two, w) for w in drawn])
    low, high = np.percentile(np.where(np.abs(gains) < 1e-12, 0, gains), (2.5, 97.5))
    return bool(low > 0 or high < 0)


def score_stages(group: dict[str, Any]) -> float:
    """Of 20 points a third each; a rescue code brings 0.4 of them, wrong lists and hints cost a tenth each."""
    planned = {"1-configuration": 10.0, "2-imbalance": 8.0, "3-your-own": 10.0}  # minutes of the schedule's sections
    points, before = 0.0, next(d["start"] for d in group["deeds"] if d["what"] == "opens the notebook")
    for worth, (stage, minutes) in zip((6.7, 6.7, 6.6), planned.items(), strict=True):
        if stage not in group["opened"]:
            continue
        share = 1.0 if group["opened"][stage] == "answers" else 0.4
        share -= min(0.5, 0.1 * group["wrong"].get(stage, 0)) + 0.1 * group["hints"].get(stage, 0)
        opened = next(d["start"] for d in group["deeds"] if is_opening(d, stage, group["opened"][stage]))
        share -= 0.1 * (opened - max(before, find_jump(group, opened)) > minutes + 0.05)
        before = opened
        points += round(worth * max(0.0, share), 1)
    return round(points, 1)


def find_jump(group: dict[str, Any], opened: float) -> float:
    """When the journal begins anew, because a clock has jumped before this stage was opened; else 0."""
    jump = next((one["minute"] for one in group["incidents"] if "sets its clock right" in one["what"]), opened)
    if jump >= opened:
        return 0.0
    noted = ("lab unlock", "lab bet", "lab train", "lab handin", "lab sentence")
    return next(d["start"] for d in group["deeds"] if d["start"] >= jump - 0.01 and d["what"].startswith(noted))


def is_opening(deed: dict[str, Any], stage: str, how: str) -> bool:
    if how == "rescue":
        return "--rescue" in deed["what"]
    return f"unlock --stage {stage[0]} " in deed["what"]  # the last one that was tried


def score_management(group: dict[str, Any]) -> float:
    """Of 30 points a seventh each: baseline first, names, the sentence and bets are full, the others nothing."""
    edges = [round(30 / 7 * number, 1) for number in range(8)]
    worths = [round(high - low, 1) for low, high in pairwise(edges)]
    shares = (1, 0, 0, 1, 0, 1, 1)  # baseline, one change, seeds, names, a repetition, the sentence, bets
    return round(sum(round(worth * share, 1) for worth, share in zip(worths, shares, strict=True)), 1)


def score_quiz(number: int, count: int) -> float:
    """Of 10 points by the place: every fourth question is wrong, and later groups are quicker."""
    totals = [
        sum(0 if (question + n) % 4 == 0 else 600 + 10 * n for question in range(_QUESTIONS))
        for n in range(1, count + 1)
    ]
    place = 1 + sum(other > totals[number - 1] for other in totals)
    return round(10 * (count - place + 1) / count, 1)


def test_the_tiny_workshop_is_the_real_one_but_for_its_size(document: dict[str, Any]) -> None:
    tiny = make_tiny_workshop()
    assert [section["until"] for section in document["sections"]] == [s.until for s in tiny.schedule.activity]
    assert json.dumps(document["ranking"])
