"""Seconds per epoch, beside the same forward and backward passes on random numbers that are there already."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lab_code.config import Config, compose_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions
from lab_code.losses import build_loss
from lab_code.models import build_model
from lab_code.training.optimizers import build_optimizer
from lab_code.training.trainer import Trainer, steps_per_epoch

_IMAGES, _VALIDATION, _REPEATS = 2000, 16, 11


def measure(scratch: Path) -> Iterator[tuple]:
    for augment, goal in (("none", 1.05), ("flips", 1.15)):
        config = compose_config([f"data.augment={augment}", "trainer.epochs=1", "trainer.device=cpu"])
        ratios, epochs = [], []
        for _ in range(_REPEATS):
            bare_s = _bare_epoch(config)
            epochs.append(_epoch(config))
            ratios.append(epochs[-1] / bare_s)
        name = "without augmentation" if augment == "none" else "with flips"
        yield f"train: an epoch of {_IMAGES} photographs {name}", statistics.median(epochs), "s"
        yield f"train: over a bare loop, {name}", statistics.median(ratios), "ratio", goal


def _make_lesions(count: int) -> Lesions:
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    ids = np.arange(count).astype(str)
    return Lesions(images, np.arange(count, dtype=np.int64) % len(DIAGNOSES), ids, ids)


def _build(config: Config) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_model(config.model, len(DIAGNOSES)), build_loss(config.loss, torch.ones(len(DIAGNOSES)))


def _epoch(config: Config) -> float:
    model, loss = _build(config)
    (result,) = Trainer(model, loss, config).fit(_make_lesions(_IMAGES), _make_lesions(_VALIDATION))
    return result.seconds


def _bare_epoch(config: Config) -> float:
    model, loss = _build(config)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch declares it for tensors alone
    optimizer = build_optimizer(config.optimizer, model)
    steps = steps_per_epoch(_make_lesions(_IMAGES), config)
    images = torch.randn(config.trainer.batch_size, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(config.trainer.batch_size) % len(DIAGNOSES)
    started = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss(model(images), labels).backward()
        optimizer.step()
    return time.perf_counter() - started
