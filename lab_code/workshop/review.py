"""Peer review: two runs of another group, whose name nobody says, and three questions about them.

The instructor brings `review.json` after the hand-in; the answers are kept in `review-answers.json` and travel with
the next hand-in. `id` tells the instructor, and nobody else, whose runs they are.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab_code.data.ham10000 import DIAGNOSES
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.runs import Run

REVIEW, ANSWERS = "review.json", "review-answers.json"
QUESTIONS = {
    "changed": "What was changed between run A and run B?",
    "effect": "What did the change do? Name a number.",
    "doubt": "What can one not conclude from these two runs alone, and which run would you make next?",
}
_LONGEST = 500


@dataclass(frozen=True)
class Review:
    """What a group is to review: two runs called A and B, and their confusion matrices (C, C)."""

    id: str
    runs: tuple[Run, Run]
    confusions: tuple[np.ndarray, np.ndarray]


def review_to_json(identity: str, runs: tuple[Run, Run], confusions: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """The document of `review.json`: choices and scores of the runs, and nothing that names their group."""
    described = [
        {"params": _choices(run), "metrics": run.metrics, "confusion": confusion.tolist()}
        for run, confusion in zip(runs, confusions, strict=True)
    ]
    return {"about": "Two runs of another group, to be reviewed: lab review", "id": identity, "runs": described}


def read_review(root: Path) -> Review:
    """Read `root/review.json`. Raises `LabError` where it has not arrived, or is damaged."""
    path = root / REVIEW
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = [document["runs"][index] for index in (0, 1)]
        runs = [
            Run("", name, "FINISHED", 0, 0, root, _texts(entry["params"]), _numbers(entry["metrics"]))
            for name, entry in zip("AB", entries, strict=True)
        ]
        confusions = [np.array(entry["confusion"], np.int64) for entry in entries]
        if any(matrix.shape != (len(DIAGNOSES), len(DIAGNOSES)) for matrix in confusions):
            raise ValueError(f"a confusion matrix is not one of {len(DIAGNOSES)} diagnoses")
        return Review(str(document["id"]), (runs[0], runs[1]), (confusions[0], confusions[1]))
    except FileNotFoundError as error:
        raise LabError(
            f"there is nothing to review yet: {REVIEW} has not arrived",
            hint="hand in first (lab handin); then the instructor brings it into this folder",
        ) from error
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="ask the instructor to bring it again") from error


def write_answers(root: Path, review: Review, answers: dict[str, str]) -> Path:
    """Replace the answers. Raises `LabError` for an empty one, or one beyond 500 characters."""
    for key in QUESTIONS:
        length = len(answers.get(key, "").strip())
        if not 1 <= length <= _LONGEST:
            found = f"has {length} characters" if length else "is empty"
            raise LabError(f"the answer '{key}' {found}", hint=f"a sentence or two, at most {_LONGEST} characters")
    path = root / ANSWERS
    write_whole(path, to_json({"id": review.id, **{key: answers[key].strip() for key in QUESTIONS}}))
    return path


def _choices(run: Run) -> dict[str, str]:
    hidden = ("name", "machine.", "code.", "data.folder")
    return {key: value for key, value in run.params.items() if not key.startswith(hidden)}


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {str(key): float(value) for key, value in values.items()}
