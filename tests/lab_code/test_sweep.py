"""Sweeps: every combination once, children of one parent, gone on with after a stop."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from lab_code.config import expand_sweep
from lab_code.errors import LabError
from lab_code.jobs import sweep
from lab_code.jobs.sweep import plan_sweep
from lab_code.tracking.running import is_running
from lab_code.tracking.runs import read_runs
from tests.conftest import KitOnDisk, hear_interrupts, wait_until
from tests.lab_code.conftest import compose_quick

TINY = ["trainer.epochs=1", "model.width=2", "data.image_size=16"]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        (["optimizer.lr=1e-3,1e-2", "seed=0,1,2"], 6),
        (["seed=range(0,4)"], 4),
        (["optimizer=adamw,sgd", "trainer.epochs=3"], 2),
        (["seed=1"], 1),
    ],
)
def test_a_sweep_is_every_combination(changes: list[str], count: int) -> None:
    combinations = expand_sweep(changes)
    assert len(combinations) == count == len({tuple(combination) for combination in combinations})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["seed=1"], "a sweep needs a key with several values"),
        (["optimizr.lr=1,2"], "there is no key 'optimizr.lr'"),
        (["optimizer.lr=0.1,100"], "optimizer.lr is 100"),
        (["model=small_cnn,vit"], "model 'vit' does not exist"),
        (["seed"], "each change is written key=value"),
    ],
)
def test_a_wrong_sweep_is_an_error_before_anything_is_trained(tmp_path: Path, changes: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        plan_sweep(tmp_path, changes, lambda overrides: compose_quick(*overrides))


def test_a_plan_names_every_run_after_its_changes(tmp_path: Path) -> None:
    plan = plan_sweep(tmp_path, ["optimizer.lr=1e-3,1e-2", "trainer.epochs=3"], lambda o: compose_quick(*o))
    assert [job.text for job in plan.jobs] == ["optimizer.lr=0.001", "optimizer.lr=0.01"]
    assert plan.jobs[0].overrides == [
        "optimizer.lr=0.001", "trainer.epochs=3", "name=default-lr-0.001", "trainer.threads=1"
    ]  # fmt: skip
    assert plan.parent is None


@pytest.mark.slow
def test_a_sweep_trains_its_children_once_and_names_what_failed(kit: KitOnDisk) -> None:
    changes = ["data.folder=data,other", *TINY]
    listed = kit.lab("sweep", *changes, "--dry-run").stdout
    assert listed.count("to train") == 2 and read_runs(kit.root) == []
    done = kit.lab("sweep", *changes, check=False)
    assert done.returncode == 1 and "1 of 2 runs failed: data.folder=other: there is no folder" in done.stderr
    assert "data.folder=data" in done.stdout
    (first,) = [run for run in read_runs(kit.root) if run.status == "FINISHED" and "sweep" not in run.tags]

    shutil.copytree(kit.root / "data", kit.root / "other")
    assert kit.lab("sweep", *changes, "--dry-run").stdout.count("to train") == 1
    shown = kit.lab("sweep", *changes).stdout
    assert "data.folder=other" in shown and "balanced accuracy" in shown
    runs = [run for run in read_runs(kit.root) if run.status == "FINISHED"]
    parent, *children = sorted(runs, key=lambda run: "sweep" not in run.tags)
    assert json.loads(parent.tags["sweep"]) == changes and first.run_id in {run.run_id for run in children}
    assert {run.tags["mlflow.parentRunId"] for run in children} == {parent.run_id}
    assert {run.tags["group"] for run in children} == {"group-1"}
    highest = max(run.metrics["best_balanced_accuracy"] for run in children)
    assert parent.metrics == {"highest_balanced_accuracy": highest}
    again = plan_sweep(kit.root, changes, lambda overrides: compose_quick(*overrides))
    assert {job.run_id for job in again.jobs} == {run.run_id for run in children}


@pytest.fixture
def patient_kit(kit: KitOnDisk) -> KitOnDisk:
    """Its sweep waits for runs to end as long as a busy machine needs."""
    path = kit.root / "lab_code" / "jobs" / "sweep.py"
    text = path.read_text(encoding="utf-8")
    assert "_GRACE_S, _LAST_S = 5, 2" in text
    path.write_text(text.replace("_GRACE_S, _LAST_S = 5, 2", "_GRACE_S, _LAST_S = 100, 100"), encoding="utf-8")
    return kit


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups that take Ctrl-C alike")
def test_a_stopped_sweep_goes_on_with_the_same_command(patient_kit: KitOnDisk) -> None:
    changes = ["seed=0,1", *TINY[1:], "trainer.epochs=400"]
    process = subprocess.Popen(
        [sys.executable, str(patient_kit.root / "lab"), "sweep", *changes, "--jobs", "2"],
        cwd=patient_kit.root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    wait_until(lambda: len(list(patient_kit.root.glob("checkpoints/*/*.safetensors"))) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=150)
    assert process.returncode == 130 and "Traceback" not in errors and "stopping what is being trained (2)" in errors
    assert_all_killed(patient_kit.root, 3)
    stopped = {run.run_id for run in read_runs(patient_kit.root)}

    for run_id in stopped:  # a shorter way to the end than 400 epochs
        for config in patient_kit.root.glob(f"mlartifacts/*/{run_id}/artifacts/config.yaml"):
            config.write_text(config.read_text(encoding="utf-8").replace("epochs: 400", "epochs: 1"), encoding="utf-8")
    patient_kit.lab("sweep", *changes)
    assert {run.run_id for run in read_runs(patient_kit.root) if run.status == "FINISHED"} == stopped


def assert_all_killed(root: Path, count: int) -> None:
    """The sweep and what was being trained, in MLflow's page as well, and nothing that was still to come."""
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        written = [status for (status,) in database.execute("SELECT status FROM runs")]
    assert written == ["KILLED"] * count
    assert not any(is_running(root, run.run_id) for run in read_runs(root))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal for one process alone")
def test_a_signal_to_the_sweep_alone_ends_its_runs_and_begins_no_other(patient_kit: KitOnDisk) -> None:
    changes = ["seed=0,1,2", *TINY[1:], "trainer.epochs=900"]
    process = subprocess.Popen(
        [sys.executable, str(patient_kit.root / "lab"), "sweep", *changes, "--jobs", "1"],
        cwd=patient_kit.root,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    wait_until(lambda: bool(list(patient_kit.root.glob("checkpoints/*/*.safetensors"))), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=150)
    assert process.returncode == 130 and "Traceback" not in errors and "stopping what is being trained (1)" in errors
    assert_all_killed(patient_kit.root, 2)


@pytest.mark.skipif(os.name == "nt", reason="there, a process cannot refuse to end")
@pytest.mark.parametrize("code", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"], ids=["SIGINT", "SIGTERM too"])
def test_runs_that_do_not_listen_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    deaf = f"import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); {code}\nopen('on', 'w'); time.sleep(99)"
    (tmp_path / "lab_code").mkdir()
    (tmp_path / "lab_code" / "cli.py").write_text(deaf, encoding="utf-8")
    monkeypatch.setattr(sweep, "_GRACE_S", 0.05)
    monkeypatch.setattr(sweep, "_LAST_S", 0.05)
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt), sweep.Children(tmp_path) as children:
        first, second = pool.submit(children.run, []), pool.submit(children.run, [])
        while not (tmp_path / "on").exists():
            Event().wait(0.01)  # leaves the processor to it
        raise KeyboardInterrupt
    assert first.result()[0] < 0 and second.result() == (1, "error: stopped before it began")


@pytest.mark.slow
def test_the_other_commands_about_runs_work_as_they_are_typed(kit: KitOnDisk) -> None:
    kit.lab("train", *TINY, "name=first")
    assert "The same to the last digit" in kit.lab("repeat", "first").stdout
    photograph = next((kit.root / "data" / "HAM10000_images_part_1").glob("*.jpg"))
    shown = kit.lab("predict", str(photograph), "--run", "first").stdout
    assert "never for clinical use" in shown and "melanoma" in shown
    (picture,) = (kit.root / "predictions").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    with (kit.root / "lab_code" / "losses" / "cross_entropy.py").open("a", encoding="utf-8") as file:
        file.write("# mine\n")
    (kit.root / "lab_code" / "losses" / "extra.py").write_text('"""Of no run."""\n', encoding="utf-8")
    kit.lab("train", *TINY, "name=second", "framework=sklearn")
    compared = kit.lab("compare", "first", "second", "--code").stdout
    assert "colour_texture" in compared and "+# mine" in compared and "Of no run." not in compared
    assert "no Grad-CAM" in kit.lab("predict", str(photograph)).stdout
    (kit.root / "text.jpg").write_text("no picture", encoding="utf-8")
    assert "not a readable photograph" in kit.lab("predict", "text.jpg", check=False).stderr
    found = kit.lab("data").stdout
    assert "210 photographs" in found and "missing: 0   unreadable: 0" in found


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["resume"], "no stopped run"),
        (["repeat", "nothing"], "no finished run 'nothing'"),
        (["predict", "nowhere.jpg"], "there is no photograph nowhere.jpg"),
        (["data", "nowhere"], "there is no folder nowhere"),
        (["sweep", "seed=1"], "several values"),
        (["train", "trainer.patience=10"], "it never stops a run"),
    ],
)
def test_misuse_of_the_other_commands_ends_in_two_lines(kit: KitOnDisk, argv: list[str], message: str) -> None:
    done = kit.lab(*argv, check=False)
    assert done.returncode == 1 and message in done.stderr and "hint: " in done.stderr
