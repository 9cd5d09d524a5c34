import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions, find_lesions, load_lesions, split_by_lesion
from lab_code.data.photographs import decode_photograph
from lab_code.errors import LabError


def make_labels(lesions: int = 140, photographs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(lesions) % len(DIAGNOSES), photographs)
    return labels, np.repeat([f"L{number:03d}" for number in range(lesions)], photographs)


def test_no_lesion_is_on_both_sides() -> None:
    labels, lesion_ids = make_labels()
    aside = split_by_lesion(labels, lesion_ids, 0.2, seed=0)
    assert not set(lesion_ids[aside]) & set(lesion_ids[~aside])


def test_every_diagnosis_gives_the_same_share() -> None:
    labels, lesion_ids = make_labels()
    aside = split_by_lesion(labels, lesion_ids, 0.2, seed=0)
    assert np.bincount(labels[aside]).tolist() == [8] * len(DIAGNOSES)


def test_the_split_depends_on_the_seed_and_not_on_the_order() -> None:
    labels, lesion_ids = make_labels()
    aside = split_by_lesion(labels, lesion_ids, 0.2, seed=0)
    order = np.random.RandomState(0).permutation(len(labels))
    assert np.array_equal(split_by_lesion(labels[order], lesion_ids[order], 0.2, seed=0), aside[order])
    assert not np.array_equal(split_by_lesion(labels, lesion_ids, 0.2, seed=1), aside)


def test_the_split_is_the_same_on_every_machine() -> None:
    labels, lesion_ids = make_labels(lesions=21, photographs=1)
    aside = split_by_lesion(labels, lesion_ids, 0.34, seed=5)
    # Written down once: of every diagnosis the lesion whose SHA-256 of "5|id" is the smallest.
    assert sorted(lesion_ids[aside].tolist()) == ["L002", "L004", "L005", "L008", "L013", "L014", "L017"]


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_both_sides_keep_at_least_one_lesion_of_a_diagnosis(fraction: float) -> None:
    labels, lesion_ids = make_labels(lesions=21)
    aside = split_by_lesion(labels, lesion_ids, fraction, seed=0)
    assert set(labels[aside]) == set(labels[~aside]) == set(range(len(DIAGNOSES)))


def test_a_diagnosis_with_one_lesion_cannot_be_split() -> None:
    with pytest.raises(LabError, match="diagnosis 'akiec' has only one lesion"):
        split_by_lesion(np.array([0, 0, 1, 1]), ["A", "A", "B", "C"], 0.5, seed=0)


def test_the_complete_metadata_splits_by_lesion(ham10000_sample: Path) -> None:
    """The proof on all of HAM10000: 10,015 photographs of 7,470 lesions."""
    with (ham10000_sample / "HAM10000_metadata_full.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([DIAGNOSES.index(row["dx"]) for row in rows])
    lesion_ids = np.array([row["lesion_id"] for row in rows])
    aside = split_by_lesion(labels, lesion_ids, 0.2, seed=0)
    assert (len(rows), len(set(lesion_ids))) == (10_015, 7_470)
    assert not set(lesion_ids[aside]) & set(lesion_ids[~aside])
    for label in range(len(DIAGNOSES)):
        lesions = len(set(lesion_ids[labels == label]))
        assert len(set(lesion_ids[aside & (labels == label)])) == round(0.2 * lesions)
    order = np.random.RandomState(0).permutation(len(rows))
    assert np.array_equal(split_by_lesion(labels[order], lesion_ids[order], 0.2, seed=0), aside[order])
    digest = hashlib.sha256("\n".join(sorted(set(lesion_ids[aside]))).encode()).hexdigest()
    assert digest[:16] == "12240f53714855c0"  # written down once: the same on every machine


def write_photographs(folder: Path) -> None:
    rows = ["lesion_id,image_id,dx"]
    (folder / "HAM10000_images_part_1").mkdir()
    for number, dx in enumerate(("nv", "mel")):
        colour = (200, 40 * number, 90)
        Image.new("RGB", (60, 45), colour).save(folder / "HAM10000_images_part_1" / f"I{number}.jpg", quality=95)
        rows.append(f"L{number},I{number},{dx}")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")


def test_photographs_are_square_uint8_in_the_order_of_the_table(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    seen: list[int] = []
    lesions = load_lesions(tmp_path, 32, lambda total: lambda: seen.append(total))
    assert lesions.images.shape == (2, 32, 32, 3) and lesions.images.dtype == np.uint8
    assert [DIAGNOSES[label] for label in lesions.labels] == ["nv", "mel"]
    assert np.abs(lesions.images[1].mean(axis=(0, 1)) - [200, 40, 90]).max() < 4
    assert len(seen) == 2


@pytest.mark.parametrize("content", [b"", b"this is text", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00cut off"])
def test_a_file_that_is_no_photograph_is_named(tmp_path: Path, content: bytes) -> None:
    write_photographs(tmp_path)
    bad = tmp_path / "HAM10000_images_part_1" / "I1.jpg"
    bad.write_bytes(content)
    with pytest.raises(LabError, match=r"I1\.jpg is not a readable photograph"):
        load_lesions(tmp_path, 32)


def test_a_cut_off_photograph_is_named(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    bad = tmp_path / "HAM10000_images_part_1" / "I0.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    with pytest.raises(LabError, match=r"I0\.jpg"):
        decode_photograph(bad, 32)


def test_the_fingerprint_changes_with_one_pixel_and_one_label() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    base = Lesions(images, np.array([0, 1]), np.array(["a", "b"]), np.array(["x", "y"]))
    brighter = images.copy()
    brighter[1, 2, 3, 0] = 1
    others = [
        Lesions(brighter, base.labels, base.lesion_ids, base.image_ids),
        Lesions(images, np.array([0, 2]), base.lesion_ids, base.image_ids),
    ]
    assert base.fingerprint() == Lesions(images.copy(), *_columns(base)).fingerprint()
    assert base.fingerprint() not in [other.fingerprint() for other in others]


def _columns(lesions: Lesions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return lesions.labels, lesions.lesion_ids, lesions.image_ids


def test_real_photographs_are_decoded(ham10000_sample: Path) -> None:
    lesions = load_lesions(ham10000_sample, 64)
    assert lesions.images.shape == (35, 64, 64, 3)
    assert lesions.class_counts().tolist() == [5] * 7
    assert 100 < lesions.images.mean() < 220


def test_everything_that_was_found_is_told(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    table = tmp_path / "HAM10000_metadata.csv"
    table.write_text(table.read_text(encoding="utf-8") + "\nL2,I2,nv\nL3,I3,df", encoding="utf-8")
    (tmp_path / "HAM10000_images_part_1" / "I3.jpg").write_bytes(b"no photograph")
    lesions, found = find_lesions(tmp_path, 16)
    assert (len(lesions), found.lesions, found.missing) == (2, 2, ["I2"])
    assert [error.message.split(" is ")[0][-6:] for error in found.unreadable] == ["I3.jpg"]
    assert found.photographs["nv"] == 1 and found.lesions_of["mel"] == 1 and found.photographs["df"] == 0
    assert "1 missing, 1 unreadable" in found.summary()


def test_missing_and_unreadable_photographs_stop_the_run_or_are_left_out(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    bad = tmp_path / "HAM10000_images_part_1" / "I1.jpg"
    bad.write_bytes(b"")
    with pytest.raises(LabError, match="not a readable photograph"):
        load_lesions(tmp_path, 16)
    bad.unlink()
    with pytest.raises(LabError, match="1 of 2 images"):
        load_lesions(tmp_path, 16)
    assert load_lesions(tmp_path, 16, on_fault="leave_out").image_ids.tolist() == ["I0"]


def test_several_unreadable_photographs_are_one_error(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    for name in ("I0", "I1"):
        (tmp_path / "HAM10000_images_part_1" / f"{name}.jpg").write_bytes(b"x")
    with pytest.raises(LabError, match=r"2 photographs are unreadable: I0, I1; the first: .*I0\.jpg") as caught:
        load_lesions(tmp_path, 16)
    assert "data.on_fault=leave_out" in (caught.value.hint or "")


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    write_photographs(tmp_path)
    for path in (tmp_path / "HAM10000_images_part_1").iterdir():
        path.unlink()
    with pytest.raises(LabError, match="none of the photographs"):
        load_lesions(tmp_path, 16, on_fault="leave_out")


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no folder"):
        load_lesions(tmp_path / "nowhere", 16)
