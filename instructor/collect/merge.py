"""Copy the runs of one hand-in into the collected MLflow store, with SQL: run ids, times and histories stay.

Only MLflow's tables of runs are read, and columns are matched by name. Every artifact address is built here, never
taken from the hand-in. A run that was still running when it was handed in counts as killed.
"""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from instructor.collect.readers import HandIn
from lab_code.errors import LabError
from lab_code.runs import ARTIFACTS, DATABASE, artifact_tail, open_database

_RUN_TABLES = ("params", "metrics", "latest_metrics", "tags")
_MODEL_TABLES = ("logged_model_params", "logged_model_tags", "logged_model_metrics")
_KNOWN_TABLES = {
    *_RUN_TABLES, *_MODEL_TABLES, "runs", "experiments", "experiment_tags", "alembic_version", "workspaces",
    "datasets", "inputs", "input_tags", "logged_models",
}  # fmt: skip


@dataclass(frozen=True)
class Merged:
    """How many runs and metric values went over, and what was left behind."""

    runs: int
    metrics: int
    notes: list[str]


def merge_handin(handin: HandIn, store: Path, final: Path, experiment_id: int, experiment: str) -> Merged:
    """Copy every run of the hand-in into `store/mlflow.db` and its artifacts beside it, or nothing at all.

    `final` is where the store will be when it is finished; artifact addresses point there. Raises `LabError` for a
    store of another MLflow version, a run that another group has handed in already, or a damaged database.
    """
    with open_database(handin.folder / DATABASE) as source, open_database(store / DATABASE) as target, target:
        _check_database(source, target)
        run_ids = _check_runs(source, target, handin)
        runs = _read_rows(source, target, "runs")
        tails = {run["run_uuid"]: artifact_tail(run["artifact_uri"]) for run in runs}
        for run in runs:
            run["experiment_id"] = experiment_id
            run["artifact_uri"] = (final.resolve() / _place(experiment, run["run_uuid"])).as_uri()
            if run["status"] in ("RUNNING", "SCHEDULED"):
                run["status"], run["end_time"] = "KILLED", _last_sign_of_life(source, run)
        _insert(target, "runs", runs)
        rows = {
            table: [r for r in _read_rows(source, target, table) if r["run_uuid"] in run_ids] for table in _RUN_TABLES
        }
        for table in _RUN_TABLES:
            _insert(target, table, rows[table])
        _merge_models(source, target, run_ids, experiment_id, (final.resolve() / ARTIFACTS / experiment).as_uri())
        _merge_datasets(source, target, run_ids, experiment_id)
        owner = [{"key": "group", "value": handin.group, "run_uuid": run_id} for run_id in run_ids]
        target.executemany("INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (:key, :value, :run_uuid)", owner)
        _check_complete(source, target, run_ids)
        for run_id, tail in tails.items():  # last: whatever fails before leaves no file behind
            _copy_artifacts(handin.folder / tail, store / _place(experiment, run_id))
        return Merged(len(run_ids), len(rows["metrics"]), _left_behind(source))


def _check_database(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    fault = source.execute("PRAGMA quick_check").fetchone()[0]
    if fault != "ok":
        raise LabError(f"its MLflow database is damaged: {fault}", hint="let the group run lab handin again")
    found, expected = (db.execute("SELECT version_num FROM alembic_version").fetchone()[0] for db in (source, target))
    if found != expected:
        raise LabError(
            f"its MLflow store is of another version of MLflow ({found}, not {expected})",
            hint="install the versions of constraints.txt on that laptop",
        )


def _check_runs(source: sqlite3.Connection, target: sqlite3.Connection, handin: HandIn) -> set[str]:
    run_ids = {row[0] for row in source.execute("SELECT run_uuid FROM runs")}
    for run_id in run_ids:
        if not run_id.isalnum():
            raise LabError(f"its run id '{run_id}' is none of MLflow's", hint="do not use this zip")
        owner = target.execute("SELECT value FROM tags WHERE key = 'group' AND run_uuid = ?", (run_id,)).fetchone()
        if owner:
            raise LabError(
                f"its run {run_id[:8]} was handed in by {owner[0]} already",
                hint=f"one of the two kits is a copy of the other; ask {owner[0]} and {handin.group}",
            )
    return run_ids


def _merge_models(
    source: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str], experiment_id: int, artifacts: str
) -> None:
    """MLflow's entries of models, each with its parameters and the link to its run."""
    models = [row for row in _read_rows(source, target, "logged_models") if row["source_run_id"] in run_ids]
    model_ids = {row["model_id"] for row in models}
    for row in models:
        row["experiment_id"] = experiment_id
        row["artifact_location"] = f"{artifacts}/models/{row['model_id']}/artifacts"
    _insert(target, "logged_models", models)
    for table in _MODEL_TABLES:
        rows = [row | {"experiment_id": experiment_id} for row in _read_rows(source, target, table)]
        _insert(target, table, [row for row in rows if row["model_id"] in model_ids])
    links = [row for row in _read_rows(source, target, "inputs") if row["source_type"] == "RUN_OUTPUT"]
    _insert(
        target, "inputs", [row for row in links if {row["source_id"], row["destination_id"]} <= run_ids | model_ids]
    )


def _merge_datasets(
    source: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str], experiment_id: int
) -> None:
    """MLflow's entries of datasets, once each although every group has them, and which runs used them."""
    known = {
        (row["name"], row["digest"]): row["dataset_uuid"]
        for row in _read_rows(target, target, "datasets")
        if row["experiment_id"] == experiment_id
    }
    same: dict[str, str] = {}
    for row in _read_rows(source, target, "datasets"):
        same[row["dataset_uuid"]] = known.setdefault((row["name"], row["digest"]), row["dataset_uuid"])
        if same[row["dataset_uuid"]] == row["dataset_uuid"]:
            _insert(target, "datasets", [row | {"experiment_id": experiment_id}])
    used = [
        row | {"source_id": same[row["source_id"]]}
        for row in _read_rows(source, target, "inputs")
        if row["source_type"] == "DATASET" and row["destination_id"] in run_ids and row["source_id"] in same
    ]
    _insert(target, "inputs", used)
    inputs = {row["input_uuid"] for row in used}
    _insert(
        target, "input_tags", [row for row in _read_rows(source, target, "input_tags") if row["input_uuid"] in inputs]
    )


def _place(experiment: str, run_id: str) -> Path:
    return Path(ARTIFACTS, experiment, run_id, "artifacts")


def _read_rows(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[dict]:
    """Rows with the columns that both know, as the target spells them: no name comes from the hand-in."""
    theirs = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
    columns = [row[1] for row in target.execute(f"PRAGMA table_info({table})") if row[1] in theirs]
    rows = source.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _insert(target: sqlite3.Connection, table: str, rows: list[dict]) -> None:
    if rows:
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        target.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


def _copy_artifacts(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)


def _last_sign_of_life(source: sqlite3.Connection, run: dict) -> int:
    last = source.execute("SELECT max(timestamp) FROM metrics WHERE run_uuid = ?", (run["run_uuid"],)).fetchone()[0]
    return last or run["start_time"]


def _check_complete(source: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str]) -> None:
    """What went in equals what came out."""
    for table in ("runs", "params", "metrics"):
        marks = ",".join("?" * len(run_ids))
        query = f"SELECT count(*) FROM {table} WHERE run_uuid IN ({marks})"
        sent, arrived = (db.execute(query, sorted(run_ids)).fetchone()[0] for db in (source, target))
        if sent != arrived:
            raise LabError(f"only {arrived} of {sent} rows of {table} arrived", hint="report this; nothing was merged")


def _left_behind(source: sqlite3.Connection) -> list[str]:
    tables = [row[0] for row in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    counts = {
        table: source.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        for table in tables
        if table not in _KNOWN_TABLES and table.replace("_", "").isalnum()
    }
    return [f"{count} rows of MLflow's table {table} were not merged" for table, count in counts.items() if count]
