"""Losses by name: `build_loss(config.loss, class_counts)`.

A loss is a module that takes logits (B, C) and labels (B,) and returns one number. To add one: a file here, a line
below, and a YAML of the same name in `conf/loss/`.
"""

import torch
from torch import nn

from lab_code.config import LossConfig
from lab_code.errors import LabError
from lab_code.losses.cross_entropy import CrossEntropy


def build_loss(config: LossConfig, class_counts: torch.Tensor) -> nn.Module:
    """`class_counts` (C,) holds the training photographs of each class. Raises `LabError` for an unknown name."""
    if config.name == "cross_entropy":
        return CrossEntropy()
    # The next two files arrive from locks, so they are imported only when they are asked for.
    if config.name == "weighted_cross_entropy":
        from lab_code.losses.weighted_cross_entropy import WeightedCrossEntropy

        return WeightedCrossEntropy(class_counts, config.weight_power)
    if config.name == "focal":
        from lab_code.losses.focal import FocalLoss

        return FocalLoss(class_counts, config.gamma, config.weight_power)
    raise LabError(f"there is no loss '{config.name}'", hint="the names are in lab_code/losses/__init__.py")
