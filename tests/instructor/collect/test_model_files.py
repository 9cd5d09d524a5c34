"""Model files made to do harm, or only damaged: none is scored, each is named, and the group's next best run counts."""

import json
import pickle
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from instructor.collect.isolation import Job, run_isolated
from instructor.collect.scoring import find_best, score_best
from instructor.workshop import HandinLimits
from lab_code.data.dataset import ClassNames, dataset_to_yaml
from lab_code.data.ham10000 import DIAGNOSES, HAM10000
from tests.conftest import find_once


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


def of_classes(codes: Sequence[str], outputs: int | None = None) -> Callable[[Path], bytes]:
    """A network that was trained on a data set of these classes, in this order; with so many `outputs`."""

    def make(path: Path) -> bytes:
        described = replace(HAM10000, classes=tuple(ClassNames(code, code, code, code) for code in codes), spotlight="")
        (path.parent / "dataset.yaml").write_text(dataset_to_yaml(described))
        return with_arrays(lambda arrays: resize(arrays, len(codes) if outputs is None else outputs))(path)

    return make


def resize(arrays: dict[str, np.ndarray], outputs: int) -> None:
    """Another number of outputs."""
    for name, array in arrays.items():
        if array.shape and array.shape[0] == len(DIAGNOSES):
            arrays[name] = np.resize(array, (outputs, *array.shape[1:]))


def of_channels(arrays: dict[str, np.ndarray]) -> None:
    """Images of one channel."""
    name = next(name for name, array in arrays.items() if array.ndim == 4 and array.shape[1] == 3)
    arrays[name] = arrays[name][:, :1]


MODELS |= {
    "fewer classes": (of_classes(DIAGNOSES[:-2]), "5, expected 7 (missing: nv, vasc)"),
    "more classes": (of_classes([*DIAGNOSES, "wart"]), "8, expected 7 (unknown: wart)"),
    "a hundred classes": (of_classes([f"c{n}" for n in range(100)]), "100, expected 7 (unknown: c0, c1, "),
    "other names": (of_classes([*DIAGNOSES[:-1], "wart"]), "7, expected 7 (unknown: wart; missing: vasc)"),
    "names in capitals": (of_classes([code.upper() for code in DIAGNOSES]), "7, expected 7 (unknown: AKIEC, BCC"),
    "another order": (
        of_classes(DIAGNOSES[::-1]),
        "the same in another order, vasc, nv, mel, df,",
    ),
    "more outputs than its description has classes": (of_classes(DIAGNOSES, 9), "do not fit"),
    "fewer outputs than its description has classes": (of_classes(DIAGNOSES, 2), "do not fit"),
    "images of one channel": (with_arrays(of_channels), "do not fit"),
}


@pytest.fixture(scope="module")
def scored(worked_in: dict[str, Path], build: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The runs of group-1, the best of which has a model file of each kind; all scored as `collect` does it."""
    return find_once(tmp_path_factory, "models", lambda folder: score_all(folder, worked_in["group-1"], build))


def score_all(folder: Path, kit: Path, build: Path) -> dict[str, dict]:
    jobs, best = [], find_best(kit, [])[0].run_id
    for number, (make, _) in enumerate(MODELS.values()):
        store = shutil.copytree(kit, folder / str(number), ignore=shutil.ignore_patterns("data"))
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
