"""Model files made to do harm, or only damaged: none is scored, each is named, and the group's next best run counts."""

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from instructor.collect.isolation import Job, run_isolated
from instructor.collect.scoring import find_best, score_best
from instructor.workshop import HandinLimits


def with_arrays(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        arrays = load_file(path)
        change(arrays)
        return save(arrays)

    return make


def with_header(change: Callable[[dict], object]) -> Callable[[Path], bytes]:
    """The same numbers under another description of them."""

    def make(path: Path) -> bytes:
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    return make


def first_of(header: dict) -> dict:
    return next(entry for name, entry in header.items() if name != "__metadata__")


def spoil(value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        for array in arrays.values():
            if array.dtype == np.float32:
                array[...] = value

    return change


def rename(arrays: dict[str, np.ndarray]) -> None:
    name = next(iter(arrays))
    arrays["__class__"] = arrays.pop(name)


def reshape(arrays: dict[str, np.ndarray]) -> None:
    name = next(name for name, array in arrays.items() if array.ndim == 4)
    arrays[name] = np.zeros((1, 1, 1, 1), np.float32)


MODELS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a header that says it has eight exabytes": (lambda path: struct.pack("<Q", 2**63) + b"{}", "not a readable file"),
    "a header longer than the file": (lambda path: struct.pack("<Q", 90_000_000) + b"{}", "not a readable file"),
    "an array of a billion rows": (
        with_header(lambda header: first_of(header).update(shape=[10**9, 10**3])), "not a readable file"
    ),
    "an array that lies outside the file": (
        with_header(lambda header: first_of(header).update(data_offsets=[0, 2**40])), "not a readable file"
    ),
    "numbers of a kind that nobody knows": (
        with_header(lambda header: first_of(header).update(dtype="OBJECT")), "not a readable file"
    ),
    "a header that nests without end": (lambda path: struct.pack("<Q", 5000) + b"[" * 5000, "not a readable file"),
    "a name that is none of the model's": (with_arrays(rename), "do not fit"),
    "one array more": (with_arrays(lambda arrays: arrays.update(more=np.zeros(3, np.float32))), "do not fit"),
    "an array of another shape": (with_arrays(reshape), "do not fit"),
    "no numbers": (with_arrays(spoil(np.nan)), "are no numbers"),
    "infinite numbers": (with_arrays(spoil(np.inf)), "are no numbers"),
    "a pickle": (lambda path: pickle.dumps({"a": 1}), "not a readable file"),
    "nothing": (lambda path: b"", "not a readable file"),
}  # fmt: skip


@pytest.fixture(scope="module")
def scored(worked_in: dict[str, Path], build: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The runs of group-1, the best of which has a model file of each kind; all scored as `collect` does it."""
    jobs, folder = [], tmp_path_factory.mktemp("models")
    best = find_best(worked_in["group-1"], [])[0].run_id
    for number, (make, _) in enumerate(MODELS.values()):
        store = shutil.copytree(worked_in["group-1"], folder / str(number), ignore=shutil.ignore_patterns("data"))
        weights = store / "mlartifacts" / "skin-lesions" / best / "artifacts" / "weights.safetensors"
        weights.write_bytes(make(weights))
        jobs.append(Job(score_best, (store, [], build / "vault" / "test")))
    outcomes = run_isolated(jobs, HandinLimits(memory_mb=1500))
    return {kind: vars(outcome) | {"best": best} for kind, outcome in zip(MODELS, outcomes, strict=True)}


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_named_and_the_next_best_run_is_scored(scored: dict[str, dict], kind: str) -> None:
    outcome = scored[kind]
    assert outcome["error"] is None
    value = outcome["value"]
    assert MODELS[kind][1] in value["faults"][0], value["faults"]
    assert value["run_id"] != outcome["best"] and value["metrics"]["balanced_accuracy"] > 0
