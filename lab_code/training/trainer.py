"""The training loop: `Trainer.fit` yields one `EpochResult` after every epoch and knows nothing of tracking.

Photographs stay in memory as uint8 and become floats batch by batch. Whoever iterates decides what to do with a
result: log it, draw it, or stop. `state` and `load_state` let a killed run go on where it was.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from lab_code.config import Config
from lab_code.data.augment import flip_batch, to_float
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.limits import evaluation_batch
from lab_code.metrics import evaluate
from lab_code.training.devices import Team, choose_device, choose_precision
from lab_code.training.optimizers import build_optimizer, build_schedule

# The weights of the epoch with the highest value are kept: the score that rare diagnoses count in.
SELECTION_METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class EpochResult:
    """What one epoch brought. `probabilities` (N, C) float32 are those of the validation photographs."""

    epoch: int  # counted from 1
    train_loss: float
    learning_rate: float
    seconds: float
    metrics: dict[str, float]
    probabilities: np.ndarray = field(repr=False)


class Trainer:
    """Trains `model` in place. `team` holds the processes that train together; usually there is one."""

    def __init__(self, model: nn.Module, loss: nn.Module, config: Config, team: Team | None = None) -> None:
        self.config, self.team, self.dataset = config, team or Team(), HAM10000
        self.device = choose_device(config.trainer.device)
        self.precision = choose_precision(config.trainer.precision, self.device, model)
        # torch's stub leaves `memory_format` out, which its documentation has.
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = loss.to(self.device)
        self.optimizer = build_optimizer(config.optimizer, self.model)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epoch = 0  # the last one that is complete
        self._resumed: tuple[dict[str, Any], dict[str, Any]] | None = None

    def fit(
        self, train: Lesions, validation: Lesions, on_step: Callable[[], object] | None = None
    ) -> Iterator[EpochResult]:
        """Train all epochs that are left. `on_step` is called after every batch (for a progress bar)."""
        images, labels = to_tensors(train, self.device)
        self.dataset = train.dataset
        self.schedule = build_schedule(self.config, self.optimizer, steps_per_epoch(train, self.config, self.team))
        if self._resumed:  # a new schedule has just set the optimizer's learning rate to that of the first step
            optimizer_state, schedule_state = self._resumed
            self.optimizer.load_state_dict(optimizer_state)
            self.schedule.load_state_dict(schedule_state)
        with self.team.wrap(self.model, self.device) as network:
            while self.epoch < self.config.trainer.epochs:
                started = time.perf_counter()
                train_loss = self._train_epoch(network, images, labels, on_step)
                self._check_loss(train_loss)
                self.team.agree(self.model)
                probabilities = predict(
                    self.model, validation.images, self.dataset, self.precision, choose_batch(self.config)
                )
                self.epoch += 1
                yield EpochResult(
                    epoch=self.epoch,
                    train_loss=train_loss,
                    learning_rate=float(self.schedule.get_last_lr()[0]),
                    seconds=time.perf_counter() - started,
                    metrics=evaluate(validation.labels, probabilities, self.dataset.codes),
                    probabilities=probabilities,
                )

    def _train_epoch(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        labels: torch.Tensor,
        on_step: Callable[[], object] | None,
    ) -> float:
        """One pass over the photographs; returns the mean loss."""
        total, seen = [], 0
        pixels = images.permute(0, 2, 3, 1)  # (N, H, W, 3), as they lie in memory
        self.model.train()
        for batch in self._draw_batches(labels):
            mine = self.team.share(batch)
            batch_images = pixels.index_select(0, mine.to(self.device)).permute(0, 3, 1, 2)  # (B, 3, H, W) uint8
            if self.config.data.augment == "flips":
                batch_images = flip_batch(batch_images, self.generator)
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                logits = network(to_float(batch_images, self.dataset))
            step_loss = self.loss(logits.float(), labels[mine])
            self.optimizer.zero_grad(set_to_none=True)
            self.team.weigh(step_loss, mine, batch).backward()
            if self.config.trainer.clip_norm:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.config.trainer.clip_norm)
            self.optimizer.step()
            self.schedule.step()
            total.append(step_loss.detach() * len(mine))
            seen += len(batch)
            if on_step:
                on_step()
        return self.team.total(torch.stack(total).cpu().double().sum().item()) / seen

    def _draw_batches(self, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The photographs of one epoch by number, in batches: each once, or every diagnosis equally often."""
        count = len(labels)
        if self.config.data.sampling == "balanced":
            weights = 1 / torch.bincount(labels.cpu()).float()[labels.cpu()]
            order = torch.multinomial(weights, count, replacement=True, generator=self.generator)
        else:
            order = torch.randperm(count, generator=self.generator)
        return order.split(self.config.trainer.batch_size)[: _batches(count, self.config, self.team)]

    def _check_loss(self, train_loss: float) -> None:
        if not math.isfinite(train_loss):
            lr = self.config.optimizer.lr
            raise LabError(
                f"the loss became {train_loss} in epoch {self.epoch + 1}",
                hint=f"the learning rate {lr:g} is too large; try optimizer.lr={lr / 10:g}",
            )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything the next epoch depends on: tensors, and values that JSON can hold."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, entry in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in entry.items() if value is not None}
        tensors |= {"random.batches": self.generator.get_state(), "random.torch": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        values = {"epoch": self.epoch, "groups": optimizer["param_groups"], "schedule": self.schedule.state_dict()}
        return tensors, values

    def load_state(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """Go on after the epoch that `state` was taken from."""
        self.model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                entries.setdefault(int(index), {})[key] = tensor
        self.generator.set_state(tensors["random.batches"])
        torch.set_rng_state(tensors["random.torch"])
        if "random.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        self.epoch = values["epoch"]
        self._resumed = ({"state": entries, "param_groups": values["groups"]}, values["schedule"])


def steps_per_epoch(train: Lesions, config: Config, team: Team | None = None) -> int:
    """Batches in one epoch, the last of which may be smaller.

    Never a single photograph for a process, though: normalising over a batch of one gives nothing to learn from, so it
    waits for another epoch.
    """
    return _batches(len(train), config, team or Team())


def _batches(count: int, config: Config, team: Team) -> int:
    full, rest = divmod(count, config.trainer.batch_size)
    return max(1, full + (rest >= 2 * team.size))


def choose_batch(config: Config) -> int:
    """How many photographs are predicted at a time, so that memory is enough whatever their size."""
    return evaluation_batch(config.model.name, config.data.image_size, config.model.width, config.model.stem)


@torch.no_grad()
def predict(
    model: nn.Module,
    images: np.ndarray,
    dataset: Dataset = HAM10000,
    precision: torch.dtype = torch.float32,
    batch_size: int = 256,
) -> np.ndarray:
    """The probabilities of every class for every photograph: (N, H, W, 3) uint8 -> (N, C) float32."""
    device = next(model.parameters()).device
    model.eval()
    parts = []
    for batch in torch.from_numpy(images).permute(0, 3, 1, 2).split(batch_size):
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(to_float(batch.to(device), dataset))
        parts.append(logits.float().softmax(dim=1).cpu())
    return torch.cat(parts).numpy()


def to_tensors(lesions: Lesions, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, H, W) uint8 and labels (N,) int64 on the device.

    The photographs keep their order in memory (channels last), which PyTorch's convolutions prefer: nothing is copied.
    """
    images = torch.from_numpy(lesions.images).permute(0, 3, 1, 2)
    return images.to(device), torch.from_numpy(lesions.labels).to(device)


class BestEpoch:
    """Keeps the weights of the best epoch so far, by `SELECTION_METRIC` on the validation photographs."""

    def __init__(self) -> None:
        self.result: EpochResult | None = None
        self.weights: dict[str, np.ndarray] = {}

    def offer(self, result: EpochResult, take_weights: Callable[[], dict[str, np.ndarray]]) -> None:
        """Take the weights of this epoch if it is better than all before."""
        if self.result is None or result.metrics[SELECTION_METRIC] > self.result.metrics[SELECTION_METRIC]:
            self.result, self.weights = result, take_weights()

    def is_old(self, epoch: int, patience: int) -> bool:
        """Whether `patience` epochs have passed without a better one; never where patience is 0."""
        return bool(patience) and self.result is not None and epoch - self.result.epoch >= patience
