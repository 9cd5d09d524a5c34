"""PyTorch behind the protocol of `lab_code.frameworks`: the networks of `models/`, the losses, the trainer."""

import platform
from collections.abc import Callable, Iterator

import numpy as np
import torch

from lab_code.config import Config
from lab_code.data.dataset import Dataset
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.frameworks import fits_or_raise
from lab_code.losses import build_loss
from lab_code.models import build_model, count_parameters
from lab_code.training.checkpoint import State
from lab_code.training.devices import Team, choose_device, choose_precision
from lab_code.training.trainer import EpochResult, Trainer, choose_batch, predict, steps_per_epoch


class PyTorchLearner:
    """A network of `conf/model/`, trained by `Trainer`."""

    def __init__(self, config: Config, team: Team, dataset: Dataset) -> None:
        self._config, self._team, self.dataset = config, team, dataset
        self.model = build_model(config.model, len(dataset))
        self._trainer: Trainer | None = None

    def learn(
        self,
        train: Lesions,
        validation: Lesions,
        on_step: Callable[[], object] | None = None,
        state: State | None = None,
    ) -> Iterator[EpochResult]:
        """See `Learner.learn`. Raises `LabError` for a state of another model."""
        loss = build_loss(self._config.loss, torch.from_numpy(train.class_counts()))
        self._trainer = Trainer(self.model, loss, self._config, self._team)
        if state is not None:
            arrays, values = state
            try:
                self._trainer.load_state({name: torch.from_numpy(array) for name, array in arrays.items()}, values)
            except (KeyError, RuntimeError, ValueError) as error:
                raise LabError(f"the checkpoint does not fit the model: {error}", hint="train again") from error
        yield from self._trainer.fit(train, validation, on_step)

    def count_steps(self, train: Lesions) -> int:
        return self._config.trainer.epochs * steps_per_epoch(train, self._config, self._team)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return predict(self.model, images, self.dataset, batch_size=choose_batch(self._config))

    def weights(self) -> dict[str, np.ndarray]:
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.model.state_dict().items()}

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        expected = {name: tuple(tensor.shape) for name, tensor in self.model.state_dict().items()}
        fits_or_raise(weights, expected, self._config.model.name)
        self.model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})

    def state(self) -> State:
        assert self._trainer is not None
        tensors, values = self._trainer.state()
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}, values

    def facts(self) -> dict[str, int | str]:
        device = choose_device(self._config.trainer.device)
        precision = choose_precision(self._config.trainer.precision, device, self.model)
        return {
            "model.parameters": count_parameters(self.model),
            "machine.device": _describe_device(device),
            "machine.precision": str(precision).removeprefix("torch."),
            "machine.threads": torch.get_num_threads(),
            "machine.processes": self._team.size,
            "machine.python": platform.python_version(),
            "machine.torch": torch.__version__,
        }


def _describe_device(device: torch.device) -> str:
    return f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
