"""A run as it stands now, whoever trains it: its epochs, how far it has come, and the run it will be compared with.

`view_run(store, run_id)` reads all of it from the kit, so a page that was loaded again shows what the first one showed.
"""

from pathlib import Path

from lab_code.data.ham10000 import read_dataset
from lab_code.errors import LabError
from lab_code.plots.live_run import EpochLine, RunView
from lab_code.tracking.history import read_history, read_progress
from lab_code.tracking.runs import Run, read_runs

_ENDED = {"FINISHED": "finished", "KILLED": "stopped", "FAILED": "failed"}


def view_run(store: Path, run_id: str) -> tuple[RunView, bool]:
    """What is to be shown of a run, and whether it is being trained. Raises `LabError` where there is no such run."""
    runs = read_runs(store)
    run = next((run for run in runs if run.run_id == run_id), None)
    if run is None:
        raise LabError(f"there is no run {run_id[:8]} in this kit", hint="lab status lists all runs")
    lines, ghost = read_lines(store, run_id), find_ghost(runs, run)
    running = run.status == "RUNNING"
    noted = read_progress(store, run_id) if running else {}
    name, scores = name_ghost(store, ghost) if ghost else ("", [])
    shown = RunView(
        run.name,
        str(noted.get("state", "")) if running else describe_end(run.status, len(lines)),
        _count(noted.get("done")),
        _count(noted.get("total")),
        (),
        lines,
        _length(run),
        ghost=name,
        ghost_scores=scores,
        classes=len(read_dataset(run.artifacts)),
    )
    return shown, running


def read_lines(store: Path, run_id: str) -> list[EpochLine]:
    """The epochs of a run, as the table shows them."""
    nothing = float("nan")
    return [
        EpochLine(
            number,
            epoch.get("train_loss", nothing),
            epoch.get("accuracy", nothing),
            epoch["balanced_accuracy"],
            epoch.get("time/epoch_s", nothing),
        )
        for number, epoch in enumerate(read_history(store, run_id), 1)
    ]


def find_ghost(runs: list[Run], run: Run) -> Run | None:
    """The finished run of another name with the fewest other settings, of equal ones the newest; None for the first."""
    others = [other for other in runs if other.status == "FINISHED" and other.name != run.name and not other.is_group]

    def distance(other: Run) -> int:
        keys = (set(run.params) | set(other.params)) - {"name"}
        return sum(run.params.get(key) != other.params.get(key) for key in keys)

    return min(others, key=lambda other: (distance(other), -other.started_ms), default=None)


def name_ghost(store: Path, ghost: Run) -> tuple[str, list[float]]:
    """Its name, and its balanced accuracy epoch by epoch."""
    return ghost.name, [line.balanced_accuracy for line in read_lines(store, ghost.run_id)]


def describe_end(status: str, epochs: int) -> str:
    """`finished after 10 epochs`."""
    return f"{_ENDED.get(status, status.lower())} after {epochs} epoch{'s' * (epochs != 1)}"


def _length(run: Run) -> int:
    return _count(run.params.get("trainer.epochs"))


def _count(value: object) -> int:
    """A number that stands in a file or a store, which others may have written."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 8 else 0
