"""A progress bar for training: on stderr, with the newest scores, silent where no terminal looks."""

import sys
from collections.abc import Callable

from tqdm import tqdm

from lab_code.trainer import EpochResult


class ProgressBar:
    """`with ProgressBar(): …`; prints one line per epoch as well, so that a log or a notebook shows something."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm | None = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, steps: int, epochs_done: int = 0, epochs: int = 1) -> Callable[[], object]:
        """Begin; the returned function is called after every step."""
        done = steps * epochs_done // epochs
        quiet = not sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=done, desc=self._name, unit="step", file=sys.stderr, disable=quiet)
        return self._bar.update

    def note(self, text: str) -> None:
        """A line that is not an epoch."""
        tqdm.write(text, file=sys.stderr)

    def show_epoch(self, result: EpochResult) -> None:
        """One line an epoch, above the bar."""
        text = (
            f"epoch {result.epoch:>3}  loss {result.train_loss:.3f}  accuracy {result.metrics['accuracy']:.3f}"
            f"  balanced accuracy {result.metrics['balanced_accuracy']:.3f}  {result.seconds:.1f} s"
        )
        tqdm.write(text, file=sys.stderr)
