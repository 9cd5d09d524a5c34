import hashlib
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest

from lab_code.config import compose_config
from lab_code.errors import LabError
from lab_code.runs import read_runs
from lab_code.tracking import track_run
from lab_code.workshop.handin import receipt, write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import append_event


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
        assert set(archive.namelist()) == {"manifest.json", *manifest["files"]}
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
