"""Collect in processes that end at chosen instants, as by `kill -9`: `python -m … BUILD PLACE COUNT SEED`.

Every touch of a file below BUILD is an instant. A child is forked for each, from the same warm process; whatever one
left is what the next begins with. Prints, as JSON, how many instants there are and what was wrong after each of them.
"""

import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

import torch

from instructor.collect import collect, gather, handins
from instructor.collect.collect import collect_handins
from instructor.collect.counting import count_rows
from instructor.results import show
from instructor.results.figures import FIGURES
from instructor.results.results import Results
from lab_code.files import write_whole
from lab_code.tracking.runs import read_runs
from tests.conftest import make_small_workshop, no_progress
from tests.instructor.collect.conftest import run_here

TOUCHES = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "sqlite3.connect"}


def collect_until(build: Path, place: Path, instant: int | None) -> int:
    """Collect in a child that ends at this instant; returns how many there were where it lived to the end."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        touched = 0

        def watch(event: str, arguments: tuple) -> None:
            nonlocal touched
            if event in TOUCHES and str(build) in str(arguments[0]):
                touched += 1
                if touched == instant:
                    os._exit(9)

        sys.addaudithook(watch)
        try:
            collect_handins(make_small_workshop(), [place], build, no_progress)
        finally:
            os.write(writer, str(touched).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return int(said or 0)


def describe(build: Path) -> dict[str, object]:
    """What was collected: the rows and files of every run."""
    store = build / "collected"
    runs = {run.run_id: count_rows(store, [run.run_id]) for run in read_runs(store)}
    originals = sorted(path.stem for path in (build / "inbox").glob("*.zip"))
    return {"runs": runs, "originals": originals, "leaderboard": (store / "leaderboard.csv").is_file()}


def find_faults(build: Path, whole: dict[str, object]) -> list[str]:
    """What is wrong at this instant: a store that is there is whole, and so is every original."""
    faults = [
        f"{path.name} is no whole file"
        for path in (build / "inbox").glob("*.zip")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
    ]
    there = (build / "collected").is_dir()
    return faults + (["the collected store is not whole"] if there and describe(build) != whole else [])


def forget(build: Path) -> None:
    for name in ("collected", "inbox"):
        shutil.rmtree(build / name)


def draw_quickly(results: Results, folder: Path) -> list[Path]:
    """A figure's files, at once: drawing takes longer than all else in collecting, and touches nothing meanwhile."""
    for name in ("runs.png", "runs.pdf"):
        write_whole(folder / FIGURES / name, b"drawn")
    return [folder / FIGURES / "runs.png"]


def main(build: Path, place: Path, count: int, seed: int) -> None:
    torch.set_num_threads(1)  # others would be missing in the children
    for module in (collect, gather, handins):
        module.run_isolated = run_here
    show.write_figures = draw_quickly
    collect_handins(make_small_workshop(), [place], build, no_progress)  # from now on everything is imported
    forget(build)
    instants = collect_until(build, place, None)
    whole = describe(build)
    forget(build)
    chosen = sorted(random.Random(seed).sample(range(1, instants), min(count, instants - 1)))
    faults = {}
    for instant in chosen:
        collect_until(build, place, instant)
        faults[instant] = find_faults(build, whole)
    collect_until(build, place, None)
    left = [path.name for path in build.iterdir() if path.name.startswith(".")]
    print(json.dumps({
        "instants": instants, "killed": len(chosen), "faults": {key: value for key, value in faults.items() if value},
        "complete": describe(build) == whole, "left": left, "runs": len(whole["runs"]),
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
