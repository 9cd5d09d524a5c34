"""How large the steps are: the optimizer, and the learning rate over time."""

import inspect
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from lab_code.config import Config, OptimizerConfig
from lab_code.errors import LabError


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """SGD or AdamW by name. Raises `LabError` for an unknown name."""
    if config.name == "sgd":
        return _SGD(model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    if config.name == "adamw":
        return _AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    raise LabError(f"there is no optimizer '{config.name}'", hint="optimizer can be: adamw, sgd")


def build_schedule(config: Config, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> lr_scheduler.LRScheduler:
    """The learning rate over all steps.

    constant; cosine: half a cosine down to 0 (Loshchilov and Hutter, arXiv:1608.03983, without restarts); one_cycle:
    up, then down to nearly 0 (Smith and Topin, arXiv:1708.07120).
    """
    steps = config.trainer.epochs * steps_per_epoch
    if config.trainer.schedule == "one_cycle":
        return lr_scheduler.OneCycleLR(optimizer, max_lr=config.optimizer.lr, total_steps=steps + 1)
    if config.trainer.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)


def _without_compiler(kind: type[torch.optim.Optimizer]) -> Any:
    """The same optimizer, whose steps do not import `torch.compile`: nothing is compiled here, and that takes a second.

    PyTorch wraps these methods to keep its compiler out of them, and imports it to tell it so.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})


_SGD, _AdamW = _without_compiler(torch.optim.SGD), _without_compiler(torch.optim.AdamW)
