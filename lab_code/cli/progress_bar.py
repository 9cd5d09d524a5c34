"""Progress bars: on stderr, silent where no terminal looks; that of training says the newest scores.

Whoever can show a run in another way says so with `report_by`, as the notebook does.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from lab_code.plots.live_run import EpochLine, describe_line
from lab_code.training.reporter import Reporter

if TYPE_CHECKING:
    from lab_code.training.trainer import EpochResult


class _Bar(tqdm):  # type: ignore[type-arg]  # tqdm is no generic class when it runs
    """One that looks at the clock in every step: without a thread beside it a process can part at any time."""

    monitor_interval = 0


def start_bar(title: str, total: int, unit: str = "it", done: int = 0, delay: float = 1.0) -> "tqdm[NoReturn]":
    """A bar that appears after `delay` seconds, so that short work shows none; its `update` advances it."""
    return _Bar(
        total=total, initial=done, desc=title, unit=unit, delay=delay, miniters=1, file=sys.stderr,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip


class ProgressBar(Reporter):
    """`with ProgressBar("baseline"): …`; prints one line an epoch as well, so that a log shows something."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, steps: int, past: Sequence["EpochResult"] = (), epochs: int = 1) -> Callable[[], object]:
        """Begin, after the `past` epochs of a run that goes on; the returned function is called after every step."""
        self._bar = start_bar(self._name, steps, "step", done=steps * len(past) // epochs, delay=0)
        return self._bar.update

    def start_reading(self, photographs: int) -> Callable[[], object]:
        """Begin to decode; the returned function is called after every photograph."""
        bar = start_bar("photographs", photographs, "photo")

        def advance() -> None:
            bar.update()
            if bar.n == bar.total:
                bar.close()

        return advance

    def note(self, text: str) -> None:
        """A line that is not an epoch."""
        tqdm.write(text, file=sys.stderr)

    def show_epoch(self, result: "EpochResult") -> None:
        """One line an epoch, above the bar."""
        tqdm.write(describe_epoch(result), file=sys.stderr)


def describe_epoch(result: "EpochResult") -> str:
    """One line: what an epoch brought."""
    scores = result.metrics
    line = (result.epoch, result.train_loss, scores["accuracy"], scores["balanced_accuracy"], result.seconds)
    return describe_line(EpochLine(*line))


_make_reporter: Callable[[str], Reporter] = ProgressBar


def report_by(make: Callable[[str], Reporter]) -> None:
    """Let `make(name)` show the runs of this process from now on."""
    global _make_reporter
    _make_reporter = make


def make_reporter(name: str) -> Reporter:
    """What shows a run of this name while it goes on."""
    return _make_reporter(name)
