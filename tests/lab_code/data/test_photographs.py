"""Decoding and its cache: the second start decodes nothing, and nothing stale is ever used."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab_code.data import photographs as module
from lab_code.data.photographs import CACHE_FOLDER, decode_photograph, decode_photographs
from lab_code.data.table import Photograph
from lab_code.errors import LabError


def make_photographs(folder: Path, count: int = 5) -> list[Photograph]:
    made = []
    for number in range(count):
        path = folder / f"I{number}.png"
        Image.new("RGB", (24, 20), (10 * number, 100, 200)).save(path)
        made.append(Photograph(f"I{number}", f"L{number}", "nv", path, {}))
    return made


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really decoded."""
    names: list[str] = []

    def decode(path: Path, size: int) -> np.ndarray:
        names.append(path.name)
        return decode_photograph(path, size)

    monkeypatch.setattr(module, "decode_photograph", decode)
    return names


def test_a_second_start_decodes_nothing_and_gives_the_same(tmp_path: Path, decoded: list[str]) -> None:
    photographs = make_photographs(tmp_path)
    first, _ = decode_photographs(photographs, 16, tmp_path)
    assert len(decoded) == 5
    second, faults = decode_photographs(photographs, 16, tmp_path)
    assert len(decoded) == 5 and not faults
    assert np.array_equal(first, second) and second.dtype == np.uint8


def test_only_what_is_new_is_decoded(tmp_path: Path, decoded: list[str]) -> None:
    decode_photographs(make_photographs(tmp_path, 3), 16, tmp_path)
    decode_photographs(make_photographs(tmp_path, 5), 16, tmp_path)
    assert sorted(decoded) == ["I0.png", "I1.png", "I2.png", "I3.png", "I4.png"]


def test_a_changed_file_is_decoded_again_even_with_its_old_name_and_size(tmp_path: Path, decoded: list[str]) -> None:
    photographs = make_photographs(tmp_path)
    decode_photographs(photographs, 16, tmp_path)
    Image.new("RGB", (24, 20), (11, 100, 200)).save(photographs[0].path)
    os.utime(photographs[0].path, ns=(0, 12345))
    images, _ = decode_photographs(photographs, 16, tmp_path)
    assert decoded[5:] == ["I0.png"] and images[0, 0, 0, 0] == 11


def test_a_copied_folder_is_recognised_by_content(tmp_path: Path, decoded: list[str]) -> None:
    photographs = make_photographs(tmp_path)
    decode_photographs(photographs, 16, tmp_path)
    for photograph in photographs:
        os.utime(photograph.path, ns=(0, 777))
    decode_photographs(photographs, 16, tmp_path)
    assert len(decoded) == 5


def test_files_of_one_name_in_two_folders_are_kept_apart(tmp_path: Path) -> None:
    for number, part in enumerate(("a/x", "b/x")):
        (tmp_path / part).mkdir(parents=True)
        Image.new("RGB", (24, 20), (number, 0, 0)).save(tmp_path / part / "I.bmp")
        os.utime(tmp_path / part / "I.bmp", ns=(0, 1))
    photographs = [Photograph(part, part, "nv", tmp_path / part / "I.bmp", {}) for part in ("a/x", "b/x")]
    for _ in range(2):
        images, _ = decode_photographs(photographs, 16, tmp_path)
        assert images[:, 0, 0, 0].tolist() == [0, 1]


def test_every_size_has_its_own_cache(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path)
    assert decode_photographs(photographs, 16, tmp_path)[0].shape == (5, 16, 16, 3)
    assert decode_photographs(photographs, 20, tmp_path)[0].shape == (5, 20, 20, 3)
    assert len(list((tmp_path / CACHE_FOLDER).iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", "half"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: bytes | str) -> None:
    photographs = make_photographs(tmp_path)
    before, _ = decode_photographs(photographs, 16, tmp_path)
    (cache,) = (tmp_path / CACHE_FOLDER).iterdir()
    content = cache.read_bytes()
    cache.write_bytes(content[: len(content) // 2] if damage == "half" else damage)
    after, _ = decode_photographs(photographs, 16, tmp_path)
    assert np.array_equal(before, after) and cache.read_bytes() == content


def test_a_folder_that_cannot_be_written_works_without_a_cache(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path)
    (tmp_path / CACHE_FOLDER).write_text("in the way", encoding="utf-8")
    images, faults = decode_photographs(photographs, 16, tmp_path)
    assert len(images) == 5 and not faults


def test_faults_are_given_by_index_and_never_cached(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path)
    good = photographs[2].path.read_bytes()
    photographs[2].path.write_bytes(b"text called .png")
    for _ in range(2):
        images, faults = decode_photographs(photographs, 16, tmp_path)
        assert list(faults) == [2] and not images[2].any()
    photographs[2].path.write_bytes(good)
    assert not decode_photographs(photographs, 16, tmp_path)[1]


def test_a_gigantic_picture_is_refused_without_decoding_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(LabError, match=r"huge\.png"):
        decode_photograph(path, 16)
