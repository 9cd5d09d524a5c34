"""Whole runs: what they leave behind, how they stop, how they go on, how they are made again."""

import csv
import json
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from instructor.rehearsal.launcher import STOPPED, Done
from lab_code import experiment
from lab_code.analysis.compare import compare_code, compare_repeat, find_run
from lab_code.config import load_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.errors import LabError
from lab_code.experiment import run_experiment
from lab_code.metrics import evaluate
from lab_code.tracking.names import choose_curves
from lab_code.tracking.provenance import code_from_json
from lab_code.tracking.records import predictions_from_csv
from lab_code.tracking.running import CHECKPOINTS, hold_run, is_running, run_folder
from lab_code.tracking.runs import Run, read_runs
from lab_code.tracking.tracker import open_store
from tests.instructor.deliver.laptops import find_port
from tests.lab_code.conftest import compose_quick
from tests.warm_launcher import warm_launcher

PROJECT = Path(__file__).parent.parent.parent
TRAIN = """
import atexit, gc, sys
gc.set_threshold(100_000, 20, 50)  # as `lab` itself
atexit.register(gc.freeze)
from pathlib import Path
from lab_code.experiment import run_experiment
from lab_code.cli.progress_bar import ProgressBar
from tests.lab_code.conftest import compose_quick
run_experiment(compose_quick(*sys.argv[2:], without=["trainer.epochs"]), Path(sys.argv[1]), {}, ProgressBar("x"))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, store_script: Path) -> Run:
    """One finished run."""
    from tests.lab_code.conftest import write_store

    root = write_store(tmp_path_factory.mktemp("finished"), script=store_script)
    run_experiment(compose_quick("name=first"), root, {"group": "group-1"})
    return read_runs(root)[0]


def test_everything_needed_a_year_later_is_there(finished: Run) -> None:
    assert {path.name for path in finished.artifacts.iterdir()} - {"code.diff.txt"} == {
        "calibration.png", "code.json", "config.yaml", "confusion_matrix.csv", "confusion_matrix.png", "curves.png",
        "dataset.yaml",
        "environment.txt", "examples.png", "predictions.csv", "roc.png", "weights.safetensors",
    }  # fmt: skip
    known = {"data.fingerprint", "data.train_images", "code.fingerprint", "machine.device", "machine.threads"}
    assert known <= set(finished.tags) and "seed" in finished.params
    times = {f"time/{what}_s" for what in ("data", "train", "tracking", "epoch")}
    assert times | {"system/process_memory_megabytes", "best_epoch"} <= set(finished.metrics)
    assert "torch==" in (finished.artifacts / "environment.txt").read_text(encoding="utf-8")


def test_every_score_follows_from_the_table_of_predictions(finished: Run) -> None:
    labels, probabilities, _ = predictions_from_csv(
        (finished.artifacts / "predictions.csv").read_text(encoding="utf-8")
    )
    again = choose_curves(evaluate(labels, probabilities, DIAGNOSES))
    assert again == {name: finished.metrics[f"best_{name}"] for name in again}


def test_the_code_of_the_run_is_kept_word_for_word(finished: Run) -> None:
    code = code_from_json(finished.artifacts / "code.json")
    trainer = "lab_code/training/trainer.py"
    assert code[trainer] == (PROJECT / trainer).read_text(encoding="utf-8")
    assert not any(name.startswith(("instructor", "locked", "quiz")) for name in code)


def test_mlflow_lists_the_data_sets_and_the_model(finished: Run) -> None:
    store = finished.artifacts.parents[3]
    client = open_store(store)
    run = client.get_run(finished.run_id)
    datasets = {entry.dataset.name: json.loads(entry.dataset.profile) for entry in run.inputs.dataset_inputs}
    assert set(datasets) == {"training", "validation"}
    assert datasets["training"]["photographs"] == int(finished.tags["data.train_images"])
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.params["weights"]) == ("small_cnn", f"runs:/{finished.run_id}/weights.safetensors")


def test_intervals_hold_their_scores(finished: Run) -> None:
    for name in ("accuracy", "balanced_accuracy"):
        low, high = (finished.metrics[f"interval/{name}_{end}"] for end in ("low", "high"))
        score = finished.metrics[f"best_{name}"]
        assert low <= score <= high


def test_nothing_is_left_of_a_finished_run_but_its_record(finished: Run) -> None:
    assert not (finished.artifacts.parents[3] / CHECKPOINTS).exists()


def test_a_run_is_made_again_to_the_last_digit(finished: Run) -> None:
    store = finished.artifacts.parents[3]
    run_id, _ = run_experiment(load_config(finished.artifacts / "config.yaml"), store)
    again = find_run(read_runs(store), run_id)
    repetition = compare_repeat(finished, again)
    assert repetition.scores == [] and repetition.compared > 10
    assert compare_code(finished, again) == ""


def test_a_repetition_on_other_data_says_why_it_differs(finished: Run, store: Path) -> None:
    table = store / "data" / "HAM10000_metadata.csv"
    table.write_text("\n".join(table.read_text(encoding="utf-8").splitlines()[:-2]), encoding="utf-8")
    run_experiment(load_config(finished.artifacts / "config.yaml"), store)
    repetition = compare_repeat(finished, read_runs(store)[0])
    assert repetition.scores
    assert {"data.fingerprint", "data.train_images"} <= {key for key, _, _ in repetition.reasons}


def test_patience_stops_a_run_and_keeps_its_best_epoch(store: Path) -> None:
    config = compose_quick("trainer.epochs=50", "trainer.patience=2", "optimizer.lr=0.05", without=["trainer.epochs"])
    _, best = run_experiment(config, store)
    (run,) = read_runs(store)
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        last = database.execute("SELECT max(step) FROM metrics WHERE key = 'train_loss'").fetchone()[0]
    assert run.status == "FINISHED" and last == best.epoch + 2 < 50


class StoppedError(Exception):
    """What a test throws into a run."""


def stop_after(monkeypatch: pytest.MonkeyPatch, epochs: int, error: BaseException) -> None:
    write = experiment.write_checkpoint

    def stop(*arguments) -> None:
        write(*arguments)
        if len(arguments[3]) == epochs:
            raise error

    monkeypatch.setattr(experiment, "write_checkpoint", stop)


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), "KILLED"), (StoppedError("no space left on device"), "FAILED")]
)
def test_a_stopped_run_says_so_and_goes_on_as_if_nothing_had_been(
    store: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str
) -> None:
    """In TensorFlow: tests/lab_code/frameworks/test_frameworks.py."""
    check_goes_on(store, monkeypatch, error, status, "pytorch")


def check_goes_on(
    store: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str, framework: str
) -> None:
    """A run that is stopped by that error ends with that status, and once resumed as one that was never stopped."""
    config = compose_quick(
        f"framework={framework}", "trainer.epochs=4", "trainer.schedule=one_cycle", without=["trainer.epochs"]
    )
    run_experiment(config, store)
    whole = read_runs(store)[0]
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        stop_after(patch, 2, error)
        run_experiment(config, store)
    stopped = read_runs(store)[1]
    assert (stopped.status, bool(stopped.tags["ended"])) == (status, True)
    run_id, _ = run_experiment(config, store, resume=stopped.run_id)
    resumed = find_run(read_runs(store), stopped.run_id)
    assert run_id == stopped.run_id and resumed.status == "FINISHED" and len(read_runs(store)) == 2
    assert compare_repeat(whole, resumed).scores == []
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        steps = database.execute("SELECT step FROM metrics WHERE run_uuid = ? AND key = 'train_loss'", (run_id,))
        assert sorted(step for (step,) in steps) == [1, 2, 3, 4]


def test_a_run_stopped_before_its_first_epoch_begins_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(experiment, "write_checkpoint", lambda *arguments: (_ for _ in ()).throw(StoppedError()))
        run_experiment(compose_quick(), store)
    stopped = read_runs(store)[0]
    run_experiment(compose_quick(), store, resume=stopped.run_id)
    assert read_runs(store)[0].status == "FINISHED"


def test_a_run_stopped_after_its_last_epoch_only_writes_its_results(store: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(experiment, "log_results", lambda *arguments: (_ for _ in ()).throw(StoppedError()))
        run_experiment(compose_quick(), store)
    run_experiment(compose_quick(), store, resume=read_runs(store)[0].run_id)
    (run,) = read_runs(store)
    assert run.status == "FINISHED" and run.metrics["best_epoch"] in (1, 2)


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{}", "half"])
def test_a_damaged_checkpoint_is_named(store: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str) -> None:
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        stop_after(patch, 1, StoppedError())
        run_experiment(compose_quick(), store)
    run_id = read_runs(store)[0].run_id
    (path,) = run_folder(store, run_id).glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(LabError, match="not a readable checkpoint"):
        run_experiment(compose_quick(), store, resume=run_id)


def test_one_run_is_trained_by_one_process_at_a_time(store: Path) -> None:
    with hold_run(store, "abc"):
        assert is_running(store, "abc")
        with pytest.raises(LabError, match="is being trained right now"), hold_run(store, "abc"):
            pass
    assert not is_running(store, "abc")


def train_elsewhere(
    store: Path, *changes: str, before: str = "", kill_when: Callable[[], bool] | None = None, **environment: str
) -> Done:
    """In a process of its own, which does `before` first, and is killed as soon as that holds."""
    return warm_launcher().run(
        ["-c", f"{before}\n{TRAIN}", str(store), *changes], PROJECT, environment=environment, kill_when=kill_when
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_whose_process_was_killed_is_called_killed_and_resumed(store: Path) -> None:
    during: list[str] = []
    changes = ("trainer.epochs=6", "data.augment=flips")
    waits = (
        "import time; from lab_code.cli.progress_bar import ProgressBar\n"
        "ProgressBar.show_epoch = lambda bar, result: result.epoch < 2 or time.sleep(1000)"
    )

    def is_on_its_way() -> bool:
        if list(store.glob(f"{CHECKPOINTS}/*/*.safetensors")):
            during.extend(run.status for run in read_runs(store))
        return bool(during)

    assert train_elsewhere(store, *changes, before=waits, kill_when=is_on_its_way).code == STOPPED
    (killed,) = read_runs(store)
    assert (during, killed.status) == (["RUNNING"], "KILLED")
    config = load_config(killed.artifacts / "config.yaml")
    run_experiment(config, store)  # closes what was left open
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        query = "SELECT status FROM runs WHERE run_uuid = ?"
        assert database.execute(query, (killed.run_id,)).fetchone() == ("KILLED",)
    run_experiment(config, store, resume=killed.run_id)
    resumed, whole = read_runs(store)
    assert (resumed.run_id, resumed.status) == (killed.run_id, "FINISHED")
    assert compare_repeat(whole, resumed).scores == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit for the size of files")
def test_a_full_disk_ends_the_run_as_failed_and_it_is_resumed(store: Path) -> None:
    run_experiment(compose_quick("model.width=32"), store)
    limit = (store / "mlflow.db").stat().st_size + 2**20
    small_disk = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    )
    done = train_elsewhere(store, "trainer.epochs=3", "model.width=64", before=small_disk)  # its checkpoint is larger
    assert done.code
    failed = read_runs(store)[1]
    assert failed.status == "FAILED" and "large" in failed.tags["ended"], done.err
    assert not list((store / CHECKPOINTS).rglob("*.part"))
    run_experiment(load_config(failed.artifacts / "config.yaml"), store, resume=failed.run_id)
    assert read_runs(store)[1].status == "FINISHED"


def test_a_store_that_another_program_holds_is_an_error_that_says_so(store: Path, monkeypatch) -> None:
    monkeypatch.setattr("lab_code.tracking.store._PATIENCE_S", 0)
    run_experiment(compose_quick(), store)
    with closing(sqlite3.connect(store / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LabError, match="locked"):
            run_experiment(compose_quick(), store)
        database.execute("ROLLBACK")


def test_two_processes_train_one_model_and_one_of_them_tracks(store: Path) -> None:
    """As torchrun starts them, which tests/lab_code/jobs/test_far_server.py does."""
    team = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_port("127.0.0.1"))}

    def train_as(rank: int) -> Done:
        about = {**team, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        return train_elsewhere(store, "trainer.epochs=3", "data.augment=flips", **about)

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(train_as, range(2)):
            assert done.code == 0, done.err
    (run,) = read_runs(store)
    assert (run.status, run.tags["machine.processes"]) == ("FINISHED", "2")
    alone = store / "alone"
    alone.mkdir()
    (store / "data").rename(alone / "data")
    run_experiment(load_config(run.artifacts / "config.yaml"), alone)
    single = read_runs(alone)[0]
    # Shares of a batch are normalised apart, so the numbers are near, not equal.
    assert run.metrics["train_loss"] == pytest.approx(single.metrics["train_loss"], rel=0.2)


def test_a_lesion_is_never_on_both_sides_of_a_run(store: Path) -> None:
    train, validation, _ = experiment.load_split(compose_quick(), store)
    assert not set(train.lesion_ids) & set(validation.lesion_ids)
    assert len(train) + len(validation) == 84


def test_the_table_of_predictions_reads_as_a_table(finished: Run) -> None:
    with (finished.artifacts / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == int(finished.tags["data.validation_images"])
    best = max((f"p_{dx}" for dx in DIAGNOSES), key=lambda name: float(rows[0][name]))
    assert rows[0]["predicted"] == best.removeprefix("p_")
    assert np.isclose(sum(float(rows[0][f"p_{dx}"]) for dx in DIAGNOSES), 1, atol=1e-5)
