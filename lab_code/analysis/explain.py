"""Why does the network say so? Grad-CAM: how much every place of the photograph spoke for the predicted class.

Selvaraju et al., Grad-CAM, ICCV 2017, arXiv:1610.02391: the last maps of the network, weighted by the mean gradient
of the class's logit, summed, and cut at zero. It shows where, not why; a plausible map is no proof of a right reason.
"""

import numpy as np
import torch
from torch import nn

from lab_code.data.augment import to_float
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000
from lab_code.frameworks import Learner


def explain(learner: Learner, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities (C,) and the heat map, the size of the photograph, from 0 to 1.

    `image` is (H, W, 3) uint8. The map is None for learners that are no PyTorch network with convolutions.
    """
    probabilities = learner.predict(image[None])[0]
    model = getattr(learner, "model", None)
    if not isinstance(model, nn.Module):
        return probabilities, None
    return probabilities, grad_cam(model, image, int(probabilities.argmax()), learner.dataset)


def grad_cam(model: nn.Module, image: np.ndarray, label: int, dataset: Dataset = HAM10000) -> np.ndarray | None:
    """(H, W) float32 from 0 to 1; None where the model makes no maps."""
    model.eval()
    batch = torch.from_numpy(image[None]).permute(0, 3, 1, 2).to(next(model.parameters()).device)
    maps: list[torch.Tensor] = []  # what every layer gave that still has height and width

    def keep(_layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        if output.ndim == 4 and output.shape[2:].numel() > 1:
            maps.append(output)

    hooks = [layer.register_forward_hook(keep) for layer in model.modules() if not list(layer.children())]
    try:
        with torch.enable_grad():
            logit = model(to_float(batch, dataset))[0, label]
    finally:
        for hook in hooks:
            hook.remove()
    if not maps:
        return None
    (gradient,) = torch.autograd.grad(logit, maps[-1])
    coarse = (gradient.mean(dim=(2, 3), keepdim=True) * maps[-1]).sum(dim=1, keepdim=True).relu()  # (1, 1, h, w)
    heat = _enlarge(coarse, image.shape[0], image.shape[1])[0, 0].detach().cpu().numpy()
    return heat / heat.max() if heat.max() > 0 else heat


def _enlarge(heat: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(1, 1, h, w) -> (1, 1, H, W), each value where it was seen.

    Convolutions with a stride s and half their size as padding look around the pixels 0, s, 2s, …; interpolation as for
    pictures would take these for the middles of squares, and move everything half a stride to the right and down.
    """
    places = []
    for size, cells in ((height, heat.shape[2]), (width, heat.shape[3])):
        cell = torch.arange(size, device=heat.device) * cells / size  # which cell, and how far towards the next one
        places.append(2 * cell / max(1, cells - 1) - 1)  # as grid_sample counts: from -1 to 1
    grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], dim=-1)[None]  # (1, H, W, 2), x before y
    return nn.functional.grid_sample(heat, grid.to(heat.dtype), padding_mode="border", align_corners=True)
