"""Models by name: `build_model(config.model, classes)`.

A model maps standardised photographs (B, 3, H, W) float32 to logits (B, C). To add one: a file here, a line below,
and a YAML of the same name in `conf/model/`.
"""

from torch import nn

from lab_code.config import ModelConfig
from lab_code.errors import LabError
from lab_code.models.small_cnn import SmallCNN
from lab_code.models.torchvision import NAMES, build_torchvision


def build_model(config: ModelConfig, classes: int) -> nn.Module:
    """A model with random weights, or with those of `config.weights`. Raises `LabError` for an unknown name."""
    if config.name == "small_cnn":
        return SmallCNN(classes, config.width, config.dropout)
    if config.name in NAMES:
        return build_torchvision(config, classes)
    raise LabError(
        f"framework pytorch has no model '{config.name}'", hint=f"model can be: small_cnn, {', '.join(NAMES)}"
    )


def count_parameters(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
