"""Score a group's best model on the hidden test set, in a process of its own (`isolation.py`).

The model is made by this project's code from a configuration and numbers, never by code from a hand-in.
"""

import math
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from instructor.collect.claims import held_scores
from lab_code.analysis.compare import best_runs
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.runs import Run, read_runs

_TRIES = 3  # of the best runs, where weights are missing or damaged
_MOST = 8  # runs of a group that are asked about the hidden photographs


def find_best(store: Path, skip: list[str]) -> list[Run]:
    """The runs that may count, the best first: finished, and with a score that can be one.

    What counts as a run's score follows from its predictions, where it has any. A run that was made from another
    group's card is none of them.
    """
    held = held_scores(store)
    runs = [_hold(run, held) for run in read_runs(store) if run.run_id not in skip and not run.is_relay]
    return best_runs([run for run in runs if 0 <= run.metrics.get("best_balanced_accuracy", math.nan) <= 1])


def _hold(run: Run, held: dict[str, float]) -> Run:
    score = held.get(run.run_id)
    return run if score is None else replace(run, metrics={**run.metrics, "best_balanced_accuracy": score})


def score_best(store: Path, skip: list[str], test_set: Path) -> dict[str, Any]:
    """The best run of a store that can be scored, its own score and that on the hidden test set.

    `faults` says which better runs could not be scored, and why; without any run, the name is empty.
    """
    from instructor.collect.evaluate import HiddenTestSet  # torch, which the process that waits does not need

    faults: list[str] = []
    hidden, best = HiddenTestSet(test_set), find_best(store, skip)
    for run in best[:_TRIES]:
        try:
            score = hidden.score(run)
            return {**_describe(run), "metrics": score.metrics, "predicted": score.predicted, "faults": faults}
        except LabError as error:
            message = error.message.replace(f"{run.artifacts}{os.sep}", "")
            faults.append(f"run '{_describe(run)['name']}' cannot be scored: {one_line(message)}")
    known = _describe(best[0]) if best else {"run_id": "", "name": "", "validation": None}
    return {**known, "metrics": {}, "predicted": [], "faults": faults}


def score_others(store: Path, skip: list[str], test_set: Path) -> dict[str, dict[str, float]]:
    """The hidden test set's metrics of the runs after the best one, by their ids; those that cannot be scored lack.

    They rank nobody: they show what a group's changes did on photographs that it has not seen.
    """
    from instructor.collect.evaluate import HiddenTestSet

    hidden, scores = HiddenTestSet(test_set), {}
    for run in find_best(store, skip)[1:_MOST]:
        with suppress(LabError):
            scores[run.run_id] = hidden.score(run).metrics
    return scores


def _describe(run: Run) -> dict[str, Any]:
    score = run.metrics["best_balanced_accuracy"]
    return {"run_id": run.run_id, "name": one_line(run.name, 80), "validation": score}
