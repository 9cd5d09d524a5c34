"""Runs as a table of pandas, as everybody works with them: a row a run, sorted, filtered and plotted at will.

    table = runs_table(kit)
    table.sort_values("metrics.best_balanced_accuracy", ascending=False)
    table[table["params.data.augment"] == "flips"]

Columns have the names of MLflow's own `mlflow.search_runs`, so what is learned here holds there; it is read in
milliseconds, and numbers among the settings are numbers.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from lab_code.tracking.runs import Run, read_runs

if TYPE_CHECKING:
    import pandas as pd


def runs_table(store: Path, unfinished: bool = False) -> "pd.DataFrame":
    """The finished runs of `store`, the newest first; all of them where `unfinished` is set.

    `run_id`, `status`, `start_time` and `end_time` (UTC), then `params.…` (what was chosen), `metrics.…` (what came
    out) and `tags.…` (everything else: bets, machine, code). The run's name is `tags.mlflow.runName`, as in MLflow. A
    setting or bet is a number where it is one in every run, else text; what a run does not have is missing (NaN).
    """
    import pandas as pd

    runs = [run for run in read_runs(store) if unfinished or run.status == "FINISHED"]
    table = pd.DataFrame([_describe(run) for run in reversed(runs)], columns=None if runs else list(_FIRST))
    for column in ("start_time", "end_time"):
        table[column] = pd.to_datetime(table[column], unit="ms", utc=True)
    order = [*_FIRST, *sorted(set(table.columns) - set(_FIRST), key=_place)]
    return table[order].apply(_to_numbers)


_FIRST = ("run_id", "status", "artifact_uri", "start_time", "end_time")
_KINDS = ("params.", "metrics.", "tags.")


def _describe(run: Run) -> dict[str, object]:
    facts = (run.run_id, run.status, run.artifacts.as_uri(), run.started_ms, run.ended_ms)
    row: dict[str, object] = dict(zip(_FIRST, facts, strict=True))
    row |= {f"params.{key}": value for key, value in run.params.items()}
    row |= {f"metrics.{key}": value for key, value in run.metrics.items()}
    row |= {f"tags.{key}": value for key, value in run.tags.items()}
    return row | {"tags.mlflow.runName": run.name}


def _place(column: str) -> tuple[int, str]:
    return next(number for number, kind in enumerate(_KINDS) if column.startswith(kind)), column


def _to_numbers(column: "pd.Series") -> "pd.Series":
    """A column of settings or bets as numbers, where every value that is there is one."""
    import pandas as pd

    if not str(column.name).startswith(("params.", "tags.bet.")) or (column == "").any():
        return column
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column
