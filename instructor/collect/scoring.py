"""Score a group's best model on the hidden test set, in a process of its own (`isolation.py`).

The model is made by this project's code from a configuration and numbers, never by code from a hand-in.
"""

import math
from pathlib import Path
from typing import Any

from lab_code.compare import best_runs
from lab_code.errors import LabError
from lab_code.runs import Run, read_runs


def find_best(store: Path, skip: list[str]) -> Run | None:
    """The run that counts: finished, and with the highest score that can be one."""
    runs = [run for run in read_runs(store) if run.run_id not in skip]
    honest = [run for run in runs if 0 <= run.metrics.get("best_balanced_accuracy", math.nan) <= 1]
    return next(iter(best_runs(honest)), None)


def score_best(store: Path, skip: list[str], test_set: Path) -> dict[str, Any]:
    """The best run of a store, its own score and that on the hidden test set, or why there is none (`fault`)."""
    from instructor.collect.evaluate import HiddenTestSet  # torch, which the process that waits does not need

    best = find_best(store, skip)
    if best is None:
        return {"run_id": "", "name": "", "validation": None, "metrics": {}, "fault": ""}
    known = {"run_id": best.run_id, "name": best.name, "validation": best.metrics["best_balanced_accuracy"]}
    try:
        metrics = HiddenTestSet(test_set).score(best).metrics
        return {**known, "metrics": metrics, "fault": ""}
    except LabError as error:
        return {**known, "metrics": {}, "fault": error.message}
