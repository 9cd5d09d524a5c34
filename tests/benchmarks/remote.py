"""A run on a server beside the same run here: what the way there and back costs, and how little is sent again."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.far_server import make_far_server, why_no_server

_REPEATS = 3 if os.environ.get("FULL") else 2
_RUN = ("trainer.epochs=1", "trainer.threads=1")


def measure(scratch: Path) -> Iterator[tuple]:
    """The kit is one of those that the benchmark of provisioning has built."""
    if why := why_no_server(slurm=True):
        print(f"not measured: a server with Slurm ({why})")
        return
    root = scratch / "sent-kit"
    shutil.copytree(next((scratch / "build" / "kits").iterdir()), root)
    server = make_far_server(slurm=True)
    try:
        entry = server.entry(queue="slurm", cpus=1)
        (root / "servers.yaml").write_text(json.dumps({"servers": {"box": entry}}), encoding="utf-8")
        yield "train --on: the first time, photographs included", _train(root, "first", "--on", "box"), "s"
        pairs = [(_train(root, f"here-{n}"), _train(root, f"there-{n}", "--on", "box")) for n in range(_REPEATS)]
        overhead = statistics.median(there - here for here, there in pairs)
        yield "train --on a server with Slurm, over the same run here", overhead, "s", 8.0
        with (root / "lab_code" / "metrics.py").open("a", encoding="utf-8") as file:
            file.write("# one line more\n")
        yield "train --on: sent again after a changed line", _count_sent(root, "again", "--on", "box") / 1000, "kB", 100
    finally:
        server.tidy()


def _train(root: Path, name: str, *more: str) -> float:
    started = time.perf_counter()
    _run(root, name, *more)
    return time.perf_counter() - started


def _count_sent(root: Path, name: str, *more: str) -> float:
    """Bytes, photographs and all."""
    found = re.search(r"([\d.]+) (kB|MB) sent", _run(root, name, *more))
    assert found, "lab has not said how much was sent"
    return float(found[1]) * {"kB": 1e3, "MB": 1e6}[found[2]]


def _run(root: Path, name: str, *more: str) -> str:
    command = [sys.executable, str(root / "lab"), "train", *more, *_RUN, f"name={name}"]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr
