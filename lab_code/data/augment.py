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
    """Standardise: (B, 3, H, W) uint8 -> (B, 3, H, W) float32 of mean about 0 and spread about 1."""
    mean = torch.tensor(_MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(_STD, device=images.device).view(1, 3, 1, 1)
    return torch.addcmul(-mean / std, images.float(), 1 / (255 * std))  # (images / 255 - mean) / std in one pass
