"""Every vector in tests/vectors/locks/, read by the kit and by a second reader that shares no code with it."""

from pathlib import Path

import pytest

from lab_code.errors import LabError
from lab_code.workshop.codes import read_code
from lab_code.workshop.locks import RESCUE_BYTES, WrongKeyError, open_with_answers, open_with_rescue, read_lock
from tests.lab_code.workshop import independent_reader
from tests.vectors.make_lock_vectors import FILES, FOLDER, OWNER, file_name, make_vectors

VECTORS = sorted(FOLDER.glob("*.vector"))
SAID = {"another lock": "belongs to", "unknown version": "version", "unsafe path": "not a path inside the kit"}


def read_vector(path: Path) -> tuple[dict[str, str], bytes]:
    head, _, lock = path.read_bytes().partition(b"\n\n")
    return dict(line.split(": ", 1) for line in head.decode("utf-8").splitlines()), lock


def kit_outcome(given: dict[str, str], lock_file: Path) -> tuple[str, dict[str, bytes]]:
    """What the kit's reader makes of a lock, in the words of docs/lock-format.md."""
    try:
        lock = read_lock(lock_file, *OWNER)
        if "rescue" in given:
            return "opens", open_with_rescue(lock, read_code(given["rescue"], RESCUE_BYTES))
        chain = given["chain"].encode() if "chain" in given else None
        return "opens", open_with_answers(lock, given["answers"].split(","), chain, given.get("room_code"))
    except WrongKeyError:
        return "wrong key", {}
    except LabError as error:
        assert error.hint
        return next((outcome for outcome, text in SAID.items() if text in error.message), "damaged"), {}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_vector_ends_as_it_says(path: Path, tmp_path: Path) -> None:
    given, lock = read_vector(path)
    (tmp_path / "x.lab").write_bytes(lock)
    outcome, files = kit_outcome(given, tmp_path / "x.lab")
    assert outcome == given["outcome"]
    assert files == (FILES if outcome == "opens" else {})


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_second_reader_agrees(path: Path) -> None:
    given, lock = read_vector(path)
    key = {"rescue": read_code(given["rescue"], RESCUE_BYTES)} if "rescue" in given else {
        "answers": given["answers"].split(","), "chain": given.get("chain", "").encode(),
        "room_code": given.get("room_code"),
    }  # fmt: skip
    outcome, files = independent_reader.read(lock, OWNER, **key)
    assert outcome == given["outcome"]
    assert files == (FILES if outcome == "opens" else {})


def test_the_vectors_are_those_that_the_writer_makes() -> None:
    assert {file_name(vector): vector.to_bytes() for vector in make_vectors()} == {
        path.name: path.read_bytes() for path in VECTORS
    }


def test_the_second_reader_is_short_and_independent() -> None:
    text = Path(independent_reader.__file__).read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 60
    assert "lab_code" not in text and "instructor" not in text
