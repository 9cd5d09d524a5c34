"""Whoever shows a run while it goes on: a bar in a terminal, a table in a notebook. This one shows nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab_code.training.trainer import EpochResult


class Reporter:
    """`with reporter.begin_run(store, run_id):` while it trains; `start_reading` and `note` may be called before."""

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The run has ended, with an error of this kind or with none."""

    def start_reading(self, photographs: int) -> Callable[[], object]:
        """Photographs are being decoded; what is returned is called after each."""
        return _show_nothing

    def note(self, text: str) -> None:
        """A line that is not an epoch."""

    def begin_run(self, store: Path, run_id: str) -> "Reporter":
        """The store has the run, where everybody can look at it from now on; returns the reporter itself."""
        return self

    def show_again(self, store: Path, run_id: str) -> None:
        """Show a run that is not trained here: it is finished, or another process trains it."""

    def start(self, steps: int, past: "Sequence[EpochResult]" = (), epochs: int = 1) -> Callable[[], object]:
        """Training begins, after the `past` epochs of a run that goes on; what is returned is called after each step.

        `steps` are those of all `epochs` together.
        """
        return _show_nothing

    def show_epoch(self, result: "EpochResult") -> None:
        """An epoch is complete."""

    def is_enough(self, result: "EpochResult") -> bool:
        """Whether the run shall end after this epoch, before its time: a search says so of what leads nowhere."""
        return False


def _show_nothing() -> None:
    """A step was made, or a photograph read."""
