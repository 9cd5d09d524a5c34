"""Two runs side by side: what was changed, and what it did."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lab_code.analysis.used_code import find_used
from lab_code.data.ham10000 import read_dataset
from lab_code.errors import LabError, suggest
from lab_code.tracking.names import is_fact
from lab_code.tracking.provenance import CODE, code_from_json, describe_difference, read_code
from lab_code.tracking.runs import Run

_METRICS = ("balanced_accuracy", "accuracy", "macro_auc")
_SENSITIVITY = "sensitivity/"
_CLOSE = 0.0005  # of two scores that people read as the same


@dataclass(frozen=True)
class Score:
    """One metric of two runs, as text: with its interval where there is one."""

    name: str
    texts: tuple[str, str]
    difference: str


@dataclass(frozen=True)
class Comparison:
    """`changed` holds (parameter, first, second); `scores` are those of the best epochs."""

    first: Run
    second: Run
    changed: list[tuple[str, str, str]]
    scores: list[Score]


@dataclass(frozen=True)
class Repetition:
    """(score, then, now) and (fact, then, now) where a run and its repetition differ, of `compared` scores."""

    compared: int
    scores: list[tuple[str, float, float]]
    reasons: list[tuple[str, str, str]]

    @property
    def is_close(self) -> bool:
        """Whether all scores are the same to three digits, as far as people read them: machines differ in the last."""
        return self.compared > 0 and all(abs(then - now) < _CLOSE for _, then, now in self.scores)


def compare_runs(first: Run, second: Run) -> Comparison:
    """Parameters that differ (the name of a run is not one), and the metrics of both."""
    changed = [row for row in _differing(first.params, second.params) if row[0] != "name"]
    return Comparison(
        first, second, changed, [_compare_score(name, first, second) for name in _list_scores(first, second)]
    )


def _list_scores(first: Run, second: Run) -> list[str]:
    """What two runs are compared by: the means, and the sensitivity of every class that either knows."""
    codes = [code for run in (second, first) for code in read_dataset(run.artifacts).codes]
    return [*_METRICS, *(f"{_SENSITIVITY}{code}" for code in dict.fromkeys(codes))]


def compare_repeat(first: Run, second: Run) -> Repetition:
    """Every score that differs between a run and its repetition; then, what could be the reason."""
    names = sorted(name for name in first.metrics if name.startswith(("best_", "interval/")))
    scores = [
        (name, first.metrics[name], second.metrics.get(name, math.nan))
        for name in names
        if first.metrics[name] != second.metrics.get(name)
    ]
    choices = [row for row in _differing(first.params, second.params) if row[0].startswith("data.")]
    reasons = [*choices, *(row for row in _differing(first.tags, second.tags) if is_fact(row[0]))]
    return Repetition(len(names), scores, reasons if scores else [])


def compare_code(first: Run, second: Run) -> str:
    """What changed in the code between two runs, as a unified difference; empty where nothing did or none is kept.

    Files that neither run has used are left out.
    """
    if first.tags.get("code.fingerprint") == second.tags.get("code.fingerprint"):
        return ""
    before, after = _code_of(first), _code_of(second)
    if not before or not after:
        return ""
    used = find_used(before, first.params) | find_used(after, second.params)
    return describe_difference(*({name: code[name] for name in used if name in code} for code in (before, after)))


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str, str]]:
    rows = [(key, first.get(key, "–"), second.get(key, "–")) for key in sorted(set(first) | set(second))]
    return [row for row in rows if row[1] != row[2]]


def _compare_score(name: str, first: Run, second: Run) -> Score:
    then, now = first.metrics.get(f"best_{name}"), second.metrics.get(f"best_{name}")
    difference = "–" if then is None or now is None else f"{now - then:+.3f}"
    return Score(name, (_describe_score(name, first), _describe_score(name, second)), difference)


def _describe_score(name: str, run: Run) -> str:
    value = run.metrics.get(f"best_{name}")
    low, high = (run.metrics.get(f"interval/{name}_{end}") for end in ("low", "high"))
    text = "–" if value is None else f"{value:.3f}"
    return text if low is None or high is None else f"{text}\n({low:.2f} to {high:.2f})"


def choose_runs(runs: list[Run], names: list[str]) -> tuple[Run, Run]:
    """The two runs to compare: by name or beginning of the id, or else the last two different names that finished.

    Raises `LabError` where they cannot be found.
    """
    finished = [run for run in runs if run.status == "FINISHED" and not run.is_group]
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


def best_runs(runs: list[Run], at_least: int = 0) -> list[Run]:
    """The finished runs, the highest balanced accuracy first, of equal ones the earliest.

    Raises `LabError` where there are fewer than `at_least`.
    """
    scored = [run for run in runs if run.status == "FINISHED" and "best_balanced_accuracy" in run.metrics]
    if len(scored) < at_least:
        raise LabError(
            f"this needs {at_least} finished runs, but there {'is 1' if len(scored) == 1 else f'are {len(scored)}'}",
            hint="train first, for example: lab train experiment=balanced",
        )
    return sorted(scored, key=lambda run: (-run.metrics["best_balanced_accuracy"], run.started_ms))


def best_two(runs: list[Run]) -> tuple[Run, Run]:
    """The best run, last, and before it the best of those with another name (or the second best, where none has one).

    Raises `LabError` where fewer than two are finished.
    """
    better, *others = best_runs(runs, at_least=2)
    return next((run for run in others if run.name != better.name), others[0]), better


def sensitivities(run: Run) -> list[float]:
    """The share of every class that a run recognises, in the order of its data set; NaN where none was measured."""
    codes = read_dataset(run.artifacts).codes
    return [run.metrics.get(f"best_{_SENSITIVITY}{code}", math.nan) for code in codes]


def find_run(runs: list[Run], name: str) -> Run:
    """The newest run of this name, or the run whose id begins so. Raises `LabError` where there is none."""
    matches = [run for run in runs if run.name == name or (len(name) >= 4 and run.run_id.startswith(name))]
    if not matches:
        known = sorted({run.name for run in runs})
        raise LabError(
            f"there is no finished run '{name}'",
            hint=f"{suggest(name, known)}runs: {', '.join(known)}"
            if known
            else f"train first: lab train experiment={name}",
        )
    return matches[-1]


def find_same_run(runs: list[Run], settings: Mapping[str, object]) -> Run | None:
    """The newest run of these settings and of the code as it is now, whatever became of it; finished ones first.

    Files that a lock has brought since then change nothing. The photographs are taken to be the same.
    """
    wanted = {key: str(value) for key, value in settings.items()}
    same = [run for run in runs if all(run.params.get(key) == value for key, value in wanted.items())]
    now = read_code()
    same = [run for run in same if _is_code_of(run, now)]
    return max(same, key=lambda run: (run.status == "FINISHED", run.started_ms), default=None)


def _is_code_of(run: Run, now: Mapping[str, str]) -> bool:
    """Whether a run was made by this code; one whose code is lost or damaged was made by nobody knows what."""
    try:
        then = _code_of(run)
    except LabError:
        return False
    return bool(then) and then.items() <= now.items()


def _code_of(run: Run) -> dict[str, str]:
    """The code that went with a run; empty where none is kept."""
    path = run.artifacts / CODE
    return code_from_json(path) if path.is_file() else {}


def load_confusion(run: Run) -> np.ndarray:
    """The confusion matrix (C, C) of a run's best epoch on the validation photographs, from its artifacts."""
    path = run.artifacts / "confusion_matrix.csv"
    try:
        return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64)
    except (OSError, ValueError) as error:
        raise LabError(f"run '{run.name}' has no readable confusion matrix: {error}", hint="train it again") from error
