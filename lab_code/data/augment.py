"""Batches on their way into the network: augmentation and scaling, on whole tensors at once."""

import torch

from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000


def flip_batch(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror and turn the photographs of a batch; every one of the eight results is an equally valid photograph.

    (B, 3, H, W) in and out, H = W. A third of a batch shares one draw, so that no photograph is handled alone.
    """
    flipped = torch.empty_like(images)
    for part, target in zip(images.chunk(3), flipped.chunk(3), strict=True):
        turns, mirror = torch.randint(0, 4, (1,), generator=generator).item(), torch.rand(1, generator=generator).item()
        turned = torch.rot90(part, int(turns), dims=(2, 3))
        target.copy_(turned.flip(3) if mirror < 0.5 else turned)
    return flipped


def to_float(images: torch.Tensor, dataset: Dataset = HAM10000) -> torch.Tensor:
    """Standardise: (B, 3, H, W) uint8 -> (B, 3, H, W) float32 of mean about 0 and spread about 1, for this data set.

    Whole rows of pixels are scaled at once: three numbers repeated along a row, which is nearly three times as fast as
    one number for each channel.
    """
    batch, _, height, width = images.shape
    mean, spread = (torch.tensor(numbers, device=images.device) for numbers in (dataset.mean, dataset.spread))
    scale = 1 / (255 * spread).repeat(width)  # (3 W,)
    shift = (-mean / spread).repeat(width)
    rows = images.permute(0, 2, 3, 1).reshape(batch * height, 3 * width).to(torch.float32, copy=True)
    torch.addcmul(shift, rows, scale, out=rows)  # in place: memory that is new costs more than the arithmetic
    return rows.view(batch, height, width, 3).permute(0, 3, 1, 2)
