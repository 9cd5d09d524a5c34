"""What went in equals what came out: rows and files of runs, counted before they are merged and after.

counts.add(run_ids, count_rows(source, run_ids))     # before
check_counts(store, counts_of_groups, faults)         # after all of them
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab_code.tracking.store import ARTIFACTS, DATABASE, open_database

COUNTED = {  # what is counted before and after, and by which column its rows belong to a run
    "runs": "run_uuid",
    "params": "run_uuid",
    "metrics": "run_uuid",
    "latest_metrics": "run_uuid",
    "tags": "run_uuid",
    "logged_models": "source_run_id",
    "inputs": "destination_id",
}


@dataclass
class Counts:
    """Of one group: its runs, and how many rows and files of them went in and came out."""

    run_ids: set[str] = field(default_factory=set)
    sent: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)

    def add(self, run_ids: set[str], counted: Mapping[str, int]) -> None:
        """One more hand-in."""
        self.run_ids |= run_ids
        self.sent = {name: self.sent.get(name, 0) + number for name, number in counted.items()}


def count_rows(store: Path, run_ids: Iterable[str]) -> dict[str, int]:
    """How many rows of each table belong to these runs, and how many files they have."""
    with open_database(store / DATABASE) as database:
        name_chosen(database, run_ids)
        counts = {table: count_chosen(database, "main", table) for table in COUNTED}
        places = [row[0] for row in database.execute("SELECT artifact_uri FROM runs WHERE run_uuid IN temp.chosen")]
    parts = [place.replace("\\", "/").split(f"/{ARTIFACTS}/")[-1].removeprefix(f"{ARTIFACTS}/") for place in places]
    folders = [store / ARTIFACTS / part for part in parts]
    return {**counts, "files": sum(path.is_file() for folder in folders for path in folder.rglob("*"))}


def known_runs(store: Path) -> set[str]:
    """The ids of all runs in a store that we made, those of other programs too."""
    with open_database(store / DATABASE) as database:
        return {row[0] for row in database.execute("SELECT run_uuid FROM runs")}


def check_counts(store: Path, counts: Mapping[str, Counts], faults: list[str]) -> None:
    """Count what is in the collected store of each group; what differs is added to `faults`."""
    for group, mine in counts.items():
        mine.arrived = count_rows(store, mine.run_ids)
        faults += [
            f"{group}: {sent} rows of {name} went in, {mine.arrived.get(name, 0)} came out"
            for name, sent in mine.sent.items()
            if sent != mine.arrived.get(name, 0)
        ]


def name_chosen(database: sqlite3.Connection, run_ids: Iterable[str]) -> None:
    """Put these runs into the table `temp.chosen`."""
    database.execute("CREATE TEMP TABLE chosen (run_uuid TEXT PRIMARY KEY)")
    database.executemany("INSERT INTO temp.chosen VALUES (?)", ((run_id,) for run_id in run_ids))


def count_chosen(store: sqlite3.Connection, schema: str, table: str) -> int:
    """Rows of the chosen runs; not the tag that names their group, which is set anew."""
    query = f"SELECT count(*) FROM {schema}.{table} WHERE {COUNTED[table]} IN temp.chosen"
    return store.execute(query + (" AND key <> 'group'" if table == "tags" else "")).fetchone()[0]
