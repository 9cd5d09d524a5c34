"""The same picture under several names is on one side of every split, and nothing changes where there is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab_code.cli.app import main
from lab_code.config import compose_config
from lab_code.data.duplicates import digest_pixels, find_same, join_lesions
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import find_lesions, split_by_lesion
from lab_code.errors import LabError
from lab_code.experiment import load_split


def test_the_same_pixels_are_found_and_nothing_else() -> None:
    images = np.zeros((5, 4, 4, 3), np.uint8)
    images[1, 2, 3, 0] = 1
    images[4] = images[2] = 7
    assert find_same(digest_pixels(images)) == [[0, 3], [2, 4]]


def test_any_of_several_digests_shows_the_same_picture() -> None:
    assert find_same("abcdef", "xyxzvw") == [[0, 2]]
    assert find_same("abcadb", "xyzzyx") == [[0, 1, 2, 3, 4, 5]]
    assert find_same("aab", "xyz") == [[0, 1]] and find_same("abc", "xyz") == []


@pytest.mark.parametrize(
    ("same", "joined"),
    [
        ([], ["A", "B", "B", "C", "D"]),
        ([[0, 3]], ["A", "B", "B", "A", "D"]),
        ([[1, 2]], ["A", "B", "B", "C", "D"]),  # two photographs of one lesion
        ([[0, 1], [2, 4]], ["A", "A", "A", "C", "A"]),  # A = B and B = D
        ([[3, 4], [1, 3]], ["A", "B", "B", "B", "B"]),
        ([[0, 1, 3, 4]], ["A", "A", "A", "A", "A"]),
    ],
)
def test_lesions_that_share_a_picture_are_joined(same: list[list[int]], joined: list[str]) -> None:
    assert join_lesions(["A", "B", "B", "C", "D"], same).tolist() == joined


@pytest.mark.parametrize("fraction", [0.1, 0.34, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_a_picture_with_two_diagnoses_is_on_one_side(seed: int, fraction: float) -> None:
    labels = np.arange(70) % 7
    lesions = [f"L{number}" for number in range(70)]
    groups = join_lesions(lesions, [[0, 1], [2, 10, 20], [3, 11]])
    aside = split_by_lesion(labels, groups, fraction, seed)
    assert not set(groups[aside]) & set(groups[~aside])
    assert set(labels[aside]) == set(labels[~aside]) == set(range(7))


def test_a_diagnosis_whose_lesions_all_share_a_picture_cannot_be_split() -> None:
    groups = join_lesions(["A", "B", "C", "D"], [[0, 1]])
    with pytest.raises(LabError, match="diagnosis 'akiec' has only one lesion"):
        split_by_lesion(np.array([0, 0, 1, 1]), groups, 0.5, seed=0)


def make_folder(root: Path) -> Path:
    """Three lesions of every diagnosis; every picture of the last lesion of each is a copy of the first's."""
    (root / "data").mkdir()
    rows = ["image,dx,lesion_id"]
    for number in range(21):
        shown = number if number < 14 else number - 14
        Image.new("RGB", (20, 20), (10 * shown, 99, 9)).save(root / "data" / f"{number}.png")
        rows.append(f"{number},{DIAGNOSES[number % 7]},L{number}")
    (root / "data" / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "webp"])
def test_a_large_photograph_and_its_copy_in_another_format_are_one(tmp_path: Path, ending: str) -> None:
    rows = ["image,dx,lesion_id"]
    for number in range(14):
        pixels = np.random.RandomState(number).randint(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((320, 240)).save(tmp_path / f"{number}.jpg", quality=95)
        rows.append(f"{number},{DIAGNOSES[number % 7]},L{number}")
    with Image.open(tmp_path / "0.jpg") as picture:
        picture.save(tmp_path / f"copy.{ending}", lossless=True)
    (tmp_path / "t.csv").write_text("\n".join([*rows, "copy,akiec,OTHER"]), encoding="utf-8")
    for _ in range(2):
        lesions, found = find_lesions(tmp_path, 16)
        assert found.same == [[0, 14]] and len(lesions) == 15


@pytest.mark.parametrize("seed", range(6))
def test_training_and_validation_share_no_picture(tmp_path: Path, seed: int) -> None:
    config = compose_config(["data.folder=data", "data.image_size=16", f"data.split_seed={seed}"])
    train, validation, findings = load_split(config, make_folder(tmp_path))
    assert not set(digest_pixels(train.images)) & set(digest_pixels(validation.images))
    assert len(train) + len(validation) == 21 and set(validation.labels) == set(range(7))
    assert "the same picture more than once: 7, each kept on one side" in findings.summary()


def test_what_dermamnists_validation_part_holds_is_not_trained_on(tmp_path: Path) -> None:
    random, arrays = np.random.RandomState(0), {}
    for part in ("train", "val", "test"):
        arrays[f"{part}_images"] = random.randint(0, 256, (21, 28, 28, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(21) % 7)[:, None]
    arrays["train_images"][3] = arrays["val_images"][8]
    arrays["train_images"][5] = arrays["train_images"][4]
    np.savez(tmp_path / "dermamnist.npz", **arrays)
    config = compose_config(["data.folder=dermamnist.npz", "data.image_size=28"])
    train, validation, findings = load_split(config, tmp_path)
    assert len(train) == 20 and "train-3" not in train.image_ids
    assert np.array_equal(validation.images, arrays["val_images"]) and len(findings.same) == 2


def test_lab_data_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(make_folder(tmp_path) / "data")]) == 0
    told = capsys.readouterr().out
    assert "the same picture more than once: 7" in told and "0 = 14" in told


def test_lab_data_says_how_a_folder_was_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Melanoma/1.png", "scc/2.png", "nv/3.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    (tmp_path / "nv/3.png").write_bytes(b"")
    assert main(["data", str(tmp_path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "read by name: Melanoma as mel" in told and "no such diagnosis: 1 of 'scc'" in told
    assert "nv/3.png is not a readable photograph: it is empty; copy the file again" in told
