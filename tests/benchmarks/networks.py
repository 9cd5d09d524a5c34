"""resnet18 on a file of DermaMNIST's shape, beside the usual loop on the same file and the same threads.

The usual loop is what public reference scripts do: one PIL image at a time through torchvision's transforms and a
DataLoader, and the training, validation and test parts all scored after every epoch. Both train the same network
(resnet18 with the 3x3 stem for 28 pixels), batch 128, Adam against AdamW. The parts have DermaMNIST's proportions
(7,007 / 1,003 / 2,005) at an eighth of its size, measured twice, with `FULL=1` in the environment three times;
`DERMAMNIST=path` measures on the real file or one of its full size.
Where the processor has no bfloat16 of its own, one step tells how much slower it is; an epoch would take minutes.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lab_code.config import Config, compose_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions, load_part
from lab_code.losses import build_loss
from lab_code.models import build_model
from lab_code.models.torchvision import _import_models
from lab_code.training.devices import _has_native_bfloat16
from lab_code.training.trainer import Trainer

_PARTS = {"train": 7007, "val": 1003, "test": 2005}
_FRACTION = 8  # of DermaMNIST; of less, the last and smaller batch of an epoch weighs too much
_REPEATS = 3 if os.environ.get("FULL") else 2
_STEP = 32  # photographs
_SETTINGS = ["model=resnet18", "model.stem=3x3", "data.image_size=28", "trainer.batch_size=128", "optimizer.lr=0.001"]


def measure(scratch: Path) -> Iterator[tuple]:
    path = Path(os.environ["DERMAMNIST"]) if "DERMAMNIST" in os.environ else _write_file(scratch / "dermamnist.npz")
    precisions = [("float32", 0.75), *([("bfloat16", 0.4)] if _has_native_bfloat16() else [])]
    usual: list[float] = []
    ours: dict[str, list[float]] = {precision: [] for precision, _ in precisions}
    for _ in range(_REPEATS):
        usual.append(_usual_epoch(path))
        for precision, _ in precisions:
            ours[precision].append(_our_epoch(path, precision))
    yield "resnet18, 28 px: an epoch of the usual loop", statistics.median(usual), "s"
    for precision, goal in precisions:
        yield f"resnet18, 28 px: an epoch in {precision}", statistics.median(ours[precision]), "s"
        ratios = [mine / other for mine, other in zip(ours[precision], usual, strict=True)]
        yield f"resnet18, 28 px: {precision} over the usual loop", statistics.median(ratios), "ratio", goal
    if not _has_native_bfloat16():
        ratio = _one_step(path, "bfloat16") / _one_step(path, "float32")
        yield "resnet18, 28 px: a step in bfloat16, not in this CPU's hardware, over float32", ratio, "ratio"


def _write_file(path: Path) -> Path:
    random = np.random.RandomState(0)
    arrays: dict[str, Any] = {}
    for part, count in _PARTS.items():
        arrays[f"{part}_images"] = random.randint(0, 256, (count // _FRACTION, 28, 28, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = random.randint(0, len(DIAGNOSES), (count // _FRACTION, 1)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def _build(config: Config) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_model(config.model, len(DIAGNOSES)), build_loss(config.loss, torch.ones(len(DIAGNOSES)))


def _our_epoch(path: Path, precision: str) -> float:
    train, validation = (load_part(path, part, 28) for part in ("train", "val"))
    return _fit(train, validation, [f"trainer.precision={precision}"])


def _one_step(path: Path, precision: str) -> float:
    part = load_part(path, "train", 28)
    few, two = (part.select(np.arange(len(part)) < count) for count in (_STEP, 2))
    return _fit(few, two, [f"trainer.precision={precision}", f"trainer.batch_size={_STEP}"])


def _fit(train: Lesions, validation: Lesions, changes: list[str]) -> float:
    config = compose_config([*_SETTINGS, "trainer.epochs=1", "trainer.device=cpu", *changes])
    (result,) = Trainer(*_build(config), config).fit(train, validation)
    return result.seconds


class _Pictures(Dataset):
    def __init__(self, path: Path, part: str, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        with np.load(path) as archive:
            self._images, self._labels = archive[f"{part}_images"], archive[f"{part}_labels"]
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, np.ndarray]:
        return self._transform(Image.fromarray(self._images[index])), self._labels[index].astype(int)


def _usual_epoch(path: Path) -> float:
    _import_models()  # declares what a CPU-only torch lacks for torchvision
    from torchvision import transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean=[0.5], std=[0.5])])
    parts = {part: _Pictures(path, part, transform) for part in _PARTS}
    model, loss = _build(compose_config(_SETTINGS))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    started = time.perf_counter()
    model.train()
    for images, labels in DataLoader(parts["train"], batch_size=128, shuffle=True):
        optimizer.zero_grad()
        loss(model(images), labels.squeeze(1).long()).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for part in parts.values():
            for images, labels in DataLoader(part, batch_size=128):
                loss(model(images), labels.squeeze(1).long()).item()
    return time.perf_counter() - started
