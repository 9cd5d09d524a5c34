import shutil
from pathlib import Path

import pytest
from PIL import Image

from lab_code.data.ham10000 import IMAGE_FOLDERS, read_photographs
from lab_code.errors import LabError

HEADER = "lesion_id,image_id,dx,dx_type"


def make_folder(folder: Path, rows: list[str], images: list[str], *, name: str = "HAM10000_metadata.csv") -> Path:
    for number, part in enumerate(IMAGE_FOLDERS):
        (folder / part).mkdir(parents=True)
        for image in images[number::2]:
            Image.new("RGB", (20, 16), "pink").save(folder / part / f"{image}.jpg")
    (folder / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return folder


GOOD = ["L1,I1,nv,histo", "L1,I2,nv,histo", "L2,I3,mel,histo"]


def test_every_row_becomes_a_photograph(tmp_path: Path) -> None:
    photographs = read_photographs(make_folder(tmp_path, GOOD, ["I1", "I2", "I3"]))
    assert [(p.image_id, p.lesion_id, p.dx) for p in photographs] == [
        ("I1", "L1", "nv"),
        ("I2", "L1", "nv"),
        ("I3", "L2", "mel"),
    ]
    assert all(p.path.is_file() for p in photographs)


@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.csv", "HAM10000_metadata.tab"])
def test_the_table_has_one_of_its_published_names(tmp_path: Path, name: str) -> None:
    assert len(read_photographs(make_folder(tmp_path, GOOD, ["I1", "I2", "I3"], name=name))) == 3


def test_the_table_may_be_quoted_as_dataverse_does(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, [], ["I1", "I2"], name="HAM10000_metadata.tab")
    rows = ['"lesion_id"\t"image_id"\t"dx"\t"age"', '"L1"\t"I1"\t"nv"\t45.0', '"L2"\t"I2"\t"mel"\t60.0']
    (folder / "HAM10000_metadata.tab").write_text("\n".join(rows), encoding="utf-8")
    assert [p.dx for p in read_photographs(folder)] == ["nv", "mel"]


@pytest.mark.parametrize("layout", ["lower case beside", "lower case only", "one folder", "beside the table"])
def test_the_images_may_lie_as_other_copies_have_them(tmp_path: Path, layout: str) -> None:
    folder = make_folder(tmp_path, GOOD, ["I1", "I2", "I3"])
    first, second = (folder / part for part in IMAGE_FOLDERS)
    for image in list(second.iterdir()):
        image.rename(first / image.name)
    second.rmdir()
    match layout:
        case "lower case beside":  # Kaggle's archive has every image twice
            shutil.copytree(first, folder / "ham10000_images_part_1_copy")
            (folder / "ham10000_images_part_1_copy").rename(folder / IMAGE_FOLDERS[0].lower())
        case "lower case only":
            first.rename(folder / "renaming")
            (folder / "renaming").rename(folder / IMAGE_FOLDERS[0].lower())
        case "one folder":
            first.rename(folder / "HAM10000_images")
        case "beside the table":
            for image in list(first.iterdir()):
                image.rename(folder / image.name)
            first.rmdir()
    assert len(read_photographs(folder)) == 3


def test_the_table_may_use_tabs_and_a_byte_order_mark(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, [], ["I1", "I2", "I3"])
    text = "\n".join([HEADER, *GOOD]).replace(",", "\t")
    (folder / "HAM10000_metadata.csv").write_text(text, encoding="utf-8-sig")
    assert len(read_photographs(folder)) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["L1,I1,naevus,histo"], "line 2: unknown diagnosis 'naevus'"),
        (["L1,I1,,histo"], "line 2: dx is empty"),
        (["L1,I1,nv,histo", "L2,I1,nv,histo"], "line 3: image I1 is already in line 2"),
        (["L1,I1,nv,histo", "L1,I2,mel,histo"], "line 3: lesion L1 is 'mel' here and 'nv' before"),
        (["L1,I1,nv,histo", "L2,I9,nv,histo"], "1 of 2 images named in"),
        ([], "has no rows"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, rows: list[str], message: str) -> None:
    folder = make_folder(tmp_path, rows, ["I1", "I2"])
    with pytest.raises(LabError) as caught:
        read_photographs(folder)
    assert message in caught.value.message and str(folder) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("column", ["lesion_id", "image_id", "dx"])
def test_a_missing_column_is_named_with_those_found(tmp_path: Path, column: str) -> None:
    folder = make_folder(tmp_path, [], ["I1"])
    (folder / "HAM10000_metadata.csv").write_text(HEADER.replace(column, "other", 1) + "\n", encoding="utf-8")
    with pytest.raises(LabError, match=f"no column '{column}'.*found: .*other"):
        read_photographs(folder)


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no metadata table"):
        read_photographs(tmp_path)


def test_a_table_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "HAM10000_metadata.csv").write_bytes(b"\xff\xfe\x00\x9f\x92")
    with pytest.raises(LabError, match="not UTF-8"):
        read_photographs(tmp_path)


def test_an_image_in_both_folders_is_an_error(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, GOOD, ["I1", "I2", "I3"])
    Image.new("RGB", (20, 16)).save(folder / IMAGE_FOLDERS[1] / "I1.jpg")
    with pytest.raises(LabError, match="image I1 is in both"):
        read_photographs(folder)


def test_real_photographs_are_read(ham10000_sample: Path) -> None:
    photographs = read_photographs(ham10000_sample)
    assert len(photographs) == 35
    assert sorted({p.dx for p in photographs}) == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
