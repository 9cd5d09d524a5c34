"""Trials of the heavy parts on this machine: one training step after another, and one MLflow run written and read.

trial = time_training(root)      # how long an epoch will take here
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab_code.config import compose_config
from lab_code.data.lesions import Lesions
from lab_code.devices import choose_device
from lab_code.frameworks import build_learner
from lab_code.runs import ARTIFACTS, EXPERIMENT, read_runs
from lab_code.tracking import open_store

_PHOTOGRAPHS = 640  # ten steps: the first ones are slow, and these machines are busy
_SHARE = 0.8  # of all photographs are trained with


@dataclass(frozen=True)
class TrainingTrial:
    """What training will be like here."""

    device: str
    epoch_s: float
    epochs: int

    @property
    def experiment_s(self) -> float:
        """Seconds for one default experiment, start-up included."""
        return self.epochs * self.epoch_s + 10


def time_training(photographs: int) -> TrainingTrial:
    """Train a little on noise, and tell how long an epoch of `photographs` will take."""
    config = compose_config(["trainer.epochs=2"])
    size = config.data.image_size
    random = np.random.RandomState(0)
    images = random.randint(0, 255, (_PHOTOGRAPHS, size, size, 3)).astype(np.uint8)
    names = np.arange(_PHOTOGRAPHS).astype(str)
    noise = Lesions(images, np.arange(_PHOTOGRAPHS) % 7, names, names)
    few = noise.select(np.arange(_PHOTOGRAPHS) < 70)
    seconds = [result.seconds for result in build_learner(config).learn(noise, few)]
    default = compose_config()
    epoch_s = seconds[-1] * photographs * _SHARE / _PHOTOGRAPHS
    return TrainingTrial(str(choose_device(default.trainer.device)), epoch_s, default.trainer.epochs)


def try_tracking(root: Path) -> float:
    """Write a run into a store of its own beside the kit's, read it back, and tell how long that took (seconds)."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=root, prefix=".trial-", ignore_cleanup_errors=True) as folder:
        client = open_store(Path(folder))
        place = (Path(folder) / ARTIFACTS / EXPERIMENT).as_uri()
        experiment = client.create_experiment(EXPERIMENT, artifact_location=place)
        run = client.create_run(experiment, run_name="trial", tags={"group": "trial"})
        client.log_metric(run.info.run_id, "best_balanced_accuracy", 0.5)
        client.set_terminated(run.info.run_id)
        (found,) = read_runs(Path(folder))
        assert found.metrics["best_balanced_accuracy"] == 0.5
    return time.perf_counter() - started
