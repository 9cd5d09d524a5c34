"""Training seen in a notebook: a bar with the time that is left, a table that grows by one line an epoch, its curve.

`LiveTable` has the methods of `ProgressBar` and takes its place where a notebook looks (`in_notebook()`). It is one
output that is replaced at most twice a second, so that it costs training nothing. How far the run has come is noted in
the kit as well: a page that was loaded again goes on from there (`live_table.js`), and a finished run is drawn again.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_code.analysis.live import describe_end, find_ghost, name_ghost, view_run
from lab_code.data.ham10000 import HAM10000
from lab_code.plots.live_run import EpochLine, RunView, describe_run, draw_run
from lab_code.tracking.history import write_progress
from lab_code.tracking.runs import read_runs
from lab_code.training.reporter import Reporter
from lab_code.workshop.desk import read_servers
from lab_code.workshop.hub_page import PREFIX
from lab_code.workshop.mlflow_gate import HOST, LINK

if TYPE_CHECKING:
    from lab_code.training.trainer import EpochResult

_PAUSE_S = 0.5  # between two pictures
_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


class LiveTable(Reporter):
    """`with LiveTable("baseline"): …`; `publish(html, text)` is called with every new picture."""

    def __init__(self, name: str, publish: Callable[[str, str], object] | None = None) -> None:
        self._name, self._publish = name, _make_output() if publish is None else publish
        self._notes: list[str] = []
        self._epochs: list[EpochLine] = []
        self._ghost: tuple[str, Sequence[float]] = ("", ())
        self._store, self._run_id, self._link, self._length = Path(), "", "", 0
        self._classes = len(HAM10000)
        self._doing, self._done, self._total, self._before = "is getting ready …", 0, 0, 0
        self._started = self._shown = 0.0
        self._show()

    def __enter__(self) -> "LiveTable":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        stopped = "KILLED" if kind is not None and issubclass(kind, KeyboardInterrupt) else "FAILED"
        self._doing = describe_end("FINISHED" if kind is None else stopped, len(self._epochs))
        self._total, self._run_id = 0, ""
        self._show()

    def begin_run(self, store: Path, run_id: str) -> "LiveTable":
        """From here on the kit knows the run; the one that it will be compared with is drawn beside it."""
        self._store, self._run_id, self._link = store, run_id, find_link(store, run_id)
        runs = read_runs(store)
        ghost = next((find_ghost(runs, run) for run in runs if run.run_id == run_id), None)
        if ghost is not None:
            self._ghost = name_ghost(store, ghost)
        return self

    def show_again(self, store: Path, run_id: str) -> None:
        """A run that this cell does not train: it is finished, or another window trains it."""
        view, running = view_run(store, run_id)
        page = draw_run(replace(view, link=find_link(store, run_id)))
        self._publish(_enclose(page, run_id if running else ""), describe_run(view))

    def start(self, steps: int, past: Sequence["EpochResult"] = (), epochs: int = 1) -> Callable[[], object]:
        """Begin, after the `past` epochs of a run that goes on; the returned function is called after every step."""
        self._epochs, self._length = [_line(result) for result in past], epochs
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
        self._classes = result.probabilities.shape[1]
        self._epochs.append(_line(result))
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
        state, total = self._say(), self._total
        shown = (self._notes, self._epochs, self._length, *self._ghost, self._link, self._classes)
        view = RunView(self._name, state, self._done, total, *shown)
        if self._run_id:
            write_progress(self._store, self._run_id, {"state": state, "done": self._done, "total": total})
        self._publish(_enclose(draw_run(view), self._run_id), describe_run(view))

    def _say(self) -> str:
        if not self._total:
            return self._doing
        left = ""
        if self._done > self._before:
            pace = (time.monotonic() - self._started) / (self._done - self._before)
            minutes, seconds = divmod(round(pace * (self._total - self._done)), 60)
            left = f" · {minutes}:{seconds:02d} left"
        return f"{self._doing} {self._done} of {self._total}{left}"


def find_link(store: Path, run_id: str = "") -> str:
    """Where a run, or all of them, can be seen in MLflow's page; empty where it does not run beside a notebook.

    The way leads through Jupyter: what is shown is saved with the notebook, and no token may stand in it.
    """
    if prefix := os.environ.get(PREFIX):
        return prefix + LINK + (f"/{run_id}" if run_id else "")
    running = {server.name: server for server in read_servers(store) if server.process()}
    if not {"jupyter", "mlflow"} <= set(running):
        return ""
    return f"http://{HOST}:{running['jupyter'].port}/{LINK}" + (f"/{run_id}" if run_id else "")


def _line(result: "EpochResult") -> EpochLine:
    scores = result.metrics
    return EpochLine(result.epoch, result.train_loss, scores["accuracy"], scores["balanced_accuracy"], result.seconds)


def _enclose(page: str, run_id: str) -> str:
    """A run that is being trained takes the script along that follows it."""
    return f'<div data-lab-run="{run_id}"><div>{page}</div><script>{_SCRIPT}</script></div>' if run_id else page


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
