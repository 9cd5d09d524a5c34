"""A run that was stopped goes on elsewhere as the same run; and what ends `lab` half-way leaves the store whole."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import psutil
import pytest

from lab_code.config import compose_config
from lab_code.experiment import run_experiment
from lab_code.jobs.record import find_away, find_job, read_jobs
from lab_code.jobs.search import JOURNAL, open_study
from lab_code.tracking.running import hold_run, run_folder
from lab_code.tracking.runs import Run, can_resume, read_runs
from lab_code.training.reporter import Reporter
from lab_code.training.trainer import EpochResult
from tests.conftest import KitOnDisk, hear_interrupts, wait_until
from tests.far_server import ENVIRONMENT, FarServer, why_no_server
from tests.lab_code.jobs.conftest import TINY

Name = Callable[..., KitOnDisk]
pytestmark = pytest.mark.skipif(
    bool(why_no_server(slurm=True)), reason=why_no_server(slurm=True) or "a server can be played here"
)
LATE = "import sys, time; real = time.time; time.time = lambda: real() + 7200; exec(sys.stdin.read())"


class StopAfterTwo(Reporter):
    """Somebody presses Ctrl-C."""

    def show_epoch(self, result: EpochResult) -> None:
        if result.epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def begun(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit in which a run was stopped after two of four epochs, and the same one made in one go is called whole."""
    root = tmp_path_factory.mktemp("begun") / "kit"
    shutil.copytree(build / "kits" / "group-1", root)
    for name, reporter in (("begun", StopAfterTwo()), ("whole", Reporter())):
        changes = [*TINY[1:], "trainer.epochs=4", f"name={name}"]
        with pytest.raises(KeyboardInterrupt) if name == "begun" else nullcontext():
            run_experiment(compose_config(changes, root / "lab_code" / "conf"), root, {}, reporter)
    return root


@pytest.fixture
def stopped(begun: Path, kit: KitOnDisk) -> Run:
    """The stopped run, in this test's own kit."""
    for name in ("mlartifacts", "checkpoints"):
        shutil.copytree(begun / name, kit.root / name)
    shutil.copy(begun / "mlflow.db", kit.root)
    return next(run for run in read_runs(kit.root) if run.name == "begun")


def read_curve(root: Path, run_id: str) -> list[tuple[int, float]]:
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        asked = "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'train_loss' ORDER BY step"
        return database.execute(asked, (run_id,)).fetchall()


def count_rows(root: Path) -> list[int]:
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        tables = ("runs", "metrics", "params", "tags")
        return [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


def test_a_run_that_was_stopped_here_goes_on_there_and_comes_home_as_the_same_run(
    name_server: Name, stopped: Run
) -> None:
    """Its Python there begins as it does for everybody: for the other tests here it is warm already."""
    kit = name_server(queue="process", environment=str(ENVIRONMENT))
    done = kit.lab("resume", "--on", "box", "begun")
    assert "goes on after epoch 2 of 4" in done.stderr and "sent of what it goes on from" in done.stderr
    assert "epoch   3" in done.stderr and "epoch   2" not in done.stderr and "Run 'begun' is finished" in done.stdout
    whole, now = sorted(read_runs(kit.root), key=lambda run: run.name == "begun")
    assert now.run_id == stopped.run_id and now.status == "FINISHED" and now.tags["machine.server"] == "box"
    assert read_curve(kit.root, now.run_id) == read_curve(kit.root, whole.run_id), "as if it had never been stopped"
    assert (now.artifacts / "weights.safetensors").is_file() and not (kit.root / "checkpoints").exists()
    assert not (kit.root / ".lab" / "away").exists() and not list((kit.root / ".lab" / "home").iterdir())


def test_a_run_has_one_place_at_a_time_and_comes_back_from_a_queue_as_it_went(
    name_server: Name, stopped: Run, tmp_path: Path
) -> None:
    """The server's clock is two hours ahead, and its queue never begins."""
    late = tmp_path / "late-python"
    late.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{LATE}"\n', encoding="utf-8")
    late.chmod(0o755)
    kit = name_server(partition="closed", python=str(late))
    name_server("other")
    sent = kit.lab("resume", "--on", "box", check=False)
    assert "the clock of box is 120 minutes ahead of this one" in sent.stderr
    assert "waits for what will not come (PartitionDown)" in sent.stderr
    (job,) = read_jobs(kit.root)
    for argv in (["resume"], ["resume", "begun", "--on", "other"]):
        refused = kit.lab(*argv, check=False)
        assert f"goes on on box already, as job {job.job}" in refused.stderr and "--forget" in refused.stderr
    assert f"job {job.job} is on its way already" in kit.lab("resume", "--on", "box", check=False).stderr
    assert len(read_jobs(kit.root)) == 1
    before = run_folder(kit.root, stopped.run_id) / "checkpoint.safetensors"
    content = before.read_bytes()
    assert "was stopped" in kit.lab("jobs", "--stop", job.job).stdout
    run = next(run for run in read_runs(kit.root) if run.name == "begun")
    assert run.run_id == stopped.run_id and can_resume(kit.root, run) and before.read_bytes() == content
    assert len(read_curve(kit.root, run.run_id)) == 2


def test_a_server_that_is_lost_for_good_can_be_forgotten(name_server: Name, stopped: Run) -> None:
    kit = name_server(partition="closed")
    kit.lab("resume", "--on", "box", check=False)
    (job,) = read_jobs(kit.root)
    shutil.rmtree(job.base)
    assert f"there is no job {job.job} on it" in kit.lab("follow", check=False).stderr
    assert "is forgotten here" in kit.lab("jobs", "--forget", job.job).stdout
    assert find_away(kit.root, stopped.run_id) is None, "and so it can go on here"


def finish(root: Path, run: Run) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET status = 'FINISHED'")


def change_code(root: Path, run: Run) -> None:
    with (root / "lab_code" / "training" / "trainer.py").open("a", encoding="utf-8") as file:
        file.write("# mine\n")


def lose_checkpoint(root: Path, run: Run) -> None:
    (run_folder(root, run.run_id) / "checkpoint.safetensors").unlink()


def damage_checkpoint(root: Path, run: Run) -> None:
    (run_folder(root, run.run_id) / "checkpoint.safetensors").write_bytes(b"half")


@pytest.mark.parametrize(
    ("argv", "harm", "message"),
    [
        (["nowhere", "begun"], None, "there is no server 'nowhere' in servers.yaml"),
        (["box", "nobody"], None, "there is no stopped run 'nobody' to go on with"),
        (["box", "begun"], finish, "run 'begun' is finished: there is nothing to go on with"),
        (["box", "begun"], "held", "run 'begun' is being trained right now"),
        (["box", "begun"], change_code, "the code of run 'begun' has changed since it began: lab_code/training/"),
        (["box", "begun"], lose_checkpoint, "run 'begun' has no checkpoint"),
        (["box", "begun"], damage_checkpoint, "is not a readable checkpoint"),
        (["old", "begun"], None, "is of another version of the kit: MLflow 1.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_what_cannot_go_on_there_is_named_and_nothing_is_changed(
    name_server: Name, stopped: Run, tmp_path: Path,
    argv: list[str], harm: Callable[[Path, Run], None] | str | None, message: str,
) -> None:  # fmt: skip
    (tmp_path / "old" / "bin").mkdir(parents=True)
    python = tmp_path / "old" / "bin" / "python"
    python.write_text("""#!/bin/sh\necho '{"mlflow": "1.0", "torch": "1.0"}'\n""", encoding="utf-8")
    python.chmod(0o755)
    kit = name_server()
    name_server("old", environment=str(tmp_path / "old"))
    if callable(harm):
        harm(kit.root, stopped)
    before = count_rows(kit.root)
    with hold_run(kit.root, stopped.run_id) if harm == "held" else nullcontext():
        done = kit.lab("resume", "--on", *argv, check=False)
    assert done.returncode == 1 and message in done.stderr and "hint:" in done.stderr, done.stderr
    assert count_rows(kit.root) == before and all(job.state == "sending" for job in read_jobs(kit.root))


def kill_sleepers(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            if process.name() == "sleep":
                process.kill()


@pytest.mark.slow
def test_what_ends_lab_while_a_run_comes_home_leaves_the_store_as_it_was(
    name_server: Name, stopped: Run, far: FarServer, tmp_path: Path
) -> None:
    """Half of the files have come when it happens; nothing goes on by itself, and the next call brings all."""
    kit = name_server(queue="process")
    half = tmp_path / "half" / "rsync"
    half.parent.mkdir()
    half.write_text(
        f'#!/bin/sh\ncase "$*" in *--files-from*) ;; *) exec {shutil.which("rsync")} "$@";; esac\n'
        f'head -n 3 | {shutil.which("rsync")} "$@"\necho half > {tmp_path}/reached\nexec sleep 600\n',
        encoding="utf-8",
    )
    half.chmod(0o755)
    before = count_rows(kit.root)
    for ended_by in ("rsync", signal.SIGTERM, signal.SIGKILL):
        argv = ["follow"] if read_jobs(kit.root) else ["train", "--on", "box", *TINY, "name=home"]
        process = subprocess.Popen(
            [sys.executable, str(kit.root / "lab"), *argv], cwd=kit.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
            env=os.environ | {"PATH": f"{half.parent}:{os.environ['PATH']}"},
        )  # fmt: skip
        wait_until(lambda: (tmp_path / "reached").exists(), process)
        children = psutil.Process(process.pid).children(recursive=True)
        if ended_by == "rsync":
            kill_sleepers(children)
        if isinstance(ended_by, signal.Signals):
            process.send_signal(ended_by)
        _, errors = process.communicate(timeout=60)
        (job,) = read_jobs(kit.root)
        assert process.returncode and "Traceback" not in errors and job.state == "sent"
        assert ended_by != "rsync" or ("was cut" in errors and f"lab follow {job.job}" in errors)
        assert count_rows(kit.root) == before and len(list((kit.root / "mlartifacts" / "skin-lesions").iterdir())) == 2
        kill_sleepers(children)
        psutil.wait_procs(children, timeout=60)
        (tmp_path / "reached").unlink()
    assert "Run 'home' is finished" in kit.lab("follow").stdout and find_job(kit.root, job.job).state == "home"
    assert len(read_runs(kit.root)) == 3 and not list((kit.root / ".lab" / "home").iterdir())


@pytest.mark.slow
def test_a_search_goes_on_there_with_all_it_knows_and_its_trials_come_home_as_children(name_server: Name) -> None:
    kit = name_server(queue="process")
    changes = ["optimizer.lr=interval(1e-4,1e-1)", *TINY, "name=seek", "--on", "box"]
    done = kit.lab("sweep", "--search", "1", *changes)
    assert "trial 0: optimizer.lr=" in done.stderr and "1 runs are finished, 0 of them early" in done.stdout
    (before,) = [run for run in read_runs(kit.root) if run.is_group]
    assert "goes on from" in kit.lab("sweep", "--search", "1", *changes).stderr, "and finds nothing left to try"
    (parent,), trials = ([run for run in read_runs(kit.root) if run.is_group is kind] for kind in (True, False))
    assert parent.run_id == before.run_id and parent.status == "FINISHED" and parent.name == "search of seek"
    assert [run.tags["search.trial"] for run in trials] == ["0"]
    assert {run.tags["mlflow.parentRunId"] for run in trials} == {parent.run_id}
    assert len(open_study(Path(shutil.copy(parent.artifacts / JOURNAL, kit.root))).get_trials()) == 1
    assert not (kit.root / "checkpoints").exists() and all(job.state == "home" for job in read_jobs(kit.root))
