"""`lab start` until both pages answer, and its memory, beside JupyterLab and MLflow's server as they come.

And what a notebook costs a training run: the live table, and everything that is written down about the run.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
from jupyter_client.manager import start_new_kernel

_REPEATS = 2 if os.environ.get("FULL") else 1  # both figures with a goal are less than half of it
_PATIENCE_S = 120


def measure(scratch: Path) -> Iterator[tuple]:
    """Uses the kits that provisioning has just built in `scratch`."""
    ours, usual = [], []
    for repeat in range(_REPEATS):
        kit = scratch / f"desk-{repeat}"
        shutil.copytree(scratch / "build" / "kits" / "group-1", kit, ignore=shutil.ignore_patterns("*.jpg"))
        usual.append(_usual(kit))
        for name in ("mlflow.db", "mlruns", "mlartifacts"):
            shutil.rmtree(kit / name) if (kit / name).is_dir() else (kit / name).unlink(missing_ok=True)
        ours.append(_ours(kit))
    yield "start: lab start, both pages answer", statistics.median(s for s, _ in ours), "s"
    yield "start: JupyterLab and MLflow as they come", statistics.median(s for s, _ in usual), "s"
    yield "start: time over that", statistics.median(a / b for (a, _), (b, _) in zip(ours, usual, strict=True)), "", 0.6
    yield "start: memory of lab start", statistics.median(m for _, m in ours) / 1e6, "MB"
    yield "start: memory as they come", statistics.median(m for _, m in usual) / 1e6, "MB"
    yield (
        "start: memory over that",
        statistics.median(a / b for (_, a), (_, b) in zip(ours, usual, strict=True)),
        "",
        0.35,
    )

    yield from _measure_display(scratch / "build" / "kits" / "group-1")


_TRAIN = """
import os, sys, time
from pathlib import Path
os.chdir(".."); sys.path.insert(0, os.getcwd())
from lab_code.notebook.live_table import LiveTable
from lab_code.notebook import lab
from lab_code.tracking.runs import read_runs
spent, show = 0.0, LiveTable._show
def timed(self):
    global spent
    started = time.perf_counter()
    show(self)
    spent += time.perf_counter() - started
LiveTable._show = timed
started = time.perf_counter()
lab("train name=shown")
total = time.perf_counter() - started
print("FIGURES", spent, read_runs(Path("."))[-1].metrics["time/tracking_s"], total)
"""


def _measure_display(kit: Path) -> Iterator[tuple]:
    """A default experiment in a real kernel, whose messages really go out."""
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(kit / "notebooks"))
    said: list[str] = []
    try:
        client.execute_interactive(
            _TRAIN, timeout=600, output_hook=lambda m: said.append(m["content"].get("text", "")), stdin_hook=None
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    display_s, tracking_s, total_s = map(float, "".join(said).split("FIGURES")[1].split()[:3])
    yield "notebook: a default experiment", total_s, "s"
    yield "notebook: live display over that", display_s / total_s, ""
    yield "notebook: live display and tracking over that", (display_s + tracking_s) / total_s, "", 0.03


def _ours(kit: Path) -> tuple[float, float]:
    started = time.perf_counter()
    command = [sys.executable, "lab", "start", "--no-browser"]
    process = subprocess.Popen(command, cwd=kit, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout or ():
        if "Ctrl-C stops them" in line:
            break
    seconds = time.perf_counter() - started
    memory = _memory([process.pid])
    subprocess.run([*command[:3], "--stop"], cwd=kit, check=True, capture_output=True)
    process.communicate()
    return seconds, memory


def _usual(kit: Path) -> tuple[float, float]:
    ports = [_free_port(), _free_port()]
    commands = [
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port", str(ports[0])],
        [sys.executable, "-m", "mlflow", "server", "--port", str(ports[1])],
    ]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}  # what it would send is no part of the comparison
    started = time.perf_counter()
    processes = [
        subprocess.Popen(c, cwd=kit, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for c in commands
    ]
    for address in (f"http://127.0.0.1:{ports[0]}/api", f"http://127.0.0.1:{ports[1]}/health"):
        _wait(address)
    seconds = time.perf_counter() - started
    time.sleep(5)  # its further processes start after the page answers
    memory = _memory([process.pid for process in processes])
    for process in processes:
        for member in psutil.Process(process.pid).children(recursive=True):
            member.kill()
        process.kill()
        process.wait()
    return seconds, memory


def _memory(pids: list[int]) -> float:
    """Bytes of these processes and all they have started; shared pages are counted once."""
    family = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return float(sum(process.memory_full_info().pss for process in family))


def _wait(address: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
