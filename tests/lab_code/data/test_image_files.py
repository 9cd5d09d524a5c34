"""Names in a table and files on a disk: spelt by different people on different systems."""

import os
import unicodedata
from pathlib import Path

import pytest

from lab_code.data.image_files import ImageFiles, list_files
from lab_code.errors import LabError


def make(folder: Path, *names: str) -> ImageFiles:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return ImageFiles(folder)


NFC, NFD = unicodedata.normalize("NFC", "größe"), unicodedata.normalize("NFD", "größe")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("1.jpg", "1"),
        ("1.jpg", "1.jpg"),
        ("1.png", "1.jpg"),
        ("1.Jpg", "1.jpeg"),
        ("ISIC_1.JPEG", "isic_1"),
        ("1.webp", "1"),
        ("1.tif", "1.TIFF"),
        ("1.bmp", "1"),
        ("study.1.jpg", "study.1"),
        ("images/1.jpg", "1"),
        ("images/1.jpg", "images/1.jpg"),
        ("images/1.jpg", r"images\1.jpg"),
        ("images/1.jpg", r".\images\1"),
        ("images/1.jpg", r"C:\study\images\1.jpg"),
        ("images/1.jpg", "/home/ada/images/1.jpg"),
        ("1.jpg", "images/1.jpg"),
        ("a/b/1.jpg", "b/1"),
        (f"{NFD}/{NFC}.jpg", f"{NFC}/{NFD}.jpg"),
        (f"{NFC}.jpg", NFD),
        (f"{NFD}.jpg", NFC),
        ("images 2/photo 1.jpg", "photo 1"),
    ],
)
def test_a_name_finds_its_file(tmp_path: Path, file: str, name: str) -> None:
    assert make(tmp_path, file, "other.jpg").find(name) == tmp_path / file


@pytest.mark.parametrize(
    ("files", "name", "found"),
    [
        (["1.jpg", "1.png"], "1.png", "1.png"),
        (["a/1.jpg", "b/1.jpg"], "b/1", "b/1.jpg"),
        (["1.jpg", "b/1.jpg"], "1.jpg", "1.jpg"),
        (["x1.jpg", "X1.jpg"], "X1", "X1.jpg"),
        (["a/1.jpg"], "b/1.jpg", None),
        (["1.jpg"], "10", None),
        (["1.jpg.txt"], "1", None),
        (["._1.jpg", "__MACOSX/1.jpg", ".cache/1.jpg"], "1", None),
    ],
)
def test_a_name_never_finds_another_file(tmp_path: Path, files: list[str], name: str, found: str | None) -> None:
    assert make(tmp_path, *files).find(name) == (tmp_path / found if found else None)


@pytest.mark.parametrize("files", [["1.jpg", "1.png"], ["a/1.jpg", "b/1.jpg"], ["a/1.jpg", "b/1.png"]])
def test_a_name_that_fits_two_files_is_refused(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(LabError, match="image 1 is in both"):
        make(tmp_path, *files).find("1")


def test_what_a_system_leaves_behind_is_no_image(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/._1.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/a/._1.jpg")
    assert list_files(tmp_path) == [tmp_path / "a/1.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="making links needs rights there")
def test_a_linked_folder_is_followed_once(tmp_path: Path) -> None:
    make(tmp_path / "disk", "1.jpg")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "data")
    assert [path.name for path in list_files(tmp_path / "data")] == ["1.jpg"]
