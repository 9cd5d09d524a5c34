"""Runs of an MLflow store, read straight from its SQLite file: milliseconds instead of the seconds MLflow needs.

`read_runs(store)` returns what `lab compare` and the leaderboard show: the lab's own runs. Whatever other programs put
into the same database is left alone, and `read_store` says so in a line. `reroot_store` repairs the absolute paths that
MLflow writes into its database when the folder has moved, and brings back an experiment that was deleted or renamed.
"""

import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import read_dataset
from lab_code.tracking.names import name_metric, separate_facts
from lab_code.tracking.running import is_running, run_folder
from lab_code.tracking.store import ARTIFACTS as ARTIFACTS  # for those who need no more of it than its names
from lab_code.tracking.store import (
    DATABASE,
    EXPERIMENT,
    find_own_experiment,
    is_own_place,
    open_database,
    own_tail,
    read_rows,
)
from lab_code.tracking.store import artifact_tail as artifact_tail
from lab_code.tracking.views import add_view

_LISTED = 3  # names in a note
_LARGEST = 1e308  # MLflow writes infinity as the largest number there is
_TAGS = {"group", "sweep"}  # of which every run of the lab has one, or else a parameter of every training run
_PARAMETER = "trainer.epochs"
RELAY_OF, RELAY_GROUP = "relay.of", "relay.group"  # tags of a run that was made from another group's card


@dataclass(frozen=True)
class Run:
    """One run: its choices as text, the last value of every metric, tags (facts as well), folder of its artifacts."""

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
    def is_relay(self) -> bool:
        """Whether it was made from another group's card: no idea, and no score, of this group's own."""
        return RELAY_OF in self.tags

    @property
    def seconds(self) -> float | None:
        """How long the run took; None while it runs."""
        return None if self.ended_ms is None else (self.ended_ms - self.started_ms) / 1000


@dataclass(frozen=True)
class StoreContent:
    """The lab's own runs, oldest first, and what is odd about the store (a sentence each)."""

    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_runs(store: Path) -> list[Run]:
    """All runs of the lab that were not deleted, oldest first; none where the store does not exist yet.

    Raises `LabError` for a file that is no MLflow store.
    """
    return read_store(store).runs


def read_store(store: Path) -> StoreContent:
    """As `read_runs`, with notes about what belongs to others. Runs that went with their experiment are still here."""
    if not has_store(store):
        return StoreContent()
    with open_database(store / DATABASE) as database:
        return read_content(store, database)


def read_content(store: Path, database: sqlite3.Connection) -> StoreContent:
    """The same from an open database of `store`."""
    rows = [row for row in read_rows(database, "runs") if isinstance(row["run_uuid"], str)]
    deleted = _deleted_experiments(database)
    params, tags = _read_pairs(database, "params", _text), _read_pairs(database, "tags", _text)
    metrics = _read_pairs(database, "latest_metrics", _number, name_metric)
    runs, foreign, restored = [], [], 0
    for row in rows:
        identity, gone = row["run_uuid"], row["lifecycle_stage"] != "active"
        if gone and row["experiment_id"] not in deleted:
            continue
        if is_own(row, params.get(identity, {}), tags.get(identity, {})):
            choices, facts = separate_facts(params.get(identity, {}), tags.get(identity, {}))
            runs.append(_make_run(store, row, choices, metrics.get(identity, {}), facts))
            restored += gone
        elif not gone:
            foreign.append(_one_line(row.get("name")) or identity[:8])
    runs.sort(key=lambda run: (run.started_ms, run.run_id))
    return StoreContent(runs, [*_note_deleted(restored, store), *_note_foreign(foreign)])


def has_store(store: Path) -> bool:
    """Whether there is a database; an empty file is what a full disk leaves of one."""
    path = store / DATABASE
    return path.is_file() and path.stat().st_size > 0


def is_own(row: Mapping[str, Any], params: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    """Whether the lab has made this run of MLflow's table: by its place, and by what every run of the lab carries."""
    tail = own_tail(row["artifact_uri"])
    own_place = tail is not None and tail.parts[2:] == (row["run_uuid"], "artifacts") and row["run_uuid"].isalnum()
    return own_place and (_PARAMETER in params or bool(_TAGS & set(tags)))


def can_resume(store: Path, run: Run) -> bool:
    """Whether a run was stopped and what it needs to go on is still there."""
    return run.status in ("KILLED", "FAILED") and run_folder(store, run.run_id).is_dir()


def name_own_experiment(store: Path) -> str:
    """What MLflow calls the experiment of the lab's own runs: what the photographs of `store` show, `skin-lesions`."""
    return re.sub(r"\W+", "-", _describe(store).shown.casefold()).strip("-") or EXPERIMENT


def _describe(store: Path) -> Dataset:
    """What the runs of a store are about: the photographs of the kit, or what a store without any says itself."""
    return read_dataset(store / "data" if (store / "data").exists() else store)


def read_experiment_id(store: Path, name: str) -> int | None:
    """MLflow's number of an experiment; None where the store has none of that name, or does not exist yet."""
    if not has_store(store):
        return None
    with open_database(store / DATABASE) as database:
        row = database.execute("SELECT experiment_id FROM experiments WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def read_states(store: Path) -> dict[str, str]:
    """`active` or `deleted` for the id of every run in the database, whoever made it; empty where there is no store."""
    if not has_store(store):
        return {}
    with open_database(store / DATABASE) as database:
        return {_text(row["run_uuid"]): _text(row["lifecycle_stage"]) for row in read_rows(database, "runs")}


def reroot_store(store: Path) -> int:
    """Point every artifact address of the lab at `store` itself; returns how many were changed (0: nothing had moved).

    The lab's experiment is brought back where it was deleted or renamed in MLflow's page, and gets the view in which
    the page opens. What is not the lab's stays as it is.
    """
    changed = 0
    with open_database(store / DATABASE) as database, database:
        _bring_back_experiment(database, name_own_experiment(store))
        for row in read_rows(database, "experiments"):
            if is_own_place(row["artifact_location"]):
                add_view(database, row["experiment_id"], _describe(store).codes)
        for table, key, column in (
            ("experiments", "experiment_id", "artifact_location"),
            ("runs", "run_uuid", "artifact_uri"),
            ("logged_models", "model_id", "artifact_location"),
        ):
            for row in read_rows(database, table):
                tail = own_tail(row[column])
                here = (store.resolve() / tail).as_uri() if tail else row[column]
                if here != row[column]:
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (here, row[key]))
                    changed += 1
    return changed


def _bring_back_experiment(database: sqlite3.Connection, name: str) -> None:
    own = find_own_experiment(database)
    if own is not None and not any(row["name"] == name for row in read_rows(database, "experiments")):
        database.execute("UPDATE experiments SET name = ? WHERE experiment_id = ?", (name, own))
    for experiment in _deleted_experiments(database):
        for row in read_rows(database, "runs"):
            if row["experiment_id"] == experiment and own_tail(row["artifact_uri"]):
                restored = "UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE run_uuid = ?"
                database.execute(restored, (row["run_uuid"],))
        database.execute("UPDATE experiments SET lifecycle_stage = 'active' WHERE experiment_id = ?", (experiment,))


def _deleted_experiments(database: sqlite3.Connection) -> set[int]:
    """The lab's own experiments that were deleted in MLflow's page, and all of their runs with them."""
    return {
        row["experiment_id"]
        for row in read_rows(database, "experiments")
        if row["lifecycle_stage"] == "deleted" and own_tail(row["artifact_location"])
    }


def _make_run(
    store: Path, row: Mapping[str, Any], params: dict[str, str], metrics: dict[str, float], tags: dict[str, str]
) -> Run:
    identity, started, ended = row["run_uuid"], row["start_time"], row["end_time"]
    tail = own_tail(row["artifact_uri"])
    assert tail is not None
    return Run(
        identity,
        _one_line(row.get("name")) or identity[:8],
        _true_status(store, identity, _text(row["status"])),
        started if isinstance(started, int) else 0,
        ended if isinstance(ended, int) else None,
        store / tail,
        params,
        metrics,
        tags,
    )


def _note_deleted(count: int, store: Path) -> list[str]:
    if not count:
        return []
    name = name_own_experiment(store)
    return [
        f"the experiment '{name}' was deleted in MLflow's page, its runs are still here ({count}): "
        "lab train and lab ui bring it back"
    ]


def _note_foreign(names: list[str]) -> list[str]:
    if not names:
        return []
    count = "1 run" if len(names) == 1 else f"{len(names)} runs"
    more = ", …" if len(names) > _LISTED else ""
    return [
        f"{count} in {DATABASE} not made by lab train ({', '.join(names[:_LISTED])}{more}): left alone, not handed in"
    ]


def _true_status(store: Path, run_id: str, status: str) -> str:
    return "KILLED" if status in ("RUNNING", "SCHEDULED") and not is_running(store, run_id) else status


def _read_pairs(
    database: sqlite3.Connection, table: str, read: Any, name: Callable[[str], str] = str
) -> dict[str, dict[str, Any]]:
    """`{run id: {key: value}}` of one of MLflow's key-value tables; what `read` turns into None is left out."""
    pairs: dict[str, dict[str, Any]] = {}
    for row in read_rows(database, table):
        value = None if row.get("is_nan") else read(row["value"])
        if value is not None:
            pairs.setdefault(row["run_uuid"], {})[name(_text(row["key"]))] = value
    return pairs


def _text(value: object) -> str:
    """Text, whatever a program has put there; control characters must not reach a terminal."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value))


def _one_line(value: object) -> str:
    return " ".join(_text(value).split())


def _number(value: object) -> float | None:
    """A finite number, or None: infinities and blobs are no score."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and abs(value) < _LARGEST else None
