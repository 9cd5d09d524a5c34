"""Runs of an MLflow store, read straight from its SQLite file: milliseconds instead of the seconds MLflow needs.

`read_runs(store)` returns what `lab compare` and the leaderboard show. `reroot_store` repairs the absolute paths that
MLflow writes into its database when the folder has moved. The tables read here are those of the MLflow version that
constraints.txt pins.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab_code.errors import LabError
from lab_code.running import is_running, run_folder

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
EXPERIMENT = "skin-lesions"  # where MLflow files all runs of the lab


@dataclass(frozen=True)
class Run:
    """One run: parameters as text, the last value of every metric, tags, and the folder of its artifacts."""

    run_id: str
    name: str
    status: str  # RUNNING, FINISHED, FAILED or KILLED; KILLED also where MLflow still says RUNNING, but no process does
    started_ms: int
    ended_ms: int | None
    artifacts: Path
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        """Whether it only holds others together, as a sweep does."""
        return "sweep" in self.tags

    @property
    def seconds(self) -> float | None:
        """How long the run took; None while it runs."""
        return None if self.ended_ms is None else (self.ended_ms - self.started_ms) / 1000


def read_runs(store: Path) -> list[Run]:
    """All runs that were not deleted, oldest first; none where the store does not exist yet.

    Raises `LabError` for a file that is no MLflow store.
    """
    if not (store / DATABASE).is_file():
        return []
    with open_database(store / DATABASE) as database:
        rows = database.execute(
            "SELECT run_uuid, name, status, start_time, end_time, artifact_uri FROM runs"
            " WHERE lifecycle_stage = 'active' ORDER BY start_time, run_uuid"
        ).fetchall()
        params, tags = _read_pairs(database, "params"), _read_pairs(database, "tags")
        metrics = _read_pairs(database, "latest_metrics")
    return [
        Run(
            run_id, name or run_id[:8], _true_status(store, run_id, status), started, ended, store / artifact_tail(uri),
            params.get(run_id, {}), metrics.get(run_id, {}), tags.get(run_id, {}),
        )
        for run_id, name, status, started, ended, uri in rows
    ]  # fmt: skip


def can_resume(store: Path, run: Run) -> bool:
    """Whether a run was stopped and what it needs to go on is still there."""
    return run.status in ("KILLED", "FAILED") and run_folder(store, run.run_id).is_dir()


def read_experiment_id(store: Path, name: str) -> int | None:
    """MLflow's number of an experiment; None where the store has none of that name, or does not exist yet."""
    if not (store / DATABASE).is_file():
        return None
    with open_database(store / DATABASE) as database:
        row = database.execute("SELECT experiment_id FROM experiments WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is closed at the end; every SQLite error becomes a `LabError` that names the file."""
    try:
        with closing(sqlite3.connect(path, timeout=20)) as database:
            yield database
    except sqlite3.Error as error:
        if "readonly" in str(error):
            raise LabError(f"{path} cannot be written to", hint="copy the kit into a folder of your own") from error
        raise LabError(
            f"{path} is not a readable MLflow store: {error}", hint="move the file away; the next run makes a new one"
        ) from error


def artifact_tail(uri: str) -> Path:
    """The part of an artifact address that does not depend on the machine: `mlartifacts/…`.

    Takes addresses as any system writes them (`file:///C:/kit/mlartifacts/…`, `C:\\kit\\mlartifacts\\…`). Raises
    `LabError` for an address that leads anywhere else.
    """
    parts = uri.replace("\\", "/").split("/")
    if ARTIFACTS not in parts or ".." in parts:
        raise LabError(
            f"the artifact address '{uri}' does not lead into {ARTIFACTS}/", hint="this store was edited by hand"
        )
    last = len(parts) - 1 - parts[::-1].index(ARTIFACTS)
    return Path(*parts[last:])


def reroot_store(store: Path) -> int:
    """Point every artifact address at `store` itself; returns how many were changed (0 when nothing had moved)."""
    changed = 0
    with open_database(store / DATABASE) as database, database:
        for table, key, column in (
            ("experiments", "experiment_id", "artifact_location"),
            ("runs", "run_uuid", "artifact_uri"),
            ("logged_models", "model_id", "artifact_location"),
        ):
            for identity, uri in database.execute(f"SELECT {key}, {column} FROM {table}").fetchall():
                if identity == 0 and ARTIFACTS not in (uri or ""):
                    continue  # MLflow's own 'Default' experiment, which nothing here uses
                here = (store.resolve() / artifact_tail(uri)).as_uri()
                if here != uri:
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (here, identity))
                    changed += 1
    return changed


def _true_status(store: Path, run_id: str, status: str) -> str:
    return "KILLED" if status == "RUNNING" and not is_running(store, run_id) else status


def _read_pairs(database: sqlite3.Connection, table: str) -> dict[str, dict]:
    """`{run id: {key: value}}` of one of MLflow's key-value tables."""
    pairs: dict[str, dict] = {}
    for run_id, key, value in database.execute(f"SELECT run_uuid, key, value FROM {table}"):
        pairs.setdefault(run_id, {})[key] = value
    return pairs
