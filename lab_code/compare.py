"""Two runs side by side: what was changed, and what it did."""

from dataclasses import dataclass

import numpy as np

from lab_code.data.ham10000 import DIAGNOSES
from lab_code.errors import LabError
from lab_code.runs import Run

# Facts about the machine and the clock are not choices; they are shown only when everything else is equal.
_NOT_CHOICES = ("machine.",)
_METRICS = ("balanced_accuracy", "accuracy", "macro_auc", *(f"sensitivity_{dx}" for dx in DIAGNOSES))


@dataclass(frozen=True)
class Comparison:
    """`changed` holds (parameter, first, second); `metrics` holds (metric, first, second) of the best epochs."""

    first: Run
    second: Run
    changed: list[tuple[str, str, str]]
    metrics: list[tuple[str, float | None, float | None]]


def compare_runs(first: Run, second: Run) -> Comparison:
    """Parameters that differ (the name of a run is not one), and the metrics of both."""
    keys = sorted(set(first.params) | set(second.params))
    changed = [
        (key, first.params.get(key, "–"), second.params.get(key, "–"))
        for key in keys
        if key != "name" and not key.startswith(_NOT_CHOICES) and first.params.get(key) != second.params.get(key)
    ]
    metrics = [(name, first.metrics.get(f"best_{name}"), second.metrics.get(f"best_{name}")) for name in _METRICS]
    return Comparison(first, second, changed, metrics)


def choose_runs(runs: list[Run], names: list[str]) -> tuple[Run, Run]:
    """The two runs to compare: by name or beginning of the id, or else the last two different names that finished.

    Raises `LabError` where they cannot be found.
    """
    finished = [run for run in runs if run.status == "FINISHED"]
    if names:
        if len(names) != 2:
            raise LabError(f"{len(names)} runs given, but a comparison needs two", hint="lab compare baseline balanced")
        return find_run(finished, names[0]), find_run(finished, names[1])
    latest = {run.name: run for run in finished}  # the newest of every name
    chosen = sorted(latest.values(), key=lambda run: run.started_ms)[-2:]
    if len(chosen) < 2:
        raise LabError(
            f"a comparison needs two finished runs of different names, but there {'is 1' if chosen else 'are none'}",
            hint="train another experiment first, for example: lab train experiment=balanced",
        )
    return chosen[0], chosen[1]


def find_run(runs: list[Run], name: str) -> Run:
    """The newest run of this name, or the run whose id begins so. Raises `LabError` where there is none."""
    matches = [run for run in runs if run.name == name or (len(name) >= 4 and run.run_id.startswith(name))]
    if not matches:
        known = sorted({run.name for run in runs})
        raise LabError(f"there is no finished run '{name}'", hint=f"runs: {', '.join(known) or 'none yet'}")
    return matches[-1]


def load_confusion(run: Run) -> np.ndarray:
    """The confusion matrix (C, C) of a run's best epoch on the validation photographs, from its artifacts."""
    path = run.artifacts / "confusion_matrix.csv"
    try:
        return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64)
    except (OSError, ValueError) as error:
        raise LabError(f"run '{run.name}' has no readable confusion matrix: {error}", hint="train it again") from error
