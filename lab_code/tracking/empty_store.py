"""An empty MLflow store in milliseconds and without importing MLflow, which would take five seconds.

A kit brings `.lab/mlflow-<version>.sql`: the tables as that version of MLflow makes them, written down when the kit was
built (`tracking.describe_empty_store`). Where another version is installed, MLflow makes the store itself.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path

from lab_code.tracking.one_at_a_time import one_at_a_time
from lab_code.tracking.runs import name_own_experiment
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT

_PATIENCE_S = 60


def script_name() -> str:
    """Where a kit keeps the script for the MLflow that is installed here."""
    return f".lab/mlflow-{metadata.version('mlflow')}.sql"


def make_from_script(store: Path) -> bool:
    """Make `store/mlflow.db` with the experiment of the lab; False where there is no script for this MLflow."""
    script = store / script_name()
    if not script.is_file():
        return False
    text = script.read_text(encoding="utf-8")

    def fill(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.executescript(text)
            now, place = int(time.time() * 1000), (store / ARTIFACTS / EXPERIMENT).resolve().as_uri()
            database.execute(
                "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time)"
                " VALUES (?, ?, 'active', ?, ?)",
                (name_own_experiment(store), place, now, now),
            )

    make_beside(store / DATABASE, fill)
    return True


def make_beside(database: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` make a database beside its place, and move it there: one whose making was interrupted is of no use.

    What a killed command left of such a try is removed. Two commands make one store.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(database.parent / f".{database.name}.lock", "making the MLflow store", _PATIENCE_S):
        for leftover in database.parent.glob(f".{database.name}.*.part"):
            shutil.rmtree(leftover, ignore_errors=True)
        if database.exists():  # somebody else was faster
            return
        with tempfile.TemporaryDirectory(dir=database.parent, prefix=f".{database.name}.", suffix=".part") as scratch:
            beside = Path(scratch) / database.name
            fill(beside)
            os.replace(beside, database)
