"""The epochs of a run, straight from MLflow's database: what it shows as curves, in milliseconds.

`read_history` gives one dictionary an epoch: `{"balanced_accuracy": 0.31, "train_loss": 1.2, "time/epoch_s": 4.0, …}`.
While a run is trained, `write_progress` notes beside its checkpoint how far it has come within an epoch; so whoever
looks at the kit, a page that was loaded again above all, sees the same as the process that trains.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab_code.tracking.names import CURVES, name_metric
from lab_code.tracking.running import run_folder
from lab_code.tracking.runs import has_store
from lab_code.tracking.store import DATABASE, open_database

_PROGRESS = "progress.json"


def read_history(store: Path, run_id: str) -> list[dict[str, float]]:
    """Every epoch that is complete, in order; of one that was logged twice, as after a power cut, the last word."""
    if not has_store(store):
        return []
    epochs: dict[int, dict[str, float]] = {}
    asked = "SELECT key, step, value FROM metrics WHERE run_uuid = ? AND step > 0 ORDER BY step, timestamp"
    with open_database(store / DATABASE) as database:
        for key, step, value in database.execute(asked, (run_id,)):
            if isinstance(step, int) and isinstance(value, int | float) and isinstance(key, str):
                epochs.setdefault(step, {})[name_metric(key)] = float(value)
    return [epochs[step] for step in sorted(epochs) if CURVES[0] in epochs[step]]


def write_progress(store: Path, run_id: str, progress: dict[str, Any]) -> None:
    """Replace what is noted about a run that is being trained. It may be lost: the next one comes in a moment."""
    path = run_folder(store, run_id) / _PROGRESS
    beside = path.with_suffix(".new")
    with suppress(OSError):  # a full disk, and on Windows whoever reads it at this moment
        beside.write_text(json.dumps(progress), encoding="utf-8")
        os.replace(beside, path)


def read_progress(store: Path, run_id: str) -> dict[str, Any]:
    """What was noted last; empty where nothing is, as for every finished run."""
    with suppress(OSError, ValueError):
        progress = json.loads((run_folder(store, run_id) / _PROGRESS).read_text(encoding="utf-8"))
        return progress if isinstance(progress, dict) else {}
    return {}
