"""The training loop: `fit` yields one `EpochResult` after every epoch and knows nothing of tracking.

Photographs stay in memory as uint8 and become floats batch by batch. Whoever iterates decides what to do with a
result: log it, draw it, or stop.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from lab_code.config import Config, OptimizerConfig
from lab_code.data.augment import flip_batch, to_float
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.metrics import evaluate

# The weights of the epoch with the highest value are kept: the score that rare diagnoses count in.
SELECTION_METRIC = "balanced_accuracy"

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class EpochResult:
    """What one epoch brought. `probabilities` (N, C) float32 are those of the validation photographs."""

    epoch: int  # counted from 1
    train_loss: float
    learning_rate: float
    seconds: float
    metrics: dict[str, float]
    probabilities: np.ndarray = field(repr=False)


def fit(
    model: nn.Module,
    loss: nn.Module,
    train: Lesions,
    validation: Lesions,
    config: Config,
    on_step: Callable[[], object] | None = None,
) -> Iterator[EpochResult]:
    """Train `model` in place. `on_step` is called after every batch (for a progress bar)."""
    device = choose_device(config.trainer.device)
    model.to(device, memory_format=torch.channels_last)
    loss.to(device)
    images, labels = to_tensors(train, device)
    optimizer = build_optimizer(config.optimizer, model)
    steps = steps_per_epoch(train, config)
    schedule = build_schedule(config, optimizer, steps)
    generator = torch.Generator().manual_seed(config.seed)

    def train_epoch() -> float:
        """One pass over the photographs; returns the mean loss."""
        total, seen = 0.0, 0
        model.train()
        for batch in torch.randperm(len(labels), generator=generator).split(config.trainer.batch_size)[:steps]:
            batch_images = images[batch]  # (B, 3, H, W) uint8
            if config.data.augment == "flips":
                batch_images = flip_batch(batch_images, generator)
            step_loss = loss(model(to_float(batch_images)), labels[batch])
            optimizer.zero_grad(set_to_none=True)
            step_loss.backward()
            optimizer.step()
            schedule.step()
            total += step_loss.item() * len(batch)
            seen += len(batch)
            if on_step:
                on_step()
        return total / seen

    for epoch in range(1, config.trainer.epochs + 1):
        started = time.perf_counter()
        train_loss = train_epoch()
        if not math.isfinite(train_loss):
            lr = config.optimizer.lr
            raise LabError(
                f"the loss became {train_loss} in epoch {epoch}",
                hint=f"the learning rate {lr:g} is too large; try optimizer.lr={lr / 10:g}",
            )
        probabilities = predict(model, validation)
        yield EpochResult(
            epoch=epoch,
            train_loss=train_loss,
            learning_rate=schedule.get_last_lr()[0],
            seconds=time.perf_counter() - started,
            metrics=evaluate(validation.labels, probabilities, DIAGNOSES),
            probabilities=probabilities,
        )


def steps_per_epoch(train: Lesions, config: Config) -> int:
    """Batches in one epoch, the last of which may be smaller.

    Never a single photograph, though: normalising over a batch of one gives nothing to learn from, so it waits for
    another epoch.
    """
    return max(1, math.ceil((len(train) - 1) / config.trainer.batch_size))


@torch.no_grad()
def predict(model: nn.Module, lesions: Lesions) -> np.ndarray:
    """The probabilities of every class for every photograph, (N, C) float32."""
    device = next(model.parameters()).device
    images, _ = to_tensors(lesions, device)
    model.eval()
    return torch.cat([model(to_float(batch)).softmax(dim=1) for batch in images.split(_EVALUATION_BATCH)]).cpu().numpy()


class BestWeights:
    """Keeps a copy of the weights of the best epoch so far, by `SELECTION_METRIC` on the validation photographs."""

    def __init__(self) -> None:
        self.result: EpochResult | None = None
        self.weights: dict[str, torch.Tensor] = {}

    def offer(self, model: nn.Module, result: EpochResult) -> None:
        """Take the weights of this epoch if it is better than all before."""
        if self.result is None or result.metrics[SELECTION_METRIC] > self.result.metrics[SELECTION_METRIC]:
            self.result = result
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one. Raises `LabError` for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise LabError("no usable GPU on this machine", hint="leave trainer.device at auto, or set trainer.device=cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def to_tensors(lesions: Lesions, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, H, W) uint8 and labels (N,) int64 on the device.

    The photographs keep their order in memory (channels last), which PyTorch's convolutions prefer: nothing is copied.
    """
    images = torch.from_numpy(lesions.images).permute(0, 3, 1, 2)
    return images.to(device), torch.from_numpy(lesions.labels).to(device)


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """SGD or AdamW by name. Raises `LabError` for an unknown name."""
    if config.name == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
    if config.name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    raise LabError(f"there is no optimizer '{config.name}'", hint="optimizer can be: adamw, sgd")


def build_schedule(
    config: Config, optimizer: torch.optim.Optimizer, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate over all steps: constant, or one cycle (Smith and Topin, arXiv:1708.07120)."""
    if config.trainer.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=config.optimizer.lr, total_steps=config.trainer.epochs * steps_per_epoch + 1
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
