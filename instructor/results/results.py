"""Everything that a class has achieved, from the collected folder alone, and the files that show it.

    record_class(folder, workshop, test_set, groups)     while collecting: what no file of the store says
    results = load_results(workshop, folder, build)      the tidy table, what groups wrote, the ranking

`show.py` writes the files that people look at.
"""

import csv
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from instructor.results.duel import DuelResult, read_duel_result
from instructor.results.evidence import Evidence, GroupEvidence, read_evidence, read_truth, write_evidence
from instructor.results.opinions import Opinions, read_opinions
from instructor.results.points import Standing, Standings, make_standings
from instructor.results.relays import Relay, find_relays, read_relays, write_relays
from instructor.results.runs_table import make_runs_table, read_runs_table, write_runs_table
from instructor.workshop import Workshop
from lab_code.data.dataset import dataset_to_yaml
from lab_code.errors import LabError
from lab_code.tracking.runs import read_runs
from lab_code.tracking.store import DATABASE, open_database

KAHOOT = Path("quiz", "kahoot-ranking.csv")  # below build/
_MOST_POINTS = 400  # of a learning curve that is drawn


@dataclass(frozen=True)
class Idea:
    """The change of a group that did the most: from `before` to `after` balanced accuracy."""

    run: str
    changed: str
    changes: int
    before: float
    after: float
    hidden: bool  # whether both were asked about the hidden photographs

    @property
    def gain(self) -> float:
        return self.after - self.before

    @property
    def scores(self) -> tuple[str, str]:
        """Before and after, with as many digits as it takes to see a difference."""
        digits = 2 if abs(self.gain) >= 0.01 else 3
        return f"{self.before:.{digits}f}", f"{self.after:.{digits}f}"


@dataclass(frozen=True)
class Results:
    """A class: its groups' places and everything that they are made of. `curves` are those of the groups' best runs."""

    workshop: Workshop
    evidence: Evidence
    runs: pd.DataFrame
    opinions: Opinions
    standings: Standings
    curves: dict[str, list[tuple[int, float]]]  # group -> (epoch, balanced accuracy on its validation photographs)
    relays: list[Relay] = field(default_factory=list)
    duel: DuelResult | None = None

    @property
    def winners(self) -> list[Standing]:
        return [standing for standing in self.standings.groups if standing.place == 1]

    def runs_of(self, group: str) -> pd.DataFrame:
        """The group's rows of the tidy table."""
        return self.runs[self.runs["group"] == group]

    def best_run_of(self, group: str) -> Mapping[str, Any] | None:
        """The run that the group is ranked by."""
        rows = self.runs_of(group)
        rows = rows[rows["counts"]]
        return rows.iloc[0].to_dict() if len(rows) else None


def load_results(workshop: Workshop, folder: Path, build: Path) -> Results:
    """Rank the class that was collected into `folder`. Raises `LabError` where nothing was."""
    evidence = read_evidence(folder)
    runs, opinions = read_runs_table(folder), read_opinions(folder)
    relays, kahoot = read_relays(folder), read_kahoot(build / KAHOOT, workshop.groups)
    standings = make_standings(workshop, evidence, runs, opinions, kahoot, relays)
    best = {entry.group: entry.run_id for entry in evidence.groups if entry.run_id}
    curves = read_curves(folder, best)
    return Results(workshop, evidence, runs, opinions, standings, curves, relays, read_duel_result(folder))


def record_class(folder: Path, workshop: Workshop, test_set: Path, groups: list[GroupEvidence]) -> None:
    """Write evidence, relays and the tidy table of the store in `folder`. `test_set`: the hidden photographs."""
    labels, lesions, dataset = read_truth(test_set)
    evidence = Evidence(
        workshop.id, workshop.title, list(dataset.codes), dataset_to_yaml(dataset), labels, lesions, groups
    )
    write_evidence(folder, evidence)
    runs = read_runs(folder)
    write_relays(folder, find_relays(runs))
    write_runs_table(folder, make_runs_table(runs, evidence, workshop.home))


def read_kahoot(path: Path, groups: Sequence[str]) -> dict[str, int]:
    """The groups' places in the quiz, empty before it is counted. Raises `LabError` for a table that is none."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(row["group"], int(row["rank"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        again = "instructor kahoot results … --count writes it again"
        raise LabError(f"{path} is no ranking of groups: {type(error).__name__}: {error}", hint=again) from error
    return {group: rank for group, rank in rows if group in groups and rank >= 1}


def find_idea(runs: pd.DataFrame) -> Idea | None:
    """A group's own change that did the most; where none helped, what the workshop's experiments did; or None."""
    tried = runs[(runs["status"] == "FINISHED") & (runs["changes"] > 0) & runs["gain"].notna()]
    own = tried[~tried["given"] & (tried["gain"] > 0)]
    chosen = own if len(own) else tried
    if chosen.empty:
        return None
    row = chosen.loc[chosen["gain"].idxmax()]
    reference = runs[runs["run_id"] == row["reference"]].iloc[0]
    hidden = not (pd.isna(row["test_balanced_accuracy"]) or pd.isna(reference["test_balanced_accuracy"]))
    column = "test_balanced_accuracy" if hidden else "validation_balanced_accuracy"
    return Idea(row["run"], row["changed"], int(row["changes"]), float(reference[column]), float(row[column]), hidden)


def read_curves(folder: Path, run_ids: Mapping[str, str]) -> dict[str, list[tuple[int, float]]]:
    """Balanced accuracy on the validation photographs after every epoch, of one run a group; at most 400 points."""
    if not (folder / DATABASE).is_file():
        return {}
    curves: dict[str, list[tuple[int, float]]] = {}
    with open_database(folder / DATABASE) as database:
        for group, run_id in run_ids.items():
            with suppress(sqlite3.Error):
                points = list(_thin(_read_points(database, run_id)))
                curves |= {group: points} if points else {}
    return curves


def _read_points(database: sqlite3.Connection, run_id: str) -> Sequence[tuple[int, float]]:
    """One value an epoch, the last that was logged."""
    rows = database.execute(
        "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'balanced_accuracy' AND is_nan = 0"
        " ORDER BY step, timestamp LIMIT 100000",
        (run_id,),
    )
    points = {step: value for step, value in rows if isinstance(value, int | float) and 0 <= value <= 1}
    return [(int(step), float(value)) for step, value in points.items()]


def _thin(points: Sequence[tuple[int, float]]) -> Iterable[tuple[int, float]]:
    every = max(1, -(-len(points) // _MOST_POINTS))
    return [*points[:-1:every], *points[-1:]]
