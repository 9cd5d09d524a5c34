"""From the stores of the hand-ins, as `filling.py` made them, into the one collected MLflow store.

    merge_store(source, store, final, group)      # of many: add_store(…) for each, settle_points(store) at the end

Run ids, names, times, status, parameters, tags, every point of every metric, datasets, models and artifacts arrive, or
nothing of that hand-in does. Rows go from one SQLite file to the other: both are ours. Only points wait in a
file of their own until all stores are there: sorted once, they are appended to MLflow's indexes; group by group they
would touch every page of them, and each group would take longer than the one before.
"""

import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from instructor.collect.counting import COUNTED, count_chosen, name_chosen
from instructor.collect.filling import folder_of, insert, make_fast, place_of_model
from instructor.collect.foreign_store import MODEL_TABLES, RUN_TABLES, Row
from lab_code.errors import LabError
from lab_code.tracking.store import ARTIFACTS, DATABASE, find_own_experiment, open_database

_POINTS, _WAITING = "metrics", "points.db"  # the table, and where its rows wait beside the collected store


def merge_store(source: Path, store: Path, final: Path, group: str, skip: Iterable[str] = ()) -> int:
    """Add the runs of a filled store to the collected one, points and all; as `add_store`."""
    added = add_store(source, store, final, group, skip)
    settle_points(store)
    return added


def add_store(source: Path, store: Path, final: Path, group: str, skip: Iterable[str] = ()) -> int:
    """Add the runs of a filled store to the collected one, but for `skip` and those that are there; returns how many.

    Their points wait until `settle_points`. `final` is where the collected store will be when it is finished; artifact
    addresses point there. Raises `LabError` where anything did not arrive, and then adds nothing.
    """
    with _open_both(source, store) as both:
        run_ids = _choose_runs(both, set(skip))
        experiments = _copy_experiments(both, final)
        places = _copy_runs(both, experiments, final, group)
        places += _copy_models(both, experiments, final)
        _copy_datasets(both, experiments)
        for table in COUNTED.keys() - {_POINTS}:
            _check_arrived(both, table, count_chosen(both, "main", table))
        for here, there in places:  # last: whatever fails before leaves no file behind
            if (source / here).is_dir():
                (store / there).parent.mkdir(parents=True, exist_ok=True)
                os.replace(source / here, store / there)
    return len(run_ids)


def settle_points(store: Path) -> None:
    """Put the points of all runs that were added where MLflow looks for them."""
    if not (store / _WAITING).is_file():
        return
    with open_database(store / DATABASE) as both:
        _attach_waiting(both, store)
        query = "SELECT name, sql FROM main.sqlite_master WHERE tbl_name = 'metrics' AND type = 'index' AND sql <> ''"
        indexes = dict(both.execute(query).fetchall())  # all but that of the primary key
        with both:
            for name in indexes:
                both.execute(f"DROP INDEX main.{name}")
            key = sorted((row[5], row[1]) for row in both.execute("PRAGMA main.table_info(metrics)") if row[5])
            order = ", ".join(f'"{name}"' for _, name in key)
            both.execute(f"INSERT INTO main.metrics SELECT * FROM waiting.metrics ORDER BY {order}")
            for script in indexes.values():
                both.execute(script)
    (store / _WAITING).unlink()


@contextmanager
def _open_both(source: Path, store: Path) -> Iterator[sqlite3.Connection]:
    """The collected store with the other one attached as `theirs`; committed at the end, or not at all."""
    with open_database(store / DATABASE) as both:
        both.execute("ATTACH DATABASE ? AS theirs", (str(source / DATABASE),))
        _attach_waiting(both, store)
        both.execute("CREATE TABLE IF NOT EXISTS waiting.metrics AS SELECT * FROM main.metrics WHERE 0")
        with both:
            yield both


def _attach_waiting(both: sqlite3.Connection, store: Path) -> None:
    both.execute("ATTACH DATABASE ? AS waiting", (str(store / _WAITING),))
    make_fast(both, "main", "waiting")


def _choose_runs(both: sqlite3.Connection, skip: set[str]) -> set[str]:
    query = "SELECT run_uuid FROM theirs.runs WHERE run_uuid NOT IN (SELECT run_uuid FROM main.runs)"
    run_ids = {row[0] for row in both.execute(query)} - skip
    name_chosen(both, run_ids)
    return run_ids


def _copy_experiments(both: sqlite3.Connection, final: Path) -> dict[int, int]:
    """Their experiments by our numbers: one of the same name is the same, and so is that of the lab's own runs."""
    known = dict(both.execute("SELECT name, experiment_id FROM main.experiments").fetchall())
    own = (find_own_experiment(both, "theirs"), find_own_experiment(both))
    used = "SELECT experiment_id FROM theirs.runs WHERE run_uuid IN temp.chosen"
    here = {}
    for row in _rows(both, f"theirs.experiments WHERE experiment_id IN ({used})"):
        number, name = row.pop("experiment_id"), row["name"]
        if number == own[0] and own[1] is not None:  # whatever it was called where it was made
            here[number] = own[1]
            continue
        if name not in known:
            address = (final.resolve() / ARTIFACTS / folder_of(name)).as_uri()
            insert(both, "experiments", [row | {"artifact_location": address}])
            known[name] = both.execute("SELECT last_insert_rowid()").fetchone()[0]
        here[number] = known[name]
    return here


def _copy_runs(both: sqlite3.Connection, experiments: dict[int, int], final: Path, group: str) -> list[tuple[str, str]]:
    """The runs and all that hangs on them; returns where their files lie and where they will."""
    runs = list(_rows(both, "theirs.runs WHERE run_uuid IN temp.chosen"))
    places = [(row["artifact_uri"], row["artifact_uri"]) for row in runs]
    for row in runs:
        row["artifact_uri"] = (final.resolve() / row["artifact_uri"]).as_uri()
        row["experiment_id"] = experiments[row["experiment_id"]]
    insert(both, "runs", runs)
    for table in RUN_TABLES:
        names = ", ".join(f'"{name}"' for name in _columns(both, table))
        query = f"SELECT {names} FROM theirs.{table} WHERE run_uuid IN temp.chosen"
        schema = "waiting" if table == _POINTS else "main"
        copied = both.execute(f"INSERT INTO {schema}.{table} ({names}) {query}").rowcount
        if table == _POINTS:
            _check_arrived(both, table, copied)
    owner = [("group", group, row["run_uuid"]) for row in runs]
    both.executemany("INSERT OR REPLACE INTO main.tags (key, value, run_uuid) VALUES (?, ?, ?)", owner)
    return places


def _copy_models(both: sqlite3.Connection, experiments: dict[int, int], final: Path) -> list[tuple[str, str]]:
    """Models with their links; one whose id another group has used already gets another. Returns places of files."""
    taken = _column(
        both, "SELECT model_id FROM theirs.logged_models WHERE model_id IN (SELECT model_id FROM main.logged_models)"
    )
    models = list(_rows(both, "theirs.logged_models WHERE source_run_id IN temp.chosen"))
    named = {row["model_id"]: _free_id(row["model_id"], taken, "m-") for row in models}
    places = []
    for row in models:
        here, name = row["artifact_location"], named[row["model_id"]]
        there = place_of_model(name, Path(here).parts[1]).as_posix()
        places.append((here, there))
        number = experiments.get(row["experiment_id"], min(experiments.values()))
        row |= {"model_id": name, "experiment_id": number, "artifact_location": (final.resolve() / there).as_uri()}
    insert(both, "logged_models", models)
    numbers = {row["model_id"]: row["experiment_id"] for row in models}
    for table in MODEL_TABLES:
        parts = [row for row in _rows(both, f"theirs.{table}") if row["model_id"] in named]
        for row in parts:
            row["model_id"] = named[row["model_id"]]
            row["experiment_id"] = numbers[row["model_id"]]
        insert(both, table, parts)
    links = [
        row | {"destination_id": named[row["destination_id"]]}
        for row in _rows(both, "theirs.inputs WHERE source_type = 'RUN_OUTPUT' AND source_id IN temp.chosen")
        if row["destination_id"] in named
    ]
    _copy_links(both, links)
    return places


def _copy_datasets(both: sqlite3.Connection, experiments: dict[int, int]) -> None:
    """Datasets once each although every group has them; one that only calls itself the same stays one of its own."""
    known = {(row["experiment_id"], row["name"], row["digest"]): row for row in _rows(both, "main.datasets")}
    taken = {row["dataset_uuid"] for row in known.values()}
    same: dict[str, str] = {}
    for row in _rows(both, "theirs.datasets"):
        if not experiments:
            break
        identity, number = row["dataset_uuid"], experiments.get(row["experiment_id"], min(experiments.values()))
        row["experiment_id"] = number
        there = known.get((number, row["name"], row["digest"]))
        if there is None or _content(there) != _content(row):
            digest = row["digest"] if there is None else f"{row['digest'][:24]}~{uuid.uuid4().hex[:8]}"
            there = row | {"digest": digest, "dataset_uuid": _free_id(identity, taken)}
            insert(both, "datasets", [there])
            known[number, row["name"], digest] = there
        same[identity] = there["dataset_uuid"]
    links = [
        row | {"source_id": same[row["source_id"]]}
        for row in _rows(both, "theirs.inputs WHERE source_type = 'DATASET' AND destination_id IN temp.chosen")
        if row["source_id"] in same
    ]
    _copy_links(both, links)


def _content(row: Row) -> list[tuple[str, object]]:
    return [(key, value) for key, value in row.items() if key != "dataset_uuid"]


def _copy_links(both: sqlite3.Connection, links: Sequence[Row]) -> None:
    """Links with their tags, by ids that no other group has used."""
    taken = _column(
        both, "SELECT input_uuid FROM theirs.inputs WHERE input_uuid IN (SELECT input_uuid FROM main.inputs)"
    )
    named = {row["input_uuid"]: _free_id(row["input_uuid"], taken) for row in links}
    insert(both, "inputs", (row | {"input_uuid": named[row["input_uuid"]]} for row in links))
    tags = [row for row in _rows(both, "theirs.input_tags") if row["input_uuid"] in named]
    insert(both, "input_tags", (row | {"input_uuid": named[row["input_uuid"]]} for row in tags))


def _free_id(wanted: str, taken: set[str], begin: str = "") -> str:
    """The id that is wanted, or a new one where it is taken; from then on it is."""
    identity = wanted if wanted not in taken else f"{begin}{uuid.uuid4().hex}"
    taken.add(identity)
    return identity


def _check_arrived(both: sqlite3.Connection, table: str, arrived: int) -> None:
    """What went in equals what came out."""
    sent = count_chosen(both, "theirs", table)
    if sent != arrived:
        raise LabError(f"only {arrived} of {sent} rows of {table} arrived", hint="report this; nothing was merged")


def _columns(both: sqlite3.Connection, table: str) -> list[str]:
    """Those that both have: a store that was upgraded may have them in another order."""
    theirs = {row[1] for row in both.execute(f"PRAGMA theirs.table_info({table})")}
    return [row[1] for row in both.execute(f"PRAGMA main.table_info({table})") if row[1] in theirs]


def _column(both: sqlite3.Connection, query: str) -> set[str]:
    return {row[0] for row in both.execute(query)}


def _rows(store: sqlite3.Connection, what: str) -> Iterator[Row]:
    """The rows of a store that we made."""
    cursor = store.execute(f"SELECT * FROM {what}")
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield dict(zip(names, values, strict=True))
