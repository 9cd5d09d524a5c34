"""The default experiments as a student types them, and what they spend on anything but training."""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from instructor.vault import Vault
from lab_code.tracking.runs import read_runs

_REPEATS = 7
_LOAD = """
import sys, time
from pathlib import Path
from lab_code.data.lesions import load_lesions
started = time.perf_counter()
load_lesions(Path(sys.argv[1]), 64)
print(time.perf_counter() - started)
"""
_MEMORY = """
import re, sys
from pathlib import Path
from lab_code.config import compose_config
from lab_code.experiment import load_split
from lab_code.frameworks import build_learner
def memory(what):  # Linux's own account of this process: rusage would also count the one that started it
    return int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
config = compose_config(["data.image_size=128"])
learner = build_learner(config)
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = memory("VmRSS")
train, validation, _ = load_split(config, Path(sys.argv[1]))
print((memory("VmHWM") - before) / (train.images.nbytes + validation.images.nbytes))
"""


def measure(scratch: Path) -> Iterator[tuple]:
    """Uses the kits that provisioning has just built in `scratch`."""
    kit = scratch / "experiments"
    shutil.copytree(scratch / "build" / "kits" / "group-2", kit)
    for entry in Vault(scratch / "build").read_key()["group-2"]:
        _time([sys.executable, "lab", "unlock", "--answers", entry["answers"]], kit)
    cold = float(_run([sys.executable, "-c", _LOAD, "data"], kit))
    warm = statistics.median(float(_run([sys.executable, "-c", _LOAD, "data"], kit)) for _ in range(_REPEATS))
    yield "data: first start, every photograph decoded", cold, "s"
    yield "data: second start, from the cache", warm, "s", 1.0
    for size in (64, 128):  # the cache of 128 pixels is made here, outside of what is measured
        _run([sys.executable, "-c", _LOAD.replace("64", str(size)), "data"], kit)
    yield (
        "data: peak memory over the uint8 photographs",
        float(_run([sys.executable, "-c", _MEMORY, "."], kit)),
        "ratio",
        2.5,
    )
    before = {run.run_id for run in read_runs(kit)}  # of one epoch, by the benchmark of collecting
    for name in ("baseline", "balanced"):
        seconds = _time([sys.executable, "lab", "train", f"experiment={name}"], kit)
        yield f"experiment: {name}, from command to prompt", seconds, "s", 60.0
    for run in (run for run in read_runs(kit) if run.run_id not in before):
        share = run.metrics["time/tracking_s"] / (run.seconds or 1)
        yield f"experiment: {run.name}, MLflow's calls over all of it", share, "ratio", 0.02
    help_s, typer_s = [], []
    for _ in range(_REPEATS):
        typer_s.append(_time([sys.executable, "-c", "import typer"], kit))
        help_s.append(_time([sys.executable, "-m", "lab_code.cli", "--help"], kit))
    ratios = [mine / other for mine, other in zip(help_s, typer_s, strict=True)]
    yield "lab --help", statistics.median(help_s), "s"
    yield "lab --help over importing typer", statistics.median(ratios), "ratio", 2.0


def _run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]


def _time(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started
