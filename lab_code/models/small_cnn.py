"""A small convolutional network that trains in half a minute on two laptop cores.

Four blocks of convolution, normalisation and ReLU; each halves the resolution (a stride of 2, four times cheaper than
pooling afterwards). The mean over what is left of the picture goes to one linear layer.
"""

import torch
from torch import nn


def conv_block(channels_in: int, channels_out: int) -> nn.Sequential:
    """(B, channels_in, H, W) -> (B, channels_out, H / 2, W / 2)"""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class SmallCNN(nn.Module):
    """`width` is the number of channels of the first block; any picture of 16 pixels or more will do."""

    def __init__(self, classes: int, width: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_block(3, width),
            conv_block(width, 2 * width),
            conv_block(2 * width, 4 * width),
            conv_block(4 * width, 4 * width),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (B, 3, H, W) float32 -> (B, classes)
        features = self.features(images).mean(dim=(2, 3))  # (B, 4 * width)
        return self.head(self.dropout(features))
