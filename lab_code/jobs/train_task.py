"""One run on a server, in a process of its own: trains what `task.json` says, or goes on with it, and tells events.

    python -m lab_code.jobs.train_task tasks/0

`torchrun` starts several of these for one run; the first of them tells and tracks for all.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_code.errors import LabError
from lab_code.files import write_whole
from lab_code.training.reporter import Reporter

if TYPE_CHECKING:
    from lab_code.training.trainer import EpochResult

_PAUSE_S = 0.3  # between two notes of how far it is


class EventWriter(Reporter):
    """Writes a line of JSON for whatever a reporter is told; `follow.py` reads them somewhere else."""

    def __init__(self, root: Path) -> None:
        self._root, self._file, self._told = root, (root / "events.jsonl").open("a", encoding="utf-8"), 0.0

    def tell(self, event: str, **about: Any) -> None:
        """One line, at once."""
        self._file.write(json.dumps({"e": event, **about}) + "\n")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.flush()

    def start_reading(self, photographs: int) -> Callable[[], object]:
        self.tell("reading", total=photographs)
        return self._counter(photographs)

    def note(self, text: str) -> None:
        self.tell("note", text=text)

    def begin_run(self, store: Path, run_id: str) -> "EventWriter":
        write_whole(self._root / "run.json", json.dumps({"run": run_id}))
        self.tell("run", run=run_id)
        return self

    def start(self, steps: int, past: "Sequence[EpochResult]" = (), epochs: int = 1) -> Callable[[], object]:
        self.tell("start", steps=steps, epochs=epochs, past=[describe_epoch(result) for result in past])
        return self._counter(steps, steps * len(past) // epochs)

    def show_epoch(self, result: "EpochResult") -> None:
        self.tell("epoch", **describe_epoch(result))

    def _counter(self, total: int, done: int = 0) -> Callable[[], object]:
        count = [done]

        def advance() -> None:
            count[0] += 1
            if count[0] == total or time.monotonic() - self._told >= _PAUSE_S:
                self._told = time.monotonic()
                self.tell("step", done=count[0])

        return advance


def describe_epoch(result: "EpochResult") -> dict[str, Any]:
    """What one line of a terminal says about an epoch."""
    kept = {name: result.metrics[name] for name in ("accuracy", "balanced_accuracy")}
    return {"epoch": result.epoch, "loss": result.train_loss, "seconds": result.seconds, "metrics": kept}


def main(argv: Sequence[str]) -> int:
    """Exit code 0: trained; 1: `error.json` says why not; 130: it was stopped, and can go on."""
    root = Path(argv[0]).resolve()
    task = json.loads((root / "task.json").read_text(encoding="utf-8"))
    leads = os.environ.get("RANK", "0") == "0"
    return told(root, lambda: train(root, task, EventWriter(root) if leads else Reporter()))


def told(root: Path, work: Callable[[], object]) -> int:
    """Do it; what a user can cause is written down for whoever asks how it ended."""
    (root / "error.json").unlink(missing_ok=True)
    try:
        work()
    except LabError as error:
        write_whole(root / "error.json", json.dumps({"error": error.message, "hint": error.hint or ""}))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def train(root: Path, task: dict[str, Any], reporter: Reporter) -> None:
    """Train the run of a task, or go on with it where an earlier process was told to stop."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from lab_code.config import load_config
    from lab_code.experiment import run_experiment
    from lab_code.tracking.interrupts import hear_termination
    from lab_code.tracking.runs import can_resume, read_runs

    write_whole(root / "config.yaml", task["config"])
    before = root / "run.json"
    run_id = json.loads(before.read_text(encoding="utf-8"))["run"] if before.is_file() else None
    known = [run for run in read_runs(root) if run.run_id == run_id]
    if known and known[0].status == "FINISHED":
        return
    resume = run_id if known and can_resume(root, known[0]) else None
    if task.get("runs") and resume is None:
        raise LabError("what the run goes on from has not arrived", hint="send it again: lab resume --on …")
    with hear_termination():
        run_experiment(load_config(root / "config.yaml"), root, task["tags"], reporter, resume)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
