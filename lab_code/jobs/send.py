"""Sending a job: what it needs is copied (only what has changed), its environment made once, and the queue told.

    job = send_job(root, server, line, job, say)

Every step can be done again: a job that was interrupted half-way goes on where it was.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from lab_code.config import Config, config_to_yaml
from lab_code.errors import LabError
from lab_code.jobs.away import send_runs
from lab_code.jobs.far import describe_files
from lab_code.jobs.record import REFUSED, SENT, Job, Task, change_job, write_job
from lab_code.jobs.servers import SERVERS, Server
from lab_code.jobs.ssh import Line, LostError

_CODE = ("lab_code", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", ".lab/mlflow-*.sql")
_SPARE = 50_000_000  # bytes for the code, and for each run's own files
_CLOCK_S = 120  # by which two clocks may differ without a word
_ENVIRONMENT = 8_000_000_000  # a new one, with PyTorch for GPUs

Say = Callable[[str], object]


def make_task(root: Path, config: Config, tags: dict[str, str], text: str = "") -> Task:
    """A run as it will be done there. Raises `LabError` where it needs files that are not in the kit."""
    links = [_find_file(root, place).parts[0] for place in _files_of(config)]
    return Task(text, config.name, config_to_yaml(config), tags, sorted(set(links)))


def _files_of(config: Config) -> list[str]:
    return [place for place in (config.data.folder, config.model.weights) if place]


def _find_file(root: Path, place: str) -> Path:
    """A file or folder as it lies in the kit."""
    found = (root / place).resolve()
    if not found.is_relative_to(root.resolve()) or found == root.resolve():
        raise LabError(f"{place} is not inside the kit", hint=f"copy it into {root}: what is there can be sent")
    if not found.exists():
        raise LabError(f"there is no {found}", hint="check data.folder and model.weights")
    return found.relative_to(root.resolve())


def list_files(root: Path, configs: Sequence[Config]) -> dict[str, int]:
    """What the runs need beside the code, by its path in the kit, and its bytes."""
    places = {_find_file(root, place) for config in configs for place in _files_of(config)}
    return {place.as_posix(): _size(root / place) for place in sorted(places)}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and ".cache" not in file.parts)


def send_job(root: Path, line: Line, job: Job, files: dict[str, int], say: Say) -> Job:
    """Copy, prepare, submit. Raises `LabError` with the step that could not be done."""
    server = line.server
    spare = _SPARE + 5_000_000 * len(job.tasks)
    there = line.ask("look", base=job.base, job=job.job, environment=server.environment, sizes=files, spare=spare)
    job = write_job(root, replace(job, base=there["place"]))  # whole: rsync need not know what a home is
    how = _choose_queue(server, there)
    _note_clock(server, there["now"] - time.time(), say)
    _check_versions(server, there["versions"])
    sent = copy_code(root, line, job.base)
    changed = [name for name in files if there["files"][name] != describe_files(root / name)]
    sent += copy_files(root, line, job.base, changed)
    say(f"{server.name}: {_write_bytes(sent)} sent")
    if any(task.runs for task in job.tasks) and not there["submitted"]:  # else it goes on already
        say(f"{server.name}: {_write_bytes(send_runs(root, line, job))} sent of what it goes on from")
    if not server.environment:
        for text in line.listen("setup", base=job.base):
            if text:
                say(f"{server.name}: {text}")
    try:
        given = line.ask("submit", base=job.base, job=describe_job(server, job, how))
    except LostError:
        raise
    except LabError:
        change_job(root, job, REFUSED)
        raise
    where = {"slurm": f"in Slurm's queue, as {given['id']}", "tmux": f"in tmux: tmux attach -t {given['id']}"}
    say(f"{server.name}: job {job.job} is {where.get(given['how'], 'on its way')}")
    return change_job(root, job, SENT)


def _note_clock(server: Server, off_s: float, say: Say) -> None:
    """Runs are listed by when they began: by the clock of the machine where they did."""
    if abs(off_s) > _CLOCK_S:
        way = "ahead of" if off_s > 0 else "behind"
        minutes = abs(off_s) / 60
        say(f"note: the clock of {server.name} is {minutes:.0f} minutes {way} this one; its runs are dated by it")


def copy_code(root: Path, line: Line, base: str) -> int:
    """Bring the code there up to date; returns the bytes that were sent."""
    names = [f"./{path.relative_to(root).as_posix()}" for part in _CODE for path in sorted(root.glob(part))]
    places = [f"{root.as_posix()}/{name}" for name in names]
    return line.copy(places, f"{base}/code/", ["--exclude=__pycache__", "--exclude=.venv"])


def copy_files(root: Path, line: Line, base: str, files: Sequence[str]) -> int:
    """The same for photographs; what is decoded of them stays where it is."""
    places = [f"{root.as_posix()}/./{name}" for name in files]
    return line.copy(places, f"{base}/files/", ["--exclude=.cache"]) if files else 0


def _write_bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count > 1e6 else f"{count / 1e3:.0f} kB"


def _choose_queue(server: Server, there: dict[str, Any]) -> str:
    """Slurm where it is there, else tmux, else a process of its own."""
    if server.queue == "auto":
        return "slurm" if there["slurm"] else "tmux" if there["tmux"] else "process"
    if server.queue != "process" and not there[server.queue]:
        raise LabError(f"server '{server.name}': there is no {server.queue} on it", hint=f"check queue in {SERVERS}")
    return server.queue


def _check_versions(server: Server, versions: dict[str, str]) -> None:
    """An environment that is there already must write what this kit can read."""
    mine = metadata.version("mlflow")
    if versions and versions["mlflow"] != mine:
        raise LabError(
            f"server '{server.name}': {server.environment} is of another version of the kit: MLflow "
            f"{versions['mlflow']}, here {mine}",
            hint=f"leave environment out of {SERVERS}: then the kit makes its own there",
        )


def describe_job(server: Server, job: Job, how: str) -> dict[str, Any]:
    """What `far.py` is told."""
    several = not job.is_search and all("framework: pytorch" in task.config for task in job.tasks)
    options = {
        "job-name": f"lab-{job.job}", "partition": server.partition, "account": server.account,
        "cpus-per-task": server.cpus or "", "mem": server.memory, "time": server.time_limit,
        "gres": f"gpu:{server.gpus}" if server.gpus else "", "signal": "B:USR1@90" if server.time_limit else "",
        "open-mode": "append",
    }  # fmt: skip
    sbatch = [f"--{key}={value}" for key, value in options.items() if value]
    return {
        "job": job.job, "how": how, "environment": server.environment, "setup": list(server.setup),
        "sbatch": [*sbatch, *(["--requeue"] if server.requeue else ["--no-requeue"]), *server.sbatch],
        "requeue": server.requeue, "processes": server.gpus if several else 1,
        "tasks": [
            {
                "config": task.config, "tags": dict(task.tags), "links": list(task.links), "runs": list(task.runs),
                "search": dict(task.search),
            }
            for task in job.tasks
        ],
    }  # fmt: skip
