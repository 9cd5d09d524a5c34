"""Three frameworks behind one protocol: `build_learner(config, team, dataset)` gives whatever `config.framework` names.

    pytorch      networks, trained step by step (`trainer.py`)
    sklearn      measured colours and textures, weighed by a linear model
    tensorflow   the small network in Keras

A learner gets photographs and gives one `EpochResult` an epoch, whatever happens inside; configuration, scores,
tracking and comparison are the same for all. To add one: a file here, a line below, and a YAML in `conf/framework/`.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from lab_code.config import Config
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.training.checkpoint import State
from lab_code.training.devices import Team
from lab_code.training.trainer import EpochResult


class Learner(Protocol):
    """What `experiment.py` needs of a framework, and nothing more."""

    dataset: Dataset  # what its outputs mean

    def learn(
        self,
        train: Lesions,
        validation: Lesions,
        on_step: Callable[[], object] | None = None,
        state: State | None = None,
    ) -> Iterator[EpochResult]:
        """Train, and yield one result an epoch; from `state` on where one is given."""

    def count_steps(self, train: Lesions) -> int:
        """How often `on_step` is called for each epoch, and how many epochs there are: their product."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The probabilities of every class: (N, H, W, 3) uint8 -> (N, C) float32."""

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of everything that was learned, by name."""

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Take weights of the same model. Raises `LabError` where they do not fit."""

    def state(self) -> State:
        """What `learn` needs to go on after the last epoch."""

    def facts(self) -> dict[str, int | str]:
        """What belongs to the run and is no choice: size, device, versions."""


def build_learner(config: Config, team: Team | None = None, dataset: Dataset = HAM10000) -> Learner:
    """An untrained learner with an output for every class of the data set.

    Raises `LabError` for a framework that is unknown, not installed, or without the model.
    """
    if config.framework == "pytorch":
        from lab_code.frameworks.pytorch import PyTorchLearner

        return PyTorchLearner(config, team or Team(), dataset)
    if config.framework == "sklearn":
        from lab_code.frameworks.sklearn import SklearnLearner

        return SklearnLearner(config, dataset)
    if config.framework == "tensorflow":
        from lab_code.frameworks.tensorflow import TensorFlowLearner

        return TensorFlowLearner(config, dataset)
    raise LabError(f"there is no framework '{config.framework}'", hint="framework can be: pytorch, sklearn, tensorflow")


def check_choice(config: Config, section: str, known: tuple[str, ...]) -> None:
    """Raise a `LabError` where the framework does not have the configured model or loss."""
    name = getattr(config, section).name
    if name not in known:
        raise LabError(
            f"framework {config.framework} has no {section} '{name}'",
            hint=f"with framework={config.framework}, {section} can be: {', '.join(known)}",
        )


def fits_or_raise(weights: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]], model: str) -> None:
    """Raise a `LabError` where names or shapes of weights are not those a model expects."""
    found = {name: array.shape for name, array in weights.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise LabError(
            f"the weights do not fit the model '{model}': {odd} is {found.get(odd, 'missing')}, "
            f"expected {expected.get(odd, 'nothing of that name')}",
            hint="the configuration and the weights belong to different runs",
        )
