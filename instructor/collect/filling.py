"""From the database of a hand-in, which anyone may have edited, into a small store of our own.

    filled = fill_store(handin, store, most_rows)      # in the process that reads one hand-in

Run ids, times and histories stay, and so do the names of experiments. Every artifact address is built here, never taken
from the hand-in. A run that was still running when it was handed in counts as killed.
"""

import hashlib
import os
import sqlite3
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
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT, artifact_tail, find_own_experiment

_AGAIN = "let the group run lab handin again"
_MOST_EXPERIMENTS = 200


@dataclass
class Filled:
    """What went into a store: how many rows of each kind; runs that were left out, with the reason; notes."""

    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Experiments:
    """Where their experiments lie here: our number by theirs, and the folder of artifacts by our number."""

    own: int
    here: dict[object, int] = field(default_factory=dict)
    folders: dict[int, str] = field(default_factory=dict)

    def of(self, row: Row) -> int:
        """The experiment of a run: the lab's own runs are known by their place, whatever their experiment is called."""
        if _is_in_place(row["artifact_uri"], row["run_uuid"]):
            return self.own
        return self.here.get(row["experiment_id"], self.own)


def fill_store(handin: Path, store: Path, most_rows: int) -> Filled:
    """Read the database that was unpacked into `handin`, and fill the empty store with it; artifacts are moved there.

    Raises `LabError` for a database that cannot be used at all.
    """
    filled = Filled()
    try:
        with closing(sqlite3.connect(store / DATABASE)) as ours, ours:
            make_fast(ours)
            with ForeignStore(handin, ours, most_rows) as theirs:
                rows = read_runs_of(theirs)
                filled.notes += rows.notes
                experiments = _fill_experiments(theirs, ours, rows)
                _fill_runs(theirs, ours, rows, experiments)
                _fill_models(theirs, ours, rows, experiments)
                filled.notes += _fill_datasets(theirs, ours, rows, experiments)
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
            place = place_of(run_id, experiments.folders[experiments.of(row)])
            note = _move_artifacts(handin, row, store / place)
            filled.notes += [note] if note else []
    for model_id, row in rows.models.items():
        _move_model(
            handin, row, store / place_of_model(model_id, experiments.folders[_experiment_of(row, experiments)])
        )
    return filled


def make_fast(store: sqlite3.Connection, *schemas: str) -> None:
    """For a store that is made beside its place, and made again where the machine fails meanwhile."""
    for setting in ("synchronous = OFF", "cache_size = -65536"):  # the journal stays on the disk: memory has an end
        for schema in schemas or ("main",):
            store.execute(f"PRAGMA {schema}.{setting}")


def place_of(run_id: str, experiment: str = EXPERIMENT) -> Path:
    """Where the artifacts of a run lie in a store."""
    return Path(ARTIFACTS, experiment, run_id, "artifacts")


def place_of_model(model_id: str, experiment: str = EXPERIMENT) -> Path:
    """Where the files of one of MLflow's models lie."""
    return Path(ARTIFACTS, experiment, "models", model_id, "artifacts")


def folder_of(experiment: str) -> str:
    """The folder for the artifacts of an experiment: no name that was chosen elsewhere becomes a path."""
    return EXPERIMENT if experiment == EXPERIMENT else f"other-{hashlib.sha256(experiment.encode()).hexdigest()[:12]}"


def hash_rows(store: sqlite3.Connection, run_id: str) -> str:
    """Stands for the parameters and every point of every metric of a run."""
    digest = hashlib.sha256()
    for table, columns in (("params", '"key", value'), ("metrics", '"key", step, timestamp, value, is_nan')):
        for row in store.execute(f"SELECT {columns} FROM {table} WHERE run_uuid = ? ORDER BY {columns}", (run_id,)):
            digest.update(repr(row).encode())
    return digest.hexdigest()


def insert(target: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Add rows of equal columns. Raises `LabError` where one is there already."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    names, marks = ", ".join(f'"{name}"' for name in first), ", ".join(f":{name}" for name in first)
    try:
        target.executemany(f"INSERT INTO main.{table} ({names}) VALUES ({marks})", chain([first], rows))
    except sqlite3.IntegrityError as error:
        raise LabError(f"its table {table} holds a row that does not belong there: {error}", hint=_AGAIN) from error


def _fill_experiments(theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows) -> _Experiments:
    """The experiments that have runs, by their names; those that cannot be read are counted to the lab's own."""
    own = find_own_experiment(ours)
    assert own is not None  # our own stores have it
    names = {row[0] for row in ours.execute("SELECT name FROM experiments")} | {EXPERIMENT}
    found = _Experiments(own, folders={own: EXPERIMENT})
    used = {
        row["experiment_id"] for row in rows.runs.values() if not _is_in_place(row["artifact_uri"], row["run_uuid"])
    }
    for row, fault in theirs.rows("experiments"):
        number, name = row["experiment_id"], row["name"]
        if fault or number not in used or name in names or len(found.here) >= _MOST_EXPERIMENTS:
            continue
        entry = {**row, "artifact_location": f"{ARTIFACTS}/{folder_of(name)}", "lifecycle_stage": "active"}
        del entry["experiment_id"]
        insert(ours, "experiments", [entry])
        found.here[number] = ours.execute("SELECT last_insert_rowid()").fetchone()[0]
        found.folders[found.here[number]] = folder_of(name)
    return found


def _fill_runs(theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows, experiments: _Experiments) -> None:
    for run_id, row in rows.runs.items():
        if run_id not in rows.left_out:
            number = experiments.of(row)
            address = place_of(run_id, experiments.folders[number]).as_posix()  # until it is merged
            insert(ours, "runs", [row | {"experiment_id": number, "artifact_uri": address}])
    for table in RUN_TABLES:
        insert(ours, table, _of_known_runs(theirs, table, rows))
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


def _experiment_of(model: Row, experiments: _Experiments) -> int:
    return experiments.here.get(model["experiment_id"], experiments.own)


def _fill_models(theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows, experiments: _Experiments) -> None:
    """MLflow's entries of models, each with its parameters and the link to its run."""
    here = {key: {"experiment_id": _experiment_of(row, experiments)} for key, row in rows.models.items()}
    places = {
        key: place_of_model(key, experiments.folders[number["experiment_id"]]).as_posix()
        for key, number in here.items()
    }
    insert(
        ours,
        "logged_models",
        (row | here[key] | {"artifact_location": places[key]} for key, row in rows.models.items()),
    )
    for table in MODEL_TABLES:
        parts = (
            row | here[row["model_id"]] for row, fault in theirs.rows(table) if not fault and row["model_id"] in here
        )
        insert(ours, table, parts)


def _fill_datasets(
    theirs: ForeignStore, ours: sqlite3.Connection, rows: ForeignRows, experiments: _Experiments
) -> list[str]:
    """MLflow's entries of datasets, which runs used them, and which models came out of which run; returns notes."""
    kept: dict[tuple[int, str, str], Row] = {}
    same: dict[str, str] = {}  # of two entries of one data set, in two experiments that are one here, one is kept
    faults: list[str] = []
    for row, fault in theirs.rows("datasets"):
        if fault:
            faults.append(f"an entry of its datasets was left out: {fault}")
            continue
        number = experiments.here.get(row["experiment_id"], experiments.own)
        first = kept.setdefault((number, row["name"], row["digest"]), row | {"experiment_id": number})
        same[row["dataset_uuid"]] = first["dataset_uuid"]
    insert(ours, "datasets", kept.values())
    links = [
        row | {"source_id": same.get(row["source_id"], row["source_id"])}
        for row, fault in theirs.rows("inputs")
        if not fault and _joins_known(row, same, rows)
    ]
    insert(ours, "inputs", links)
    inputs = {row["input_uuid"] for row in links}
    tags = (row for row, fault in theirs.rows("input_tags") if not fault and row["input_uuid"] in inputs)
    insert(ours, "input_tags", tags)
    return faults


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
        if ours.execute("SELECT 1 FROM sqlite_master WHERE name = 'logged_models'").fetchone():
            ours.execute("DELETE FROM logged_models WHERE source_run_id = ?", (run_id,))


def _is_in_place(address: object, run_id: str) -> bool:
    """Whether an address is the one that the lab gives to a run's artifacts."""
    try:
        return isinstance(address, str) and artifact_tail(address) == place_of(run_id)
    except LabError:
        return False


def _move_artifacts(handin: Path, row: Row, target: Path) -> str | None:
    """Give a run its files; where its address is not one that MLflow makes, it has none, and that is said."""
    try:
        tail = artifact_tail(row["artifact_uri"] or "")
    except LabError:
        return f"the files of run {row['run_uuid'][:8]} lie elsewhere and were not handed in"
    if tail.parts[-2:] != (row["run_uuid"], "artifacts"):  # so no two runs share a folder
        return f"the files of run {row['run_uuid'][:8]} lie where no run's files belong"
    _move(handin, tail, target)
    return None


def _move_model(handin: Path, row: Row, target: Path) -> None:
    """Give a model its files, where MLflow keeps some: the lab's own models are files of their run."""
    try:
        tail = artifact_tail(row["artifact_location"])
    except LabError:
        return
    if tail.parts[-3:] == ("models", row["model_id"], "artifacts"):
        _move(handin, tail, target)


def _move(handin: Path, tail: Path, target: Path) -> None:
    source = handin / tail
    if source.is_dir() and source.resolve().is_relative_to(handin.resolve()):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)


def _count(store: sqlite3.Connection, table: str) -> int:
    return store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
