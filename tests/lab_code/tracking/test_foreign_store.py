"""Other programs write into the kit's MLflow store: whatever they leave there, the lab's own runs are read."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lab_code.analysis.compare import best_runs, choose_runs
from lab_code.config import compose_config
from lab_code.errors import LabError
from lab_code.tracking import store as store_module
from lab_code.tracking.empty_store import script_name
from lab_code.tracking.runs import EXPERIMENT, read_experiment_id, read_runs, read_store, reroot_store
from lab_code.tracking.store import explain_fault, own_tail
from lab_code.tracking.store_copy import copy_own_runs
from lab_code.tracking.tracker import describe_empty_store, open_store, track_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two finished runs of the lab."""
    root = tmp_path_factory.mktemp("made")
    (root / script_name()).parent.mkdir()
    (root / script_name()).write_text(describe_empty_store(), encoding="utf-8")
    for name, score in (("baseline", 0.3), ("balanced", 0.6)):
        with track_run(root, EXPERIMENT, compose_config([f"name={name}"]), {"group": "group-1"}) as run:
            run.log_metrics({"best_balanced_accuracy": score, "best_accuracy": 0.7})
            run.log_dataset("training", "abc", "data", {"photographs": 5})
            run.log_model("small_cnn", {"width": 16}, "weights.safetensors")
    return root


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "kit")
    reroot_store(tmp_path / "kit")
    return tmp_path / "kit"


def run_sql(store: Path, *statements: str) -> None:
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        for statement in statements:
            database.executescript(statement)


def insert_run(uri: str | None, status: str = "'FINISHED'", start: str = "1", experiment: int = 0) -> str:
    place = "NULL" if uri is None else f"'{uri}'"
    return (
        "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id)"
        f" VALUES ('{'f' * 32}', 'theirs', {status}, {start}, NULL, 'active', {place}, {experiment})"
    )


def with_mlflow(use: Callable) -> Callable[[Path], None]:
    """A change that MLflow itself makes, as a page or a notebook would."""
    return lambda store: use(open_store(store))


def log_nested(client) -> None:
    experiment = client.create_experiment("mine", artifact_location="s3://bucket/place")
    parent = client.create_run(experiment, run_name="theirs")
    child = client.create_run(experiment, tags={"mlflow.parentRunId": parent.info.run_id}, run_name="theirs")
    client.log_metric(child.info.run_id, "best_balanced_accuracy", 0.99)
    client.log_param(child.info.run_id, "trainer.epochs", 3)
    client.set_terminated(child.info.run_id)


def log_in_our_experiment(client) -> None:
    run = client.create_run(client.get_experiment_by_name(EXPERIMENT).experiment_id, run_name="theirs")
    client.log_metric(run.info.run_id, "best_balanced_accuracy", 0.99)
    client.set_terminated(run.info.run_id)


FOREIGN = {
    "a plain run": with_mlflow(lambda client: client.create_run("0", run_name="theirs")),
    "a plain run in the lab's experiment": with_mlflow(log_in_our_experiment),
    "nested runs in a bucket": with_mlflow(log_nested),
    "artifacts in /tmp": lambda store: run_sql(store, insert_run("/tmp/mlruns/0/x/artifacts")),
    "artifacts of a server": lambda store: run_sql(store, insert_run(f"mlflow-artifacts:/{EXPERIMENT}/x/artifacts")),
    "artifacts in a bucket of our name": lambda store: run_sql(
        store, insert_run(f"s3://b/mlartifacts/{EXPERIMENT}/{'f' * 32}/artifacts")
    ),
    "artifacts of another program's mlartifacts": lambda store: run_sql(store, insert_run("/srv/mlartifacts/1/x")),
    "artifacts above": lambda store: run_sql(store, insert_run(f"mlartifacts/{EXPERIMENT}/../../x")),
    "no artifacts": lambda store: run_sql(store, insert_run(None)),
    "no status, no times": lambda store: run_sql(store, insert_run("/x", "NULL", "NULL")),
    "times that are text": lambda store: run_sql(store, insert_run("/x", "'FINISHED'", "'noon'")),
    "a blob as artifact address": lambda store: run_sql(
        store, insert_run("/x"), f"UPDATE runs SET artifact_uri = x'ff00' WHERE run_uuid = '{'f' * 32}'"
    ),
    "an id that is none": lambda store: run_sql(
        store, insert_run("/x"), f"UPDATE runs SET run_uuid = '../../etc' WHERE run_uuid = '{'f' * 32}'"
    ),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_run_is_left_alone_and_noted(own: Path, change: Callable[[Path], None], tmp_path: Path) -> None:
    mine = [(run.run_id, run.name, run.metrics) for run in read_runs(own)]
    change(own)
    found = read_store(own)
    assert [(run.run_id, run.name, run.metrics) for run in found.runs] == mine
    assert len(found.notes) == 1 and "not made by lab train" in found.notes[0]
    with closing(sqlite3.connect(own / "mlflow.db")) as database:
        before = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid NOT IN (?, ?)", [m[0] for m in mine])
        places = before.fetchall()
        assert reroot_store(own) == 0
        after = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid NOT IN (?, ?)", [m[0] for m in mine])
        assert after.fetchall() == places
    assert [run.name for run in choose_runs(found.runs, [])] == ["baseline", "balanced"]
    assert best_runs(found.runs)[0].name == "balanced"
    assert [run.run_id for run in copy_own_runs(own, tmp_path / "copy.db")] == [m[0] for m in mine]


ODD = {
    "a score that is no number": ("UPDATE latest_metrics SET is_nan = 1, value = 0 WHERE key = 'best_accuracy'", None),
    "an infinite score": (
        "UPDATE latest_metrics SET value = 1.7976931348623157e308 WHERE key = 'best_accuracy'", None,
    ),
    "a score that is a blob": ("UPDATE latest_metrics SET value = x'ff' WHERE key = 'best_accuracy'", None),
    "a score that is text": ("UPDATE latest_metrics SET value = 'many' WHERE key = 'best_accuracy'", None),
    "a metric whose name is a blob": ("UPDATE latest_metrics SET key = x'ff' WHERE key = 'best_accuracy'", None),
    "a parameter that is a blob": ("UPDATE params SET value = x'ff00' WHERE key = 'name'", 0.7),
    "a tag that is no UTF-8": ("UPDATE tags SET value = CAST(x'ff41' AS TEXT) WHERE key = 'mlflow.runName'", 0.7),
    "a name that is a number": ("UPDATE runs SET name = 7", 0.7),
    "a name of two lines and an escape": ("UPDATE runs SET name = 'a' || char(10) || char(27) || '[2Jb'", 0.7),
    "no name": ("UPDATE runs SET name = NULL", 0.7),
    "no times": ("UPDATE runs SET start_time = NULL, end_time = NULL", 0.7),
    "times that are text": ("UPDATE runs SET start_time = 'noon', end_time = x'00'", 0.7),
    "views and triggers": (
        "CREATE VIEW v AS SELECT * FROM runs; CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END", 0.7,
    ),
    "a table of another program": ("CREATE TABLE notes (text); INSERT INTO notes VALUES ('x')", 0.7),
    "a registered model": (
        "INSERT INTO registered_models (name, creation_time, last_updated_time) VALUES ('m', 1, 1)", 0.7,
    ),
    "the journal of WAL": ("PRAGMA journal_mode = WAL", 0.7),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "accuracy"), ODD.values(), ids=ODD)
def test_odd_values_in_the_labs_own_runs_stop_nothing(
    own: Path, statement: str, accuracy: float | None, tmp_path: Path
) -> None:
    run_sql(own, statement)
    runs = read_runs(own)
    assert [run.metrics.get("best_accuracy") for run in runs] == [accuracy, accuracy]
    assert all(run.name.isprintable() and run.name for run in runs)
    assert all(run.seconds is None or run.seconds >= 0 for run in runs)
    assert best_runs(runs)[0].metrics["best_balanced_accuracy"] == 0.6
    copied = tmp_path / "copy"
    copied.mkdir()
    copy_own_runs(own, copied / "mlflow.db")
    assert sorted(run.run_id for run in read_runs(copied)) == sorted(run.run_id for run in runs)
    with closing(sqlite3.connect(copied / "mlflow.db")) as database:
        kinds = {kind for (kind,) in database.execute("SELECT DISTINCT type FROM sqlite_master")}
        assert kinds == {"table", "index"}
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert len(open_store(copied).search_runs([str(read_experiment_id(copied, EXPERIMENT))])) == 2


def test_the_copy_holds_models_and_data_sets_of_the_labs_runs(own: Path, tmp_path: Path) -> None:
    with_mlflow(log_nested)(own)
    copy_own_runs(own, tmp_path / "copy.db")
    tables = ("params", "metrics", "tags", "logged_models", "logged_model_params", "datasets", "inputs", "input_tags")
    with closing(sqlite3.connect(own / "mlflow.db")) as first, closing(sqlite3.connect(tmp_path / "copy.db")) as second:
        count = {t: [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for db in (first, second)] for t in tables}
        assert second.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    assert count["logged_models"] == [2, 2] and count["datasets"] == [1, 1] and count["inputs"] == [4, 4]
    assert count["logged_model_params"] == [4, 4] and count["input_tags"] == [2, 2]
    assert count["params"][0] - count["params"][1] == 1 and count["metrics"][0] - count["metrics"][1] == 1


def delete_experiment(client) -> None:
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)


def rename_experiment(client) -> None:
    client.rename_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id, "our great experiment")


def rename_and_delete(client) -> None:
    identity = client.get_experiment_by_name(EXPERIMENT).experiment_id
    client.rename_experiment(identity, "our great experiment")
    client.delete_experiment(identity)


@pytest.mark.parametrize("change", [delete_experiment, rename_experiment, rename_and_delete])
def test_an_experiment_deleted_or_renamed_in_mlflows_page_is_brought_back(own: Path, change: Callable) -> None:
    change(open_store(own))
    found = read_store(own)
    assert [run.name for run in found.runs] == ["baseline", "balanced"]
    with track_run(own, EXPERIMENT, compose_config(["name=third"]), {"group": "group-1"}):
        pass
    assert [run.name for run in read_runs(own)] == ["baseline", "balanced", "third"] and not read_store(own).notes
    client = open_store(own)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment.lifecycle_stage == "active" and len(client.search_runs([experiment.experiment_id])) == 3


def test_a_run_that_was_thrown_away_stays_away(own: Path) -> None:
    open_store(own).delete_run(read_runs(own)[0].run_id)
    reroot_store(own)
    assert [run.name for run in read_runs(own)] == ["balanced"] and not read_store(own).notes


def test_until_a_deleted_experiment_is_back_a_note_names_the_command(own: Path) -> None:
    delete_experiment(open_store(own))
    found = read_store(own)
    assert len(found.runs) == 2 and "lab train and lab ui bring it back" in found.notes[0]
    reroot_store(own)
    assert len(read_runs(own)) == 2 and not read_store(own).notes


def test_a_run_deleted_for_good_leaves_the_others(own: Path) -> None:
    first = read_runs(own)[0].run_id
    run_sql(own, *(f"DELETE FROM {t} WHERE run_uuid = '{first}'" for t in ("params", "latest_metrics", "tags", "runs")))
    assert [run.name for run in read_runs(own)] == ["balanced"]


def test_a_store_without_the_instructors_script_is_copied_in_its_own_tables(own: Path, tmp_path: Path) -> None:
    shutil.rmtree(own / ".lab")
    (tmp_path / "copy").mkdir()
    copy_own_runs(own, tmp_path / "copy" / "mlflow.db")
    assert [run.name for run in read_runs(tmp_path / "copy")] == ["baseline", "balanced"]
    assert len(open_store(tmp_path / "copy").search_runs(["1"])) == 2


def test_a_store_of_another_mlflow_is_copied_into_the_instructors_tables(own: Path, tmp_path: Path) -> None:
    run_sql(own, "UPDATE alembic_version SET version_num = 'ffffffffffff'", "ALTER TABLE runs ADD COLUMN new TEXT")
    run_sql(own, "UPDATE runs SET new = 'x'", "DROP TABLE trace_info")
    copy_own_runs(own, tmp_path / "mlflow.db")
    assert [run.name for run in read_runs(tmp_path)] == ["baseline", "balanced"]
    open_store(tmp_path)


def test_an_empty_file_is_what_a_full_disk_leaves_and_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    assert read_runs(tmp_path) == []
    with track_run(tmp_path, EXPERIMENT, compose_config(["name=first"]), {}):
        pass
    assert [run.name for run in read_runs(tmp_path)] == ["first"]


def test_whoever_holds_the_database_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_PATIENCE_S", 0)
    monkeypatch.setattr(store_module, "_name_holders", lambda path: ": DB Browser (process 7)")
    with closing(sqlite3.connect(own / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LabError, match=r"locked by another program: DB Browser \(process 7\)"):
            read_runs(own)
        with pytest.raises(LabError, match="locked by another program"):
            copy_own_runs(own, own / "copy.db")
        database.execute("ROLLBACK")
    assert len(read_runs(own)) == 2


@pytest.mark.parametrize(
    ("message", "says", "does"),
    [
        ("database is locked", "locked by another program", "close it"),
        ("attempt to write a readonly database", "cannot be written to", "folder of your own"),
        ("unable to open database file", "cannot be written to", "folder of your own"),
        ("database or disk is full", "cannot be written", "free some space"),
        ("disk I/O error", "cannot be written", "free some space"),
        ("no such column: deleted_time", "does not know", "all runs stay"),
        ("Can't locate revision identified by 'abc'", "does not know", "all runs stay"),
        ("out-of-date database schema (found version 0584bdc529eb, but", "older MLflow", "mlflow db upgrade"),
        ("out-of-date database schema (found version ffffffffffff, but", "does not know", "all runs stay"),
        ("file is not a database", "not a readable MLflow store", "leave every file where it is"),
        ("database disk image is malformed", "not a readable MLflow store", "leave every file where it is"),
        ("something new", "something new", "lab resume"),
    ],
)
def test_every_fault_of_the_store_says_what_to_do_and_none_asks_to_move_it(message: str, says: str, does: str) -> None:
    error = explain_fault(Path("kit/mlflow.db"), sqlite3.OperationalError(message))
    assert says in error.message and does in (error.hint or "") and "\n" not in error.message
    assert not any(word in (error.hint or "") for word in ("move", "away", "delete", "remove", "rename"))


def test_a_store_that_cannot_be_written_is_still_read(own: Path, project: Path) -> None:
    (own / "mlflow.db").chmod(0o444)
    humbly = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if is_root() else []
    code = "import pathlib, sys; from lab_code.tracking.runs import *; print(len(read_runs(pathlib.Path(sys.argv[1]))))"
    command = [*humbly, sys.executable, "-c", code, str(own)]
    assert subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout == "2\n"


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.mark.parametrize(
    "uri", [None, 7, b"x", "", "s3://b/mlartifacts/skin-lesions/x", "mlartifacts/other/x", "mlartifacts/skin-lesions\0"]
)
def test_an_address_of_others_is_none_of_the_labs(uri: object) -> None:
    assert own_tail(uri) is None
