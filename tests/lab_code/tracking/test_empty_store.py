"""The store that a kit makes without MLflow is the one that MLflow would make."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lab_code.tracking import empty_store
from lab_code.tracking.empty_store import make_from_script, script_name
from lab_code.tracking.runs import EXPERIMENT, read_experiment_id
from lab_code.tracking.tracker import describe_empty_store, open_store


@pytest.fixture(scope="module")
def script() -> str:
    return describe_empty_store()


def write_script(root: Path, script: str) -> None:
    (root / script_name()).parent.mkdir()
    (root / script_name()).write_text(script, encoding="utf-8")


def schema(path: Path) -> list[tuple]:
    """Every table and index; MLflow writes the constraints of a table in another order each time."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    database.close()
    return [(kind, name, sorted(line.strip(" \t,") for line in (sql or "").splitlines())) for kind, name, sql in rows]


def test_it_has_the_same_tables_and_mlflow_works_with_it(tmp_path: Path, script: str, store_script: Path) -> None:
    open_store(tmp_path / "theirs")
    for name, text in {"brought": store_script.read_text(encoding="utf-8"), "ours": script}.items():
        (tmp_path / name).mkdir()
        write_script(tmp_path / name, text)
        assert make_from_script(tmp_path / name)
        assert schema(tmp_path / name / "mlflow.db") == schema(tmp_path / "theirs" / "mlflow.db"), name
    client = open_store(tmp_path / "ours")
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment.artifact_location == (tmp_path / "ours" / "mlartifacts" / EXPERIMENT).as_uri()
    run = client.create_run(experiment.experiment_id, run_name="x")
    client.log_metric(run.info.run_id, "m", 1.0)
    assert client.get_run(run.info.run_id).data.metrics == {"m": 1.0}


def test_the_script_names_no_folder(script: str) -> None:
    assert "file://" not in script and "Default'" not in script


def test_without_a_script_for_this_mlflow_nothing_is_made(tmp_path: Path, script: str) -> None:
    assert not make_from_script(tmp_path)
    write_script(tmp_path, script)
    (tmp_path / script_name()).rename(tmp_path / ".lab" / "mlflow-1.0.sql")
    assert not make_from_script(tmp_path) and not (tmp_path / "mlflow.db").exists()


def test_a_store_that_is_there_already_stays(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_script(tmp_path, script)

    def meanwhile(*arguments: object) -> None:
        raise AssertionError("the other one was replaced")

    (tmp_path / "mlflow.db").write_bytes(b"made by another process")
    monkeypatch.setattr(empty_store.os, "replace", meanwhile)
    assert make_from_script(tmp_path)
    assert (tmp_path / "mlflow.db").read_bytes() == b"made by another process"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_kit_needs_no_mlflow_for_it(kit) -> None:
    code = "import sys; from pathlib import Path; from lab_code.tracking.empty_store import make_from_script as make;"
    code += "assert make(Path('.')); assert 'mlflow' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=kit.root, check=True, env=os.environ | {"PYTHONPATH": "."})
    assert read_experiment_id(kit.root, EXPERIMENT) == 1
