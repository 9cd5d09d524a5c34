"""Trials of the heavy parts on this machine: one training step after another, and one MLflow run written and read.

    trial = time_training(photographs)      # how long an epoch will take here, from the fastest to the slowest one

The first steps of a process are several times slower than all others, and laptops are busy when they have just been
switched on: only epochs that have become steady count, and what is told is a range.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab_code.config import compose_config
from lab_code.data.lesions import Lesions
from lab_code.frameworks import build_learner
from lab_code.tracking.runs import ARTIFACTS, EXPERIMENT, read_runs
from lab_code.tracking.tracker import open_store
from lab_code.training.devices import choose_device

_PHOTOGRAPHS, _SHARE = 800, 0.8  # ten steps an epoch; this share is trained with, as in an experiment
_START_S = 10  # of one experiment: imports, photographs, the record of the run
_WARM, _STEADY = 3, 1.5  # so many epochs in a row that differ by at most this factor
_PATIENCE_S = 8.0  # for them to come
_HALF_HOUR_S = 30 * 60
_FOLDER = ".trial-"


@dataclass(frozen=True)
class TrainingTrial:
    """What training will be like here. `seconds` are those of steady epochs with all photographs of the kit."""

    device: str
    epochs: int
    seconds: tuple[float, ...]

    @property
    def epoch_s(self) -> float:
        """Seconds for an epoch, as they usually are."""
        return statistics.median(self.seconds)

    @property
    def experiment_s(self) -> float:
        """Seconds for one default experiment, start-up included."""
        return self.epochs * self.epoch_s + _START_S

    @property
    def two_experiments_s(self) -> tuple[float, float]:
        """Seconds for the two experiments of the class: at best, and at worst."""
        fastest, slowest = (2 * (self.epochs * s + _START_S) for s in (min(self.seconds), max(self.seconds)))
        return fastest, slowest

    @property
    def fits(self) -> bool:
        """Whether there is time for the two experiments in half an hour; only a laptop that is slow at best is not."""
        return self.two_experiments_s[0] < _HALF_HOUR_S / 2

    def __str__(self) -> str:
        epoch = _describe_range(min(self.seconds), max(self.seconds))
        fastest, slowest = self.two_experiments_s
        both = _describe_range(fastest / 60, slowest / 60)
        return f"{epoch} s an epoch on {self.device}; the two experiments take {both} min of the half hour"


def time_training(photographs: int) -> TrainingTrial:
    """Train a little on noise, and tell how long an epoch of `photographs` will take."""
    config = compose_config(["trainer.epochs=1000"])  # until it is steady
    size = config.data.image_size
    random = np.random.RandomState(0)
    images = random.randint(0, 255, (_PHOTOGRAPHS, size, size, 3)).astype(np.uint8)
    numbers = np.arange(_PHOTOGRAPHS)
    noise = Lesions(images, numbers % 7, numbers.astype(str), numbers.astype(str))
    seen = numbers < _SHARE * _PHOTOGRAPHS
    epochs = build_learner(config).learn(noise.select(seen), noise.select(~seen))
    warm = choose_steady(result.seconds for result in epochs)
    default = compose_config().trainer
    scale = photographs / _PHOTOGRAPHS
    return TrainingTrial(str(choose_device(default.device)), default.epochs, tuple(s * scale for s in warm))


def choose_steady(epochs: Iterable[float], patience_s: float = _PATIENCE_S) -> tuple[float, ...]:
    """The first few epochs in a row that take about as long as the fastest one so far, by their seconds.

    Where they do not come in `patience_s` seconds, the fastest and the last few, but never the first: a wide range.
    """
    seconds: list[float] = []
    for taken in epochs:
        seconds.append(taken)
        last = tuple(seconds[1:][-_WARM:])
        if len(last) == _WARM and max(last) <= _STEADY * min(seconds):
            return last
        if len(last) > 1 and sum(seconds[1:]) >= patience_s:
            return (min(seconds), *last) if min(seconds) < min(last) else last
    return tuple(seconds[1:][-_WARM:] or seconds)


def _describe_range(low: float, high: float) -> str:
    shown = [f"{value:.1f}" for value in (low, high)]
    return f"about {shown[0]}" if shown[0] == shown[1] else " to ".join(shown)


def try_tracking(root: Path) -> float:
    """Write a run into a store of its own beside the kit's, read it back, and tell how long that took (seconds)."""
    started = time.perf_counter()
    for leftover in root.glob(f"{_FOLDER}*"):  # of a trial that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=_FOLDER, ignore_cleanup_errors=True) as folder:
        client = open_store(Path(folder))
        place = (Path(folder) / ARTIFACTS / EXPERIMENT).as_uri()
        experiment = client.create_experiment(EXPERIMENT, artifact_location=place)
        run = client.create_run(experiment, run_name="trial", tags={"group": "trial"})
        client.log_metric(run.info.run_id, "best_balanced_accuracy", 0.5)
        client.set_terminated(run.info.run_id)
        (found,) = read_runs(Path(folder))
        assert found.metrics["best_balanced_accuracy"] == 0.5
    return time.perf_counter() - started
