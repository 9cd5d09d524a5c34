from pathlib import Path

import pytest
from PIL import Image

from lab_code.data.image_table import read_image_table
from lab_code.data.lesions import load_lesions
from lab_code.errors import LabError


def make_folder(folder: Path, table: str, name: str = "photographs.csv") -> Path:
    for number, image in enumerate(("a/1.jpg", "a/2.png", "b/3.JPG")):
        (folder / image).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 16), (number, 50, 50)).save(folder / image)
    (folder / name).write_text(table, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "table",
    [
        "image,dx,lesion_id\na/1.jpg,nv,L1\na/2.png,nv,L1\nb/3.JPG,mel,L2\n",
        "lesion\tdiagnosis\tfilename\nL1\tnv\ta/1\nL1\tnv\ta/2\nL2\tmel\tb/3\n",
        "\ufeffpath , label, lesion_id\na/1.jpg, nv, L1\na/2.png, nv, L1\nb/3.JPG, mel, L2\n",
    ],
)
def test_a_table_may_name_its_columns_in_several_ways(tmp_path: Path, table: str) -> None:
    lesions = load_lesions(make_folder(tmp_path, table), 16)
    assert lesions.labels.tolist() == [5, 5, 4] and lesions.lesion_ids.tolist() == ["L1", "L1", "L2"]


def test_without_a_lesion_column_every_image_is_its_own(tmp_path: Path) -> None:
    reading = read_image_table(make_folder(tmp_path, "image,dx\na/1.jpg,nv\na/2.png,nv\nnone.jpg,mel\n"))
    assert [p.lesion_id for p in reading.photographs] == ["a/1.jpg", "a/2.png"]
    assert reading.missing == ["none.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,lesion_id\na/1.jpg,L1\n", "no column 'dx'"),
        ("dx\nnv\n", "no column 'image'"),
        ("image,dx\na/1.jpg,wart\n", "line 2: unknown diagnosis 'wart'"),
        ("image,dx\na/1.jpg,nv\na/1.jpg,nv\n", "line 3: image a/1.jpg is already in line 2"),
        ("image,dx,lesion\na/1.jpg,nv,L\na/2.png,mel,L\n", "line 3: lesion L is 'mel' here"),
        ("image,dx\n../outside.jpg,nv\n", "is outside"),
        ("", "found: an empty file"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, message: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.jpg")
    with pytest.raises(LabError, match=message) as caught:
        read_image_table(make_folder(folder, table))
    assert "photographs.csv" in caught.value.message and caught.value.hint


def test_two_tables_are_one_too_many(tmp_path: Path) -> None:
    make_folder(tmp_path, "image,dx\n")
    (tmp_path / "other.csv").write_text("image,dx\n", encoding="utf-8")
    with pytest.raises(LabError, match=r"exactly one table.*other\.csv, photographs\.csv"):
        read_image_table(tmp_path)
