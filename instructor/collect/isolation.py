"""Work on foreign files in processes of their own, each with limits on time and memory.

    outcomes = run_isolated([Job(read_handin, (path, folder))], limits)

A process that takes too long, needs too much, or dies is named with the reason, and the others go on. What comes back
is JSON, never a pickle: a process that has read a hostile file is not believed more than the file.
"""

import errno
import json
import multiprocessing
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from instructor.collect.disk import is_disk_full
from instructor.workshop import HandinLimits
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.interrupts import hold_interrupts

_LOOK_EVERY_S = 0.05
_MOST_AT_ONCE = 4
_LONGEST_ANSWER = 50_000_000  # bytes of JSON
_WARM = ["instructor.collect.reading", "instructor.collect.evaluate"]  # imported once, before the processes part
_HOW_TO_RAISE = "where that is honest work, raise limits in workshop.yaml"


@dataclass(frozen=True)
class Job:
    """A function of a module, and arguments that can be pickled; what it returns must be JSON."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    scratch: Path | None = None  # what it writes; removed where it fails


@dataclass(frozen=True)
class Outcome:
    """What a job returned, or why it did not."""

    value: Any = None
    error: str | None = None
    disk_full: bool = False  # ours: no fault of the job


def describe_fault(error: BaseException) -> str:
    """Why something of a hand-in could not be used, in one line."""
    if isinstance(error, LabError):
        return one_line(f"{error.message} (hint: {error.hint})" if error.hint else error.message, 500)
    if isinstance(error, MemoryError):
        return "it needs more memory than a hand-in may"
    if isinstance(error, OSError):
        return one_line(error, 500)
    return one_line(f"unexpected {type(error).__name__}: {error}", 500)


def run_isolated(
    jobs: Sequence[Job], limits: HandinLimits, advance: Callable[[], object] = lambda: None
) -> list[Outcome]:
    """The outcome of every job, in their order; `advance` is called after each.

    Several run at once, one a core. Nothing that a job does can stop the others; only our own full disk stops them all,
    with an OSError.
    """
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
    if os.name != "nt":
        context.set_forkserver_preload(_WARM)
    workers = max(1, min(_MOST_AT_ONCE, os.cpu_count() or 1, len(jobs)))
    threads = max(1, (os.cpu_count() or 1) // workers)
    waiting: deque[tuple[int, Job]] = deque(enumerate(jobs))
    active: dict[int, _Worker] = {}
    outcomes = [Outcome()] * len(jobs)
    try:
        while waiting or active:
            while waiting and len(active) < workers:
                number, job = waiting.popleft()
                with hold_interrupts():  # none is started that nobody knows of
                    active[number] = _Worker(context, job, limits, threads)
            wait([worker.answers for worker in active.values()], _LOOK_EVERY_S)
            for number in list(active):
                outcome = active[number].look()
                if outcome is not None:
                    active.pop(number).end()
                    if outcome.disk_full:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    outcomes[number] = outcome
                    _tidy(jobs[number], outcome)
                    advance()
    finally:
        for worker in active.values():
            worker.end()
    return outcomes


def _tidy(job: Job, outcome: Outcome) -> None:
    """What a failed job has written takes room that the others may need."""
    if outcome.error and job.scratch:
        shutil.rmtree(job.scratch, ignore_errors=True)


class _Worker:
    """One process at work."""

    def __init__(self, context: Any, job: Job, limits: HandinLimits, threads: int) -> None:
        self.answers, theirs = context.Pipe(duplex=False)
        self._limits = limits
        self._process = context.Process(target=_work, args=(theirs, job, limits, threads), daemon=True)
        with _without_main():
            self._process.start()
        theirs.close()
        self._ends = time.monotonic() + limits.seconds

    def look(self) -> Outcome | None:
        """What came out of it; None while it works."""
        if self.answers.poll():
            return self._read()
        if time.monotonic() > self._ends:
            return Outcome(error=f"it took longer than {self._limits.seconds} seconds ({_HOW_TO_RAISE})")
        if not self._process.is_alive():
            if self.answers.poll():  # its last word came after the first look
                return self._read()
            return Outcome(error=f"its process ended without a word (exit code {self._process.exitcode})")
        if self._memory_mb() > self._limits.memory_mb:
            return Outcome(error=f"it needed more than {self._limits.memory_mb} MB of memory ({_HOW_TO_RAISE})")
        return None

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.answers.close()

    def _read(self) -> Outcome:
        try:
            return Outcome(**json.loads(self.answers.recv_bytes(_LONGEST_ANSWER)))
        except (EOFError, OSError, ValueError, TypeError):
            self._process.join(1)
            if self._process.exitcode is None:
                return Outcome(error="it brings more than can be told in one answer")
            return Outcome(error=f"its process ended without a word (exit code {self._process.exitcode})")

    def _memory_mb(self) -> float:
        with suppress(psutil.Error):
            return psutil.Process(self._process.pid).memory_info().rss / 1e6
        return 0


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep `multiprocessing` from importing the program that starts a process into that process.

    Nothing there needs it, it takes a third of a second, and a script without the usual guard would begin anew.
    """
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        del main.__spec__
        vars(main).update(kept)


def _work(answers: Connection, job: Job, limits: HandinLimits, threads: int) -> None:
    """What happens in the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who waits; that one ends this
    _limit_process(limits)
    threading.Thread(target=_end_with_the_waiting, args=(answers,), daemon=True).start()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    else:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        answer: dict[str, Any] = {"value": job.function(*job.arguments)}
        text = json.dumps(answer)
    except BaseException as error:
        text = json.dumps({"error": describe_fault(error), "disk_full": is_disk_full(error)})
    answers.send_bytes(text.encode())


def _end_with_the_waiting(answers: Connection) -> None:
    """End this process where the one that waits for its answer is gone: it was killed, and kills nobody any more."""
    if not hasattr(select, "poll"):
        return  # Windows: such a process ends by itself, or with the session
    watch = select.poll()
    watch.register(answers.fileno(), 0)  # an end of a pipe that nobody reads is always told
    watch.poll()
    os._exit(1)


def _limit_process(limits: HandinLimits) -> None:
    """What the system itself watches over, where it can; whoever waits watches time and memory on every system."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what a library prints about a foreign file is not for the instructor's terminal
        os.dup2(silent, stream)
    with suppress(ImportError):  # Windows
        import resource

        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_FSIZE, 2 * limits.unpacked_mb * 1_000_000)
        _lower(resource.RLIMIT_CPU, (limits.seconds + 5) * (os.cpu_count() or 1))
        if sys.platform == "linux":
            _lower(resource.RLIMIT_AS, psutil.Process().memory_info().vms + (limits.memory_mb + 1000) * 1_000_000)


def _lower(kind: int, value: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
