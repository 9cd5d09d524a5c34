"""DermaMNIST's file, in its real shape: (N, S, S, 3) uint8 and (N, 1) labels in three parts."""

from pathlib import Path

import numpy as np
import pytest

from lab_code.config import compose_config
from lab_code.data.lesions import find_lesions, load_part
from lab_code.data.medmnist import PARTS, SIZES, read_part
from lab_code.errors import LabError
from lab_code.experiment import load_split


def make_arrays(size: int = 28, count: int = 21) -> dict[str, np.ndarray]:
    random = np.random.RandomState(0)
    arrays = {}
    for part in PARTS:
        arrays[f"{part}_images"] = random.randint(0, 256, (count, size, size, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 7).astype(np.uint8)[:, None]
    return arrays


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_every_published_size_is_read(tmp_path: Path, size: int) -> None:
    images, labels = read_part(write(tmp_path / "dermamnist.npz", make_arrays(size, 7)), "val")
    assert images.shape == (7, size, size, 3) and labels.tolist() == list(range(7))


def test_the_parts_are_used_as_published_and_the_test_part_is_left_alone(tmp_path: Path) -> None:
    arrays = make_arrays()
    path = write(tmp_path / "dermamnist.npz", arrays)
    config = compose_config([f"data.folder={path.name}", "data.image_size=28"])
    train, validation, found = load_split(config, tmp_path)
    assert np.array_equal(train.images, arrays["train_images"])
    assert np.array_equal(validation.images, arrays["val_images"])
    assert sum(found.photographs.values()) == 42


def test_photographs_are_resized_to_what_the_configuration_asks_for(tmp_path: Path) -> None:
    path = write(tmp_path / "dermamnist.npz", make_arrays())
    assert load_part(path, "train", 32).images.shape == (21, 32, 32, 3)
    assert find_lesions(path, 16)[0].images.shape == (42, 16, 16, 3)


def test_nothing_in_the_file_is_unpickled(tmp_path: Path) -> None:
    arrays = make_arrays() | {"train_labels": np.array([{"a": 1}] * 21, object)}
    with pytest.raises(LabError, match="not a readable"):
        read_part(write(tmp_path / "dermamnist.npz", arrays), "train")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train_images", np.zeros((21, 28, 28), np.uint8), r"shape \(21, 28, 28\)"),
        ("train_images", np.zeros((21, 30, 30, 3), np.uint8), r"shape \(21, 30, 30, 3\)"),
        ("train_images", np.zeros((21, 28, 28, 3), np.float32), "type float32, not uint8"),
        ("train_images", np.zeros((0, 28, 28, 3), np.uint8), "for 0 images"),
        ("train_labels", np.zeros((20, 1), np.uint8), "for 21 images"),
        ("train_labels", np.zeros((21, 1), np.float64), "float64"),
        ("train_labels", np.full((21, 1), 7, np.uint8), "labels go from 7 to 7"),
        ("train_labels", np.full((21, 1), -1, np.int64), "labels go from -1"),
    ],
)
def test_a_wrong_array_is_named(tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
    path = write(tmp_path / "dermamnist.npz", make_arrays() | {name: array})
    with pytest.raises(LabError, match=message) as caught:
        read_part(path, "train")
    assert "dermamnist.npz" in caught.value.message and caught.value.hint


def test_a_missing_array_is_named_with_those_found(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["val_labels"]
    with pytest.raises(LabError, match=r"no array 'val_labels' \(found: .*val_images"):
        read_part(write(tmp_path / "dermamnist.npz", arrays), "val")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04"])
def test_a_file_that_is_no_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dermamnist.npz").write_bytes(content)
    with pytest.raises(LabError, match="not a readable"):
        read_part(tmp_path / "dermamnist.npz", "train")


def test_a_cut_off_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "dermamnist.npz", make_arrays())
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(LabError, match="not a readable"):
        read_part(path, "train")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not a readable"):
        read_part(tmp_path / "dermamnist.npz", "train")
