"""From the database of a hand-in to the collected MLflow store, in two steps.

    fill_store(...)    in the process that reads one hand-in: its runs, checked, in a small store of their own
    merge_store(...)   in the process that collects: that store into the collected one

Run ids, times and histories stay. Every artifact address is built here, never taken from the hand-in. A run that was
still running when it was handed in counts as killed.
"""

import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from instructor.collect.foreign_store import (
    MODEL_TABLES,
    RUN_TABLES,
    ForeignRows,
    ForeignStore,
    Row,
    read_runs_of,
)
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.runs import ARTIFACTS, DATABASE, EXPERIMENT, artifact_tail, open_database

_AGAIN = "let the group run lab handin again"


@dataclass
class Filled:
    """What went into a store: how many rows of each kind; runs that were left out, with the reason; notes."""

    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def fill_store(handin: Path, store: Path, experiment_id: int, most_rows: int) -> Filled:
    """Read the database that was unpacked into `handin`, and fill the empty store with it; artifacts are moved there.

    Raises `LabError` for a database that cannot be used at all.
    """
    filled = Filled()
    try:
        with closing(sqlite3.connect(store / DATABASE)) as ours, ours:
            with ForeignStore(handin, ours, most_rows) as theirs:
                rows = read_runs_of(theirs)
                filled.notes += rows.notes
                _fill_runs(theirs, ours, rows, experiment_id)
                _fill_models(theirs, ours, rows, experiment_id)
                _fill_datasets(theirs, ours, rows, experiment_id)
                others = theirs.count_others()
            filled.left_out = rows.left_out
            _forget(ours, filled.left_out)
            filled.counts = {table: _count(ours, table) for table in ("runs", *RUN_TABLES)}
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite may quote bytes that are no text
        raise LabError(f"its MLflow database is damaged: {one_line(error)}", hint=_AGAIN) from error
    filled.notes += [
        f"{count} rows of MLflow's table {table} were not merged" for table, count in others.items() if count
    ]
    for run_id, row in rows.runs.items():
        if run_id not in filled.left_out:
            note = _move_artifacts(handin, row, store / place_of(run_id))
            filled.notes += [note] if note else []
    return filled


def merge_store(source: Path, store: Path, final: Path, group: str, skip: Iterable[str] = ()) -> int:
    """Add the runs of a filled store to the collected one, but for `skip` and those that are there; returns how many.

    `final` is where the collected store will be when it is finished; artifact addresses point there. Raises `LabError`
    where anything did not arrive, and then adds nothing.
    """
    with open_database(store / DATABASE) as target, target:
        skipped = {row[0] for row in target.execute("SELECT run_uuid FROM runs")}.union(skip)
        with open_database(source / DATABASE) as theirs:
            run_ids = {row[0] for row in theirs.execute("SELECT run_uuid FROM runs")} - skipped
            _copy_runs(theirs, target, run_ids, final, group)
            _copy_models(theirs, target, run_ids, final)
            _copy_datasets(theirs, target, run_ids)
            _check_arrived(theirs, target, run_ids)
        for run_id in run_ids:  # last: whatever fails before leaves no file behind
            if (source / place_of(run_id)).is_dir():
                (store / place_of(run_id)).parent.mkdir(parents=True, exist_ok=True)
                os.replace(source / place_of(run_id), store / place_of(run_id))
    return len(run_ids)


def place_of(run_id: str) -> Path:
    """Where the artifacts of a run lie in a store."""
    return Path(ARTIFACTS, EXPERIMENT, run_id, "artifacts")


def _fill_runs(theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows, experiment_id: int) -> None:
    for run_id, row in rows.runs.items():
        if run_id not in rows.left_out:
            address = place_of(run_id).as_posix()  # until it is merged
            _insert(ours, "runs", [row | {"experiment_id": experiment_id, "artifact_uri": address}])
    for table in RUN_TABLES:
        _insert(ours, table, _of_known_runs(theirs, table, rows))
    ours.execute(
        "UPDATE runs SET status = 'KILLED', end_time = coalesce((SELECT max(timestamp) FROM metrics"
        " WHERE metrics.run_uuid = runs.run_uuid), start_time) WHERE status IN ('RUNNING', 'SCHEDULED')"
    )


def _of_known_runs(theirs: ForeignStore, table: str, rows: ForeignRows) -> Iterator[Row]:
    """The rows of runs that are read; a run that has one which does not fit is left out from then on."""
    for row, fault in theirs.rows(table):
        if row["run_uuid"] in rows.runs:
            if fault:
                rows.left_out.setdefault(row["run_uuid"], fault)
            else:
                yield row


def _fill_models(theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows, experiment_id: int) -> None:
    """MLflow's entries of models, each with its parameters and the link to its run."""
    here = {"experiment_id": experiment_id}
    models = (row | here | {"artifact_location": _place_of_model(key).as_posix()} for key, row in rows.models.items())
    _insert(ours, "logged_models", models)
    for table in MODEL_TABLES:
        parts = (row | here for row, fault in theirs.rows(table) if not fault and row["model_id"] in rows.models)
        _insert(ours, table, parts)


def _fill_datasets(theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows, experiment_id: int) -> None:
    """MLflow's entries of datasets, which runs used them, and which models came out of which run."""
    kept: dict[tuple[str, str], Row] = {}
    same: dict[str, str] = {}  # of two entries of one data set, in two experiments, one is kept
    for row, fault in theirs.rows("datasets"):
        if not fault:
            first = kept.setdefault((row["name"], row["digest"]), row | {"experiment_id": experiment_id})
            same[row["dataset_uuid"]] = first["dataset_uuid"]
    _insert(ours, "datasets", kept.values())
    links = [
        row | {"source_id": same.get(row["source_id"], row["source_id"])}
        for row, fault in theirs.rows("inputs")
        if not fault and _joins_known(row, same, rows)
    ]
    _insert(ours, "inputs", links)
    inputs = {row["input_uuid"] for row in links}
    tags = (row for row, fault in theirs.rows("input_tags") if not fault and row["input_uuid"] in inputs)
    _insert(ours, "input_tags", tags)


def _joins_known(row: Row, datasets: Mapping[str, str], rows: ForeignRows) -> bool:
    if row["source_type"] == "DATASET":
        return row["source_id"] in datasets and row["destination_id"] in rows.runs
    known = rows.runs.keys() | rows.models.keys()
    return row["source_type"] == "RUN_OUTPUT" and {row["source_id"], row["destination_id"]} <= known


def _forget(ours: sqlite3.Connection, run_ids: Iterable[str]) -> None:
    """Remove what was read of runs that are left out."""
    for run_id in run_ids:
        for table in ("runs", *RUN_TABLES):
            ours.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run_id,))
        ours.execute("DELETE FROM inputs WHERE source_id = ? OR destination_id = ?", (run_id, run_id))
        ours.execute("DELETE FROM logged_models WHERE source_run_id = ?", (run_id,))


def _move_artifacts(handin: Path, row: Row, target: Path) -> str | None:
    """Give a run its files; where its address is not the one that MLflow makes, it has none, and that is said."""
    try:
        tail = artifact_tail(row["artifact_uri"] or "")
    except LabError:
        return f"the files of run {row['run_uuid'][:8]} lie elsewhere and were not handed in"
    source = handin / tail
    own = tail.parts[-2:] == (row["run_uuid"], "artifacts")  # so no two runs share a folder
    if own and source.is_dir() and source.resolve().is_relative_to(handin.resolve()):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    return None if own else f"the files of run {row['run_uuid'][:8]} lie where no run's files belong"


def _copy_runs(
    theirs: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str], final: Path, group: str
) -> None:
    runs = [row for row in _rows(theirs, "runs") if row["run_uuid"] in run_ids]
    for row in runs:
        row["artifact_uri"] = (final.resolve() / row["artifact_uri"]).as_uri()
    _insert(target, "runs", runs)
    for table in RUN_TABLES:
        _insert(target, table, (row for row in _rows(theirs, table) if row["run_uuid"] in run_ids))
    owner = [("group", group, run_id) for run_id in run_ids]
    target.executemany("INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", owner)


def _copy_models(theirs: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str], final: Path) -> None:
    """Models with their links; one whose id another group has used already gets another."""
    taken = {row[0] for row in target.execute("SELECT model_id FROM logged_models")}
    models = [row for row in _rows(theirs, "logged_models") if row["source_run_id"] in run_ids]
    named = {row["model_id"]: _free_id(row["model_id"], taken, "m-") for row in models}
    for row in models:
        place = _place_of_model(named[row["model_id"]])
        row |= {"model_id": named[row["model_id"]], "artifact_location": (final.resolve() / place).as_uri()}
    _insert(target, "logged_models", models)
    for table in MODEL_TABLES:
        parts = (row for row in _rows(theirs, table) if row["model_id"] in named)
        _insert(target, table, (row | {"model_id": named[row["model_id"]]} for row in parts))
    links = [
        row | {"destination_id": named[row["destination_id"]]}
        for row in _rows(theirs, "inputs")
        if row["source_type"] == "RUN_OUTPUT" and row["source_id"] in run_ids and row["destination_id"] in named
    ]
    _copy_links(theirs, target, links)


def _copy_datasets(theirs: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str]) -> None:
    """Datasets once each although every group has them; one that only calls itself the same stays one of its own."""
    known = {(row["name"], row["digest"]): row for row in _rows(target, "datasets")}
    taken = {row["dataset_uuid"] for row in known.values()}
    same: dict[str, str] = {}
    for row in _rows(theirs, "datasets"):
        identity = row["dataset_uuid"]
        there = known.get((row["name"], row["digest"]))
        if there is None or _content(there) != _content(row):
            digest = row["digest"] if there is None else f"{row['digest'][:24]}~{uuid.uuid4().hex[:8]}"
            there = row | {"digest": digest, "dataset_uuid": _free_id(identity, taken)}
            _insert(target, "datasets", [there])
            known[row["name"], digest] = there
        same[identity] = there["dataset_uuid"]
    links = [
        row | {"source_id": same[row["source_id"]]}
        for row in _rows(theirs, "inputs")
        if row["source_type"] == "DATASET" and row["destination_id"] in run_ids
    ]
    _copy_links(theirs, target, links)


def _content(row: Row) -> list[tuple[str, object]]:
    return [(key, value) for key, value in row.items() if key != "dataset_uuid"]


def _copy_links(theirs: sqlite3.Connection, target: sqlite3.Connection, links: list[Row]) -> None:
    """Links with their tags, by ids that no other group has used."""
    taken = {row[0] for row in target.execute("SELECT input_uuid FROM inputs")}
    named = {row["input_uuid"]: _free_id(row["input_uuid"], taken) for row in links}
    _insert(target, "inputs", (row | {"input_uuid": named[row["input_uuid"]]} for row in links))
    tags = (row for row in _rows(theirs, "input_tags") if row["input_uuid"] in named)
    _insert(target, "input_tags", (row | {"input_uuid": named[row["input_uuid"]]} for row in tags))


def _free_id(wanted: str, taken: set[str], begin: str = "") -> str:
    """The id that is wanted, or a new one where it is taken; from then on it is."""
    identity = wanted if wanted not in taken else f"{begin}{uuid.uuid4().hex}"
    taken.add(identity)
    return identity


def _check_arrived(theirs: sqlite3.Connection, target: sqlite3.Connection, run_ids: set[str]) -> None:
    """What went in equals what came out."""
    columns = {"logged_models": "source_run_id", "inputs": "destination_id"}
    for table in ("runs", "params", "metrics", "latest_metrics", "logged_models", "inputs"):
        column = columns.get(table, "run_uuid")
        sent, arrived = (_count_of(store, table, column, run_ids) for store in (theirs, target))
        if sent != arrived:
            raise LabError(f"only {arrived} of {sent} rows of {table} arrived", hint="report this; nothing was merged")


def _count_of(store: sqlite3.Connection, table: str, column: str, run_ids: set[str]) -> int:
    counts = dict(store.execute(f"SELECT {column}, count(*) FROM {table} GROUP BY {column}"))
    return sum(count for run_id, count in counts.items() if run_id in run_ids)


def _count(store: sqlite3.Connection, table: str) -> int:
    return store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def _rows(store: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of a store that we made."""
    cursor = store.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield dict(zip(names, values, strict=True))


def _insert(target: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Add rows of equal columns. Raises `LabError` where one is there already."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    names, marks = ", ".join(first), ", ".join(f":{name}" for name in first)
    try:
        target.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", chain([first], rows))
    except sqlite3.IntegrityError as error:
        raise LabError(f"its table {table} holds a row that does not belong there: {error}", hint=_AGAIN) from error


def _place_of_model(model_id: str) -> Path:
    return Path(ARTIFACTS, EXPERIMENT, "models", model_id, "artifacts")
