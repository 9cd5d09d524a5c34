"""Six good hand-ins, each read and scored in a process of its own, beside the same work in one process."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_REPEATS = 3
_ONE_PROCESS = """
import shutil, sys, tempfile
from pathlib import Path
from instructor.collect.collect import make_store
from instructor.collect.merge import merge_store
from instructor.collect.finding import Content, find_parcels
from instructor.collect.reading import STORE, read_handin
from instructor.collect.scoring import score_best
from instructor.workshop import read_workshop

build, workshop = Path(sys.argv[1]), read_workshop()
with tempfile.TemporaryDirectory(dir=build) as scratch:
    store, final = Path(scratch) / "collected", build / "collected"
    make_store(store, final, build)
    empty = shutil.copyfile(store / "mlflow.db", Path(scratch) / "empty.db")
    zips = [parcel.path for parcel in find_parcels([build / "kits"])[0] if parcel.path.is_file()]
    for number, path in enumerate(zips):
        folder = Path(scratch) / str(number)
        facts = read_handin(Content(path), folder, workshop, empty)
        assert score_best(folder / STORE, [], build / "vault" / "test")["metrics"]
        assert merge_store(folder / STORE, store, final, facts["group"]) == 1
"""


def measure(scratch: Path) -> Iterator[tuple]:
    """Uses the kits that provisioning has just built in `scratch`."""
    build = scratch / "build"
    with ThreadPoolExecutor(os.cpu_count()) as laptops:
        list(laptops.map(_train_and_hand_in, sorted((build / "kits").iterdir())))
    _time("-c", _ONE_PROCESS, str(build))  # fills caches
    isolated, bare = [], []
    for _ in range(_REPEATS):
        bare.append(_time("-c", _ONE_PROCESS, str(build)))
        shutil.rmtree(build / "inbox", ignore_errors=True)  # everything is new each time
        isolated.append(_time("-m", "instructor.cli", "collect", "--build", str(build)))
    ratios = [mine / other for mine, other in zip(isolated, bare, strict=True)]
    yield "collect: six hand-ins, a process each", statistics.median(isolated), "s"
    yield "collect: the same in one process", statistics.median(bare), "s"
    yield "collect: a process each over one process", statistics.median(ratios), "ratio", 1.3
    yield "collect: six hand-ins to the ceremony, all files written", statistics.median(isolated), "s", 20
    yield (
        "ceremony: ranked and written again",
        _time("-m", "instructor.cli", "ceremony", "--no-open", "--build", str(build)),
        "s",
    )
    yield "report: as PDF", _time("-m", "instructor.cli", "report", "--build", str(build)), "s"


def _train_and_hand_in(kit: Path) -> None:
    for command in (["train", "trainer.epochs=1", "trainer.threads=1", f"seed={kit.name[-1]}"], ["handin"]):
        subprocess.run([sys.executable, "lab", *command], cwd=kit, check=True, capture_output=True)


def _time(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started
