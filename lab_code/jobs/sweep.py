"""Many runs at once: every combination of several values, as children of one parent run in MLflow.

`plan_sweep` says which runs there would be and which are done already; `run_sweep` trains the rest, each in a process
of its own, several at a time where there are cores. A sweep that was stopped goes on with the same command: finished
runs stay, stopped ones are resumed. Ctrl-C, and the signal that asks a program to end, end the running ones and begin
no other.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from lab_code.config import Config, expand_sweep
from lab_code.errors import LabError
from lab_code.jobs.parting import Parted, Parting
from lab_code.limits import plain_name
from lab_code.tracking.interrupts import hear_termination
from lab_code.tracking.runs import Run, can_resume, name_own_experiment, read_runs
from lab_code.tracking.tracker import TrackedRun, track_group

_AT_ONCE = 4  # at most, unless it is asked for: every run needs about a gigabyte of memory
_GRACE_S, _LAST_S = 5, 2  # for a run to write down where it was stopped; for one that does not, to be ended


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its changes, and where it stands."""

    text: str  # the changes, as they are typed
    overrides: list[str]
    run_id: str | None = None  # of the run that is finished already
    stopped: str | None = None  # of a run to go on with


@dataclass(frozen=True)
class SweepPlan:
    """All runs of a sweep; `parent` is the run that holds them, where an earlier try made one."""

    name: str
    key: str
    jobs: list[Job]
    parent: str | None


@dataclass(frozen=True)
class SweepOutcome:
    """The finished runs, best first, and (changes, reason) of those that failed."""

    runs: list[Run]
    failed: list[tuple[str, str]]
    hint: str = "the same command trains only what is missing"


def plan_sweep(store: Path, changes: Sequence[str], compose: Callable[[list[str]], Config]) -> SweepPlan:
    """Every combination, checked: a wrong key or value is a `LabError` before anything is trained."""
    combinations = expand_sweep(changes)
    if len(combinations) < 2:
        raise LabError("a sweep needs a key with several values", hint="lab sweep optimizer.lr=1e-3,1e-2 seed=0,1")
    fixed = set.intersection(*map(set, combinations))
    key = json.dumps(list(changes))
    runs = read_runs(store)
    parent = next((run.run_id for run in reversed(runs) if run.tags.get("sweep") == key), None)
    children = {run.tags.get("sweep.job"): run for run in runs if run.tags.get("mlflow.parentRunId") == parent}
    jobs, names = [], set()
    for overrides in combinations:
        config = compose(overrides)
        own = [override for override in overrides if override not in fixed]
        text = " ".join(own)
        before = children.get(text) if parent else None
        done = before is not None and before.status == "FINISHED"
        name = "-".join([config.name, *map(_shorten, own)])
        named = overrides if any(o.startswith("name=") for o in overrides) else [*overrides, f"name={plain_name(name)}"]
        if not any(o.startswith("trainer.threads=") for o in overrides):
            named = [*named, "trainer.threads=1"]  # small networks: several runs beside each other beat several threads
        jobs.append(
            Job(
                text,
                named,
                run_id=before.run_id if before and done else None,
                stopped=before.run_id if before and not done and can_resume(store, before) else None,
            )
        )
        names.add(config.name)
    return SweepPlan(f"sweep of {', '.join(sorted(names))}", key, jobs, parent)


def run_sweep(store: Path, plan: SweepPlan, tags: Mapping[str, str], at_once: int | None = None) -> SweepOutcome:
    """Train what is missing; `at_once` runs at a time (default: one for each core, at most four).

    What stops it, Ctrl-C above all, stops its runs as well, and the run that holds them is KILLED.
    """
    todo = [job for job in plan.jobs if job.run_id is None]
    at_once = choose_at_once(at_once)
    failed: list[tuple[str, str]] = []
    group = track_group(store, name_own_experiment(store), plan.name, {**tags, "sweep": plan.key}, plan.parent)
    with hear_termination(), Parting(store, wanted=bool(todo)) as parting, group as parent:
        done, quiet = len(plan.jobs) - len(todo), not sys.stderr.isatty()
        bar = tqdm(total=len(plan.jobs), initial=done, unit="run", file=sys.stderr, disable=quiet)
        with bar, ThreadPoolExecutor(at_once) as pool, Children(store, parting=parting) as children:
            waiting = {pool.submit(_train, children, job, parent.run_id): job for job in todo}
            for future in as_completed(waiting):
                job, (seconds, reason) = waiting[future], future.result()
                tqdm.write(f"{job.text}: {reason or 'finished'} ({seconds:.0f} s)", file=sys.stderr)
                bar.update()
                if reason:
                    failed.append((job.text, reason))
        finished = note_best(store, parent)
    return SweepOutcome(finished, failed)


def choose_at_once(asked: int | None) -> int:
    """How many runs are trained at a time."""
    return asked or min(os.cpu_count() or 1, _AT_ONCE)


@contextmanager
def hold_sweep(store: Path, name: str, key: str, tags: Mapping[str, str]) -> Iterator[str]:
    """The id of the run that holds a sweep, made where there is none; its best child is noted at the end."""
    before = next((run.run_id for run in reversed(read_runs(store)) if run.tags.get("sweep") == key), None)
    with track_group(store, name_own_experiment(store), name, {**tags, "sweep": key}, before) as parent:
        yield parent.run_id
        note_best(store, parent)


def list_finished(store: Path, parent: str) -> list[Run]:
    """The finished runs of a sweep, best first."""
    runs = [run for run in read_runs(store) if run.tags.get("mlflow.parentRunId") == parent]
    finished = [run for run in runs if run.status == "FINISHED" and "best_balanced_accuracy" in run.metrics]
    return sorted(finished, key=lambda run: (-run.metrics["best_balanced_accuracy"], run.started_ms))


def note_best(store: Path, parent: TrackedRun) -> list[Run]:
    """The same; the parent says which is the best."""
    finished = list_finished(store, parent.run_id)
    if finished:
        parent.log_metrics({"highest_balanced_accuracy": finished[0].metrics["best_balanced_accuracy"]})
        parent.set_tag("sweep.best", finished[0].tags["sweep.job"])
    return finished


class Children:
    """The processes of a sweep. Whatever ends the block early ends them too, and none is started after that."""

    def __init__(self, store: Path, program: Sequence[str] = (), parting: Parting | None = None) -> None:
        """`program` is a module, and its arguments, that is run instead of `lab`, from where this process is."""
        self._place = None if program else store
        self._program, self._parting = list(program) or ["lab_code.cli"], parting
        self._running, self._stopped = set[subprocess.Popen[str] | Parted](), False
        self._lock = threading.Lock()

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self._stop()

    def run(self, arguments: list[str]) -> tuple[int, str]:
        """Run `lab` with these arguments to its end; returns its exit code and what it wrote to stderr."""
        with self._lock:
            if self._stopped:
                return 1, "error: stopped before it began"
            process = self._start(arguments)
            self._running.add(process)
        _, errors = process.communicate()
        with self._lock:
            self._running.discard(process)
        return process.returncode or 0, errors

    def _start(self, arguments: list[str]) -> subprocess.Popen[str] | Parted:
        module, *given = [*self._program, *arguments]
        parted = self._parting.start(module, given) if self._parting else None
        return parted or subprocess.Popen(
            [sys.executable, "-m", module, *given],
            cwd=self._place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=None if os.name == "nt" else 0,  # Ctrl-C reaches them through `_stop` only, and once
        )

    def _stop(self) -> None:
        """Ask all to end as Ctrl-C does, wait, and end those that have not; a second Ctrl-C does not wait."""
        with self._lock:
            self._stopped, running = True, list(self._running)
        try:
            if running:
                print(f"stopping what is being trained ({len(running)}) …", file=sys.stderr)
            for ask, patience in ((_interrupt, _GRACE_S), (_terminate, _LAST_S)):
                until = time.monotonic() + patience
                running = [process for process in running if process.poll() is None]
                for process in running:
                    ask(process)
                for process in running:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(max(0, until - time.monotonic()))
        finally:
            for process in running:
                process.kill()  # of one that has ended nothing is killed


def _interrupt(process: subprocess.Popen[str] | Parted) -> None:
    if os.name != "nt":  # there, the console has told them all
        process.send_signal(signal.SIGINT)


def _terminate(process: subprocess.Popen[str] | Parted) -> None:
    process.terminate()


def _train(children: Children, job: Job, parent: str) -> tuple[float, str]:
    """One run in a process of its own; returns seconds, and the reason where it failed."""
    if job.stopped:
        arguments = ["resume", job.stopped]
    else:
        arguments = ["train", *job.overrides, "--parent", parent, "--job", job.text]
    started = time.perf_counter()
    code, said = children.run(arguments)
    reason = ""
    if code:
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        reason = errors[-1].removeprefix("error: ") if errors else f"exit code {code}"
    return time.perf_counter() - started, reason


def _shorten(override: str) -> str:
    """`optimizer.lr=0.001` as part of a name: `lr-0.001`."""
    key, _, value = override.partition("=")
    return f"{key.rpartition('.')[2]}-{value}"
