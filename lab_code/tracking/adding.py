"""Runs of another store become runs of this one, under their own ids: all of their rows in one transaction.

    add_runs(staged, store, {"machine.server": "gpu1"})

Their files move to their places before the transaction ends, so whoever sees a run sees it whole; where it fails, they
move back. A run that is there and finished is left alone; one that was stopped, and one that holds others, is replaced
by what it has become.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab_code.errors import LabError
from lab_code.tracking.empty_store import make_from_script
from lab_code.tracking.interrupts import hold_interrupts
from lab_code.tracking.running import CHECKPOINTS, forget_run, is_running, run_folder
from lab_code.tracking.runs import (
    Run,
    has_store,
    name_own_experiment,
    read_content,
    read_experiment_id,
    read_runs,
    reroot_store,
)
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT, open_database
from lab_code.tracking.store_copy import Row, insert_rows, read_table
from lab_code.tracking.tracker import prepare_store

_OF_RUNS = ("params", "metrics", "latest_metrics", "tags")
_OF_MODELS = ("logged_model_params", "logged_model_tags", "logged_model_metrics")


def add_runs(staged: Path, store: Path, tags: Mapping[str, str]) -> list[str]:
    """Add the lab's own runs of `staged`, each with these tags more; returns the ids of all that are here now.

    Raises `LabError` where the two stores are of different versions of MLflow, or this one cannot be written.
    """
    name = name_own_experiment(store)
    if not has_store(store) and not make_from_script(store):
        prepare_store(store, name)
    reroot_store(store)
    experiment = read_experiment_id(store, name)
    if experiment is None:
        prepare_store(store, name)
        experiment = read_experiment_id(store, name)
    assert experiment is not None
    finished = {run.run_id for run in read_runs(store) if run.status == "FINISHED" and not run.is_group}
    with open_database(staged / DATABASE) as source, open_database(store / DATABASE) as target:
        _check_versions(source, target)
        runs = read_content(staged, source).runs
        coming = [run for run in runs if run.run_id not in finished]
        for run in coming:
            if is_running(store, run.run_id):
                raise LabError(f"run '{run.name}' is being trained here right now", hint="wait for it: lab status")
        moves = [move for run in coming for move in _list_moves(staged, store, run)]
        with hold_interrupts(), _moved(moves, staged / "before"), target:
            for run in coming:
                _forget(target, run.run_id)
                _add(source, target, run, experiment, tags)
    reroot_store(store)  # their addresses are those of another machine
    for run in coming:
        if run.status == "FINISHED":
            forget_run(store, run.run_id)  # what it went on from
    return [run.run_id for run in runs]


def _check_versions(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    theirs, ours = ([row["version_num"] for row in read_table(d, "alembic_version")] for d in (source, target))
    if theirs != ours:
        raise LabError(
            f"the run was tracked by another version of MLflow (schema {', '.join(theirs)}, here {', '.join(ours)})",
            hint="use the same environment on both sides: the kit's own",
        )


def _forget(target: sqlite3.Connection, run_id: str) -> None:
    """Remove what is known of a run, which comes again as it stands now."""
    models = [row["model_id"] for row in read_table(target, "logged_models") if row["source_run_id"] == run_id]
    for table in _OF_MODELS:
        _delete(target, table, "model_id", models)
    _delete(target, "logged_models", "model_id", models)
    ends = {run_id, *models}
    inputs = [r["input_uuid"] for r in read_table(target, "inputs") if ends & {r["source_id"], r["destination_id"]}]
    _delete(target, "input_tags", "input_uuid", inputs)
    _delete(target, "inputs", "input_uuid", inputs)
    for table in (*_OF_RUNS, "runs"):
        _delete(target, table, "run_uuid", [run_id])


def _delete(target: sqlite3.Connection, table: str, column: str, values: Iterable[str]) -> None:
    target.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(value,) for value in values])


def _add(
    source: sqlite3.Connection, target: sqlite3.Connection, run: Run, experiment: int, tags: Mapping[str, str]
) -> None:
    def take(table: str, column: str, wanted: Iterable[str]) -> list[Row]:
        chosen = set(wanted)
        return [row for row in read_table(source, table) if row[column] in chosen]

    def put(table: str, rows: Iterable[Row]) -> None:
        insert_rows(
            target, table, [row | ({"experiment_id": experiment} if "experiment_id" in row else {}) for row in rows]
        )

    (row,) = take("runs", "run_uuid", [run.run_id])
    put("runs", [row | {"status": run.status, "end_time": run.ended_ms or _last_sign(source, row)}])
    for table in _OF_RUNS:
        rows = take(table, "run_uuid", [run.run_id])
        if table == "tags":
            rows = [row for row in rows if row["key"] not in tags]
            rows += [{"key": key, "value": value, "run_uuid": run.run_id} for key, value in tags.items()]
        put(table, rows)
    models = take("logged_models", "source_run_id", [run.run_id])
    put("logged_models", models)
    for table in _OF_MODELS:
        put(table, take(table, "model_id", [model["model_id"] for model in models]))
    _add_inputs(source, target, experiment, {run.run_id, *(model["model_id"] for model in models)})


def _last_sign(source: sqlite3.Connection, row: Row) -> int:
    """When a run was heard of last that has ended without a word (milliseconds)."""
    found = source.execute("SELECT max(timestamp) FROM metrics WHERE run_uuid = ?", (row["run_uuid"],)).fetchone()[0]
    return int(found or row["start_time"])


def _add_inputs(source: sqlite3.Connection, target: sqlite3.Connection, experiment: int, ends: set[str]) -> None:
    """Which photographs a run used, and which model came out. MLflow keeps one entry for the same photographs."""
    known = {
        (row["name"], row["digest"]): row["dataset_uuid"]
        for row in read_table(target, "datasets")
        if row["experiment_id"] == experiment
    }
    links = [row for row in read_table(source, "inputs") if ends & {row["source_id"], row["destination_id"]}]
    used = {row["source_id"] for row in links}
    here = {}
    for row in read_table(source, "datasets"):
        if row["dataset_uuid"] in used:
            here[row["dataset_uuid"]] = known.get((row["name"], row["digest"]), row["dataset_uuid"])
            if (row["name"], row["digest"]) not in known:
                insert_rows(target, "datasets", [row | {"experiment_id": experiment}])
    insert_rows(target, "inputs", [row | {"source_id": here.get(row["source_id"], row["source_id"])} for row in links])
    tagged = {row["input_uuid"] for row in links}
    insert_rows(target, "input_tags", [r for r in read_table(source, "input_tags") if r["input_uuid"] in tagged])


def _list_moves(staged: Path, store: Path, run: Run) -> list[tuple[Path, Path]]:
    """Which folders of a run go where: its artifacts, and its checkpoint where it was stopped."""
    place = Path(ARTIFACTS, EXPERIMENT, run.run_id)
    moves = [(staged / place, store / place)]
    if run.status != "FINISHED":
        moves.append((staged / CHECKPOINTS / run.run_id, run_folder(store, run.run_id)))
    return [(source, target) for source, target in moves if source.is_dir()]


@contextmanager
def _moved(moves: Sequence[tuple[Path, Path]], beside: Path) -> Iterator[None]:
    """The folders are at their places in here; where the block fails, what was there before is there again.

    What was there before lies in `beside` for as long.
    """
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed: what came whole comes again
    beside.mkdir(parents=True)
    undo: list[tuple[Path, Path]] = []
    try:
        for number, (source, target) in enumerate(moves):
            target.parent.mkdir(parents=True, exist_ok=True)
            for old, new in ((target, beside / str(number)), (source, target)):
                if old.is_dir():
                    os.rename(old, new)
                    undo.append((new, old))
        yield
    except BaseException:
        for new, old in reversed(undo):
            os.rename(new, old)
        raise
