"""A copy of a store with the lab's own runs and nothing else, in the tables of the MLflow that the instructor has.

Whatever else is in the database stays behind: runs of other programs, views, traces, pages of deleted rows. So what a
group hands in can be merged, whichever version of MLflow and whichever tools have had their hands on the original.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from lab_code.errors import LabError
from lab_code.tracking.runs import Run, read_content
from lab_code.tracking.store import DATABASE, open_database, read_rows

_OF_RUNS = ("params", "metrics", "latest_metrics", "tags")
_OF_MODELS = ("logged_model_params", "logged_model_tags", "logged_model_metrics")
_STATES = ("SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED")

Row = dict[str, Any]


def copy_own_runs(store: Path, target: Path, wanted: Collection[str] | None = None) -> list[Run]:
    """Write the new database `target` and return the runs in it: all, or those of the ids that are wanted.

    Raises `LabError` where the store cannot be read.
    """
    with open_database(store / DATABASE) as source, closing(sqlite3.connect(target)) as copy:
        source.execute("BEGIN")  # one moment for all tables, even while a run writes
        own = read_content(store, source).runs
        runs = {run.run_id: run for run in own if wanted is None or run.run_id in wanted}
        copy.executescript(_find_schema(store) or _read_schema(source))
        for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            copy.execute(f'DROP TRIGGER "{name}"')  # MLflow's own, for its secrets: only data travels
        with copy:
            _copy_rows(source, copy, runs)
        fault = copy.execute("PRAGMA quick_check").fetchone()[0]
        if fault != "ok":
            raise LabError(f"the copy of {DATABASE} is damaged: {fault}", hint="check the disk, then: lab handin")
    return list(runs.values())


def _copy_rows(source: sqlite3.Connection, copy: sqlite3.Connection, runs: dict[str, Run]) -> None:
    def take(table: str, wanted: Callable[[Row], bool]) -> list[Row]:
        rows = [row for row in read_table(source, table) if wanted(row) and _is_plain(row)]
        insert_rows(copy, table, rows)
        return rows

    own = [_mend(row, runs[row["run_uuid"]]) for row in read_rows(source, "runs") if row["run_uuid"] in runs]
    experiments = {row["experiment_id"] for row in own}
    take("experiments", lambda row: row["experiment_id"] in experiments)
    copy.execute("UPDATE experiments SET lifecycle_stage = 'active'")
    insert_rows(copy, "runs", own)
    for table in _OF_RUNS:
        take(table, lambda row: row["run_uuid"] in runs)
    models = {row["model_id"] for row in take("logged_models", lambda row: row["source_run_id"] in runs)}
    for table in _OF_MODELS:
        take(table, lambda row: row["model_id"] in models)
    used = {row["source_id"] for row in read_table(source, "inputs") if row["destination_id"] in runs}
    known = {row["dataset_uuid"] for row in take("datasets", lambda row: row["dataset_uuid"] in used)}
    known |= models | set(runs)
    inputs = take("inputs", lambda row: {row["source_id"], row["destination_id"]} <= known)
    identities = {row["input_uuid"] for row in inputs}
    take("input_tags", lambda row: row["input_uuid"] in identities)


def _mend(row: Row, run: Run) -> Row:
    """A row of the table of runs with the values that the lab reads from it, whatever a program has put there."""
    return {key: value if isinstance(value, int | float | str) else None for key, value in row.items()} | {
        "name": run.name,
        "status": row["status"] if row["status"] in _STATES else "FAILED",
        "start_time": run.started_ms,
        "end_time": run.ended_ms,
        "lifecycle_stage": "active",
        "deleted_time": None,
    }


def _is_plain(row: Row) -> bool:
    """Whether a row holds text and numbers in the places where MLflow puts them."""
    if any(isinstance(value, bytes) for value in row.values()):
        return False
    return "is_nan" not in row or all(isinstance(row[name], int | float) for name in ("value", "timestamp", "step"))


def _find_schema(store: Path) -> str:
    """The script that the instructor's MLflow wrote when the kit was built; empty where the kit has none."""
    scripts = sorted((store / ".lab").glob("mlflow-*.sql"))
    return scripts[-1].read_text(encoding="utf-8") if scripts else ""


def _read_schema(source: sqlite3.Connection) -> str:
    """The plain tables and indexes that this database has itself, and its version."""
    rows = source.execute(
        "SELECT sql FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%' AND name NOT LIKE 'sqlite_%' UNION ALL"
        " SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    version = [row["version_num"] for row in read_table(source, "alembic_version")]
    texts = [text for (text,) in rows]
    return ";\n".join([*texts, *(f"INSERT INTO alembic_version VALUES ('{v}')" for v in version if v.isalnum())])


def read_table(source: sqlite3.Connection, table: str) -> list[Row]:
    """All rows of a table; none where this version of MLflow does not have it."""
    there = source.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return read_rows(source, table) if there else []


def insert_rows(copy: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert what the table of the copy has columns for."""
    known = [column[1] for column in copy.execute(f"PRAGMA table_info({table})")]
    for row in rows:
        names = [name for name in known if name in row]
        marks = ", ".join(f":{name}" for name in names)
        copy.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", row)
