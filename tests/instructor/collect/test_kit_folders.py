"""Kits as they lie on a stick or a share: what was never handed in is collected, and the kit is left as it is."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from instructor.collect.packing import pack_kit
from instructor.workshop import HandinLimits
from lab_code.errors import LabError
from lab_code.tracking.runs import read_runs
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.faulty_class import read_class
from tests.instructor.collect.hand_ins import read_zip

LIMITS = HandinLimits(unpacked_mb=40)


@pytest.fixture
def stick(worked_in: dict[str, Path], tmp_path: Path) -> Path:
    """group-2's kit on a stick, as it was after its run and before it handed anything in."""
    root = shutil.copytree(worked_in["group-2"], tmp_path / "stick" / "group-2")
    shutil.rmtree(root / "handin", ignore_errors=True)
    return root


@pytest.fixture
def pack(build: Path, tmp_path: Path) -> Callable[[Path], str]:
    count = 0

    def call(root: Path) -> str:
        nonlocal count
        count += 1
        scratch = tmp_path / f"scratch-{count}"
        scratch.mkdir()
        return pack_kit(root, scratch, next(build.glob("mlflow-*.sql")), LIMITS)

    return call


def fingerprint(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def runs_in(packed: str, tmp_path: Path) -> list[str]:
    folder = tmp_path / "unpacked"
    folder.mkdir(exist_ok=True)
    (folder / "mlflow.db").write_bytes(read_zip(Path(packed))["mlflow.db"])
    return [run.name for run in read_runs(folder)]


def test_kits_beside_zips_are_collected_from_where_they_lie_and_known_the_next_time(desk: Desk, stick: Path) -> None:
    desk.zips["group-2"].unlink()
    before = fingerprint(stick)
    found = read_class(desk.workshop, desk.build, desk.build / ".one", [desk.inbox, stick.parent])
    assert list(found.of_group) == ["group-1", "group-2", "group-3"] and not found.refused and not found.notes
    assert fingerprint(stick) == before
    again = read_class(desk.workshop, desk.build, desk.build / ".two", [desk.inbox, stick.parent])
    assert all(one.known for one in again.found) and len(again.found) == 3
    shutil.rmtree(stick)
    assert "group-2" in read_class(desk.workshop, desk.build, desk.build / ".three", [desk.inbox]).of_group


def test_a_kit_that_was_never_used_is_a_note_and_no_fault(desk: Desk, make_kit) -> None:
    kit = make_kit("group-2")
    (kit.root / "mlflow.db").touch()
    desk.zips["group-2"].unlink()
    found = read_class(desk.workshop, desk.build, desk.build / ".one", [desk.inbox, kit.root])
    assert not found.refused and found.notes == [f"{kit.root}: no run in it is finished yet"]


def test_what_was_handed_in_is_not_made_again_but_what_came_after_it_is(stick: Path, pack, tmp_path: Path) -> None:
    write_handin(read_kit(stick))
    assert pack(stick) == ""
    (stick / "feedback.json").write_text("{}", encoding="utf-8")
    assert pack(stick)
    (stick / "feedback.json").unlink()
    assert pack(stick) == ""
    with sqlite3.connect(stick / "mlflow.db") as database:
        database.execute("UPDATE runs SET name = 'another name'")
    database.close()
    assert runs_in(pack(stick), tmp_path) == ["another name"]


def test_a_damaged_zip_in_a_kit_is_made_again_from_the_kit(stick: Path, pack, tmp_path: Path) -> None:
    path = write_handin(read_kit(stick))[0]
    path.write_bytes(path.read_bytes()[:-100])
    assert runs_in(pack(stick), tmp_path) == ["mine"]


def leave_open(root: Path, mode: str) -> None:
    """As a laptop leaves a database that was open when its battery died: with a log, or a hot journal."""
    beside = root.parent / "open"
    beside.mkdir()
    database = sqlite3.connect(root / "mlflow.db", isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {mode}")
    if mode == "WAL":
        database.execute("UPDATE runs SET name = 'in the log'")
    else:
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("UPDATE metrics SET value = 0")
        database.execute("UPDATE params SET value = 'nonsense'")
        database.execute("UPDATE runs SET name = 'not committed'")
    for path in root.glob("mlflow.db*"):
        if not path.name.endswith("-shm"):
            shutil.copyfile(path, beside / path.name)
    database.close()
    for path in root.glob("mlflow.db*"):
        path.unlink()
    for path in beside.iterdir():
        shutil.move(path, root / path.name)


@pytest.mark.parametrize(("mode", "name"), [("WAL", "in the log"), ("DELETE", "mine")])
def test_a_database_that_was_open_is_mended_in_a_copy(stick: Path, pack, tmp_path: Path, mode: str, name: str) -> None:
    leave_open(stick, mode)
    beside = [path.name for path in stick.glob("mlflow.db-*")]
    assert beside == [{"WAL": "mlflow.db-wal", "DELETE": "mlflow.db-journal"}[mode]]
    before = fingerprint(stick)
    assert runs_in(pack(stick), tmp_path) == [name]
    assert fingerprint(stick) == before


def make_huge(root: Path) -> None:
    os.truncate(root / "mlflow.db", 2_000_000_000)  # a sparse file: it takes no room


def write_anywhere(root: Path) -> None:
    """A kit whose script of an empty store writes elsewhere, where it is run."""
    for path in (root / ".lab").glob("mlflow-*.sql"):
        path.write_text(f"ATTACH '{root.parent / 'escaped.db'}' AS e; CREATE TABLE e.t (a);", encoding="utf-8")


def link_database(root: Path) -> None:
    (root / "mlflow.db").rename(root.parent / "elsewhere.db")
    (root / "mlflow.db").symlink_to(root.parent / "elsewhere.db")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "2 GB": (make_huge, "its mlflow.db has 2,000 MB, more than a hand-in may"),
    "no database": (lambda root: (root / "mlflow.db").unlink(), "its mlflow.db is missing, but mlartifacts/ holds"),
    "an empty database": (
        lambda root: (root / "mlflow.db").write_bytes(b""),
        "its mlflow.db is empty, but mlartifacts/",
    ),
    "a linked database": (link_database, "its mlflow.db is empty, but mlartifacts/"),
    "no database but text": (
        lambda root: (root / "mlflow.db").write_bytes(b"x" * 9000),
        "is not a readable MLflow store",
    ),
    "a damaged identity": (lambda root: (root / "kit.json").write_text("["), "kit.json cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_kit_that_cannot_be_read_says_why(stick: Path, pack, fault: str) -> None:
    change, reason = FAULTS[fault]
    change(stick)
    with pytest.raises(LabError, match=reason.replace("(", r"\(")):
        pack(stick)


def test_nothing_that_a_kit_brings_is_executed_or_followed(stick: Path, pack, tmp_path: Path) -> None:
    write_anywhere(stick)
    (run,) = read_runs(stick)
    secret = tmp_path / "secret.txt"
    secret.write_text("what-only-this-machine-holds", encoding="utf-8")
    (run.artifacts / "linked.txt").symlink_to(secret)
    packed = read_zip(Path(pack(stick)))
    assert not (stick.parent / "escaped.db").exists()
    assert not any(b"what-only-this-machine-holds" in content for content in packed.values())
