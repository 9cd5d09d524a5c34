"""Cross-entropy in which rare diagnoses weigh more.

The weight of a class is (1 / its photographs) ** power, scaled so that the mean weight over all training photographs
is 1: the learning rate then means the same as without weights. Power 0.5 is the usual compromise between ignoring the
imbalance (0) and undoing it completely (1), which makes the rarest photographs shout.
"""

import torch
from torch import nn


class WeightedCrossEntropy(nn.CrossEntropyLoss):
    """Mean over the batch of weight[class] * -log softmax(logits)[class]."""

    def __init__(self, class_counts: torch.Tensor, power: float) -> None:  # (C,) photographs of each class
        counts = class_counts.clamp(min=1).float()
        weights = counts.pow(-power)
        super().__init__(weight=weights * counts.sum() / (weights * counts).sum())

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # (B, C), (B,) -> scalar
        # Not PyTorch's weighted mean, which divides by the weights of the batch and so undoes part of their effect.
        losses = nn.functional.cross_entropy(logits, labels, weight=self.weight, reduction="none")
        return losses.mean()
