import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from lab_code.analysis.compare import Score, choose_runs, compare_runs, find_run
from lab_code.config import compose_config, load_config
from lab_code.errors import LabError
from lab_code.tracking.interrupts import hold_interrupts
from lab_code.tracking.runs import artifact_tail, read_runs, reroot_store
from lab_code.tracking.tracker import TrackedRun, open_store, track_run


@pytest.fixture(scope="module")
def finished_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two finished runs, one that failed and one that was interrupted."""
    store = tmp_path_factory.mktemp("store")
    for name, lr, score in (("baseline", 0.01, 0.3), ("balanced", 0.005, 0.6)):
        config = compose_config([f"name={name}", f"optimizer.lr={lr}"])
        with track_run(store, "skin-lesions", config, {"group": "group-1"}) as run:
            for epoch in (1, 2):
                run.log_metrics({"train_loss": 1 / epoch}, step=epoch)
            run.log_metrics({"best_balanced_accuracy": score, "best_accuracy": 0.7})
            figure = Figure()
            figure.add_subplot().set_title("a figure")
            run.log_figure(figure, "figure.png")
            run.log_weights({"weight": np.arange(3.0, dtype=np.float32)})
    for error in (LabError("broken"), KeyboardInterrupt()):
        with pytest.raises(type(error)), track_run(store, "skin-lesions", compose_config(), {}):
            raise error
    return store


def test_runs_carry_what_was_logged(finished_store: Path) -> None:
    run = find_run(read_runs(finished_store), "balanced")
    assert run.params["optimizer.lr"] == "0.005" and run.params["trainer.epochs"] == "10"
    assert run.metrics["train_loss"] == 0.5 and run.metrics["best_balanced_accuracy"] == 0.6
    assert run.tags["group"] == "group-1" and run.seconds is not None


def test_artifacts_hold_configuration_figure_and_weights(finished_store: Path) -> None:
    run = find_run(read_runs(finished_store), "baseline")
    assert load_config(run.artifacts / "config.yaml").optimizer.lr == 0.01
    assert (run.artifacts / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert load_file(run.artifacts / "weights.safetensors")["weight"].tolist() == [0, 1, 2]


def test_runs_end_as_they_ended(finished_store: Path) -> None:
    assert [run.status for run in read_runs(finished_store)] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]


def test_mlflow_itself_sees_the_same_runs(finished_store: Path) -> None:
    client = open_store(finished_store)
    experiment = client.get_experiment_by_name("skin-lesions")
    found = {run.info.run_id: run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert found == {run.run_id: run.status for run in read_runs(finished_store)}
    run = find_run(read_runs(finished_store), "baseline")
    assert [m.step for m in client.get_metric_history(run.run_id, "train_loss")] == [1, 2]


def test_a_store_that_has_moved_keeps_its_artifacts(finished_store: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere with blanks"
    shutil.copytree(finished_store, moved)
    client = open_store(moved)
    run = find_run(read_runs(moved), "baseline")
    assert {file.path for file in client.list_artifacts(run.run_id)} == {
        "config.yaml",
        "figure.png",
        "weights.safetensors",
    }
    assert str(run.artifacts).startswith(str(moved))
    assert reroot_store(moved) == 0


def test_no_store_means_no_runs(tmp_path: Path) -> None:
    assert read_runs(tmp_path) == []


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 100])
def test_a_file_that_is_no_store_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(LabError, match=r"mlflow\.db"):
        read_runs(tmp_path)


def test_a_store_of_a_newer_mlflow_is_an_error(finished_store: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_store, tmp_path, dirs_exist_ok=True)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'fffffffffff0'")
    database.close()
    with pytest.raises(LabError, match="made by another MLflow"):
        open_store(tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///home/anna/kit/mlartifacts/skin-lesions/abc/artifacts",
        "file:///C:/Users/Anna M/kit/mlartifacts/skin-lesions/abc/artifacts",
        "C:\\kit\\mlartifacts\\skin-lesions\\abc\\artifacts",
        "/srv/mlartifacts/old/mlartifacts/skin-lesions/abc/artifacts",
    ],
)
def test_an_artifact_address_of_any_machine_has_the_same_tail(uri: str) -> None:
    assert artifact_tail(uri) == Path("mlartifacts/skin-lesions/abc/artifacts")


@pytest.mark.parametrize("uri", ["/etc", "file:///etc/passwd", "mlartifacts/../../etc", ""])
def test_an_artifact_address_that_leads_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(LabError, match="does not lead into"):
        artifact_tail(uri)


def test_a_comparison_shows_what_differs_and_what_it_did(finished_store: Path) -> None:
    comparison = compare_runs(*choose_runs(read_runs(finished_store), []))
    assert (comparison.first.name, comparison.second.name) == ("baseline", "balanced")
    assert comparison.changed == [("optimizer.lr", "0.01", "0.005")]
    assert comparison.scores[0] == Score("balanced_accuracy", ("0.300", "0.600"), "+0.300")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["baseline"], "needs two"),
        (["baseline", "nobody"], "no finished run 'nobody'"),
        (["default", "baseline"], "default"),
    ],
)
def test_a_comparison_of_the_wrong_runs_is_an_error(finished_store: Path, names: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        choose_runs(read_runs(finished_store), names)


def test_a_run_is_found_by_the_beginning_of_its_id(finished_store: Path) -> None:
    runs = read_runs(finished_store)
    assert find_run(runs, runs[0].run_id[:6]) == runs[0]


def test_runs_that_begin_together_enter_the_same_photographs(finished_store: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_store, tmp_path / "store")
    runs = [TrackedRun(open_store(tmp_path / "store"), run.run_id) for run in read_runs(tmp_path / "store")]
    start = threading.Barrier(len(runs))

    def log(run: TrackedRun) -> None:
        for fingerprint in range(10):
            start.wait(60)
            run.log_dataset("train", f"{fingerprint}", "data", {"photographs": 210})

    with ThreadPoolExecutor(len(runs)) as pool:
        for done in [pool.submit(log, run) for run in runs]:
            done.result()
    with closing(sqlite3.connect(tmp_path / "store" / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM datasets").fetchone() == (10,)
        assert database.execute("SELECT count(*) FROM inputs").fetchone() == (10 * len(runs),)


def test_an_interrupt_that_a_library_turned_into_another_error_is_still_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), track_run(tmp_path, "skin-lesions", compose_config(), {}):
        try:
            raise KeyboardInterrupt
        finally:
            threading.RLock().release()  # as the progress bar's lock does: "cannot release un-acquired lock"
    assert [(run.status, run.tags["ended"]) for run in read_runs(tmp_path)] == [("KILLED", "interrupted")]


@pytest.fixture
def listening() -> Iterator[None]:
    """A program that was started in the background of a script ignores Ctrl-C; here it is heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_until_a_write_is_over_and_a_second_one_does_not(listening: None) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), hold_interrupts():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done
    with pytest.raises(KeyboardInterrupt), hold_interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("not this")
    assert done == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_that_is_interrupted_while_it_writes_ends_as_interrupted(tmp_path: Path, listening: None) -> None:
    tracked = track_run(tmp_path, "skin-lesions", compose_config(), {})
    with pytest.raises(KeyboardInterrupt), tracked as run, hold_interrupts():
        signal.raise_signal(signal.SIGINT)
        run.set_tag("written", "whole")
    (only,) = read_runs(tmp_path)
    assert (only.status, only.tags["written"], only.tags["ended"]) == ("KILLED", "whole", "interrupted")
