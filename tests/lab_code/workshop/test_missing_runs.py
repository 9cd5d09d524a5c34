"""Runs that were trained here and have gone from MLflow's store: said by every command that counts them."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lab_code.config import compose_config
from lab_code.tracking import store
from lab_code.tracking.runs import read_runs
from lab_code.tracking.tracker import open_store, track_run
from lab_code.workshop.missing_runs import describe_missing
from lab_code.workshop.progress import append_event
from tests.lab_code.tracking.test_foreign_kit import call


@pytest.fixture(scope="module")
def trained(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit with two runs that its journal knows."""
    root = tmp_path_factory.mktemp("trained") / "kit"
    shutil.copytree(build / "kits" / "group-1", root)
    for name in ("baseline", "[b]own"):
        with track_run(root, "skin-lesions", compose_config([f"name={name}"]), {"group": "group-1"}) as run:
            run.log_metrics({"best_balanced_accuracy": 0.5, "best_accuracy": 0.5})
        append_event(root, "trained", run=run.run_id, name=name)
    return root


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "kit")
    open_store(tmp_path / "kit")
    return tmp_path / "kit"


def sql(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute(statement)


def delete_in_mlflow(count: int) -> Callable[[Path], None]:
    def delete(root: Path) -> None:
        for run in read_runs(root)[:count]:
            open_store(root).delete_run(run.run_id)

    return delete


def empty(root: Path) -> None:
    (root / "mlflow.db").write_bytes(b"")


def replace_store(root: Path) -> None:
    (root / "mlflow.db").unlink()
    open_store(root)


def remove_everything(root: Path) -> None:
    (root / "mlflow.db").unlink()
    shutil.rmtree(root / "mlartifacts")


ONE, TWO = "1 run that was trained here (baseline) is", "2 runs that were trained here (baseline, [b]own) are"
WAYS = {
    "one deleted": (delete_in_mlflow(1), f"{ONE} deleted in MLflow's page", "State: Deleted"),
    "all deleted": (delete_in_mlflow(2), f"{TWO} deleted in MLflow's page", "Restore"),
    "an empty file": (empty, f"{TWO} not in mlflow.db any more", "mlartifacts/skin-lesions/: show this to the instr"),
    "no file": (lambda root: (root / "mlflow.db").unlink(), f"{TWO} not in mlflow.db any more", "before you train"),
    "a new store": (replace_store, f"{TWO} not in mlflow.db any more", "show this to the instructor"),
    "nothing": (remove_everything, f"{TWO} neither in mlflow.db nor in mlartifacts/", "show this to the instructor"),
    "one row removed": (
        lambda root: sql(root, "DELETE FROM runs WHERE name = 'baseline'"), f"{ONE} not in mlflow.db", "still in"
    ),
    "one row edited": (
        lambda root: sql(root, "UPDATE runs SET artifact_uri = 's3://x' WHERE name = 'baseline'"),
        f"{ONE} changed",
        "show this to the instructor",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "which", "what_to_do"), WAYS.values(), ids=WAYS)
def test_every_command_that_counts_runs_says_which_have_gone(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], which: str, what_to_do: str
) -> None:
    assert call(root, "handin", monkeypatch=monkeypatch)[0] == 0
    change(root)
    for command in ("status", "handin"):
        code, out, err = call(root, command, monkeypatch=monkeypatch)
        assert which in err and what_to_do in err and "train first" not in err and "Traceback" not in err
    kept = len(read_runs(root))
    assert code == (0 if kept else 1)
    if kept:
        assert "(1 finished run)" in out and "holds 1 finished run, the one before held 2" in err
        assert len(list((root / "handin").glob("*.zip"))) == 2


def test_where_nothing_has_gone_nothing_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("status", "handin", "handin"):
        code, out, err = call(root, command, monkeypatch=monkeypatch)
        assert code == 0 and "note:" not in err, err
    assert "(2 finished runs)" in out


def test_a_run_that_came_back_and_one_of_a_deleted_experiment_are_not_missing(root: Path) -> None:
    delete_in_mlflow(1)(root)
    sql(root, "UPDATE runs SET lifecycle_stage = 'active'")
    assert describe_missing(root, {run.run_id for run in read_runs(root)}) == []
    client = open_store(root)
    client.delete_experiment(client.get_experiment_by_name("skin-lesions").experiment_id)
    assert describe_missing(root, {run.run_id for run in read_runs(root)}) == []


@pytest.mark.parametrize("event", [{}, {"run": 7, "name": "x"}, {"run": None}, {"run": "../../x", "name": None}])
def test_an_odd_line_of_the_journal_stops_nothing(root: Path, event: dict) -> None:
    append_event(root, "trained", **event)
    assert len(describe_missing(root, {run.run_id for run in read_runs(root)})) == isinstance(event.get("run"), str)


@pytest.mark.parametrize("command", ["status", "handin"])
def test_whoever_waits_for_another_program_is_told(root: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(store, "_SILENCE_S", 0)
    monkeypatch.setattr(store, "_PATIENCE_S", 0)
    with closing(sqlite3.connect(root / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, _, err = call(root, command, monkeypatch=monkeypatch)
    assert code == 1 and err.count("mlflow.db is in use by another program; waiting for it") == 1
    assert "is locked by another program" in err
