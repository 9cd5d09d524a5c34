"""One benchmark, measured: its figures, and how long each of them took.

    figures = take("training", training.measure, Path("scratch"))

A benchmark yields (name, value, unit) or (name, value, unit, goal). What one of its threads raises ends it with that
error: without what the thread was to do, it would end with another one, or with a wrong figure.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import times
from pathlib import Path

TOOK, WORKED = ": took", ": processor time of that"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    goal: float | None  # at most this
    holds: bool | None
    benchmark: str
    seconds: float  # since the figure before


def take(name: str, measure: Callable[[Path], Iterator[tuple]], scratch: Path) -> list[Figure]:
    """The figures of one benchmark, and what it took to measure them."""
    began, worked = time.perf_counter(), _processor_s()
    before, figures = began, []
    with _threads_that_raise_end_it():
        for row in measure(scratch):
            figures.append(judge(name, time.perf_counter() - before, *row))
            before = time.perf_counter()
    took_s = time.perf_counter() - began
    return [
        *figures,
        judge(name, 0, name + TOOK, took_s, "s"),
        judge(name, 0, name + WORKED, _processor_s() - worked, "s"),
    ]


def judge(benchmark: str, seconds: float, name: str, value: float, unit: str, goal: float | None = None) -> Figure:
    """A figure that holds where it is at most its goal."""
    holds = None if goal is None else value <= goal
    return Figure(name, round(value, 4), unit, goal, holds, benchmark, round(seconds, 1))


@contextmanager
def _threads_that_raise_end_it() -> Iterator[None]:
    raised: list[BaseException] = []
    usual = threading.excepthook

    def keep(thread: threading.ExceptHookArgs) -> None:
        raised.append(thread.exc_value or thread.exc_type())

    threading.excepthook = keep
    try:
        yield
    finally:
        threading.excepthook = usual
        if raised:
            raise raised[0]


def _processor_s() -> float:
    """Of this process and of those it has waited for; what runs in the background is not among them."""
    return sum(times()[:4])
