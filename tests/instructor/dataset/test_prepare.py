import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from instructor.dataset.prepare import CHECKSUMS, prepare_data, shipped_files
from instructor.dataset.real_writers import DUPLICATES
from instructor.workshop import DataSource
from lab_code.data.ham10000 import DIAGNOSES, IMAGE_FOLDERS, read_photographs
from lab_code.data.lesions import load_lesions, read_folder
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


def test_a_second_run_does_nothing_and_another_seed_does(synthetic, tmp_path: Path) -> None:
    shutil.copytree(synthetic.folder.parent, tmp_path / "build")
    assert synthetic.changed and not prepare_data(SMALL, tmp_path / "build").changed
    harder = DataSource(images=140, image_size=16, test_images=21, seed=5, difficulty=0.9)
    assert prepare_data(harder, tmp_path / "build").changed


def test_too_few_lesions_to_validate_are_noticed_before_class(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="only one lesion of") as caught:
        prepare_data(DataSource(images=70, image_size=16, test_images=7), tmp_path)
    assert not (tmp_path / "data").exists()
    assert "instructor/workshop.yaml" not in (caught.value.hint or "")  # another one may have been named


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


def test_what_the_table_says_of_patients_stays_with_the_instructor(tmp_path: Path) -> None:
    folder = make_real_folder(tmp_path / "real")
    table = folder / "HAM10000_metadata.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([f"{lines[0]},patient", *(f"{line},MRN-4711" for line in lines[1:])]), encoding="utf-8")
    prepared = prepare_data(DataSource(source=str(folder), stored_size=32, test_fraction=0.3), tmp_path / "build")
    shipped = (prepared.folder / "HAM10000_metadata.csv").read_text(encoding="utf-8")
    assert shipped.startswith("lesion_id,image_id,dx,dx_type,age") and "4711" not in shipped


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
    before = prepare_data(DataSource(source=str(make_real_folder(tmp_path / "before"))), build)
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
    prepared = prepare_data(DataSource(source=str(make_real_folder(tmp_path / "real"))), tmp_path / "build")
    before = shipped_files(prepared)
    load_lesions(prepared.folder, 16)
    assert (prepared.folder / ".cache").is_dir() and shipped_files(prepared) == before


def make_pictures(count: int) -> list[Image.Image]:
    """Photographs that differ in every pixel, as real ones do."""
    random = np.random.RandomState(0)
    return [Image.fromarray(random.randint(0, 256, (45, 60, 3), dtype=np.uint8)) for _ in range(count)]


def same_bytes(picture: Image.Image, folder: Path, first: str, second: str) -> None:
    picture.save(folder / f"{first}.jpg")
    shutil.copyfile(folder / f"{first}.jpg", folder / f"{second}.jpg")


def same_pixels_without_loss(picture: Image.Image, folder: Path, first: str, second: str) -> None:
    picture.save(folder / f"{first}.png", compress_level=1)
    picture.save(folder / f"{second}.bmp")


def same_pixels_of_a_jpeg(picture: Image.Image, folder: Path, first: str, second: str) -> None:
    large = picture.resize((600, 450))  # so large that a JPEG could be decoded at a fraction of its size
    large.save(folder / f"{first}.jpg")
    with Image.open(folder / f"{first}.jpg") as decoded:
        decoded.save(folder / f"{second}.png")


def same_pixels_other_comment(picture: Image.Image, folder: Path, first: str, second: str) -> None:
    picture.save(folder / f"{first}.jpg", comment=b"first")
    picture.save(folder / f"{second}.jpg", comment=b"second")


def same_once_turned(picture: Image.Image, folder: Path, first: str, second: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.save(folder / f"{first}.png")
    picture.rotate(180).save(folder / f"{second}.png", exif=exif)


def same_once_reduced(picture: Image.Image, folder: Path, first: str, second: str) -> None:
    Image.new("RGB", (60, 45), picture.getpixel((0, 0))).save(folder / f"{first}.png")
    Image.new("RGB", (120, 90), picture.getpixel((0, 0))).save(folder / f"{second}.png")


DOUBLES = [
    same_bytes,
    same_pixels_without_loss,
    same_pixels_of_a_jpeg,
    same_pixels_other_comment,
    same_once_turned,
    same_once_reduced,
]


def make_doubled_folder(folder: Path, double, *, other_dx: bool = False) -> Path:
    """Four lesions of every diagnosis; the picture of the first of each is there again, as another lesion's.

    That other lesion has a second photograph, which has to stay with it.
    """
    folder.mkdir()
    rows = ["lesion_id,image_id,dx"]
    for number, picture in enumerate(make_pictures(28)):
        dx, again = DIAGNOSES[number % 7], DIAGNOSES[(number + other_dx) % 7]
        rows.append(f"L{number},I{number},{dx}")
        if number >= 7:
            picture.save(folder / f"I{number}.png")
            continue
        double(picture, folder, f"I{number}", f"COPY{number}")
        picture.rotate(90).save(folder / f"MORE{number}.png")
        rows += [f"OTHER{number},COPY{number},{again}", f"OTHER{number},MORE{number},{again}"]
    (folder / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("double", DOUBLES)
def test_the_same_picture_is_on_one_side_with_all_of_its_lesions(tmp_path: Path, double, seed: int) -> None:
    folder = make_doubled_folder(tmp_path / "real", double)
    source = DataSource(source=str(folder), stored_size=32, test_fraction=0.4, seed=seed)
    prepared = prepare_data(source, tmp_path / "build")
    kit, hidden = read_photographs(prepared.folder), read_photographs(prepared.test_folder)
    assert len(kit) + len(hidden) == 42
    for side in ({p.image_id for p in kit}, {p.image_id for p in hidden}):
        for number in range(7):
            assert len({f"I{number}", f"COPY{number}", f"MORE{number}"} & side) in (0, 3)
    assert not {p.path.read_bytes() for p in kit} & {p.path.read_bytes() for p in hidden}
    assert "the same picture more than once: 7 (" in prepared.notes[0] and "I0 = COPY0" in prepared.notes[0]
    listed = (prepared.test_folder / DUPLICATES).read_text(encoding="utf-8").splitlines()
    assert len(listed) == 7 and listed[6] == '"I6","COPY6"'
    assert prepare_data(source, tmp_path / "build").notes == prepared.notes


def test_a_picture_with_two_diagnoses_is_said_to_have_a_wrong_one(tmp_path: Path) -> None:
    folder = make_doubled_folder(tmp_path / "real", same_bytes, other_dx=True)
    prepared = prepare_data(DataSource(source=str(folder), stored_size=32), tmp_path / "build")
    assert (
        "with two diagnoses, one of which must be wrong: 7" in prepared.notes[1]
        and "I0 (akiec) = COPY0 (bcc)" in prepared.notes[1]
    )
    kit, hidden = read_photographs(prepared.folder), read_photographs(prepared.test_folder)
    assert not {p.path.read_bytes() for p in kit} & {p.path.read_bytes() for p in hidden}


def test_dermamnists_kits_hold_no_picture_of_its_test_part(tmp_path: Path) -> None:
    random, arrays = np.random.RandomState(0), {}
    for part, count in (("train", 28), ("val", 14), ("test", 21)):
        arrays[f"{part}_images"] = random.randint(0, 256, (count, 28, 28, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 7).astype(np.uint8)[:, None]
    arrays["train_images"][2] = arrays["test_images"][4]
    arrays["val_images"][3] = arrays["test_images"][4]
    arrays["val_images"][5] = arrays["train_images"][5]
    np.savez(tmp_path / "dermamnist.npz", **arrays)
    prepared = prepare_data(DataSource(source=str(tmp_path / "dermamnist.npz")), tmp_path / "build")
    assert prepared.count() == (40, 21)
    kit, hidden = read_photographs(prepared.folder), read_photographs(prepared.test_folder)
    assert not {p.path.read_bytes() for p in kit} & {p.path.read_bytes() for p in hidden}
    assert "that the test part has too, left out of the kits: 2 (" in prepared.notes[0]
    assert "train_00002 = test_00004, val_00003 = test_00004" in prepared.notes[0]
    assert "more than once in the kits: 1 (train_00005 = val_00005)" in prepared.notes[1]


def write_one_hot(folder: Path, write_cell: Callable[[bool], str] = lambda is_it: str(float(is_it))) -> None:
    columns = [dx.upper() for dx in DIAGNOSES]
    rows = [f"{n}," + ",".join(write_cell(n % 7 == k) for k in range(7)) for n in range(28)]
    (folder / "truth").mkdir()
    (folder / "truth" / "GroundTruth.csv").write_text("\n".join([f"image,{','.join(columns)}", *rows]), "utf-8")


def write_rows(folder: Path, header: str, row: str, encoding: str = "utf-8") -> None:
    rows = [row.format(n=n, m=n // 7, dx=DIAGNOSES[n % 7]) for n in range(28)]
    (folder / "t.csv").write_text("\n".join([header, *rows]), encoding)


# Where an image lies, and what is written beside the images.
SOURCES = {
    "image_id with lesion_id": ("{n}.jpg", lambda f: write_rows(f, "image_id,dx,lesion_id", "{n},{dx},L{n}")),
    "image_id alone": ("images/{n}.jpeg", lambda f: write_rows(f, "image_id;dx", "{n};{dx}")),
    "ids with an ending": ("images/{n}.jpg", lambda f: write_rows(f, "isic_id,dx", "{n}.jpg,{dx}")),
    "paths": ("a/{n}.Jpg", lambda f: write_rows(f, "image_id\tdiagnosis", "x\\a\\{n}.jpg\t{dx}", "utf-16")),
    "the same name in every folder": (
        "{dx}/{m}.png",
        lambda f: write_rows(f, "image,dx", "{dx}/{m},{dx}"),
    ),
    "names with blanks and accents": ("Fotos/größe {n}.webp", lambda f: write_rows(f, "file,dx", "größe {n},{dx}")),
    "a folder for each diagnosis": ("{dx}/{n}.tif", lambda f: None),
    "one-hot": ("input/{n}.bmp", write_one_hot),
    "columns that HAM10000 has too": (
        "{n}.jpg",
        lambda f: write_rows(f, "DX,Image_ID,Lesion,Lesion_ID,age", "{dx},{n},9,L{n},45"),
    ),
    "columns as people write them": (
        "{n}.jpg",
        lambda f: write_rows(f, "Image ID,Lesion-ID,Diagnosis,Patient ID", "{n},L{n},{dx},P{m}"),
    ),
    "lesions that are not known": ("{n}.jpg", lambda f: write_rows(f, "image,lesion_id,dx", "{n},NA,{dx}")),
    "one-hot in words": (
        "{n}.jpg",
        lambda f: write_one_hot(f, lambda is_it: "True" if is_it else ""),
    ),
    "names of devices": ("con.{n}.jpg", lambda f: write_rows(f, "image,dx", "con.{n},{dx}")),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_what_lab_data_reads_is_provisioned_too(tmp_path: Path, kind: str) -> None:
    place, write = SOURCES[kind]
    folder = tmp_path / "clinic"
    for number, picture in enumerate(make_pictures(28)):
        name = place.format(n=number, m=number // 7, dx=DIAGNOSES[number % 7])
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
    write(folder)
    (folder / "._t.csv").write_bytes(b"macOS")
    assert len(read_folder(folder).photographs) == 28
    prepared = prepare_data(DataSource(source=str(folder), stored_size=32), tmp_path / "build")
    kit, hidden = read_photographs(prepared.folder), read_photographs(prepared.test_folder)
    assert (len(kit), len(hidden)) == (21, 7)
    assert len({p.image_id.casefold() for p in kit + hidden}) == 28
    assert all(p.image_id.isascii() and " " not in p.image_id for p in kit + hidden)
    assert [p.lesion_id for p in read_folder(prepared.folder).photographs] == [p.lesion_id for p in kit]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image_id,dx,lesion_id\n0,wart,L\n", r"t\.csv line 2: unknown diagnosis 'wart'"),
        ("image_id,dx,image_id\n0,nv,1\n", r"t\.csv: columns 1 and 3 are both named"),
        ("image_id,dx\n0,nv\n0.jpg,nv\n", r"t\.csv line 3: image 0\.jpg is already in line 2"),
        ("image_id,dx\n0,nv\n9,nv\n", r"1 of 2 images named in .*t\.csv are missing: 9"),
        ("image_id,dx\n0,nv\n1,nv\n", r"1\.jpg is not a readable photograph"),
        ("image_id,dx\n1,nv\n2,nv\n", r"2 photographs are unreadable: 1, 2; the first: .*1\.jpg"),
        ("image_id,dx\n0,nv\n", "diagnosis 'nv' has only one lesion"),
    ],
)
def test_errors_name_the_users_own_file(tmp_path: Path, table: str, message: str) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    make_pictures(1)[0].save(folder / "0.jpg")
    (folder / "1.jpg").write_bytes(b"text")
    (folder / "2.jpg").write_bytes(b"")
    (folder / "t.csv").write_text(table, encoding="utf-8")
    with pytest.raises(LabError, match=message) as caught:
        prepare_data(DataSource(source=str(folder)), tmp_path / "build")
    assert "staging" not in caught.value.message + (caught.value.hint or "") and caught.value.hint


def test_a_table_that_is_saved_again_prepares_again(tmp_path: Path) -> None:
    folder = make_doubled_folder(tmp_path / "real", same_bytes)
    source = DataSource(source=str(folder), stored_size=32)
    assert prepare_data(source, tmp_path / "build").changed
    lines = (folder / "table.csv").read_text(encoding="utf-8").splitlines()
    (folder / "table.csv").write_text("\n".join(line for line in lines if "OTHER0" not in line), encoding="utf-8")
    prepared = prepare_data(source, tmp_path / "build")
    assert prepared.changed and "the same picture more than once: 6 (" in prepared.notes[0]
