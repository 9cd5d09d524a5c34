"""The collected store once more, into any database that MLflow takes: PostgreSQL for a course that keeps years.

    published = publish(store, "postgresql://…", artifacts, progress)

Run ids stay, so this writes MLflow's tables and not through its server. What is there already is known and left alone;
a run that was cut off and is finished now is replaced; a run with other content is a conflict, shown, and stays as it
is. Each group arrives whole or not at all, so a command that was killed is run again.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, delete, func, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from instructor.collect.counting import COUNTED
from instructor.collect.filling import hash_rows
from instructor.collect.foreign_store import MODEL_TABLES, RUN_TABLES
from instructor.collect.isolation import Job, run_isolated
from instructor.collect.upgrade import read_revision
from instructor.workshop import HandinLimits
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.runs import ARTIFACTS, DATABASE, artifact_tail, open_database

_TABLES = ("experiments", "runs", *RUN_TABLES, "logged_models", *MODEL_TABLES, "datasets", "inputs", "input_tags")
_AT_ONCE = 5000  # rows of one statement
_ASKED = 500  # ids of one query
_PATIENCE_S = 600  # for making MLflow's tables
Row = dict[str, Any]


@dataclass
class Published:
    """Run ids that were added, replaced because they went on, and known; conflicts and faults, a line each."""

    uri: str
    added: int = 0
    replaced: int = 0
    known: int = 0
    conflicts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def publish(store: Path, uri: str, artifacts: Path, progress: Callable[[str, int], Callable[[], object]]) -> Published:
    """Add every run of the collected store to the database `uri`, their files to the folder `artifacts`.

    Raises `LabError` for a database that cannot be reached, or whose schema is not that of the MLflow here.
    """
    with _explained(uri) as shown, open_database(store / DATABASE) as source:
        engine = _open_target(uri, shown, read_revision(store))
        try:
            target = _Target(engine, artifacts.resolve())
            groups = _list_groups(source)
            advance = progress(f"into {target.kind}", len(groups))
            published = Published(shown)
            for group, run_ids in groups.items():
                try:
                    _publish_group(store, source, target, (group, run_ids), published)
                except (DataError, IntegrityError) as error:  # what SQLite takes and this database does not
                    published.faults.append(f"{group}: nothing of it could be written: {one_line(error.orig, 200)}")
                advance()
        finally:
            engine.dispose()
    return published


class _Target:
    """The database, its tables as it describes them, and the folder of its files."""

    def __init__(self, engine: Engine, artifacts: Path) -> None:
        self.engine, self.artifacts, self.kind = engine, artifacts, engine.dialect.name
        metadata = MetaData()
        metadata.reflect(engine, only=_TABLES)
        self.tables: dict[str, Table] = {name: metadata.tables[name] for name in _TABLES}

    def insert(self, connection: Connection, table: str, rows: Iterable[Row]) -> None:
        """Rows with the columns that this database has, some thousand at a time."""
        known = set(self.tables[table].columns.keys())
        flags = {c.name for c in self.tables[table].columns if c.type.python_type is bool}
        rows = ({k: bool(v) if k in flags else v for k, v in row.items() if k in known} for row in rows)
        while batch := list(islice(rows, _AT_ONCE)):
            connection.execute(insert(self.tables[table]), batch)

    def select(self, connection: Connection, table: str, column: str, values: Iterable[str]) -> Iterator[Row]:
        """The rows in which `column` is one of `values`."""
        asked, found = list(values), self.tables[table]
        for start in range(0, len(asked), _ASKED):
            query = select(found).where(found.c[column].in_(asked[start : start + _ASKED]))
            yield from (dict(row) for row in connection.execute(query).mappings())


def _open_target(uri: str, shown: str, revision: str) -> Engine:
    """The database with MLflow's tables, which are made where it has none at all."""
    if uri.startswith(("http:", "https:")):
        raise LabError(
            f"{shown} is a server, and its interface gives every run another id",
            hint="name the database behind it: instructor collect --into postgresql://user@host/mlflow",
        )
    engine = create_engine(uri)
    if not inspect(engine).get_table_names():
        (outcome,) = run_isolated([Job(make_tables, (uri,))], HandinLimits(seconds=_PATIENCE_S))
        if outcome.error:
            raise LabError(f"MLflow cannot make its tables in {shown}: {outcome.error}", hint="may you write there?")
    if "alembic_version" not in inspect(engine).get_table_names():
        raise LabError(f"{shown} holds other tables than MLflow's", hint="name a database of its own for MLflow")
    version = Table("alembic_version", MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        found = connection.execute(select(version.c.version_num)).scalar()
    if found != revision:
        raise LabError(
            f"{shown} has MLflow's schema {one_line(found)}, not {revision}",
            hint="make a copy of it, then: mlflow db upgrade, or use here the MLflow that the course uses",
        )
    return engine


def make_tables(uri: str) -> None:
    """MLflow's tables in an empty database; in a process of its own, since MLflow takes much memory."""
    from lab_code.tracking.tracker import import_quietly

    import_quietly()
    from mlflow.store.db.utils import _initialize_tables

    engine = create_engine(uri)
    _initialize_tables(engine)
    engine.dispose()


def _list_groups(source: sqlite3.Connection) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for group, run_id in source.execute("SELECT value, run_uuid FROM tags WHERE key = 'group' ORDER BY value"):
        groups.setdefault(group, []).append(run_id)
    return groups


def _publish_group(
    store: Path, source: sqlite3.Connection, target: _Target, chosen: tuple[str, list[str]], published: Published
) -> None:
    """One group in one transaction."""
    group, run_ids = chosen
    with target.engine.begin() as connection:
        there = {row["run_uuid"]: row for row in target.select(connection, "runs", "run_uuid", run_ids)}
        fresh, gone_on = [run_id for run_id in run_ids if run_id not in there], list[str]()
        for run_id, row in there.items():
            state = _compare(source, connection, target, run_id, row)
            published.known += state == "known"
            gone_on += [run_id] if state == "went on" else []
            if state == "conflict":
                published.conflicts.append(
                    f"{group}: run {run_id[:8]} '{one_line(row['name'], 80)}' is in the database with other content: "
                    "it stays there as it was"
                )
        _remove(connection, target, gone_on)
        wanted = [*fresh, *gone_on]
        if wanted:
            _copy(store, source, connection, target, wanted)
            published.faults += [f"{group}: {fault}" for fault in _count_both(source, connection, target, wanted)]
        published.added += len(fresh)
        published.replaced += len(gone_on)


def _compare(source: sqlite3.Connection, connection: Connection, target: _Target, run_id: str, row: Row) -> str:
    """`known`, `went on` (it was cut off when it was published, and is longer now), or `conflict`."""
    theirs = _hash_target(connection, target, run_id)
    if theirs == hash_rows(source, run_id):
        return "known"
    (mine,) = _rows(source, "runs", "run_uuid", [run_id])
    return "went on" if row["status"] != "FINISHED" and mine["start_time"] == row["start_time"] else "conflict"


def _hash_target(connection: Connection, target: _Target, run_id: str) -> str:
    """As `hash_rows`, of a run in the database: its rows are laid into a small store of our own for it."""
    with sqlite3.connect(":memory:") as memory:
        memory.execute("CREATE TABLE params (run_uuid, key, value)")
        memory.execute("CREATE TABLE metrics (run_uuid, key, step, timestamp, value, is_nan)")
        for table, names in (
            ("params", ("run_uuid", "key", "value")),
            ("metrics", ("run_uuid", "key", "step", "timestamp", "value", "is_nan")),
        ):
            marks = ", ".join("?" * len(names))
            rows = target.select(connection, table, "run_uuid", [run_id])
            memory.executemany(
                f"INSERT INTO {table} VALUES ({marks})",
                ([int(row[n]) if n == "is_nan" else row[n] for n in names] for row in rows),
            )
        digest = hash_rows(memory, run_id)
    memory.close()
    return digest


def _copy(store: Path, source: sqlite3.Connection, connection: Connection, target: _Target, run_ids: list[str]) -> None:
    """Everything of these runs; their files first, so that no row ever names a file that is not there."""
    runs = list(_rows(source, "runs", "run_uuid", run_ids))
    models = list(_rows(source, "logged_models", "source_run_id", run_ids))
    for row, column in (*((row, "artifact_uri") for row in runs), *((row, "artifact_location") for row in models)):
        row[column] = _copy_files(store, row[column], target.artifacts)
    experiments = _find_experiments(source, connection, target)
    for row in (*runs, *models):
        row["experiment_id"] = experiments[row["experiment_id"]]
    target.insert(connection, "runs", runs)
    for table in RUN_TABLES:
        target.insert(connection, table, _rows(source, table, "run_uuid", run_ids))
    target.insert(connection, "logged_models", models)
    named = [row["model_id"] for row in models]
    for table in MODEL_TABLES:
        parts = _rows(source, table, "model_id", named)
        target.insert(connection, table, (p | {"experiment_id": experiments[p["experiment_id"]]} for p in parts))
    links = [*_rows(source, "inputs", "destination_id", run_ids), *_rows(source, "inputs", "destination_id", named)]
    same = _copy_datasets(source, connection, target, links, experiments)
    links = [row | {"source_id": same.get(row["source_id"], row["source_id"])} for row in links]
    target.insert(connection, "inputs", links)
    target.insert(connection, "input_tags", _rows(source, "input_tags", "input_uuid", [r["input_uuid"] for r in links]))


def _copy_files(store: Path, address: str, artifacts: Path) -> str:
    """Copy a folder of files where it is not there yet, whole; returns its address there."""
    tail = Path(*artifact_tail(address).parts[1:])
    here, there = store / ARTIFACTS / tail, artifacts / tail
    if here.is_dir() and here.resolve() != there.resolve():
        beside = there.with_name(f".{there.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(here, beside)
        shutil.rmtree(there, ignore_errors=True)
        os.replace(beside, there)
    return there.as_uri()


def _find_experiments(source: sqlite3.Connection, connection: Connection, target: _Target) -> dict[int, int]:
    """The database's number of each experiment, by ours; one of a new name is added."""
    table, numbers = target.tables["experiments"], {}
    for row in _rows(source, "experiments"):
        ours, query = row.pop("experiment_id"), select(table.c.experiment_id).where(table.c.name == row["name"])
        found = connection.execute(query).scalar()
        if found is None:
            place = target.artifacts / Path(*artifact_tail(row["artifact_location"]).parts[1:])
            target.insert(connection, "experiments", [row | {"artifact_location": place.as_uri()}])
            found = connection.execute(query).scalar()
        numbers[ours] = int(found or 0)
    return numbers


def _copy_datasets(
    source: sqlite3.Connection, connection: Connection, target: _Target, links: list[Row], numbers: Mapping[int, int]
) -> dict[str, str]:
    """The datasets that links lead to, each once; returns their ids there by ours."""
    wanted = {row["source_id"] for row in links if row["source_type"] == "DATASET"}
    same = {}
    table = target.tables["datasets"]
    for row in _rows(source, "datasets", "dataset_uuid", wanted):
        row["experiment_id"] = numbers[row["experiment_id"]]
        key = [table.c[name] == row[name] for name in ("experiment_id", "name", "digest")]
        found = connection.execute(select(table.c.dataset_uuid).where(*key)).scalar()
        if found is None:
            target.insert(connection, "datasets", [row])
        same[row["dataset_uuid"]] = found or row["dataset_uuid"]
    return same


def _remove(connection: Connection, target: _Target, run_ids: list[str]) -> None:
    """Take out runs that come again, longer."""
    if not run_ids:
        return
    models = [row["model_id"] for row in target.select(connection, "logged_models", "source_run_id", run_ids)]
    inputs = [
        row["input_uuid"]
        for column, ids in (("destination_id", [*run_ids, *models]),)
        for row in target.select(connection, "inputs", column, ids)
    ]
    for table, column, ids in (
        ("input_tags", "input_uuid", inputs),
        ("inputs", "input_uuid", inputs),
        *((name, "model_id", models) for name in MODEL_TABLES),
        ("logged_models", "model_id", models),
        *((name, "run_uuid", run_ids) for name in RUN_TABLES),
        ("runs", "run_uuid", run_ids),
    ):
        for start in range(0, len(ids), _ASKED):
            found = target.tables[table]
            connection.execute(delete(found).where(found.c[column].in_(ids[start : start + _ASKED])))


def _count_both(
    source: sqlite3.Connection, connection: Connection, target: _Target, run_ids: list[str]
) -> Iterator[str]:
    """What did not arrive, a line a table."""
    for table, column in COUNTED.items():
        sent = arrived = 0
        for start in range(0, len(run_ids), _ASKED):
            some, found = run_ids[start : start + _ASKED], target.tables[table]
            marks = ", ".join("?" * len(some))
            sent += source.execute(f"SELECT count(*) FROM {table} WHERE {column} IN ({marks})", some).fetchone()[0]
            query = select(func.count()).select_from(found).where(found.c[column].in_(some))
            arrived += connection.execute(query).scalar() or 0
        if sent != arrived:
            yield f"{sent} rows of {table} went into the database, {arrived} came out"


def _rows(source: sqlite3.Connection, table: str, column: str = "", values: Iterable[str] = ()) -> Iterator[Row]:
    """Rows of our store: all of them, or those in which `column` is one of `values`."""
    asked = list(values)
    for start in range(0, len(asked) if column else 1, _ASKED):
        some = asked[start : start + _ASKED] if column else []
        where = f" WHERE {column} IN ({', '.join('?' * len(some))})" if column else ""
        cursor = source.execute(f"SELECT * FROM {table}{where}", some)
        names = [entry[0] for entry in cursor.description]
        yield from (dict(zip(names, values, strict=True)) for values in cursor)


@contextmanager
def _explained(uri: str) -> Iterator[str]:
    """The address without its password; what SQLAlchemy has to say becomes a sentence that does not hold it either."""
    try:
        shown = make_url(uri).render_as_string(hide_password=True)
    except ArgumentError as error:
        raise LabError(
            f"'{one_line(uri, 60)}' is no address of a database", hint="postgresql://user@host/mlflow"
        ) from error
    try:
        yield shown
    except NoSuchModuleError as error:
        raise LabError(
            f"there is no driver for {shown}: {one_line(error, 100)}", hint="pip install its driver"
        ) from error
    except SQLAlchemyError as error:
        reason = one_line(str(error.__cause__ or error), 300).replace(make_url(uri).password or "\0", "***")
        raise LabError(f"{shown} cannot be used: {reason}", hint="is it running, and may you write there?") from error
