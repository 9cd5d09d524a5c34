import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from instructor.dataset.prepare import CHECKSUMS, prepare_data, shipped_files
from instructor.workshop import DataSource
from lab_code.data.ham10000 import DIAGNOSES, IMAGE_FOLDERS, read_photographs
from lab_code.data.lesions import load_lesions
from lab_code.errors import LabError

SMALL = DataSource(images=140, image_size=16, test_images=21, seed=5)


def make_real_folder(folder: Path, per_class: int = 3) -> Path:
    """Photographs larger than a kit stores them, in two folders, several lesions of every diagnosis."""
    rows = ["lesion_id,image_id,dx,dx_type,age"]
    for part in IMAGE_FOLDERS:
        (folder / part).mkdir(parents=True)
    for number in range(7 * per_class):
        dx = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")[number % 7]
        picture = Image.new("RGB", (60, 45), (200, 10 * number, 90))
        picture.save(folder / IMAGE_FOLDERS[number % 2] / f"ISIC_{number}.jpg")
        rows.append(f"HAM_{number},ISIC_{number},{dx},histo,45")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory):
    return prepare_data(SMALL, tmp_path_factory.mktemp("build"))


def test_the_synthetic_set_is_read_by_the_reader_of_the_real_one(synthetic) -> None:
    assert len(read_photographs(synthetic.folder)) == 140
    assert len(read_photographs(synthetic.test_folder)) == 21


def test_lesions_keep_their_photographs_together(synthetic) -> None:
    photographs = read_photographs(synthetic.folder)
    assert 1 < len({p.lesion_id for p in photographs}) <= len(photographs)
    assert all(p.image_id.startswith("SYN_") and p.lesion_id.startswith("SYN_L") for p in photographs)


def test_synthetic_data_never_calls_itself_real(synthetic) -> None:
    assert "Synthetic" in (synthetic.folder / "SOURCE.md").read_text(encoding="utf-8")
    assert ",synthetic," in (synthetic.folder / "HAM10000_metadata.csv").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_files(synthetic, tmp_path: Path) -> None:
    again = prepare_data(SMALL, tmp_path)
    assert (again.folder / CHECKSUMS).read_bytes() == (synthetic.folder / CHECKSUMS).read_bytes()


def test_a_second_run_does_nothing_and_another_seed_does(tmp_path: Path) -> None:
    assert prepare_data(SMALL, tmp_path).changed
    assert not prepare_data(SMALL, tmp_path).changed
    harder = DataSource(images=140, image_size=16, test_images=21, seed=5, difficulty=0.9)
    assert prepare_data(harder, tmp_path).changed


def test_too_few_lesions_to_validate_are_noticed_before_class(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="only one lesion of"):
        prepare_data(DataSource(images=70, image_size=16, test_images=7), tmp_path)
    assert not (tmp_path / "data").exists()


def test_the_stamp_stays_at_home(synthetic) -> None:
    assert "prepared.json" not in {path.name for path in shipped_files(synthetic)}


def test_a_folder_is_divided_by_lesion_and_reduced(tmp_path: Path) -> None:
    source = DataSource(source=str(make_real_folder(tmp_path / "real")), stored_size=32, test_fraction=0.3)
    seen: list[int] = []
    prepared = prepare_data(source, tmp_path / "build", lambda total: lambda: seen.append(total))
    shipped, hidden = read_photographs(prepared.folder), read_photographs(prepared.test_folder)
    assert (len(shipped), len(hidden), seen) == (14, 7, [21] * 21)
    assert not {p.lesion_id for p in shipped} & {p.lesion_id for p in hidden}
    with Image.open(shipped[0].path) as picture:
        assert picture.size == (43, 32)
    assert ",45" in (prepared.folder / "HAM10000_metadata.csv").read_text(encoding="utf-8")


def test_a_small_photograph_is_not_enlarged(tmp_path: Path) -> None:
    source = DataSource(source=str(make_real_folder(tmp_path / "real")), stored_size=500)
    prepared = prepare_data(source, tmp_path / "build")
    with Image.open(read_photographs(prepared.folder)[0].path) as picture:
        assert picture.size == (60, 45)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "HAM10000_metadata.csv").unlink(), "no metadata table"),
        (lambda f: (f / IMAGE_FOLDERS[0] / "ISIC_2.jpg").unlink(), "1 of 21 images"),
        (
            lambda f: (f / IMAGE_FOLDERS[0] / "ISIC_2.jpg").write_text("text"),
            r"ISIC_2\.jpg is not a readable photograph",
        ),
        (lambda f: (f / IMAGE_FOLDERS[0] / "ISIC_2.jpg").write_bytes(b""), r"ISIC_2\.jpg is not a readable photograph"),
    ],
)
def test_a_broken_folder_is_named_and_the_old_data_stay(tmp_path: Path, break_it, message: str) -> None:
    build = tmp_path / "build"
    before = prepare_data(SMALL, build)
    checksums = (before.folder / CHECKSUMS).read_bytes()
    folder = make_real_folder(tmp_path / "real")
    break_it(folder)
    with pytest.raises(LabError, match=message):
        prepare_data(DataSource(source=str(folder)), build)
    assert (before.folder / CHECKSUMS).read_bytes() == checksums
    assert not (build / ".staging-data").exists()


def test_a_changed_folder_is_prepared_again(tmp_path: Path) -> None:
    folder = make_real_folder(tmp_path / "real")
    source = DataSource(source=str(folder))
    assert prepare_data(source, tmp_path / "build").changed
    assert not prepare_data(source, tmp_path / "build").changed
    shutil.copyfile(folder / IMAGE_FOLDERS[0] / "ISIC_0.jpg", folder / IMAGE_FOLDERS[0] / "ISIC_2.jpg")
    assert prepare_data(source, tmp_path / "build").changed


def test_a_folder_of_images_with_a_table_becomes_ham10000s_layout(tmp_path: Path) -> None:
    folder, rows = tmp_path / "clinic", ["image,diagnosis,lesion"]
    for number in range(42):
        dx = DIAGNOSES[number % 7]
        (folder / dx).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 45), (200, 5 * number, 90)).save(folder / dx / f"{number}.png")
        rows.append(f"{dx}/{number}.png,{dx},L{number}")
    (folder / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    source = DataSource(source=str(folder), stored_size=32)
    prepared = prepare_data(source, tmp_path / "build")
    kit, hidden = read_photographs(prepared.folder), read_photographs(prepared.test_folder)
    assert len(kit) + len(hidden) == 42 and not {p.lesion_id for p in kit} & {p.lesion_id for p in hidden}
    assert sorted(p.row["image"] for p in kit + hidden) == sorted(row.split(",")[0] for row in rows[1:])
    assert not prepare_data(source, tmp_path / "build").changed


def test_dermamnist_ships_its_training_and_validation_parts_and_hides_its_test_part(tmp_path: Path) -> None:
    random, arrays = np.random.RandomState(0), {}
    for part, count in (("train", 28), ("val", 14), ("test", 21)):
        arrays[f"{part}_images"] = random.randint(0, 256, (count, 28, 28, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 7).astype(np.uint8)[:, None]
    np.savez(tmp_path / "dermamnist.npz", **arrays)
    prepared = prepare_data(DataSource(source=str(tmp_path / "dermamnist.npz")), tmp_path / "build")
    assert prepared.count() == (42, 21)
    assert {p.image_id.split("_")[0] for p in read_photographs(prepared.test_folder)} == {"test"}
    assert "DermaMNIST" in (prepared.folder / "SOURCE.md").read_text(encoding="utf-8")


def test_the_cache_of_decoded_photographs_is_never_shipped(tmp_path: Path) -> None:
    prepared = prepare_data(SMALL, tmp_path)
    before = shipped_files(prepared)
    load_lesions(prepared.folder, 16)
    assert (prepared.folder / ".cache").is_dir() and shipped_files(prepared) == before
