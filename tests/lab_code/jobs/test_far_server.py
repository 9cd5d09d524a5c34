"""Runs on a server that is really there: sent, followed, brought home; and every way in which that can go wrong."""

import ast
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab_code.config import compose_config
from lab_code.errors import LabError
from lab_code.jobs import home
from lab_code.jobs.far import __file__ as far_file
from lab_code.jobs.far import describe_files
from lab_code.jobs.follow import Show, follow_job
from lab_code.jobs.home import bring_home
from lab_code.jobs.record import Job, make_job, read_jobs, write_job
from lab_code.jobs.send import copy_code, copy_files, list_files, make_task, send_job
from lab_code.jobs.servers import Server, find_server
from lab_code.jobs.ssh import Line, LostError, connect
from lab_code.tracking.runs import can_resume, read_runs
from tests.conftest import KitOnDisk, hear_interrupts, wait_until
from tests.far_server import FarServer, why_no_server
from tests.instructor.deliver.laptops import make_key
from tests.lab_code.jobs.conftest import TINY
from tests.test_layering import imports

Name = Callable[..., KitOnDisk]
pytestmark = pytest.mark.skipif(
    bool(why_no_server(slurm=True)), reason=why_no_server(slurm=True) or "a server can be played here"
)


def send(kit: KitOnDisk, *changes: str, server: str = "box") -> tuple[Server, Job]:
    """What `lab train --on` does before it follows."""
    config = compose_config([*TINY, *changes], kit.root / "lab_code" / "conf")
    found = find_server(kit.root, server)
    task = make_task(kit.root, config, {"group": kit.group})
    job = write_job(kit.root, make_job(found.name, found.folder, task.config, [task]))
    with connect(found) as line:
        return found, send_job(kit.root, line, job, list_files(kit.root, [config]), lambda text: None)


def number_of(job: Job) -> str:
    """What Slurm calls it."""
    return str(json.loads((Path(job.base) / "jobs" / job.job / "submitted.json").read_text(encoding="utf-8"))["id"])


def make_show(said: list[str], events: list[dict[str, Any]] | None = None) -> Show:
    kept = [] if events is None else events
    return Show(lambda task, event: kept.append(event), lambda states: None, said.append, pauses_s=(0,))


def count_rows(root: Path) -> dict[str, int]:
    """How many rows every table of the kit's own store has; empty where there is none."""
    if not (root / "mlflow.db").exists():
        return {}
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


@pytest.mark.slow
def test_a_run_goes_to_the_queue_and_comes_home_under_its_id(name_server: Name, far: FarServer) -> None:
    """With two GPUs torchrun starts two processes for it; without CUDA they speak by gloo."""
    kit = name_server(time_limit="00:04:00", cpus=1, gpus=2)
    done = kit.lab("train", "--on", "box", *TINY, "name=afar")
    assert "Run 'afar' is finished" in done.stdout and "Slurm's queue" in done.stderr and "epoch   2" in done.stderr
    (run,) = read_runs(kit.root)
    assert run.status == "FINISHED" and run.tags["machine.server"] == "box" and run.tags["group"] == "group-1"
    assert run.tags["machine.processes"] == "2" and run.run_id in (kit.root / "progress.jsonl").read_text()
    assert (run.artifacts / "weights.safetensors").is_file() and (run.artifacts / "confusion_matrix.png").is_file()
    (job,) = read_jobs(kit.root)
    assert job.state == "home" and not (Path(job.base) / "jobs" / job.job).exists(), "nothing is left behind there"
    assert "over" in kit.lab("follow", job.job).stdout


@pytest.fixture
def waiting_kit(name_server: Name) -> KitOnDisk:
    """What it trains on the server waits after its second epoch, once, to be told that its time is over."""
    kit = name_server(time_limit="00:04:00")
    path = kit.root / "lab_code" / "jobs" / "train_task.py"
    tells = '        self.tell("epoch", **describe_epoch(result))\n'
    waits = """\
        told = self._root / "told"
        if result.epoch == 2 and not told.exists():
            told.touch()
            while True:
                time.sleep(0.1)
"""
    text = path.read_text(encoding="utf-8")
    assert text.count(tells) == 1
    path.write_text(text.replace(tells, tells + waits), encoding="utf-8")
    return kit


@pytest.mark.slow
def test_what_is_cut_or_out_of_time_goes_on_in_the_same_run_and_nothing_half_written_comes_home(
    waiting_kit: KitOnDisk, far: FarServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = waiting_kit
    server, job = send(kit, "trainer.epochs=3", "name=cut")
    assert far.cluster
    said: list[str] = []
    events: list[dict[str, Any]] = []

    def harm(task: int, event: dict[str, Any]) -> None:
        events.append(event)
        if event["e"] == "run" and not said:
            far.box.cut()
        if event["e"] == "epoch" and event["epoch"] == 2:  # what Slurm does when the time is nearly over
            far.cluster.ask("scancel", "--signal=USR1", "--batch", number_of(job))  # type: ignore[union-attr]

    states = follow_job(server, job, replace(make_show(said), event=harm))
    assert states["0"]["state"] == "finished" and "connected again" in said[-1]
    assert len({event["run"] for event in events if event["e"] == "run"}) == 1
    assert [len(event["past"]) for event in events if event["e"] == "start"] == [0, 2], "the queue began it twice"
    assert [event["epoch"] for event in events if event["e"] == "epoch"] == [1, 2, 3], "each is told once"

    before, real = count_rows(kit.root), Line.rsync

    def cut_half_way(line: Line, arguments: list[str], given: str = "") -> str:
        names = given.splitlines(keepends=True)
        real(line, arguments, "".join(names[: len(names) // 2]))
        raise LostError("server 'box': the connection was cut")

    def come_damaged(line: Line, arguments: list[str], given: str = "") -> str:
        real(line, arguments, given)
        next((kit.root / ".lab" / "home").rglob("weights.safetensors")).write_bytes(b"other")
        return ""

    for fault, message in ((cut_half_way, "was cut"), (come_damaged, "weights.safetensors came with other bytes")):
        monkeypatch.setattr(Line, "rsync", fault)
        with connect(server) as line, pytest.raises(LabError, match=message):
            bring_home(kit.root, line, job, 0, {})
        assert count_rows(kit.root) == before and not (kit.root / "mlartifacts").exists()
    monkeypatch.setattr(Line, "rsync", real)
    monkeypatch.setattr(home, "add_runs", lambda *_: exec("raise KeyboardInterrupt"))
    with connect(server) as line, pytest.raises(KeyboardInterrupt):
        bring_home(kit.root, line, job, 0, {})
    assert count_rows(kit.root) == before
    monkeypatch.undo()
    done = kit.lab("follow")
    assert "Run 'cut' is finished" in done.stdout
    (run,) = read_runs(kit.root)
    assert run.status == "FINISHED" and not list((kit.root / ".lab" / "home").iterdir())


@pytest.mark.slow
def test_a_closed_terminal_leaves_the_job_and_stopping_it_brings_the_checkpoint(
    name_server: Name, far: FarServer
) -> None:
    kit = name_server(queue="process")
    arguments = ["train", "--on", "box", *TINY[1:], "trainer.epochs=900", "name=long"]
    process = subprocess.Popen(
        [sys.executable, str(kit.root / "lab"), *arguments],
        cwd=kit.root, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    place = far.home / kit.root.parent.parent.name
    wait_until(lambda: bool(list(place.glob("*/jobs/*/tasks/0/checkpoints/*/*.safetensors"))), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "goes on on box" in errors and "lab jobs --stop" in errors
    (job,) = json.loads(kit.lab("jobs", "--json").stdout)
    assert (job["state"], job["name"], job["home"]) == ("running", "long", 0)
    stopped = kit.lab("jobs", "--stop", job["job"])
    assert "was stopped" in stopped.stdout and "lab resume" in stopped.stdout
    (run,) = read_runs(kit.root)
    assert run.status == "KILLED" and can_resume(kit.root, run)
    assert list((kit.root / "checkpoints" / run.run_id).glob("*.safetensors"))


@pytest.mark.slow
def test_a_sweep_is_one_array_whose_runs_come_home_as_children(name_server: Name) -> None:
    kit = name_server()
    changes = ["optimizer.lr=0.001,nan", *TINY]
    with pytest.raises(AssertionError, match=r"optimizer\.lr is nan"):
        kit.lab("sweep", "--on", "box", *changes)
    assert not read_jobs(kit.root)
    changes = ["trainer.device=cpu,cuda", *TINY[:-1]]
    done = kit.lab("sweep", "--on", "box", *changes, check=False)
    assert done.returncode == 1 and "1 of 2 runs failed: trainer.device=cuda: no usable device 'cuda'" in done.stderr
    parent, *children = sorted(read_runs(kit.root), key=lambda run: not run.is_group)
    assert {run.tags["mlflow.parentRunId"] for run in children} == {parent.run_id}
    assert {run.tags["sweep.job"]: run.status for run in children}["trainer.device=cpu"] == "FINISHED"
    assert parent.tags["sweep.best"] == "trainer.device=cpu" and "trainer.device=cpu" in done.stdout
    listed = kit.lab("sweep", *changes, "--dry-run").stdout
    assert listed.count("done before") == 1 and listed.count("to train") == 1


def test_photographs_that_are_there_are_not_even_listed_and_what_is_gone_is_sent_again(name_server: Name) -> None:
    kit = name_server()
    mine, server = kit.root / "data", find_server(kit.root, "box")
    with connect(server) as line:

        def look() -> dict[str, Any]:
            return line.ask("look", base=server.folder, environment="", sizes={"data": 1}, spare=0)

        assert look()["files"]["data"] != describe_files(mine)
        copy_files(kit.root, line, look()["place"], ["data"])
        there = Path(look()["place"]) / "files" / "data"
        (there / ".cache").mkdir()
        (there / ".cache" / "decoded.npy").touch()
        assert look()["files"]["data"] == describe_files(mine)
        for gone in (min(there.rglob("*.jpg")), min(there.glob("*.csv"))):
            gone.unlink()
            assert look()["files"]["data"] != describe_files(mine)
        copy_files(kit.root, line, look()["place"], ["data"])
        assert look()["files"]["data"] == describe_files(mine)
        min(mine.rglob("*.jpg")).write_bytes(b"another")
        assert look()["files"]["data"] != describe_files(mine)


def test_a_changed_line_is_all_that_is_sent_again(name_server: Name) -> None:
    kit = name_server()
    server = find_server(kit.root, "box")
    with connect(server) as line:
        base = line.ask("look", base=server.folder, environment="", sizes={}, spare=0)["place"]
        first = copy_code(kit.root, line, base)
        with (kit.root / "lab_code" / "metrics.py").open("a", encoding="utf-8") as file:
            file.write("# mine\n")
        assert first > 200_000 and copy_code(kit.root, line, base) < 100_000
    assert (Path(base) / "code" / "lab_code" / "metrics.py").read_text(encoding="utf-8").endswith("# mine\n")
    sent = {path.name for path in (Path(base) / "code").iterdir()} | {"locked", "questions.json"}
    assert sent - {"locked", "questions.json"} <= {
        "lab_code",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
        ".lab",
    }
    assert not (Path(base) / "code" / ".lab" / "handin.key").exists()


@pytest.fixture
def odd_environment(tmp_path: Path) -> Callable[[str], str]:
    """An environment in which MLflow has another version."""

    def make(version: str) -> str:
        place = tmp_path / "odd"
        for name in ("mlflow", "torch"):
            folder = place / "lib" / f"{name}-{version}.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n", encoding="utf-8")
        (place / "bin").mkdir()
        (place / "bin" / "python").write_text(f'#!/bin/sh\nPYTHONPATH={place}/lib exec {sys.executable} "$@"\n')
        (place / "bin" / "python").chmod(0o755)
        return str(place)

    return make


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"key": "nowhere"}, "there is no key", "check key of 'box'"),
        ({"key": "other"}, "it does not let 'root' in", "ssh-copy-id"),
        ({"known_hosts": "empty"}, "its host key is not known here", "log in by hand once"),
        ({"known_hosts": "changed"}, "its host key is not the one that was known", "ssh-keygen -R '[127.0.0.9]:"),
        ({"host": "127.0.0.99"}, "nobody listens at 127.0.0.99", "is it on"),
        ({"host": "nobody.invalid"}, "nobody knows the name nobody.invalid", "check host"),
        ({"python": "python9"}, "there is no usable 'python9' on it", "name a Python 3.11"),
        ({"setup": ["module load none"]}, "a line of setup has failed", "check setup"),
        ({"folder": "/proc/lab-kit"}, "/proc/lab-kit", "check folder"),
        ({"environment": "/nowhere"}, "the environment /nowhere cannot be used", "leave it out"),
        ({"environment": "odd"}, "is of another version of the kit: MLflow 1.0", "leave environment out"),
        ({"partition": "nope"}, "its queue knows no such partition", "sinfo"),
        ({"time_limit": "09:00:00"}, "PartitionTimeLimit", "servers.yaml"),
        ({"gpus": 9}, "its queue has no machine with what was asked for", "check gpus"),
        ({"partition": "closed"}, "waits for what will not come (PartitionDown)", "lab jobs --stop"),
        ({"sbatch": ["--no-such-option"]}, "sbatch does not know an option", "check sbatch"),
    ],
    ids=lambda value: "-".join(f"{k}-{v}" for k, v in value.items()) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_is_wrong_with_a_server_is_named(
    name_server: Name, far: FarServer, tmp_path: Path, odd_environment: Callable[[str], str],
    changes: dict[str, Any], message: str, hint: str,
) -> None:  # fmt: skip
    make_key(tmp_path / "other")
    (tmp_path / "empty").write_text("", encoding="utf-8")
    key = (tmp_path / "other.pub").read_text(encoding="utf-8")
    (tmp_path / "changed").write_text(f"[127.0.0.9]:{far.box.port} {key}", encoding="utf-8")
    made = {"nowhere", "other", "empty", "changed"}
    changes = {k: str(tmp_path / v) if v in made else v for k, v in changes.items() if not isinstance(v, list)} | {
        k: v for k, v in changes.items() if isinstance(v, list)
    }
    if changes.get("environment") == "odd":
        changes["environment"] = odd_environment("1.0")
    folder = changes.pop("folder", None)
    kit = name_server(**changes)
    if folder:
        path = kit.root / "servers.yaml"
        known = json.loads(path.read_text(encoding="utf-8"))
        known["servers"]["box"]["folder"] = folder
        path.write_text(json.dumps(known), encoding="utf-8")
    with pytest.raises(LabError) as caught:
        follow_job(*send(kit), make_show([]))
    assert "server 'box'" in caught.value.message or "no key" in caught.value.message
    assert message in caught.value.message and hint in (caught.value.hint or ""), caught.value.hint
    assert not (kit.root / "mlflow.db").exists()
    for job in read_jobs(kit.root):
        if job.state == "sent":
            far.cluster.ask("scancel", number_of(job))  # type: ignore[union-attr]


def test_any_python_can_read_what_travels_to_a_server() -> None:
    """So that one that is too old can say so."""
    text = Path(far_file).read_text(encoding="utf-8")
    assert ast.parse(text, feature_version=(3, 7)) and {"lab_code", "psutil"}.isdisjoint(imports(Path(far_file)))


def test_a_full_disk_is_said_before_anything_is_sent(name_server: Name, far: FarServer) -> None:
    kit = name_server()
    far.box.user = "root"
    far.box.fill()
    try:
        with pytest.raises(LabError, match="its disk has 0 MB left, and this needs") as caught:
            send(kit)
    finally:
        far.box.unmount()
    assert "free some room there" in (caught.value.hint or "") and read_jobs(kit.root)[0].state == "sending"


def test_an_environment_that_cannot_be_made_is_an_error_like_ours(
    name_server: Name, far: FarServer, tmp_path: Path
) -> None:
    """What `environment.py` says there is read here; a folder of somebody's own is in its way."""
    kit = name_server(environment=None, python=sys.executable)
    base = far.home / kit.root.parent.parent.name
    (base / "code" / ".venv").mkdir(parents=True)
    (base / "code" / ".venv" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(LabError, match=r"the environment cannot be made: .* is no environment of Python") as caught:
        send(kit)
    assert "move it away" in (caught.value.hint or "")
    assert (base / "code" / ".venv" / "mine.txt").exists()


def test_photographs_outside_the_kit_cannot_be_sent(name_server: Name, tmp_path: Path) -> None:
    kit = name_server()
    shutil.copytree(kit.root / "data", tmp_path / "elsewhere")
    with pytest.raises(LabError, match="is not inside the kit"):
        send(kit, f"data.folder={tmp_path / 'elsewhere'}")


def test_a_job_of_another_version_of_the_kit_is_named(name_server: Name, far: FarServer) -> None:
    kit = name_server()
    folder = far.home / "old" / "jobs" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submitted.json").write_text("{}", encoding="utf-8")
    (folder / "job.json").write_text('{"format": 0}', encoding="utf-8")
    with connect(find_server(kit.root, "box")) as line, pytest.raises(LabError, match="another version of the kit"):
        line.ask("pack", base=str(far.home / "old"), job="1", task=0)
    with connect(find_server(kit.root, "box")) as line, pytest.raises(LabError, match="there is no job 2 on it"):
        line.ask("pack", base=str(far.home / "old"), job="2", task=0)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["jobs"], ""),
        (["follow"], "no job is on its way"),
        (["follow", "1"], "there is no job '1'"),
        (["jobs", "--stop", "1"], "there is no job '1'"),
    ],
)
def test_without_a_job_the_commands_say_how_to_send_one(kit: KitOnDisk, argv: list[str], message: str) -> None:
    done = kit.lab(*argv, check=False)
    assert (
        done.returncode == bool(message) and message in done.stderr and "lab train --on" in done.stdout + done.stderr
    ) or ("lab jobs" in done.stderr)
