"""torchvision's networks, with one output for each diagnosis: resnet18, mobilenet_v3_small, efficientnet_b0.

Random weights by default; `model.weights` names a local file with pretrained ones, whose last layer is left out where
it has another number of classes. Nothing is ever downloaded.
"""

from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lab_code.config import ModelConfig
from lab_code.errors import LabError

NAMES = ("resnet18", "mobilenet_v3_small", "efficientnet_b0")


def build_torchvision(config: ModelConfig, classes: int) -> nn.Module:
    """One of `NAMES`: (B, 3, H, W) float32 -> (B, classes). Raises `LabError` for weights that do not fit."""
    models = _import_models()
    if config.name == "resnet18":
        model = models.resnet18(num_classes=classes)
        if config.stem == "3x3":
            # For photographs of about 32 pixels the published stem throws away too much: He et al., arXiv:1512.03385,
            # section 4.2, use one 3x3 convolution without pooling there.
            model.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
            model.maxpool = nn.Identity()
    else:
        model = getattr(models, config.name)(num_classes=classes, dropout=config.dropout)
    if config.weights:
        load_pretrained(model, Path(config.weights))
    return model


def load_pretrained(model: nn.Module, path: Path) -> None:
    """Take every tensor of `path` but the last layer's, where that has other classes.

    Raises `LabError` for a file that is unreadable or belongs to another network.
    """
    weights = _read_weights(path)
    expected = model.state_dict()
    last = list(expected)[-1].rpartition(".")[0]  # the name of the last layer
    fits = {name: weights[name] for name in expected if name in weights and weights[name].shape == expected[name].shape}
    odd = [name for name in expected if name not in fits and not name.startswith(f"{last}.")]
    if odd:
        raise LabError(
            f"{path} does not fit: {len(odd)} tensors are missing or of another shape, the first is {odd[0]}",
            hint="model.weights must hold weights of the same network, as torchvision publishes them",
        )
    model.load_state_dict(fits, strict=False)


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)  # tensors only: no code is run
    except (OSError, RuntimeError, SafetensorError, UnpicklingError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LabError(
            f"model.weights: {path} cannot be read: {reason}", hint="name a local .safetensors or .pth file"
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise LabError(f"model.weights: {path} holds no weights", hint="save model.state_dict() there")
    return weights


def _import_models() -> Any:
    """torchvision.models, also where torchvision was built for another kind of torch.

    PyPI's torchvision is built for CUDA; beside a CPU-only torch its compiled operators cannot be loaded, and importing
    it fails because it describes two of them (`nms`, `qnms`) that then do not exist. Detection needs them,
    classification does not, so they are declared here without an implementation.
    """
    if find_spec("torchvision") is None:
        raise LabError("torchvision is not installed", hint="pip install -c constraints.txt -e .")
    try:
        from torchvision import models
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        from torchvision import models
    return models


_LIBRARIES: list[torch.library.Library] = []  # a declaration lasts as long as its library object
