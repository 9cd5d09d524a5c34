"""Plain cross-entropy: every photograph counts the same, so frequent diagnoses dominate."""

import torch
from torch import nn


class CrossEntropy(nn.Module):
    """Mean over the batch of -log softmax(logits)[label]."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # (B, C), (B,) -> scalar
        return nn.functional.cross_entropy(logits, labels)
