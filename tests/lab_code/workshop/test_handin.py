import errno
import hashlib
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from instructor.collect.collect import make_store
from instructor.collect.finding import Content
from instructor.collect.merge import merge_store
from instructor.collect.reading import STORE, read_handin
from lab_code.config import compose_config
from lab_code.errors import LabError
from lab_code.tracking.runs import read_runs, reroot_store
from lab_code.tracking.tracker import track_run
from lab_code.workshop import handin, handin_rules
from lab_code.workshop.handin import receipt, write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import append_event, read_journal
from lab_code.workshop.signature import is_signed, read_key


def log_run(root: Path, name: str = "baseline") -> None:
    with track_run(root, "skin-lesions", compose_config([f"name={name}"]), {"group": "group-1"}) as run:
        run.log_metrics({"best_balanced_accuracy": 0.5})


def test_the_zip_holds_what_its_manifest_says(kit) -> None:
    log_run(kit.root)
    append_event(kit.root, "trained")
    path, code, runs = write_handin(read_kit(kit.root))
    with zipfile.ZipFile(path) as archive:
        text = archive.read("manifest.json")
        manifest = json.loads(text)
        assert set(archive.namelist()) == {"manifest.json", "signature.txt", *manifest["files"]}
        key = read_key(kit.root)
        assert key and is_signed(hashlib.sha256(text).hexdigest(), archive.read("signature.txt").decode(), key)
        for name, digest in manifest["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    assert {"kit.json", "progress.jsonl", "mlflow.db"} < set(manifest["files"])
    assert any(name.endswith("config.yaml") for name in manifest["files"])
    assert (manifest["group"], manifest["workshop"]) == ("group-1", "small")
    assert code == receipt(text) and runs == 1


def test_the_database_is_copied_consistently_while_a_run_writes(kit, tmp_path: Path) -> None:
    log_run(kit.root)
    writer = sqlite3.connect(kit.root / "mlflow.db")
    writer.execute("UPDATE runs SET name = 'half-written'")
    path, _, _ = write_handin(read_kit(kit.root))
    writer.rollback()
    writer.close()
    with zipfile.ZipFile(path) as archive:
        archive.extract("mlflow.db", tmp_path / "out")
    assert [run.name for run in read_runs(tmp_path / "out")] == ["baseline"]


def test_only_data_formats_travel(kit) -> None:
    log_run(kit.root)
    (read_runs(kit.root)[0].artifacts / "model.pkl").write_bytes(b"\x80\x04.")
    path, _, _ = write_handin(read_kit(kit.root))
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pkl")]


def test_a_second_hand_in_keeps_the_first(kit, monkeypatch: pytest.MonkeyPatch) -> None:
    log_run(kit.root)
    first, _, _ = write_handin(read_kit(kit.root))
    renamed = first.rename(first.with_name("group-1-earlier.zip"))
    second, _, _ = write_handin(read_kit(kit.root))
    assert renamed.is_file() and second.is_file()
    assert sorted(path.name for path in second.parent.iterdir()) == sorted([renamed.name, second.name])


def test_without_a_finished_run_there_is_nothing_to_hand_in(kit) -> None:
    with pytest.raises(LabError, match="no finished run"):
        write_handin(read_kit(kit.root))
    assert not (kit.root / "handin").exists()


def run_sql(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.executescript(statement)


def add_foreign_run(root: Path) -> None:
    columns = "run_uuid, name, status, start_time, lifecycle_stage, artifact_uri, experiment_id"
    run_sql(root, f"INSERT INTO runs ({columns}) VALUES ('{'f' * 32}', 'x', 'FINISHED', 1, 'active', '/tmp/x', 0)")


ODD_KITS = {
    "a foreign run": add_foreign_run,
    "a run without an artifact address": lambda root: (
        add_foreign_run(root), run_sql(root, "UPDATE runs SET artifact_uri = NULL WHERE name = 'x'"),
    ),
    "an id that is a path": lambda root: (
        add_foreign_run(root), run_sql(root, "UPDATE runs SET run_uuid = '../../x' WHERE name = 'x'"),
    ),
    "a view": lambda root: run_sql(root, "CREATE VIEW v AS SELECT * FROM runs"),
    "a trigger": lambda root: run_sql(root, "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END"),
    "a deleted experiment": lambda root: run_sql(
        root, "UPDATE experiments SET lifecycle_stage = 'deleted'; UPDATE runs SET lifecycle_stage = 'deleted'"
    ),
    "another version": lambda root: run_sql(root, "UPDATE alembic_version SET version_num = 'ffffffffffff'"),
    "a name that is a number": lambda root: run_sql(root, "UPDATE runs SET name = 7"),
    "blobs": lambda root: run_sql(root, "UPDATE latest_metrics SET key = x'ff'; UPDATE params SET value = x'00'"),
    "WAL": lambda root: run_sql(root, "PRAGMA journal_mode = WAL"),
    "files with odd names": lambda root: [
        (artifacts_of(root) / name).write_text("x") for name in ("a:b.png", "a\nb.txt", "x" * 190 + ".txt")
    ],
    "a folder of another program": lambda root: (
        (root / "mlartifacts" / "2" / "x").mkdir(parents=True),
        (root / "mlartifacts" / "2" / "x" / "y.txt").write_text("x"),
    ),
    "no journal": lambda root: (root / "progress.jsonl").unlink(missing_ok=True),
    "a journal that is damaged": lambda root: (root / "progress.jsonl").write_bytes(b'\xff\xfe{"event"'),
    "what a killed hand-in left": lambda root: (
        (root / "handin" / ".collecting-abc").mkdir(parents=True),
        (root / "handin" / ".collecting-abc" / "handin.zip").write_bytes(b"half"),
    ),
}  # fmt: skip


def artifacts_of(root: Path) -> Path:
    return read_runs(root)[0].artifacts


@pytest.fixture(scope="module")
def trained(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "group-1"
    shutil.copytree(build / "kits" / "group-1", root)
    log_run(root)
    return root


@pytest.fixture
def odd(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "odd")
    return tmp_path / "odd"


@pytest.mark.parametrize("change", ODD_KITS.values(), ids=ODD_KITS)
def test_what_gets_a_receipt_is_collected(odd: Path, build: Path, workshop, change, tmp_path: Path) -> None:
    reroot_store(odd)
    mine = [run.run_id for run in read_runs(odd)]
    change(odd)
    path, code, runs = write_handin(read_kit(odd))
    make_store(tmp_path / "merged", tmp_path / "merged", build)
    sent = read_handin(Content(path), tmp_path / "read", workshop, tmp_path / "merged" / "mlflow.db")
    assert (sent["notes"], sent["left_out"], sent["receipt"], runs) == ([], [], code, 1)
    assert merge_store(tmp_path / "read" / STORE, tmp_path / "merged", tmp_path / "merged", sent["group"]) == 1
    assert [run.run_id for run in read_runs(tmp_path / "merged")] == mine
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert read_journal(odd).of("handed_in")[-1]["zip"] == path.name


def too_large(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setattr(handin_rules, "MAX_BYTES", 1000)


def full_disk(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)


def damaged_zip(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    write = handin._write_zip

    def write_and_damage(path: Path, *arguments: object) -> None:
        write(path, *arguments)
        content = bytearray(path.read_bytes())
        content[200:260] = bytes(60)
        path.write_bytes(content)

    monkeypatch.setattr(handin, "_write_zip", write_and_damage)


def no_store(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    (root / "mlflow.db").write_bytes(b"something else " * 100)


def long_journal(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    (root / "progress.jsonl").write_bytes(b'{"event": "x"}\n' * 400_000)


def killed(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(handin.os, "replace", stop)


@pytest.mark.parametrize("change", [too_large, full_disk, damaged_zip, no_store, long_journal, killed])
def test_without_a_whole_zip_there_is_no_receipt_and_no_line_in_the_journal(odd: Path, monkeypatch, change) -> None:
    change(monkeypatch, odd)
    before = (odd / "progress.jsonl").read_bytes() if (odd / "progress.jsonl").is_file() else b""
    with pytest.raises((LabError, KeyboardInterrupt)) as caught:
        write_handin(read_kit(odd))
    assert not isinstance(caught.value, LabError) or "move" not in (caught.value.hint or "")
    after = (odd / "progress.jsonl").read_bytes() if (odd / "progress.jsonl").is_file() else b""
    assert before == after and b"handed_in" not in after
    assert not (odd / "handin").is_dir() or not list((odd / "handin").iterdir())


def test_two_hand_ins_within_a_second_are_two_zips(odd: Path) -> None:
    first, _, _ = write_handin(read_kit(odd))
    content, moved = first.read_bytes(), [write_handin(read_kit(odd))[0] for _ in range(2)]
    assert len({first, *moved}) == 3 and first.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("mlflow.db", True), ("kit.json", True), ("mlartifacts/a/b.txt", True), ("mlartifacts", False),
        ("x.txt", False), ("mlartifacts/../x", False), ("/mlartifacts/x", False), ("mlartifacts\\x", False),
        ("mlartifacts/C:x", False), ("mlartifacts/a\nb", False), ("mlartifacts/" + "x" * 200, False), ("", False),
        ("../mlartifacts/x", False),
    ],
)  # fmt: skip
def test_names_of_members(name: str, allowed: bool) -> None:
    assert handin_rules.is_allowed(name) == allowed
