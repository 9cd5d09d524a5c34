"""Read the MLflow database of a hand-in, which anyone may have edited, into an empty one of our own making.

Each table is read once, row by row, and each value is checked against the type that MLflow's own table has; nothing of
the foreign file decides what is executed or where something is written. A run with a row that does not fit is left
out as a whole, and named.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.store import DATABASE

RUN_TABLES = ("params", "metrics", "latest_metrics", "tags")
MODEL_TABLES = ("logged_model_params", "logged_model_tags", "logged_model_metrics")
_KNOWN_TABLES = {
    *RUN_TABLES, *MODEL_TABLES, "runs", "experiments", "experiment_tags", "alembic_version", "workspaces",
    "datasets", "inputs", "input_tags", "logged_models",
}  # fmt: skip
_LONGEST_TEXT = 1_000_000  # characters of a cell that MLflow does not limit
_LONGEST_SHORT = 8000  # of the others; SQLite itself takes more than VARCHAR says, as for addresses in deep folders
_MOST_RUNS = 2000
_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_ALLOWED: dict[tuple[str, str], tuple[object, ...]] = {  # MLflow's page fails as a whole where it meets another value
    ("runs", "status"): _STATUSES,
    ("runs", "lifecycle_stage"): ("active", "deleted"),
    ("logged_models", "status"): (0, 1, 2, 3, None),
    ("logged_models", "lifecycle_stage"): ("active", "deleted", None),
    ("inputs", "source_type"): ("DATASET", "RUN_INPUT", "RUN_OUTPUT", "RUN"),
}
_RUN_ID, _MODEL_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"m-[0-9a-f]{32}")

Row = dict[str, Any]


@dataclass
class ForeignRows:
    """What was read of a database, and what was left out with the reason: `left_out` maps a run's id to one line."""

    runs: dict[str, Row] = field(default_factory=dict)
    models: dict[str, Row] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class ForeignStore:
    """The database in `folder`, opened for reading and nothing else; `ours` says what its tables must look like.

    Raises `LabError` for one that is damaged, made by another version of MLflow, or no plain database of MLflow.
    """

    def __init__(self, folder: Path, ours: sqlite3.Connection, most_rows: int) -> None:
        path = folder / DATABASE
        if not path.is_file():
            raise LabError(f"its {DATABASE} is missing", hint="let the group run lab handin again")
        self._ours, self._left = ours, most_rows
        self._theirs = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        self._theirs.text_factory = _decode
        self._theirs.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 * _LONGEST_TEXT)
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "query_only = ON"):
            self._theirs.execute(f"PRAGMA {setting}")
        self._check()

    def __enter__(self) -> "ForeignStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._theirs.close()

    def rows(self, table: str) -> Iterator[tuple[Row, str | None]]:
        """Each row with the columns that both know, as ours are called, and what is wrong with it (None: nothing).

        A table that ours does not have has none: it came with a later version of MLflow.
        """
        if not self._has(table):
            return
        theirs = {row[1] for row in self._theirs.execute(f"PRAGMA table_info({table})")}
        ours = self._ours.execute(f"PRAGMA table_info({table})").fetchall()
        checks = {
            row[1]: _make_check(f"{row[2]}{' NOT NULL' * row[3]}", _ALLOWED.get((table, row[1])))
            for row in ours
            if row[1] in theirs
        }
        missing = [row[1] for row in ours if row[1] not in theirs and (row[3] or row[5])]
        if missing:
            raise LabError(f"its table {table} has no column {missing[0]}", hint=_EDITED)
        names, tests = list(checks), list(checks.values())
        columns = ", ".join(f'"{name}"' for name in names)
        with closing(self._theirs.execute(f"SELECT {columns} FROM {table} NOT INDEXED")) as cursor:
            for values in cursor:
                self._left -= 1
                if self._left < 0:
                    raise LabError("its MLflow store has more rows than a hand-in may", hint="raise limits.rows")
                row = dict(zip(names, values, strict=True))
                wrong = [name for name, fits, value in zip(names, tests, values, strict=True) if not fits(value)]
                yield row, f"its {table}.{wrong[0]} is {one_line(repr(row[wrong[0]]), 60)}" if wrong else None

    def _has(self, table: str) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self._ours.execute(query, (table,)).fetchone() is not None

    def count_others(self) -> dict[str, int]:
        """How many rows lie in tables that are not read."""
        names = [row[0] for row in self._ours.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        there = {row[0] for row in self._theirs.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            name: self._theirs.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for name in names
            if name not in _KNOWN_TABLES and name in there
        }

    def _check(self) -> None:
        plain = "SELECT type, name, sql FROM sqlite_master WHERE type NOT IN ('table', 'index')"
        known = {(kind, name): sql for kind, name, sql in self._ours.execute(plain)}
        for kind, name, sql in self._theirs.execute(plain):
            if known.get((kind, name)) != sql:
                raise LabError(
                    f"its database holds the {kind} {one_line(name)}, which MLflow never makes", hint=_EDITED
                )
        for table in sorted(filter(self._has, _KNOWN_TABLES)):
            self._check_table(table)
        fault = self._theirs.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise LabError(
                f"its MLflow database is damaged: {one_line(fault)}", hint="let the group run lab handin again"
            )
        query = "SELECT version_num FROM alembic_version"
        found, expected = (store.execute(query).fetchone() for store in (self._theirs, self._ours))
        if found != expected:
            raise LabError(
                f"its MLflow store is of another version of MLflow ({one_line(found and found[0])}, not {expected[0]})",
                hint="install the versions of constraints.txt on that laptop",
            )

    def _check_table(self, table: str) -> None:
        """A plain table has a page of its own, and no column that is computed when it is read."""
        query = "SELECT rootpage, sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        entries = self._theirs.execute(query, (table,)).fetchall()
        if len(entries) != 1:
            raise LabError(f"its database has no table {table}", hint="let the group run lab handin again")
        hidden = any(row[6] for row in self._theirs.execute(f"PRAGMA table_xinfo({table})"))
        if hidden or not entries[0][0] or str(entries[0][1]).lstrip().upper().startswith("CREATE VIRTUAL"):
            raise LabError(f"its table {table} is none that MLflow makes", hint=_EDITED)


_EDITED = "this store was edited by hand; do not use this zip"


def read_runs_of(store: ForeignStore) -> ForeignRows:
    """Its runs and models by id; those that do not fit are left out."""
    rows = ForeignRows()
    for row, fault in store.rows("runs"):
        identity = row["run_uuid"]
        if not isinstance(identity, str) or not _RUN_ID.fullmatch(identity) or identity in rows.runs:
            raise LabError(f"its run id {one_line(repr(identity), 60)} is none of MLflow's", hint=_EDITED)
        if fault:
            rows.left_out[identity] = fault
        rows.runs[identity] = row
        if len(rows.runs) > _MOST_RUNS:
            raise LabError(f"it holds more than {_MOST_RUNS} runs", hint="let the group delete some in MLflow's page")
    for row, fault in store.rows("logged_models"):
        identity = row["model_id"]
        if fault or not _MODEL_ID.fullmatch(str(identity)):
            rows.notes.append(f"a model of its store was left out: {fault or one_line(identity, 60)}")
        elif row["source_run_id"] in rows.runs:
            rows.models[identity] = row
    return rows


def _make_check(kind: str, allowed: tuple[object, ...] | None) -> Callable[[Any], bool]:
    """What a column of this SQL type may hold, as a function that is asked of every row."""
    name, _, needed = kind.partition(" ")
    fits = _FITS.get(name.partition("(")[0], lambda value: False)
    check = fits if needed else lambda value: value is None or fits(value)  # nothing fits where a value must be
    return check if allowed is None else lambda value: value in allowed and check(value)


def _is_short_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_SHORT and "\0" not in value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and "\0" not in value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < float("inf")


_FITS: dict[str, Callable[[Any], bool]] = {
    "VARCHAR": _is_short_text,
    "TEXT": _is_text,
    "BIGINT": _is_whole,
    "INTEGER": _is_whole,
    "BOOLEAN": lambda value: value in (0, 1),
    "FLOAT": _is_number,
}


def _decode(raw: bytes) -> object:
    """Text; what is none stays bytes, which no column may hold."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
