"""Training seen in a notebook: a bar with the time that is left, and a table that grows by one line an epoch.

`LiveTable` has the methods of `ProgressBar` and takes its place where a notebook looks (`in_notebook()`). It is one
output that is replaced at most twice a second, so that it costs training nothing.
"""

import html
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lab_code.cli.progress_bar import describe_epoch
from lab_code.training.reporter import Reporter

if TYPE_CHECKING:
    from lab_code.training.trainer import EpochResult

_PAUSE_S = 0.5  # between two pictures
_BAR_EM = 8  # width of the bar that stands for a score of 1
_HEADINGS = ("epoch", "loss", "accuracy", "balanced accuracy", "", "seconds")


class LiveTable(Reporter):
    """`with LiveTable("baseline"): …`; `publish(html, text)` is called with every new picture."""

    def __init__(self, name: str, publish: Callable[[str, str], object] | None = None) -> None:
        self._name, self._publish = name, _make_output() if publish is None else publish
        self._notes: list[str] = []
        self._results: list[EpochResult] = []
        self._doing, self._done, self._total, self._before = "is getting ready …", 0, 0, 0
        self._started = self._shown = 0.0
        self._show()

    def __enter__(self) -> "LiveTable":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        stopped = "stopped" if kind is not None and issubclass(kind, KeyboardInterrupt) else "failed"
        state = "finished" if kind is None else stopped
        self._doing, self._total = f"{state} after {self._count_epochs()}", 0
        self._show()

    def start(self, steps: int, past: Sequence["EpochResult"] = (), epochs: int = 1) -> Callable[[], object]:
        """Begin, after the `past` epochs of a run that goes on; the returned function is called after every step."""
        self._results = list(past)
        return self._begin("training", "step", steps, steps * len(past) // epochs)

    def start_reading(self, photographs: int) -> Callable[[], object]:
        """Begin to decode; the returned function is called after every photograph."""
        return self._begin("reading the photographs", "photograph", photographs)

    def note(self, text: str) -> None:
        """A line that is not an epoch."""
        self._notes.append(text)
        self._show()

    def show_epoch(self, result: "EpochResult") -> None:
        """One line more."""
        self._results.append(result)
        self._show()

    def _begin(self, doing: str, unit: str, total: int, done: int = 0) -> Callable[[], object]:
        self._doing, self._total, self._done, self._before = f"{doing}: {unit}", total, done, done
        self._started = time.monotonic()

        def advance() -> None:
            self._done += 1
            if time.monotonic() - self._shown >= _PAUSE_S:
                self._show()

        return advance

    def _show(self) -> None:
        self._shown = time.monotonic()
        self._publish(self._to_html(), self._to_text())

    def _say(self) -> str:
        if not self._total:
            return self._doing
        left = ""
        if self._done > self._before:
            pace = (time.monotonic() - self._started) / (self._done - self._before)
            minutes, seconds = divmod(round(pace * (self._total - self._done)), 60)
            left = f" · {minutes}:{seconds:02d} left"
        return f"{self._doing} {self._done} of {self._total}{left}"

    def _count_epochs(self) -> str:
        count = len(self._results)
        return f"{count} epoch" if count == 1 else f"{count} epochs"

    def _to_text(self) -> str:
        return "\n".join([f"{self._name}: {self._say()}", *self._notes, *map(describe_epoch, self._results)])

    def _to_html(self) -> str:
        name = html.escape(self._name)
        bar = f'<progress value="{self._done}" max="{self._total}" aria-label="{name}"></progress> '
        notes = "".join(f"<div><small>{html.escape(note)}</small></div>" for note in self._notes)
        return f"<div><b>{name}</b> {bar if self._total else ''}{html.escape(self._say())}</div>{notes}{self._table()}"

    def _table(self) -> str:
        if not self._results:
            return ""
        best = max(self._results, key=lambda result: result.metrics["balanced_accuracy"])
        rows = "".join(f"<tr>{_row(result, result is best)}</tr>" for result in self._results)
        headings = "".join(f'<th scope="col">{heading}</th>' if heading else "<td></td>" for heading in _HEADINGS)
        return f"<table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>"


def _row(result: "EpochResult", is_best: bool) -> str:
    score = result.metrics["balanced_accuracy"]
    bar = (
        f'<span style="display:inline-block;height:0.7em;width:{_BAR_EM * score:.2f}em;background:#2b6cb0"></span>'
        f"{' best' if is_best else ''}"
    )
    cells = [f"{result.train_loss:.3f}", f"{result.metrics['accuracy']:.3f}", f"{score:.3f}"]
    numbers = "".join(f"<td>{cell}</td>" for cell in [str(result.epoch), *cells])
    return f'{numbers}<td style="text-align:left;min-width:{_BAR_EM + 6}em">{bar}</td><td>{result.seconds:.1f}</td>'


def _make_output() -> Callable[[str, str], object]:
    """One output of the cell that runs, which every call replaces."""
    from IPython.display import display

    handle: Any = None

    def publish(page: str, text: str) -> None:
        nonlocal handle
        data = {"text/html": page, "text/plain": text}
        if handle is None:
            handle = display(data, raw=True, display_id=True)
        else:
            handle.update(data, raw=True)

    return publish
