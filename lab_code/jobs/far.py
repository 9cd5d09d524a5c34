"""What happens on a server: this file is read by the Python there, whatever its version, and needs nothing else.

It travels with every call (`ssh.Line`), so both sides always speak the same. Every answer is one marked line of JSON;
anything else that a shell there prints is passed over. A server's folder holds

    code/              the kit's code as it was sent last, and the environment (.venv) where none was named
    files/             photographs, sent once
    jobs/<job>/        one call of `lab`: the code as it was then, and tasks/<number>/ with one run each

`worker.py` trains there, and writes `ended.json` as its last word.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035 - what old Pythons know as well

MARK = "\x1elab "
FORMAT = 1  # of job.json
OLDEST = (3, 11)
_QUEUE_S, _LOOK_S, _START_S, _GONE_S = 2.0, 0.3, 60.0, 6.0
_HOPELESS = (
    "BadConstraints|PartitionTimeLimit|PartitionNodeLimit|PartitionDown|PartitionInactive|JobHeld|DependencyNeverSatisfied"
    "|QOS.*PerJob|Assoc.*PerJob|MaxWallDuration|AccountNotAllowed|QOSNotAllowed|InvalidAccount|InvalidQOS|launch failed"
    "|AssocGrp\\w*Minutes|QOSGrp\\w*Minutes"
)
_REFUSALS = (
    ("partition", "its queue knows no such partition", "check partition in servers.yaml; sinfo lists them"),
    ("account or partition|[Aa]ccount", "its queue does not take the account", "check account in servers.yaml"),
    ("time limit", "its queue does not allow so long a time", "lower time_limit in servers.yaml; sinfo says how much"),
    ("node configuration|gres|GRES|[Mm]emory", "its queue has no machine with what was asked for",
     "check gpus, cpus and memory in servers.yaml; sinfo -o '%P %G %c %m' lists what there is"),
    ("QOS|limit", "its queue allows no more jobs of yours", "wait until some are over: lab jobs"),
    ("Unable to contact|connect failure", "its queue does not answer", "ask who runs it, or write queue: process"),
    ("nrecognized option|nknown option|nvalid .*option", "sbatch does not know an option",
     "check sbatch in servers.yaml"),
)  # fmt: skip


class FarError(Exception):
    """What cannot be done here, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def main(command: str, request: str) -> None:
    """Answer one call: a line for every value."""
    try:
        for value in COMMANDS[command](**json.loads(request)):
            _say({"value": value})
    except FarError as error:
        _say({"error": error.message, "hint": error.hint})
    except OSError as error:
        full = error.errno in (28, 122)
        hint = "free some room there, then again" if full else "check folder in servers.yaml"
        _say({"error": str(error), "hint": hint})


def _say(value: Any) -> None:
    try:
        sys.stdout.write(MARK + json.dumps(value) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):  # nobody listens any more
        os._exit(0)


def look(base: str, environment: str, sizes: dict[str, int], spare: int, job: str = "") -> Iterator[dict[str, Any]]:
    """What is here: Python, room, a queue; the folder is made, so that it is known to be possible."""
    if sys.version_info < OLDEST and not environment:
        found = ".".join(map(str, sys.version_info[:2]))
        hint = "name a newer one in servers.yaml (python: python3.12), or load one (setup: [module load …])"
        raise FarError(f"its Python is {found}, and the kit needs 3.11 or newer", hint)
    place = _place(base)
    for part in ("code", "files", "jobs"):
        (place / part).mkdir(parents=True, exist_ok=True)
    if job:  # what its tasks go on from may come before it
        (place / "jobs" / job / "tasks").mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(str(place)).free
    needed = spare + sum(max(0, size - _size(place / "files" / name)) for name, size in sizes.items())
    if free < needed:
        text = f"its disk has {free / 1e6:.0f} MB left, and this needs {needed / 1e6:.0f} MB"
        raise FarError(text, "free some room there, or name another folder in servers.yaml")
    yield {
        "place": str(place), "host": socket.gethostname(), "slurm": bool(shutil.which("sbatch")),
        "tmux": bool(shutil.which("tmux")), "versions": _versions(environment) if environment else {},
        "submitted": bool(job) and (place / "jobs" / job / "submitted.json").is_file(), "now": time.time(),
        "files": {name: describe_files(place / "files" / name) for name in sizes},
    }  # fmt: skip


def describe_files(path: Path) -> str:
    """A digest of a file, or of all in a folder: names, bytes and seconds, by which rsync tells what has changed.

    Where both sides have the same there is nothing to copy, and no list of thousands of names to send.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*")) if path.is_dir() else []
    digest = hashlib.sha256()
    for file in files:
        if file.is_file() and ".cache" not in file.relative_to(path).parts:
            status = file.stat()
            line = [file.relative_to(path).as_posix(), status.st_size, int(status.st_mtime)]
            digest.update(json.dumps(line).encode("utf-8"))
    return digest.hexdigest()


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*") if path.is_dir() else []
    return sum(file.stat().st_size for file in files if file.is_file())


def setup(base: str) -> Iterator[str]:
    """Make or mend the environment beside the code, as `./lab setup` does; says its lines."""
    code = _place(base) / "code"
    command = [sys.executable, "-u", "lab_code/workshop/environment.py"]
    child = subprocess.Popen(
        command, cwd=str(code), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout
    lines: list[str] = []
    for line in child.stdout:
        lines.append(line.decode("utf-8", "replace").rstrip())
        if lines[-1].endswith("…"):
            yield lines[-1]
    if child.wait():
        error = next((text[7:] for text in lines if text.startswith("error: ")), lines[-1] if lines else "?")
        hint = next((text[6:] for text in lines if text.startswith("hint: ")), "")
        raise FarError("the environment cannot be made: " + error, hint)
    yield ""


def _versions(environment: str) -> dict[str, str]:
    """What an environment that is there has installed."""
    python = _place(environment) / "bin" / "python"
    ask = "import importlib.metadata as m, json; print(json.dumps({n: m.version(n) for n in ('mlflow', 'torch')}))"
    try:
        done = subprocess.run([str(python), "-c", ask], capture_output=True)
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if not done.returncode:
            return dict(json.loads(done.stdout.decode()))
        reason = said[-1] if said else f"exit code {done.returncode}"
    except OSError as error:
        reason = str(error)
    hint = "check environment in servers.yaml, or leave it out: then the kit makes its own"
    raise FarError(f"the environment {environment} cannot be used: {reason}", hint)


def submit(base: str, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lay a job down and give it to the queue; one that is there already is left alone."""
    place = _place(base)
    folder = place / "jobs" / job["job"]
    if not (folder / "submitted.json").is_file():
        _lay_down(place, folder, job)
        _write(folder / "submitted.json", json.dumps({"how": job["how"], "id": _give(folder, job), "at": time.time()}))
    yield _read(folder / "submitted.json")


def _lay_down(place: Path, folder: Path, job: dict[str, Any]) -> None:
    """The code as it is now, by hard links (later copies replace files, and never write into them), and the tasks."""
    for source in sorted((place / "code").rglob("*")):
        name = source.relative_to(place / "code")
        if name.parts[0] == ".venv" or "__pycache__" in name.parts or not source.is_file():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            try:
                os.link(str(source), str(target))
            except OSError:  # a disk that knows no links
                shutil.copy2(str(source), str(target))
    for number, task in enumerate(job["tasks"]):
        root = folder / "tasks" / str(number)
        root.mkdir(parents=True, exist_ok=True)
        _write(root / "task.json", json.dumps(task))
        if task["runs"] and not (root / "run.json").is_file():
            _write(root / "run.json", json.dumps({"run": task["runs"][0]}))
        for name in [".lab", *task["links"]]:
            inside = folder / name if name == ".lab" else place / "files" / name
            if not os.path.lexists(str(root / name)) and inside.exists():
                os.symlink(str(inside), str(root / name))
    _write(folder / "job.json", json.dumps({"format": FORMAT, **{k: v for k, v in job.items() if k != "tasks"}}))
    _write(folder / "job.sh", _write_script(place, folder, job))


def _write_script(place: Path, folder: Path, job: dict[str, Any]) -> str:
    """The job as a script, which one can read there and give to the queue by hand."""
    count = len(job["tasks"])
    options = list(job["sbatch"])
    if job["how"] == "slurm":
        options += ["--output=" + str(folder / "queue-%a.log" if count > 1 else folder / "queue.log")]
        options += [f"--array=0-{count - 1}"] if count > 1 else []
    python = _place(job["environment"]) / "bin" / "python" if job["environment"] else place / "code/.venv/bin/python"
    return "\n".join([
        "#!/bin/bash -l", *("#SBATCH " + option for option in options),
        *(line + " || exit 96" for line in job["setup"]),
        "cd " + shlex.quote(str(folder)),
        "exec {} -m lab_code.jobs.worker {} ${{SLURM_ARRAY_TASK_ID:-all}}".format(shlex.quote(str(python)), job["job"]),
        "",
    ])  # fmt: skip


def _give(folder: Path, job: dict[str, Any]) -> str:
    """Let the job begin, by the queue or beside it; returns what the queue calls it."""
    script = str(folder / "job.sh")
    if job["how"] == "slurm":
        done = subprocess.run(["sbatch", "--parsable", script], cwd=str(folder), capture_output=True)
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode:
            for pattern, meaning, fix in _REFUSALS:
                if re.search(pattern, said):
                    raise FarError(f"{meaning}: {said.splitlines()[-1]}", fix)
            raise FarError(
                "its queue refuses the job: " + (said.splitlines() or ["sbatch said nothing"])[-1], "sbatch " + script
            )
        return done.stdout.decode().strip().split(";")[0]
    if job["how"] == "tmux":
        name = "lab-" + job["job"]
        subprocess.run(["tmux", "new-session", "-d", "-s", name, "bash -l " + shlex.quote(script)], check=True)
    else:
        name = ""
        with open(str(folder / "queue.log"), "ab") as log:
            subprocess.Popen(
                ["bash", "-l", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    until = time.monotonic() + _START_S
    while not list(folder.glob("tasks/*/started.json")):
        if time.monotonic() > until:
            raise FarError("the job does not begin: " + _tail(folder / "queue.log"), "look into " + str(folder))
        time.sleep(0.05)
    return name


def follow(base: str, job: str, seen: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Events of all tasks as they come, how the job stands whenever that changes, and a sign of life in between.

    `seen` says how many bytes of a task's events are known already. Ends when all tasks have.
    """
    folder = _folder(base, job)
    before: Any = None
    looked = spoke = 0.0
    states: dict[str, Any] = {}
    missing = Missing()
    while True:
        now = time.monotonic()
        if now - looked >= _QUEUE_S or _newly_ended(folder, states):
            states, looked = missing.judge(states_of(folder)), now
        for task in _tasks(folder):
            for offset, event in _read_events(task / "events.jsonl", seen.get(task.name, 0)):
                seen[task.name] = offset
                yield {"task": int(task.name), "seen": offset, "event": event}
                spoke = now
        shown = json.dumps(states, sort_keys=True)
        if shown != before or now - spoke > 4:
            before, spoke = shown, now
            yield {"states": states}
        if states and all(state["state"] not in ("waiting", "running") for state in states.values()):
            return
        time.sleep(_LOOK_S)


class Missing:
    """Tasks that the queue does not know any more are given a few seconds to be heard of: disks may be slow to tell."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def judge(self, states: dict[str, Any]) -> dict[str, Any]:
        for name, state in states.items():
            if state["state"] != "gone":
                self._since.pop(name, None)
            elif time.monotonic() - self._since.setdefault(name, time.monotonic()) < _GONE_S:
                states[name] = {**state, "state": "running"}
        return states


def _newly_ended(folder: Path, states: dict[str, Any]) -> bool:
    return any(
        (task / "ended.json").is_file() and states.get(task.name, {}).get("state") in ("waiting", "running")
        for task in _tasks(folder)
    )


def _read_events(path: Path, offset: int) -> Iterator[tuple[int, Any]]:
    """Whole lines behind an offset, each with the offset behind it."""
    if not path.is_file() or path.stat().st_size <= offset:
        return
    with open(str(path), "rb") as file:
        file.seek(offset)
        for line in file.read().splitlines(True):
            if line.endswith(b"\n"):
                offset += len(line)
                yield offset, json.loads(line.decode("utf-8"))


def states_of(folder: Path) -> dict[str, Any]:
    """How every task stands: waiting, running, finished, failed, stopped, timed_out, or gone without a word."""
    given = _read(folder / "submitted.json")
    queue = _ask_queue(given["id"]) if given["how"] == "slurm" else {}
    stopped = (folder / "stop").is_file()
    states: dict[str, Any] = {}
    for task in _tasks(folder):
        queued = queue.get(task.name, queue.get(""))
        ended = _read(task / "ended.json") if (task / "ended.json").is_file() else None
        epoch = _count_epochs(task)
        if ended and not (queued and queued["state"] == "waiting"):
            states[task.name] = {**ended, "epoch": epoch}
        elif queued:
            states[task.name] = {**queued, "epoch": epoch}
        elif given["how"] != "slurm" and _holds_lock(folder / "worker.lock"):
            running = (task / "started.json").is_file()
            states[task.name] = {"state": "running" if running else "waiting", "reason": "its turn", "epoch": epoch}
        else:
            last = _ask_last_state(given) if given["how"] == "slurm" else ""
            states[task.name] = {"state": "stopped" if stopped else "gone", "reason": last, "epoch": epoch}
    return states


def _ask_queue(number: str) -> dict[str, Any]:
    """What Slurm says of a job: by the number of the task, "" for one that is no array."""
    command = ["squeue", "-h", "-r", "-j", number, "-o", "%i|%T|%r"]
    done = subprocess.run(command, capture_output=True)
    if done.returncode and b"Invalid job id" not in done.stderr:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FarError("its queue does not answer: " + (said or ["squeue said nothing"])[-1], "wait, then: lab jobs")
    found: dict[str, Any] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        name, state, reason = line.split("|", 2)
        waiting = state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED")
        if state in ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"):
            continue
        entry = {"state": "waiting" if waiting else "running", "reason": reason if waiting and reason != "None" else ""}
        if waiting and re.search(_HOPELESS, reason):
            entry["hopeless"] = reason
        found[name.partition("_")[2]] = entry
    return found


def _ask_last_state(given: dict[str, Any]) -> str:
    """What Slurm remembers of a job that is over: TIMEOUT, OUT_OF_MEMORY, NODE_FAIL …"""
    done = subprocess.run(["scontrol", "-o", "show", "job", given["id"]], capture_output=True)
    found = re.search(r"JobState=(\w+)", done.stdout.decode("utf-8", "replace"))
    return found.group(1) if found else ""


def _holds_lock(path: Path) -> bool:
    """Whether a process works on this job: the system keeps its lock for as long as it lives."""
    import fcntl

    if not path.is_file():
        return False
    with open(str(path), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _count_epochs(task: Path) -> int:
    """How many epochs are over, those before a stop included."""
    try:
        found = re.findall(rb'"epoch": (\d+)', (task / "events.jsonl").read_bytes())
    except OSError:
        found = []
    return int(found[-1]) if found else 0


def states(base: str, jobs: list[str]) -> Iterator[dict[str, Any]]:
    """How several jobs stand; None for one that is not here."""
    found: dict[str, Any] = {}
    for job in jobs:
        folder = _place(base) / "jobs" / job
        known = (folder / "submitted.json").is_file()
        found[job] = states_of(folder) if known else None
    yield found


def stop(base: str, job: str) -> Iterator[bool]:
    """Ask a job to end: what is being trained writes down where it was."""
    folder = _folder(base, job)
    _write(folder / "stop", "")
    given = _read(folder / "submitted.json")
    if given["how"] == "slurm":
        subprocess.run(["scancel", "--state=PENDING", given["id"]], stderr=subprocess.DEVNULL)
        subprocess.run(["scancel", "--batch", "--signal=TERM", given["id"]], stderr=subprocess.DEVNULL)
    for started in folder.glob("tasks/*/started.json"):
        about = _read(started)
        if given["how"] != "slurm" and _holds_lock(folder / "worker.lock"):
            with contextlib.suppress(OSError):
                os.kill(about["pid"], 15)
            break
    yield True


def pack(base: str, job: str, task: int) -> Iterator[dict[str, str]]:
    """Make what a task has brought ready to be fetched; says the SHA-256 of every file of it.

    Where it was stopped, the checkpoint belongs to it as well.
    """
    root = _folder(base, job) / "tasks" / str(task)
    if (root / "mlflow.db").is_file():
        copy = root / "home.db"
        if not copy.is_file() or copy.stat().st_mtime < (root / "mlflow.db").stat().st_mtime:
            part = root / "home.part"
            if part.exists():
                part.unlink()
            source, target = sqlite3.connect(str(root / "mlflow.db")), sqlite3.connect(str(part))
            source.backup(target)
            source.close()
            target.close()
            os.replace(str(part), str(copy))
    found: dict[str, str] = {}
    for name in ("home.db", "mlartifacts", "checkpoints"):
        inside = root / name
        files = sorted(inside.rglob("*")) if inside.is_dir() else [inside]
        for path in files:
            if path.is_file() and path.name != "lock" and not path.name.endswith(".part"):
                found[path.relative_to(root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    yield found


def forget(base: str, job: str) -> Iterator[bool]:
    """Remove a job that is over and at home."""
    folder = _place(base) / "jobs" / job
    shutil.rmtree(str(folder), ignore_errors=True)
    yield True


def _place(folder: str) -> Path:
    return Path(os.path.expanduser("~")) / folder


def _folder(base: str, job: str) -> Path:
    folder = _place(base) / "jobs" / job
    if not (folder / "submitted.json").is_file():
        raise FarError(f"there is no job {job} on it", "it was removed there; send it again")
    about = _read(folder / "job.json")
    if about.get("format") != FORMAT:
        raise FarError(f"job {job} was sent by another version of the kit", "use that kit, or send it again")
    return folder


def _tasks(folder: Path) -> list[Path]:
    return sorted((folder / "tasks").iterdir(), key=lambda task: int(task.name))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(str(part), str(path))


def _tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    return next((line for line in reversed(lines) if line.strip()), "its log is empty")


COMMANDS: dict[str, Any] = {
    "look": look, "setup": setup, "submit": submit, "follow": follow, "states": states, "stop": stop, "pack": pack,
    "forget": forget,
}  # fmt: skip
