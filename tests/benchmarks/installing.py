"""A kit's environment from the wheelhouse: by uv, beside pip without compiling."""

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from instructor.workshop import read_workshop
from lab_code.workshop.environment import Source, make_environment, run_quietly, venv_program
from lab_code.workshop.install import unpack_uv
from lab_code.workshop.wheelhouse import find_faults, read_wheelhouse, this_platform
from tests.wheel_files import make_wheelhouse

_REPEATS = 2 if os.environ.get("FULL") else 1  # pip takes half a minute


def measure(scratch: Path) -> Iterator[tuple]:
    """The kit is one of those that the benchmark of provisioning has built; the wheels are all real ones."""
    folder, group = scratch / "wheels", read_workshop().groups[0]
    make_wheelhouse(folder)
    root = scratch / "laptop"
    shutil.copytree(scratch / "build" / "kits" / group, root)
    wheelhouse, seconds = read_wheelhouse(folder), dict[str, list[float]](uv=[], pip=[])
    started = time.perf_counter()
    assert not find_faults(wheelhouse, this_platform(), root)
    yield "install: comparing the wheelhouse with its listing", time.perf_counter() - started, "s"
    for _ in range(_REPEATS):
        with unpack_uv(wheelhouse, this_platform(), root) as source:
            seconds["uv"].append(_install(root, source))
        seconds["pip"].append(_install(root, Source(folder)))
    uv, pip = (statistics.median(seconds[name]) for name in ("uv", "pip"))
    yield "install: a kit's environment by uv", uv, "s"
    yield "install: by uv, over pip without compiling", uv / pip, "ratio", 0.5


def _install(root: Path, source: Source) -> float:
    if (root / ".venv").exists():
        (root / ".venv").rename(root.parent / f"venv-{time.monotonic_ns()}")
    started = time.perf_counter()
    make_environment(root, set(), run_quietly(root), source=source)
    seconds = time.perf_counter() - started
    assert Path(venv_program(root, "lab")).is_file()
    return seconds
