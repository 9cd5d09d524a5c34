"""A class as it could have been: runs, evidence and opinions from a few words, without training anything."""

from pathlib import Path
from typing import Any

import numpy as np

from instructor.results.evidence import Evidence, GroupEvidence
from instructor.results.opinions import Opinions
from instructor.results.points import make_standings
from instructor.results.results import Results
from instructor.results.runs_table import make_runs_table
from instructor.workshop import Workshop
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.tracking.runs import Run
from tests.conftest import make_small_workshop

PLAIN = {
    "framework": "pytorch",
    "seed": "0",
    "data.sampling": "natural",
    "data.augment": "none",
    "model.name": "small_cnn",
    "model.width": "16",
    "loss.name": "cross_entropy",
    "loss.weight_power": "0.0",
    "optimizer.name": "sgd",
    "optimizer.lr": "0.001",
    "trainer.epochs": "3",
}
LABELS = np.tile(np.arange(len(DIAGNOSES)), 30)
LESIONS = np.arange(len(LABELS))


def make_run(group: str, name: str, number: int, score: float | None = 0.5, **settings: Any) -> Run:
    """A finished run; `seed=1`, `loss__name="focal"` differ from the plain settings, `tags` and `status` from a run."""
    tags, status = {"group": group, **settings.pop("tags", {})}, settings.pop("status", "FINISHED")
    params = PLAIN | {key.replace("__", "."): str(value) for key, value in settings.items()}
    metrics = {} if score is None else {"best_balanced_accuracy": score, "best_accuracy": score}
    started = 1_790_000_000_000 + 60_000 * number
    return Run(f"{group}-{number}", name, status, started, started + 30_000, Path("/nowhere"), params, metrics, tags)


def make_predictions(right: int, seed: int = 0) -> list[int]:
    """Diagnoses of the hidden photographs, of which the first `right` of every diagnosis are right."""
    wrong = (LABELS + 1) % len(DIAGNOSES)
    order = np.arange(len(LABELS)) // len(DIAGNOSES)
    return np.where(order < right, LABELS, wrong).tolist()


def make_stage(stage: str, **facts: Any) -> dict[str, Any]:
    """A stage opened by its answers after five minutes."""
    usual = {"opened": "answers", "opened_ms": 1_790_000_000_000, "minutes": 5.0, "wrong": 0, "lists": [], "hints": []}
    return {"stage": stage, **usual, **facts}


def make_evidence(workshop: Workshop, scores: dict[str, int], **of_group: dict[str, Any]) -> Evidence:
    """Groups whose models get so many of 30 photographs of every diagnosis right; 0: no model that can be scored."""
    groups = []
    for group, right in scores.items():
        entry = GroupEvidence(group, runs=1, run_id=f"{group}-1", best_run="baseline", handed_in="today", receipt="R")
        entry.stages = [make_stage(stage.id) for stage in workshop.stages]
        if right:
            entry.predicted = make_predictions(right)
            entry.tested = {entry.run_id: {"balanced_accuracy": right / 30, "sensitivity_mel": right / 30}}
        for key, value in of_group.get(group.replace("-", "_"), {}).items():
            setattr(entry, key, value)
        groups.append(entry)
    return Evidence(workshop.id, workshop.title, labels=LABELS.tolist(), lesions=LESIONS.tolist(), groups=groups)


def make_class(
    scores: dict[str, int] | None = None,
    runs: list[Run] | None = None,
    opinions: Opinions | None = None,
    kahoot: dict[str, int] | None = None,
    **of_group: dict[str, Any],
) -> Results:
    """The results of three groups, the first of which has the best model."""
    workshop = make_small_workshop()
    scores = scores if scores is not None else {"group-1": 27, "group-2": 18, "group-3": 9}
    evidence = make_evidence(workshop, scores, **of_group)
    if runs is None:
        runs = [make_run(group, "baseline", 1, right / 30) for group, right in scores.items()]
    table, said = make_runs_table(runs, evidence), opinions or Opinions()
    standings = make_standings(workshop, evidence, table, said, kahoot or {})
    curves = {group: [(1, 0.2), (2, right / 30)] for group, right in scores.items() if right}
    return Results(workshop, evidence, table, said, standings, curves)
