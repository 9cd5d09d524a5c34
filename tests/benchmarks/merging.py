"""Merging MLflow stores: six of them beside the public mlflow-export-import; time and memory of a growing course.

    python -m tests.benchmarks merging                      # courses of 5 and 10 groups; with FULL=1 of 20 as well
    python -m tests.benchmarks.merging 50 100 200           # as many groups of 20 runs, 100 epochs, 20 metrics

mlflow-export-import 1.2 is installed from PyPI into an environment of its own for the comparison, with the package
`tabulate` that it forgets to ask for; where no registry can be reached, only our own figures are given.
"""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.other_merge import compare_fidelity, export_and_import

GROUPS, EXPERIMENTS, RUNS, EPOCHS, METRICS, FIGURES = 6, 2, 4, 20, 8, 3
_SIZES = (5, 10, 20) if os.environ.get("FULL") else (5, 10)
_PRINT_COST = """
import time
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), time.process_time())
"""
_MERGE = (
    """
import shutil, sys, time
from pathlib import Path
from instructor.collect.counting import count_rows, known_runs
from instructor.collect.filling import fill_store
from instructor.collect.merge import add_store, settle_points

stores, target, scratch, empty = map(Path, sys.argv[1:5])
target.mkdir()
shutil.copyfile(empty, target / "mlflow.db")
sent = {}
for source in sorted(stores.iterdir()):
    unpacked, filled = scratch / source.name, scratch / f"{source.name}-filled"
    shutil.copytree(source, unpacked, copy_function=shutil.copyfile)  # the originals stay as they are
    filled.mkdir()
    shutil.copyfile(empty, filled / "mlflow.db")
    assert not fill_store(unpacked, filled, 100_000_000).left_out
    sent[source] = count_rows(filled, known_runs(filled))
    add_store(filled, target, target, source.name)
settle_points(target)
for source, counts in sent.items():
    arrived = count_rows(target, known_runs(source))
    assert counts == arrived, (counts, arrived)
"""
    + _PRINT_COST
)


def measure(scratch: Path) -> Iterator[tuple]:
    """Six stores, then courses of growing size, into SQLite and PostgreSQL."""
    folder = scratch / "merging"
    (folder / "stores").mkdir(parents=True)
    empty = make_empty(folder)
    for number in range(GROUPS):
        make_store_with_mlflow(folder / "stores" / f"group-{number + 1}")
    ours: list[float] = []

    def merge_again() -> None:
        """Ours, in turn with the other's steps: this machine is not equally busy at all times."""
        ours.append(_merge(folder, empty, f"merged-{len(ours)}").seconds)
        shutil.rmtree(folder / f"scratch-merged-{len(ours) - 1}")

    for _ in range(3):
        merge_again()  # the first fills caches
    other = export_and_import(folder, merge_again)
    seconds = statistics.median(ours[1:])
    yield "merge: six stores of 8 runs", seconds, "s"
    if other is not None:
        yield "merge: the same by mlflow-export-import 1.2", other.seconds, "s"
        yield "merge: ours over mlflow-export-import", seconds / other.seconds, "ratio", 0.01
    for line in compare_fidelity(folder / "stores", folder / "merged-1", other):
        print(line, file=sys.stderr)
    yield from measure_growth(folder, empty, _SIZES)


def measure_growth(folder: Path, empty: Path, sizes: tuple[int, ...]) -> Iterator[tuple]:
    """Courses of so many groups, with 20 runs, 100 epochs and 20 metrics each.

    The ratio is one of processor time: so long a merge meets hours at which this machine is busy with other things.
    """
    spent = {}
    for groups in sizes:
        course = folder / f"course-{groups}"
        for number in range(groups):
            make_large_store(course / "stores" / f"group-{number + 1:03d}", empty, day=number // GROUPS)
        cost = _merge(course, empty, "merged")
        spent[groups] = cost.processor_s
        yield f"merge: {groups} groups x 20 runs x 100 epochs x 20 metrics", cost.seconds, "s"
        yield f"merge: memory for {groups} groups", cost.memory_mb, "MB", 500
        yield from _measure_postgres(course, groups)
        shutil.rmtree(course)
    low, high = sizes[-2:]
    yield (
        f"merge: processor time a group, {high} over {low} groups",
        spent[high] / high / (spent[low] / low),
        "ratio",
        1.5,
    )


def _measure_postgres(course: Path, groups: int) -> Iterator[tuple]:
    from tests.postgres import start_postgres

    script = (
        "import sys; from pathlib import Path; from instructor.collect.publish import publish\n"
        "done = publish(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), lambda *_: lambda: None)\n"
        "assert not done.faults and not done.conflicts, done\n" + _PRINT_COST
    )
    with start_postgres() as address:
        nothing = course / "nothing"
        shutil.copytree(course / "merged", nothing, ignore=shutil.ignore_patterns("mlartifacts"))
        with closing(sqlite3.connect(nothing / "mlflow.db")) as store, store:
            store.execute("DELETE FROM tags")  # a database without groups: MLflow's tables are made, nothing is added
        _run(script, nothing, address, course / "files")
        cost = _run(script, course / "merged", address, course / "files")
    yield f"merge: {groups} groups into PostgreSQL", cost.seconds, "s"
    yield f"merge: memory for {groups} groups into PostgreSQL", cost.memory_mb, "MB", 500


@dataclass(frozen=True)
class Cost:
    """What a process took, and its largest memory."""

    seconds: float
    processor_s: float
    memory_mb: float


def _merge(folder: Path, empty: Path, name: str) -> Cost:
    scratch = folder / f"scratch-{name}"
    scratch.mkdir()
    return _run(_MERGE, folder / "stores", folder / name, scratch, empty)


def _run(script: str, *arguments: object) -> Cost:
    """What a script costs in a Python process of its own."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    memory, processor = done.stdout.split()
    return Cost(time.perf_counter() - started, float(processor), int(memory) / 1000)


def make_empty(folder: Path) -> Path:
    """The database of an empty store."""
    from instructor.collect.stores import make_store

    make_store(folder / "empty", folder / "empty", folder)
    return folder / "empty" / "mlflow.db"


def make_store_with_mlflow(store: Path) -> None:
    """A store as MLflow makes it: two experiments of four runs with figures, datasets and a model of 2 MB each."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param

    from lab_code.tracking.tracker import open_store

    client = open_store(store)
    png, model = os.urandom(20_000), os.urandom(2_000_000)
    for experiment in ("skin-lesions", "own-ideas")[:EXPERIMENTS]:
        known = client.get_experiment_by_name(experiment)
        place = (store / "mlartifacts" / experiment).resolve().as_uri()
        number = known.experiment_id if known else client.create_experiment(experiment, artifact_location=place)
        for index in range(RUNS):
            run = client.create_run(number, run_name=f"run-{index}", tags={"group": store.name, "note": "größe"})
            run_id = run.info.run_id
            now = int(time.time() * 1000)
            metrics = [Metric(f"m{m}", m + 1 / (e + 1), now, e) for m in range(METRICS) for e in range(EPOCHS)]
            client.log_batch(run_id, metrics=metrics, params=[Param(f"p{p}", str(p)) for p in range(40)])
            data = Dataset("training", "abc", source_type="local", source="{}", profile="{}")
            client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
            at = store / "files"
            at.mkdir(exist_ok=True)
            for figure in range(FIGURES):
                (at / f"figure-{figure}.png").write_bytes(png)
            (at / "weights.safetensors").write_bytes(model)
            client.log_artifacts(run_id, str(at))
            made = client.create_logged_model(number, "small_cnn", source_run_id=run_id, params={"width": "8"})
            client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
            client.finalize_logged_model(made.model_id, "READY")
            client.set_terminated(run_id, ("FINISHED", "FAILED", "KILLED", "FINISHED")[index])
    shutil.rmtree(store / "files")


def make_large_store(store: Path, empty: Path, runs: int = 20, day: int = 0) -> None:
    """The rows that MLflow would write, without waiting for it: run after run, in a class on this day."""
    epochs, metrics = 100, 20
    store.mkdir(parents=True)
    shutil.copyfile(empty, store / "mlflow.db")
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        for number in range(runs):
            run_id, begun = uuid.uuid4().hex, 1_700_000_000_000 + 86_400_000 * day + 90_000 * number
            place = f"mlartifacts/skin-lesions/{run_id}/artifacts"
            database.execute(
                "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri,"
                " experiment_id) VALUES (?, 'run', 'FINISHED', 1, 2, 'active', ?, 1)",
                (run_id, place),
            )
            points = [
                (f"metric-{m}", e / 100, begun + 600 * e, run_id, e, 0) for m in range(metrics) for e in range(epochs)
            ]
            database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", points)
            database.executemany(
                "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
                ((f"metric-{m}", 0.99, 99, 99, run_id) for m in range(metrics)),
            )
            database.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                ((f"p{p}", "1", run_id) for p in range(40)),
            )


def main() -> None:
    """The sizes that are named: print what they take."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        for row in measure_growth(Path(scratch), make_empty(Path(scratch)), tuple(map(int, sys.argv[1:]))):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
