import itertools
import os
from pathlib import Path

import pytest

from lab_code.errors import LabError
from lab_code.files import canonical_json, sha256_file, write_whole
from lab_code.workshop.codes import canonical_words, make_code, read_code

SECRET = bytes(range(100, 110))


def test_a_code_is_read_back() -> None:
    assert read_code(make_code(SECRET), 10) == SECRET


@pytest.mark.parametrize("change", [str.lower, lambda c: c.replace("-", " "), lambda c: f"  {c.replace('-', '')} "])
def test_case_blanks_and_dashes_do_not_matter(change) -> None:
    assert read_code(change(make_code(SECRET)), 10) == SECRET


def test_letters_that_look_like_digits_are_taken_as_digits() -> None:
    code = make_code(bytes(10))
    assert read_code(code.replace("0", "O"), 10) == bytes(10)


def test_any_wrong_character_and_any_swap_of_two_is_noticed() -> None:
    code = make_code(SECRET).replace("-", "")
    for position in range(len(code)):
        for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if other != code[position]:
                with pytest.raises(LabError, match="typing error"):
                    read_code(code[:position] + other + code[position + 1 :], 10)
    for first, second in itertools.combinations(range(len(code)), 2):
        swapped = list(code)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        if code[first] != code[second]:
            with pytest.raises(LabError, match="typing error"):
                read_code("".join(swapped), 10)


@pytest.mark.parametrize(
    "text", ["acorn-lemon-tiger", " Acorn  LEMON tiger", "acorn, lemon, tiger.", "acorn_lemon_tiger"]
)
def test_a_room_code_has_one_spelling(text: str) -> None:
    assert canonical_words(text) == "acorn-lemon-tiger"


@pytest.mark.parametrize(("code", "message"), [("ABC", "3 characters"), ("", "0 characters"), ("U" * 17, "holds 'U'")])
def test_a_code_of_the_wrong_form_says_why(code: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        read_code(code, 10)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "file", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()


def test_sha256_is_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc").startswith("ba7816bf8f01cfea")
