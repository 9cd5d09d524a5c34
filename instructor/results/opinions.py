"""What groups have written: sentences, bets and reviews, as tables beside the collected store; and their feedback.

    opinions = read_opinions(folder)

`reviews.csv` (reviewer, reviewed, answers), `sentences.csv` (group, sentence) and `bets.csv` (group, run_id, bet, why)
are written while collecting. A table that is not there was never asked for: then nothing is scored by it.
`repeats.json` is what `instructor collect --repeat` found when it made the groups' best runs again.
"""

import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructor.collect.table import bare_cell
from lab_code.errors import LabError
from lab_code.workshop.feedback import RATINGS, SENTENCES

REVIEWS, WRITTEN, BETS, REPEATS = "reviews.csv", "sentences.csv", "bets.csv", "repeats.json"
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Opinions:
    """Rows of the three tables; None where nobody was asked."""

    reviews: Rows | None = None
    sentences: Rows | None = None
    bets: Rows | None = None
    repeats: dict[str, str] = field(default_factory=dict)  # run id -> same, or differs

    def written_by(self, group: str) -> list[str]:
        """A group's sentences."""
        return [row["sentence"] for row in self.sentences or [] if row["group"] == group and row["sentence"].strip()]

    def bets_of(self, group: str) -> Rows:
        return [row for row in self.bets or [] if row["group"] == group]

    def reviews_of(self, group: str) -> Rows:
        """What others say of a group's runs."""
        return [row for row in self.reviews or [] if row["reviewed"] == group]

    def has_reviewed(self, group: str) -> bool:
        return any(row["reviewer"] == group for row in self.reviews or [])


def read_opinions(folder: Path) -> Opinions:
    """The tables in the collected folder. Raises `LabError` for one that lacks a column."""
    return Opinions(
        _read(folder / REVIEWS, ["reviewer", "reviewed"]),
        _read(folder / WRITTEN, ["group", "sentence"]),
        _read(folder / BETS, ["group", "bet"]),
        _read_repeats(folder / REPEATS),
    )


@dataclass(frozen=True)
class Rating:
    """One question of the feedback: how often every answer was given, and their mean and range."""

    question: str
    counts: dict[int, int]
    mean: float | None
    spread: tuple[int, int] | None


def summarise_ratings(feedback: Iterable[dict[str, Any]]) -> list[Rating]:
    """The ratings of all groups, without saying whose."""
    answers, ratings = list(feedback), []
    for name, question in RATINGS.items():
        given = [answer[name] for answer in answers if name in answer]
        counts = {value: given.count(value) for value in range(1, 6)}
        mean = statistics.mean(given) if given else None
        ratings.append(Rating(question, counts, mean, (min(given), max(given)) if given else None))
    return ratings


def list_sentences(feedback: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Every sentence of the feedback as it was written, by its question; the alphabet's order names nobody."""
    answers = list(feedback)
    return {
        question: sorted(text for answer in answers if (text := str(answer.get(name, "")).strip()))
        for name, question in SENTENCES.items()
    }


def _read_repeats(path: Path) -> dict[str, str]:
    """What the instructor's repetition of a run came to; runs that could not be made again are left out."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8")).values()
        return {str(one["run_id"]): "same" if one["same"] else "differs" for one in found if not one.get("error")}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="make collect, then once more with --repeat") from error


def _read(path: Path, columns: Sequence[str]) -> Rows | None:
    if not path.is_file():
        return None
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or [])]
        if missing:
            raise LabError(f"{path}: the column {missing[0]} is missing", hint="make collect writes it again")
        return [{key: bare_cell(value or "") for key, value in row.items() if key is not None} for row in reader]
