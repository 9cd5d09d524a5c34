"""The lock's format, opened by the reader and attacked. The writer is the instructor's real one."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from instructor.locks.lock import LockSpec, Secrets, write_lock
from instructor.workshop import LockCost
from lab_code.errors import LabError
from lab_code.workshop.locks import WrongKeyError, check_inside, open_with_answers, open_with_rescue, read_lock

ANSWERS, RESCUE, CHAIN = ["3", "1", "4"], bytes(range(10)), b"chain value of the stage before"
FILES = {"lab_code/conf/experiment/baseline.yaml": b"name: baseline\n", "notebooks/n.ipynb": "ünïcode".encode()}


def make_lock(path: Path, **changes: object) -> Path:
    values: dict = {
        "workshop": "w", "group": "group-1", "stage": "s1", "title": "One", "questions": 3,
        "opens": tuple(FILES), "chain_file": "locked/s1.chain", "cost": LockCost(64, 1, 1),
    }  # fmt: skip
    spec = LockSpec(**{**values, **changes})
    path.write_bytes(write_lock(spec, Secrets(ANSWERS, RESCUE, CHAIN), FILES))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_lock(tmp_path / "s1.lab")


def test_the_right_answers_open_it(path: Path) -> None:
    assert open_with_answers(read_lock(path, "w", "group-1", "s1"), ANSWERS, CHAIN) == FILES


def test_the_rescue_code_opens_it_without_answers_or_chain(path: Path) -> None:
    assert open_with_rescue(read_lock(path, "w", "group-1", "s1"), RESCUE) == FILES


@pytest.mark.parametrize(
    ("answers", "chain"),
    [
        (["3", "1", "3"], CHAIN),
        (["1", "3", "4"], CHAIN),
        (["3", "1"], CHAIN),
        (["31", "4"], CHAIN),
        (["3,1,4"], CHAIN),
        (ANSWERS, None),
        (ANSWERS, b"another chain value"),
    ],
)
def test_anything_else_does_not(path: Path, answers: list[str], chain: bytes | None) -> None:
    with pytest.raises(WrongKeyError):
        open_with_answers(read_lock(path, "w", "group-1", "s1"), answers, chain)


def test_another_rescue_code_does_not(path: Path) -> None:
    with pytest.raises(WrongKeyError):
        open_with_rescue(read_lock(path, "w", "group-1", "s1"), bytes(10))


def test_two_locks_of_the_same_files_share_nothing_secret(tmp_path: Path) -> None:
    one, other = (json.loads(make_lock(tmp_path / name).read_text(encoding="utf-8")) for name in ("a.lab", "b.lab"))
    assert one["header"] == other["header"]
    for part in ("salt", "nonce", "key"):
        assert one["slots"]["answers"][part] != other["slots"]["answers"][part]
    assert one["payload"]["data"] != other["payload"]["data"]


def flip(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(raw).decode()


def rename(document: dict, key: str, value: object) -> None:
    document["header"][key] = value


# One file, one fault; each must be refused by reading or by opening, whichever key is tried.
FAULTS: dict[str, Callable[[dict], object]] = {
    "payload byte flipped": lambda d: d["payload"].update(data=flip(d["payload"]["data"])),
    "payload nonce flipped": lambda d: d["payload"].update(nonce=flip(d["payload"]["nonce"])),
    "slots swapped": lambda d: d.update(slots={"answers": d["slots"]["rescue"], "rescue": d["slots"]["answers"]}),
    "slot key flipped": lambda d: [slot.update(key=flip(slot["key"])) for slot in d["slots"].values()],
    "title changed": lambda d: rename(d, "title", "Two"),
    "opens changed": lambda d: rename(d, "opens", ["lab_code/other.py"]),
    "questions changed": lambda d: rename(d, "questions", 4),
    "iterations changed": lambda d: d["header"]["kdf"].update(iterations=2),
    "field added to the header": lambda d: rename(d, "extra", 1),
    "chain taken away": lambda d: rename(d, "chain_file", None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_lock_does_not_open(path: Path, fault: str) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    FAULTS[fault](document)
    path.write_text(json.dumps(document), encoding="utf-8")
    for open_it in (lambda lock: open_with_answers(lock, ANSWERS, CHAIN), lambda lock: open_with_rescue(lock, RESCUE)):
        with pytest.raises(LabError):
            open_it(read_lock(path, "w", "group-1", "s1"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: rename(d, "version", 2), "version 2"),
        (lambda d: rename(d, "format", "zip"), "'zip'"),
        (lambda d: rename(d, "group", "group-2"), "belongs to w / group-2 / s1"),
        (lambda d: rename(d, "workshop", "x"), "belongs to x"),
        (lambda d: rename(d, "stage", "s2"), "s2"),
        (lambda d: d["header"]["kdf"].update(memory_kib=2**40), "damaged"),
        (lambda d: d["header"]["kdf"].update(iterations=10**9), "damaged"),
        (lambda d: d["header"]["kdf"].update(lanes=0), "damaged"),
        (lambda d: d["header"]["kdf"].update(iterations=True), "damaged"),
        (lambda d: d["header"]["kdf"].update(name="md5"), "damaged"),
        (lambda d: d["slots"].pop("answers"), "damaged"),
        (lambda d: d["slots"]["answers"].update(salt="?"), "damaged"),
        (lambda d: d["slots"]["answers"].update(nonce=""), "damaged"),
        (lambda d: d.update(header=[]), "damaged"),
        (lambda d: rename(d, "chain_file", 3), "damaged"),
        (lambda d: rename(d, "chain_file", "../../secret"), "not a path inside the kit"),
        (lambda d: rename(d, "group", ["group-1"]), "damaged"),
    ],
)
def test_a_lock_that_cannot_be_is_refused_before_any_derivation(
    path: Path, change: Callable[[dict], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setattr("lab_code.workshop.locks.Argon2id", lambda **_: pytest.fail("derived a key"))
    with pytest.raises(LabError, match=message):
        read_lock(path, "w", "group-1", "s1")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{" * 5000, b'{"header": 1}'])
def test_a_file_that_is_no_lock_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s1.lab").write_bytes(content)
    with pytest.raises(LabError, match="damaged"):
        read_lock(tmp_path / "s1.lab", "w", "group-1", "s1")


def test_a_truncated_lock_is_refused_wherever_it_was_cut(path: Path) -> None:
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), max(1, len(whole) // 50)):
        path.write_bytes(whole[:length])
        with pytest.raises(LabError, match="damaged"):
            read_lock(path, "w", "group-1", "s1")


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"s1\.lab is missing"):
        read_lock(tmp_path / "s1.lab", "w", "group-1", "s1")


@pytest.mark.parametrize(
    "name",
    [
        "../escape.py", "/etc/passwd", "lab_code/../../x", "C:/x/y", "lab_code\\x.py", "", ".", "kit.json",
        ".git/config", "lab_code//x.py", "lab_code/./x.py", "lab_code/x\0.py", "lab_code/x.py/", "progress.jsonl",
    ],
)  # fmt: skip
def test_a_path_outside_the_kit_or_at_its_top_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="not a path inside the kit"):
        check_inside(name)


def test_a_lock_with_a_path_outside_the_kit_cannot_be_written() -> None:
    spec = LockSpec("w", "group-1", "s1", "One", 1, (), None, LockCost(64, 1, 1))
    with pytest.raises(LabError, match="not a path inside the kit"):
        write_lock(spec, Secrets(["1"], RESCUE), {"../x": b""})
