"""Where the numbers are computed: device, precision, repeatability, and several processes that train together.

    seed_everything(0)
    with join_team("auto") as team:   # one process, or several that torchrun started
        device = choose_device("auto")

`torchrun --nproc-per-node=4 -m lab_code.cli train …` starts four processes; each takes its share of every batch.
"""

import gc
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed, nn

from lab_code.errors import LabError


def use_threads(count: int) -> None:
    """How many CPU threads PyTorch uses; 0 leaves its own choice, one for each core."""
    if count:
        torch.set_num_threads(count)


def seed_everything(seed: int) -> None:
    """The same seed gives the same numbers on one machine: Python's, NumPy's, PyTorch's, and a GPU's algorithms."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by CUDA when it starts
    torch.set_deterministic_debug_mode("warn")  # `use_deterministic_algorithms` would import the compiler for the same
    torch.backends.cudnn.benchmark = False


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one. Raises `LabError` for a device that is not there."""
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not torch.backends.mps.is_available()):
        raise LabError(
            f"no usable device '{name}' on this machine", hint="leave trainer.device at auto, or set trainer.device=cpu"
        )
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu" if name == "auto" else name)


def choose_precision(name: str, device: torch.device, model: nn.Module) -> torch.dtype:
    """float32, or bfloat16 where it pays: on GPUs that have it, and on CPUs that have it for large plain convolutions.

    Convolutions channel by channel (MobileNet's) are slower in bfloat16 on a CPU, and small networks gain nothing.
    """
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
        plain = all(layer.groups == 1 for layer in convolutions)
        large = sum(layer.weight.numel() for layer in convolutions) > 1_000_000
        return torch.bfloat16 if plain and large and _has_native_bfloat16() else torch.float32
    return torch.float32


def _has_native_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@dataclass(frozen=True)
class Team:
    """The processes that train one model together; `rank` 0 leads: it alone tracks and writes."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's part of a batch (B,): every `size`-th entry."""
        return batch if self.size == 1 else batch[self.rank :: self.size]

    def weigh(self, loss: torch.Tensor, share: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        """A share's mean loss, so that the average of all gradients is that of the batch's mean loss."""
        return loss if self.size == 1 else loss * (self.size * len(share) / len(batch))

    @contextmanager
    def wrap(self, model: nn.Module, device: torch.device) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
        """The model as a function whose gradients are averaged over the team."""
        if self.size == 1:
            yield model
            return
        wrapped = [nn.parallel.DistributedDataParallel(model, [device.index] if device.type == "cuda" else None)]
        try:
            yield lambda images: wrapped[0](images)
        finally:
            # The wrapper must be gone before the team parts: were it the last to hold the group, it would wait for the
            # group's threads while it keeps Python's lock, and they for the lock: the process would never end.
            wrapped.clear()
            gc.collect()

    def agree(self, model: nn.Module) -> None:
        """Give everyone the leader's buffers (running means of normalisation), so that all evaluate the same model."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def total(self, value: float) -> float:
        """The sum of a number over the team."""
        if self.size == 1:
            return value
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        tensor = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor)
        return tensor.item()


def read_team() -> Team:
    """The team that torchrun's environment describes; one process without it."""
    return Team(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


@contextmanager
def join_team(device_name: str) -> Iterator[Team]:
    """Meet the other processes that torchrun started, and part from them at the end; one process is its own team."""
    team = read_team()
    if team.size == 1:
        yield team
        return
    device = choose_device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield team
    finally:
        distributed.destroy_process_group()
