"""Where two runs disagree: the photographs that one of them gets right and the other wrong, and where each looked.

only_first, only_second = find_disagreements(baseline, balanced)
looks = look_again(kit, (baseline, balanced), only_second[:3])      # for plot_looks
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab_code.analysis.explain import explain
from lab_code.config import load_config
from lab_code.data.ham10000 import read_dataset
from lab_code.errors import LabError
from lab_code.experiment import load_learner, load_split
from lab_code.plots.several import Look
from lab_code.tracking.records import PREDICTIONS, WEIGHTS
from lab_code.tracking.runs import Run


@dataclass(frozen=True)
class Disagreement:
    """One validation photograph, what it is, and what each of the two runs said."""

    image_id: str
    dx: str
    said: tuple[str, str]


def differing_settings(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The settings in which the runs differ, each with its value in every run (`–` where a run has none)."""
    keys = sorted({key for run in runs for key in run.params if key != "name"})
    columns = {key: [run.params.get(key, "–") for run in runs] for key in keys}
    return {key: values for key, values in columns.items() if len(set(values)) > 1}


def find_disagreements(first: Run, second: Run) -> tuple[list[Disagreement], list[Disagreement]]:
    """The photographs that only the first run gets right, and those that only the second does.

    The surest right answers come first. Raises `LabError` where a run kept no predictions.
    """
    one, two = _read_predictions(first), _read_predictions(second)
    sides: tuple[list[tuple[float, Disagreement]], list[tuple[float, Disagreement]]] = ([], [])
    for image_id in sorted(set(one) & set(two)):
        dx, said = one[image_id]["dx"], (one[image_id]["predicted"], two[image_id]["predicted"])
        if (said[0] == dx) != (said[1] == dx):
            side = int(said[1] == dx)
            sureness = float((one, two)[side][image_id][f"p_{dx}"])
            sides[side].append((-sureness, Disagreement(image_id, dx, said)))
    only_first, only_second = ([found for _, found in sorted(side, key=lambda pair: pair[0])] for side in sides)
    return only_first, only_second


def look_again(root: Path, runs: tuple[Run, Run], chosen: Sequence[Disagreement]) -> list[list[Look]]:
    """For each photograph a row: itself, and where each run looks in it (Grad-CAM, where its model can be asked).

    Both runs are rebuilt from their records, and see the photographs in the size that they were trained with.
    """
    photographs = _load(root, runs[1], chosen)
    label = read_dataset(runs[1].artifacts).label
    rows = [[Look(image, None, f"is {label(found.dx)}")] for found, image in zip(chosen, photographs, strict=True)]
    for run in runs:
        config = load_config(run.artifacts / "config.yaml")
        learner = load_learner(config, run.artifacts / WEIGHTS)
        for row, found, image in zip(rows, chosen, _load(root, run, chosen), strict=True):  # in the size this run knows
            probabilities, heat = explain(learner, image)
            said = learner.dataset.codes[int(np.argmax(probabilities))]
            verdict = "right" if said == found.dx else "wrong"
            row.append(Look(image, heat, f"{run.name}: {said} {probabilities.max():.0%}, {verdict}"))
    return rows


def _load(root: Path, run: Run, chosen: Sequence[Disagreement]) -> list[np.ndarray]:
    """The photographs as this run saw them, each (H, W, 3) uint8. Raises `LabError` where one is gone."""
    config = load_config(run.artifacts / "config.yaml")
    validation = load_split(config, root)[1]
    places = {str(image_id): index for index, image_id in enumerate(validation.image_ids)}
    gone = [found.image_id for found in chosen if found.image_id not in places]
    if gone:
        raise LabError(f"{gone[0]} is no longer in {config.data.folder}", hint="train both again")
    return [validation.images[places[found.image_id]] for found in chosen]


def _read_predictions(run: Run) -> Mapping[str, dict[str, str]]:
    path = run.artifacts / PREDICTIONS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["image_id"]: row for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise LabError(f"run '{run.name}' has no readable {PREDICTIONS}: {error}", hint="train it again") from error
