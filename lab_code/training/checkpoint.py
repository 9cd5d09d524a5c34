"""What a run that was killed goes on from: one safetensors file, replaced whole after every epoch.

It holds the learner's state, the best weights so far, and the results of all epochs. Numbers and JSON only: nothing is
pickled, so nothing can run when it is read.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lab_code.errors import LabError
from lab_code.files import remove_leftovers, write_whole
from lab_code.training.trainer import BestEpoch, EpochResult

_NAME = "checkpoint.safetensors"

# Arrays by name, and values that JSON can hold: what a run that was killed goes on from.
State = tuple[dict[str, np.ndarray], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a run is after its last whole epoch; `state` is None before the first."""

    state: State | None
    best: BestEpoch
    history: list[EpochResult]


def write_checkpoint(folder: Path, state: State, best: BestEpoch, history: list[EpochResult]) -> None:
    """Replace the checkpoint in `folder`; whatever happens meanwhile, the old one or the new one is there, whole."""
    assert best.result is not None
    arrays, values = state
    tensors = {f"state.{name}": array for name, array in arrays.items()}
    tensors |= {f"best.{name}": array for name, array in best.weights.items()}
    tensors["probabilities"] = best.result.probabilities
    text = {"values": values, "best": best.result.epoch, "history": [_to_values(result) for result in history]}
    contiguous = {name: np.array(array, order="C") for name, array in tensors.items()}
    remove_leftovers(folder / _NAME)  # of a process that was killed: whoever trains a run holds its lock
    write_whole(folder / _NAME, save(contiguous, {"json": json.dumps(text)}))


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in `folder`; None where the run was stopped before its first epoch ended."""
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            text = json.loads(file.metadata()["json"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return _from_tensors(tensors, text)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} is not a readable checkpoint: {error}", hint="train again: lab train …") from error


def _to_values(result: EpochResult) -> dict[str, Any]:
    return {key: value for key, value in vars(result).items() if key != "probabilities"}


def _from_tensors(tensors: dict[str, np.ndarray], text: dict[str, Any]) -> Checkpoint:
    def part(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}

    nothing = tensors["probabilities"][:0]
    history = [
        EpochResult(**values, probabilities=tensors["probabilities"] if values["epoch"] == text["best"] else nothing)
        for values in text["history"]
    ]
    best = BestEpoch()
    best.offer(history[text["best"] - 1], lambda: part("best."))
    return Checkpoint((part("state."), text["values"]), best, history)
