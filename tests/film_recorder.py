"""Records the film's scenes for real: `make film RECORD=1`, or `python -m tests.film_recorder`.

A laptop's shell and the shell of a server (a real sshd with a real Slurm behind it, `tests/far_server.py`) are typed
into by pexpect, and asciinema writes down what they show; MLflow's real page is photographed in Chromium. What was
measured goes into facts.json. All of it happens in namespaces of its own, with a host name, accounts and folders of
their own, so that a recording says nothing of the machine that it was made on. It needs root, Slurm, an sshd, and kits.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pexpect

from instructor.film.script import FACTS, RECORDINGS, SCRIPT, Film, Scene, Step
from instructor.schema import read_yaml
from instructor.vault import Vault
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.tracking.runs import Run, read_runs
from tests.conftest import PROJECT
from tests.far_server import FarServer, make_far_server, why_no_server
from tests.film_pictures import photograph
from tests.film_said import list_said

FOLDER = PROJECT / "docs" / "film"
_KITS = PROJECT / "build" / "kits"
COLUMNS, ROWS = 80, 17
PROMPT = r"(laptop|gpu1)\$ $"
KEYS = {"ctrl-c": "\x03"}
_PATIENCE_S = 150
_HOME, _LAPTOP = Path("/home/lab"), Path("/home/student/lab-kit")
_INSIDE = "LAB_FILM_INSIDE"
_UNSHARE = ["unshare", "--uts", "--mount", "--propagation", "private"]
# A cluster's own settings: squeue as it fits into a line.
_PROFILE = "PS1='gpu1$ '; export SQUEUE_FORMAT='%.6i %.9P %.19j %.3t %.6M %R'; bind 'set enable-bracketed-paste off'\n"
_SERVER = {
    "host": "gpu1", "folder": "lab-kit", "environment": "/opt/lab", "cpus": os.cpu_count(), "time_limit": "00:04:00",
}  # fmt: skip


def main() -> int:
    """Record everything, or say what is missing."""
    why = why_no_server(slurm=True) or ("" if any(_KITS.glob("*/kit.json")) else "there are no kits (make provision)")
    if why:
        print(
            f"error: the scenes cannot be recorded here: {why}\nhint: make film draws what is recorded", file=sys.stderr
        )
        return 1
    if _INSIDE not in os.environ:
        command = [*_UNSHARE, sys.executable, "-m", "tests.film_recorder"]
        return subprocess.run(command, env={**os.environ, _INSIDE: "1"}, cwd=PROJECT).returncode
    with _own_world(), _server() as server:
        record_all(server)
    return 0


@contextmanager
def _own_world() -> Iterator[None]:
    """A host called gpu1, an account called lab, and folders that are gone with this process."""
    socket.sethostname("gpu1")
    for place in ("/home", "/opt"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=8g", "tmpfs", place], check=True)
    for folder in (_HOME / ".ssh", _LAPTOP.parent, Path("/home/.server")):
        folder.mkdir(parents=True)
    etc = Path("/home/.etc")  # all of it: whoever adds an account elsewhere renames the file, which ends a mount on it
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    accounts = "lab:x:0:0::/home/lab:/bin/bash\nother:x:4321:4321::/home:/bin/bash\n"
    (etc / "passwd").write_text(accounts + Path("/etc/passwd").read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
    (Path("/opt") / "lab").symlink_to(sys.prefix)
    tempfile.tempdir = "/home/.server"
    Path("/home/.inputrc").write_text("set enable-bracketed-paste off\n", encoding="utf-8")
    (_HOME / ".bash_profile").write_text(_PROFILE, encoding="utf-8")
    yield


@contextmanager
def _server() -> Iterator[FarServer]:
    server = make_far_server(slurm=True)
    try:
        server.box.stop()
        server.box.user = "lab"
        assert server.cluster
        conf = server.cluster.environment["SLURM_CONF"]
        settings = f"PermitRootLogin prohibit-password\nPrintMotd no\nPrintLastLog no\nSetEnv SLURM_CONF={conf}\n"
        server.box.start(settings)
        known = (server.folder / "known_hosts").read_text(encoding="utf-8").split(" ", 1)[1]
        (_HOME / ".ssh" / "known_hosts").write_text(f"gpu1 {known}", encoding="utf-8")
        (_HOME / ".ssh" / "config").write_text(
            f"Host gpu1\n  HostName {server.box.host}\n  Port {server.box.port}\n  User lab\n  HostKeyAlias gpu1\n"
            f"  IdentityFile {server.folder}/key\n  LogLevel ERROR\n",
            encoding="utf-8",
        )
        yield server
    finally:
        server.tidy()


@dataclass
class Set:
    """Where the scenes are played: the laptop's kit, the server, and what was measured so far."""

    server: FarServer
    facts: dict[str, Any] = field(default_factory=dict)

    def lab(self, *arguments: str) -> None:
        subprocess.run([sys.executable, str(_LAPTOP / "lab"), *arguments], cwd=_LAPTOP, check=True, env=environment())

    def occupy(self) -> None:
        """Somebody else's job has the whole machine."""
        assert self.server.cluster
        command = [
            "sbatch",
            "-c",
            str(os.cpu_count()),
            "-J",
            "resnet",
            "-t",
            "5",
            "-o",
            "/dev/null",
            "--wrap",
            "sleep 290",
        ]
        subprocess.run(command, check=True, user=4321, cwd="/", env=os.environ | self.server.cluster.environment,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def release(self) -> None:
        assert self.server.cluster
        self.server.cluster.ask("scancel", "--name", "resnet")


def record_all(server: FarServer) -> None:
    """Every terminal scene in its order, since each goes on from the one before; then MLflow's pages."""
    film = read_yaml(FOLDER / SCRIPT, Film)
    group = min(path.parent.name for path in _KITS.glob("*/kit.json"))
    shutil.copytree(_KITS / group, _LAPTOP)
    stage = Vault(PROJECT / "build").read_key()[group][0]
    scenery = Set(server)
    scenery.lab("unlock", "--stage", stage["stage"], "--answers", stage["answers"])
    scenery.lab("train", "experiment=baseline", "name=on-the-laptop")
    (_LAPTOP / "servers.yaml").write_text(_describe_server(), encoding="utf-8")
    before: dict[str, Callable[[], None]] = {"start": scenery.occupy, "follow": scenery.release}
    folder = Path(tempfile.mkdtemp())  # until all of it is there
    for scene in film.scenes:
        if scene.kind == "terminal":
            print(f"recording {scene.name} …", file=sys.stderr)
            before.get(scene.name, lambda: None)()
            write_whole(folder / f"{scene.name}.cast", record(scene))
    casts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.cast"))}
    facts = measure(casts, read_runs(_LAPTOP))
    print("photographing MLflow …", file=sys.stderr)
    terminals = [scene for scene in film.scenes if scene.kind == "terminal"]
    facts |= {"said": list_said(folder, terminals), "mlflow": metadata.version("mlflow")}
    facts |= photograph(_LAPTOP, folder, environment())
    for path in sorted(folder.iterdir()):
        write_whole(FOLDER / RECORDINGS / path.name, path.read_bytes())
    write_whole(FOLDER / RECORDINGS / FACTS, to_json(facts))


def _describe_server() -> str:
    lines = "\n".join(
        f"    {key}: {json.dumps(value) if ':' in str(value) else value}" for key, value in _SERVER.items()
    )
    return f"servers:\n  gpu1:\n{lines}\n"


def environment() -> dict[str, str]:
    """What the laptop's shell has: nothing of whoever records."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "HOME": str(_HOME), "TERM": "xterm-256color", "LANG": "C.UTF-8",
        "SHELL": "/bin/bash", "PS1": "laptop$ ", "INPUTRC": "/home/.inputrc", "TMPDIR": "/home/.server",
    }  # fmt: skip


def record(scene: Scene) -> str:
    """Type the scene's steps into a real shell; returns the recording as asciicast."""
    path = Path(tempfile.mkdtemp()) / "scene.cast"
    shell = "bash --noprofile --norc -i"
    arguments = ["rec", "-q", "--stdin", "--cols", str(COLUMNS), "--rows", str(ROWS), "-c", shell, str(path)]
    terminal = pexpect.spawn(
        f"{sys.prefix}/bin/asciinema", arguments, env=environment(), cwd=str(_LAPTOP), encoding="utf-8",
        dimensions=(ROWS, COLUMNS), timeout=_PATIENCE_S,
    )  # fmt: skip
    terminal.expect(PROMPT)
    for step in scene.steps:
        time.sleep(0.6)
        type_step(terminal, step)
    time.sleep(0.5)
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.close()
    return tidy(path.read_text(encoding="utf-8"), scene)


def type_step(terminal: Any, step: Step) -> None:
    """As a calm person types; then wait for what it brings."""
    for number, letter in enumerate(step.type):
        terminal.send(letter)
        time.sleep(0.05 + 0.03 * (number * 7 % 5) / 4)
    time.sleep(0.4)
    terminal.send(KEYS[step.press] if step.press else "\r")
    if terminal.expect([step.until or PROMPT, PROMPT, pexpect.TIMEOUT]) and step.until:
        raise LabError(f"'{step.type or step.press}' did not show '{step.until}', but: {terminal.before[-400:]}")


def tidy(text: str, scene: Scene) -> str:
    """Without when and where it was recorded; what was typed becomes a marker at which each step begins."""
    lines = [json.loads(line) for line in text.splitlines()]
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": scene.title}
    events: list[list[Any]] = []
    steps, begins = iter(scene.steps), True
    for at, kind, said in lines[1:]:
        if kind == "i" and said != "\x04":
            if begins and (step := next(steps, None)):
                events.append([round(at, 3), "m", step.type or step.press])
            begins = said in ("\r", *KEYS.values())
        elif kind == "o":
            events.append([round(at, 3), "o", said])
    while events and events[-1][2].strip() in ("exit", ""):
        events.pop()
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [header, *events])


def measure(casts: dict[str, str], runs: list[Run]) -> dict[str, Any]:
    """The figures that the film speaks of, from what was shown and from the runs that came home."""
    first, here = (next(run for run in runs if run.name == name) for name in ("on-gpu1", "on-the-laptop"))
    sent = {name: re.findall(r"([\d.]+) ([MkG]B) sent", text) for name, text in casts.items()}
    job, cpu = first.tags["machine.job"], first.tags["machine.device"] == "cpu"
    return {
        "run_s": round(first.seconds or 0), "score": f"{first.metrics['best_balanced_accuracy']:.3f}",
        "server": first.tags["machine.server"], "cores": _SERVER["cpus"], "device": first.tags["machine.device"],
        "processor": "a processor" if cpu else "a GPU", "other": "a GPU" if cpu else "a processor",
        "gpu": "this server has no GPU" if cpu else "and a GPU",
        "here_score": f"{here.metrics['best_balanced_accuracy']:.3f}",
        "first_mb": sent["start"][0][0], "again_kb": sent["follow"][0][0], "wait_s": _waited(first, job),
    }  # fmt: skip


def _waited(run: Run, job: str) -> int:
    """Seconds between sending it and its beginning."""
    about = json.loads((_LAPTOP / ".lab" / "jobs" / f"{job}.json").read_text(encoding="utf-8"))
    sent = time.mktime(time.strptime(about["sent_at"], "%Y-%m-%dT%H:%M:%S"))
    return round(run.started_ms / 1000 - sent)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        print(f"error: {error.message}\nhint: {error.hint or 'what is recorded stays as it was'}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit("interrupted: what is recorded stays as it was")
