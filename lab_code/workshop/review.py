"""Peer review: two runs of another group, whose name nobody says, and three questions about them.

The instructor brings `review.json` after the hand-in; the answers are kept in `review-answers.json` and travel with
the next hand-in. `id` tells the instructor, and nobody else, whose runs they are.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab_code.data.dataset import FEWEST, MOST
from lab_code.data.ham10000 import read_dataset
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.tracking.names import name_metrics
from lab_code.tracking.runs import Run

REVIEW, ANSWERS = "review.json", "review-answers.json"
QUESTIONS = {
    "changed": "What was changed between run A and run B?",
    "effect": "What did the change do? Name a number.",
    "doubt": "What can one not conclude from these two runs alone, and which run would you make next?",
}
STARS = "How honest and clear is their sentence: 1 (hardly) to 5 (very)?"
LONGEST = 500  # characters of an answer
_LONGEST_VALUE, _MOST_VALUES = 80, 200
_CHOICES = ("data.", "framework", "loss.", "model.", "optimizer.", "seed", "trainer.")
_PATHS = ("data.folder", "model.weights")


@dataclass(frozen=True)
class Review:
    """What a group is to review: two runs called A and B, their confusion matrices (C, C), and what the other group has
    written of its runs, where it has."""

    id: str
    runs: tuple[Run, Run]
    confusions: tuple[np.ndarray, np.ndarray]
    sentence: str = ""


def review_to_json(identity: str, runs: tuple[Run, Run], confusions: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """The document of `review.json`: choices and scores of the runs, and nothing that names their group."""
    described = [
        {"params": _choices(run), "metrics": _numbers(run.metrics), "confusion": confusion.tolist()}
        for run, confusion in zip(runs, confusions, strict=True)
    ]
    return {"about": "Two runs of another group, to be reviewed: lab review", "id": identity, "runs": described}


def review_from_json(document: dict[str, Any], root: Path) -> Review:
    """The review in a parsed `review.json`. Raises what Python raises where it is none: it comes from elsewhere."""
    entries, photographs = [document["runs"][index] for index in (0, 1)], root / "data"
    runs = [
        Run("", name, "FINISHED", 0, 0, photographs, _texts(entry["params"]), name_metrics(_numbers(entry["metrics"])))
        for name, entry in zip("AB", entries, strict=True)
    ]
    confusions = [np.array(entry["confusion"], np.int64) for entry in entries]
    classes = len(confusions[0])
    if not FEWEST <= classes <= MOST or any(matrix.shape != (classes, classes) for matrix in confusions):
        raise ValueError(f"the confusion matrices are not two of {FEWEST} to {MOST} classes")
    sentence = "".join(letter for letter in str(document.get("sentence", "")) if letter.isprintable())[:LONGEST]
    return Review(str(document["id"]), (runs[0], runs[1]), (confusions[0], confusions[1]), sentence)


def read_review(root: Path) -> Review:
    """Read `root/review.json`. Raises `LabError` where it has not arrived, or is damaged."""
    path = root / REVIEW
    try:
        review = review_from_json(json.loads(path.read_text(encoding="utf-8")), root)
        classes = len(read_dataset(root / "data"))
        found = len(review.confusions[0])
        if found != classes:
            raise ValueError(f"its runs tell {found} classes apart, but this kit's photographs have {classes}")
        return review
    except FileNotFoundError as error:
        raise LabError(
            f"there is nothing to review yet: {REVIEW} has not arrived",
            hint="hand in first (lab handin); then the instructor brings it into this folder",
        ) from error
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="ask the instructor to bring it again") from error


def write_answers(root: Path, review: Review, answers: dict[str, str], stars: int | None = None) -> Path:
    """Replace the answers; `stars` (1 to 5) rate the sentence.

    Raises `LabError` for an empty answer, or one beyond 500 characters, and for stars where there is no sentence.
    """
    if stars is not None and (stars not in range(1, 6) or not review.sentence):
        fault = f"{stars} stars" if review.sentence else "the other group has written no sentence to be rated"
        raise LabError(fault, hint="from 1 to 5, where there is a sentence: lab review shows it")
    for key in QUESTIONS:
        length = len(answers.get(key, "").strip())
        if not 1 <= length <= LONGEST:
            found = f"has {length} characters" if length else "is empty"
            raise LabError(f"the answer '{key}' {found}", hint=f"a sentence or two, at most {LONGEST} characters")
    path = root / ANSWERS
    rated = {} if stars is None else {"stars": stars}
    write_whole(path, to_json({"id": review.id, **{key: answers[key].strip() for key in QUESTIONS}, **rated}))
    return path


def _choices(run: Run) -> dict[str, str]:
    """What was chosen, without what a person or a laptop could be known by."""
    chosen = {key: value for key, value in run.params.items() if key.startswith(_CHOICES) and key not in _PATHS}
    return _texts(chosen)


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Keys and values as short, printable text: they go from one group's store to another one's terminal."""
    return {_printable(key): _printable(value) for key, value in _first(values)}


def _printable(value: object) -> str:
    return "".join(letter for letter in str(value) if letter.isprintable())[:_LONGEST_VALUE]


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {_printable(key): float(value) for key, value in _first(values)}


def _first(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """As many as a run of ours has: what goes from one group to another one has an end."""
    return sorted(values.items())[:_MOST_VALUES]
