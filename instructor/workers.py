"""Processes that work beside this one: they draw photographs and make locks.

    with open_workers() as workers:
        drawn = workers.submit(write_block, drawing, 0)     # returns at once
        drawn.result()

They are started when there is work for them, by spawning, as on every system: forking a program that has threads may
hang. Ctrl-C is the affair of whoever started them. On Linux they ask for large pages of memory: a key derivation goes
to and fro over a quarter of a gigabyte, and takes a quarter less then.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from lab_code.errors import LabError
from lab_code.tracking.interrupts import hold_interrupts

_MOST = 6  # of them, each with a quarter of a gigabyte when it derives a key
_MEMORY = "GLIBC_TUNABLES"  # what glibc is told at the start of a program; other systems do not read it
_LARGE_PAGES = "glibc.malloc.hugetlb=1"

T = TypeVar("T")


class Workers:
    """As many processes as there are cores, at most six."""

    def __init__(self) -> None:
        count = min(os.cpu_count() or 1, _MOST)
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_ignore_interrupts)

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have it done after all that was submitted before; a process is started for it where none is idle."""
        with _deaf_children(), _large_pages():
            return self._pool.submit(work, *arguments)

    def close(self) -> None:
        """Give up what has not been begun, and wait for the rest."""
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def open_workers() -> Iterator[Workers]:
    """Workers that are closed at the end. Raises `LabError` where one of them was ended from outside."""
    workers = Workers()
    try:
        yield workers
    except BrokenProcessPool as error:
        raise LabError(
            "a process that draws photographs or makes locks was ended from outside",
            hint="where memory is short, the system does that: close other programs, then: make provision",
        ) from error
    finally:
        workers.close()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started in here never hear Ctrl-C, which is the parent's affair; the parent hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where `_ignore_interrupts` has to do
        yield
        return
    with hold_interrupts():  # other threads may hear it too: the mask, which the processes inherit, is this thread's
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _large_pages() -> Iterator[None]:
    """What is set already stays."""
    before = os.environ.get(_MEMORY)
    os.environ[_MEMORY] = _LARGE_PAGES if before is None else before
    try:
        yield
    finally:
        if before is None:
            del os.environ[_MEMORY]


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
