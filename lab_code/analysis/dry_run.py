"""What a run would be, before anything is trained: `lab train model.width=24 --dry-run`.

`plan_run(config, root)` builds the model and reads the table of the photographs, but no photograph: it takes a second
or two, writes nothing, and says at once where a setting or the data cannot be used.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab_code.config import Config
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import find_images, missing_images
from lab_code.data.lesions import Lesions, is_medmnist, load_part, read_folder, split_by_lesion
from lab_code.errors import LabError
from lab_code.frameworks import build_learner


@dataclass(frozen=True)
class DryRun:
    """The size of a run: numbers that the model learns, photographs on both sides of the split, steps in all."""

    weights: int
    training: int
    validation: int
    steps: int


def plan_run(config: Config, root: Path) -> DryRun:
    """The size of the run that `config` describes. Raises `LabError` where it could not begin."""
    train, validation = _divide(config, root)
    learner = build_learner(config, dataset=train.dataset)
    return DryRun(int(learner.facts()["model.parameters"]), len(train), len(validation), learner.count_steps(train))


def _divide(config: Config, root: Path) -> tuple[Lesions, Lesions]:
    """Both sides of the split, without their pixels where those lie in files of their own."""
    place = root / config.data.folder
    if is_medmnist(place):
        return load_part(place, "train", config.data.image_size), load_part(place, "val", config.data.image_size)
    reading = read_folder(place)
    if reading.missing and config.data.on_fault == "stop":
        raise missing_images(reading, find_images(place))
    if not reading.photographs:
        raise LabError(f"there is no photograph in {place}", hint="copy the complete folder")
    labels = np.array([reading.dataset.codes.index(photograph.dx) for photograph in reading.photographs], np.int64)
    ids = np.array([photograph.lesion_id for photograph in reading.photographs])
    share, seed, size = config.data.validation_fraction, config.data.split_seed, config.data.image_size
    aside = split_by_lesion(labels, ids, share, seed, reading.dataset)
    kept, apart = (_without_pixels(labels[side], ids[side], size, reading.dataset) for side in (~aside, aside))
    return kept, apart


def _without_pixels(labels: np.ndarray, ids: np.ndarray, size: int, dataset: Dataset) -> Lesions:
    """Photographs of the right shape that take no memory."""
    return Lesions(np.broadcast_to(np.uint8(0), (len(ids), size, size, 3)), labels, ids, ids, dataset)
