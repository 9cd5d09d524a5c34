"""What a hand-in claims, computed again from its logged predictions: in the process that reads it.

check_claims(store)      # compares, and writes the scores that hold beside the store
held_scores(store)       # those, by run id: they decide which run of a group is its best
"""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab_code.cli.printable import one_line
from lab_code.files import to_json
from lab_code.metrics import evaluate
from lab_code.tracking.runs import Run, read_runs

_FILE = "held-scores.json"
_CLAIMED = ("balanced_accuracy", "accuracy", "macro_auc")
_TOLERANCE = 1e-6  # the predictions hold every digit; another machine may sum them in another order
_LARGEST = 50_000_000  # bytes of a table of predictions


def check_claims(store: Path) -> dict[str, list[str]]:
    """`mismatches`: one line a run whose scores do not follow from its predictions, with both numbers; `unchecked`:
    runs whose predictions are not there or cannot be read."""
    said: dict[str, list[str]] = {"mismatches": [], "unchecked": []}
    held: dict[str, float] = {}
    for run in read_runs(store):
        claimed = {name: run.metrics[f"best_{name}"] for name in _CLAIMED if f"best_{name}" in run.metrics}
        if run.is_group or not claimed:
            continue
        name = one_line(run.name, 80)
        try:
            found = _recompute(run)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = "it has none" if isinstance(error, FileNotFoundError) else one_line(error, 100)
            said["unchecked"].append(f"the scores of run '{name}' cannot be checked against its predictions: {reason}")
            continue
        held[run.run_id] = found["balanced_accuracy"]
        said["mismatches"] += [
            f"run '{name}' claims {_say(metric)} {claim:.4f}, its predictions give {found.get(metric, math.nan):.4f}"
            for metric, claim in claimed.items()
            if not abs(claim - found.get(metric, math.nan)) <= _TOLERANCE
        ]
    (store / _FILE).write_text(to_json(held), encoding="utf-8")
    return said


def held_scores(store: Path) -> dict[str, float]:
    """Balanced accuracies that follow from the predictions, by run id."""
    with suppress(FileNotFoundError):
        return json.loads((store / _FILE).read_text(encoding="utf-8"))
    return {}


def _recompute(run: Run) -> dict[str, float]:
    from lab_code.tracking.records import PREDICTIONS, predictions_from_csv  # torch, which this process has already

    path = run.artifacts / PREDICTIONS
    if path.stat().st_size > _LARGEST:
        raise ValueError("the table is too large")
    text = path.read_text(encoding="utf-8")
    labels, probabilities, _ = predictions_from_csv(text)
    if not len(labels) or not math.isfinite(float(probabilities.sum())):
        raise ValueError("the table holds no probabilities")
    return evaluate(labels, probabilities, [str(number) for number in range(probabilities.shape[1])])


def _say(metric: Any) -> str:
    return str(metric).replace("_", " ")
