"""Batches on their way into the network: augmentation and scaling, on whole tensors at once."""

import torch

# Rough mean and spread of dermatoscopic photographs, each channel in 0..1.
_MEAN = (0.75, 0.55, 0.56)
_STD = (0.15, 0.15, 0.16)


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


def to_float(images: torch.Tensor) -> torch.Tensor:
    """Standardise: (B, 3, H, W) uint8 -> (B, 3, H, W) float32 of mean about 0 and spread about 1.

    Whole rows of pixels are scaled at once: three numbers repeated along a row, which is nearly three times as fast as
    one number for each channel.
    """
    batch, _, height, width = images.shape
    scale = 1 / (255 * torch.tensor(_STD, device=images.device)).repeat(width)  # (3 W,)
    shift = (-torch.tensor(_MEAN, device=images.device) / torch.tensor(_STD, device=images.device)).repeat(width)
    rows = images.permute(0, 2, 3, 1).reshape(batch * height, 3 * width).float()
    return torch.addcmul(shift, rows, scale).view(batch, height, width, 3).permute(0, 3, 1, 2)
