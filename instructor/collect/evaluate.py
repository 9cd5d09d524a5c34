"""Score a group's best model on the hidden test set: rebuilt here from its configuration and its weights.

The model is made by this project's code, never by code from a hand-in. The test set is read once a size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lab_code.config import load_config
from lab_code.data.dataset import DESCRIPTION
from lab_code.data.ham10000 import read_dataset
from lab_code.data.lesions import Lesions, load_lesions
from lab_code.errors import LabError
from lab_code.experiment import load_learner
from lab_code.metrics import evaluate
from lab_code.tracking.records import WEIGHTS
from lab_code.tracking.runs import Run

_LISTED = 10  # classes in a line


@dataclass(frozen=True)
class TestScore:
    """The metrics of one model on the hidden test set, and which class it takes every photograph for."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    run: Run
    metrics: dict[str, float]
    predicted: list[int]


class HiddenTestSet:
    """The photographs under `build/vault/test/`, which no group has."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise LabError(f"the hidden test set {folder} is missing", hint="make provision")
        self._folder = folder
        self._load = cache(self._load_size)

    def score(self, run: Run) -> TestScore:
        """Rebuild the model of a run and score it. Raises `LabError` where it cannot be rebuilt."""
        config = load_config(run.artifacts / "config.yaml")
        lesions = self._load(config.data.image_size)
        _check_classes(run, lesions)
        learner = load_learner(config, run.artifacts / WEIGHTS, lesions.dataset)
        probabilities = learner.predict(lesions.images)
        if not np.isfinite(probabilities).all():
            raise LabError("the probabilities that its model gives are no numbers", hint="train it again")
        metrics = evaluate(lesions.labels, probabilities, lesions.dataset.codes)
        return TestScore(run, metrics, probabilities.argmax(axis=1).tolist())

    def _load_size(self, image_size: int) -> Lesions:
        return load_lesions(self._folder, image_size)


def _check_classes(run: Run, hidden: Lesions) -> None:
    """Raise `LabError` for a model of other classes than those of the hidden photographs, or in another order.

    Runs of older kits say nothing about it: theirs are HAM10000's.
    """
    trained, wanted = read_dataset(run.artifacts).codes, hidden.dataset.codes
    if trained != wanted:
        raise LabError(
            f"it tells other classes apart than the hidden photographs have: {_describe_classes(trained, wanted)}",
            hint=f"only runs on this workshop's photographs can be scored (see {DESCRIPTION} in a kit's data folder)",
        )


def _describe_classes(trained: Sequence[str], wanted: Sequence[str]) -> str:
    """What was found and what was expected, in one line."""
    if sorted(trained) == sorted(wanted):
        return f"the same in another order, {_list(trained)}, expected {_list(wanted)}"
    odd, lacking = (
        [code for code in one if code not in other] for one, other in ((trained, wanted), (wanted, trained))
    )
    details = [f"{what} {_list(codes)}" for what, codes in (("unknown:", odd), ("missing:", lacking)) if codes]
    return f"{len(trained)}, expected {len(wanted)} ({'; '.join(details)})"


def _list(codes: Sequence[str]) -> str:
    return ", ".join(codes[:_LISTED]) + (" …" if len(codes) > _LISTED else "")
