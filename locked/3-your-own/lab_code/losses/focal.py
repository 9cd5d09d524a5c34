"""Focal loss: photographs that the network already gets right count less.

The cross-entropy of each photograph is multiplied by (1 - p) ** gamma, where p is the probability given to the true
class (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 4), here with the class weights of
`weighted_cross_entropy.py`.
"""

import torch
from torch import nn

from lab_code.losses.weighted_cross_entropy import WeightedCrossEntropy


class FocalLoss(nn.Module):
    def __init__(
        self, class_counts: torch.Tensor, gamma: float, power: float
    ) -> None:  # (C,) photographs of each class
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", WeightedCrossEntropy(class_counts, power).weight)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # (B, C), (B,) -> scalar
        losses = nn.functional.cross_entropy(logits, labels, weight=self.weight, reduction="none")
        true_probability = logits.softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
        return ((1 - true_probability) ** self.gamma * losses).mean()
