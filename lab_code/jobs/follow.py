"""Following a job from here: what is told there is shown by a `Reporter`, and a lost connection is taken up again.

states = follow_job(server, job, show)      # returns when every task has ended
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from lab_code.errors import LabError
from lab_code.jobs.record import Job
from lab_code.jobs.servers import Server
from lab_code.jobs.ssh import LostError, connect
from lab_code.training.reporter import Reporter

if TYPE_CHECKING:
    from lab_code.training.trainer import EpochResult

_PAUSES_S = (1, 2, 5, 10, 20, 30)  # before the connection is tried again; the last one again and again
_PATIENCE_S = 12 * 3600  # that a lid may be closed for

States = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class EpochTold:
    """What is told of an epoch, by the names of `EpochResult`."""

    epoch: int
    train_loss: float
    seconds: float
    metrics: dict[str, float]


class Replay:
    """Shows events of one run with a reporter, as if it were trained here."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter, self._done = reporter, 0
        self._advance: Callable[[], object] = lambda: None

    def show(self, event: dict[str, Any]) -> None:
        """One event of `train_task.EventWriter`."""
        match event["e"]:
            case "note":
                self._reporter.note(event["text"])
            case "reading":
                self._begin(self._reporter.start_reading(event["total"]))
            case "start":
                past, epochs = [_epoch(about) for about in event["past"]], event["epochs"]
                self._begin(
                    self._reporter.start(event["steps"], past, epochs), event["steps"] * len(past) // max(1, epochs)
                )
            case "step":
                for _ in range(event["done"] - self._done):
                    self._advance()
                self._done = event["done"]
            case "epoch":
                self._reporter.show_epoch(_epoch(event))

    def _begin(self, advance: Callable[[], object], done: int = 0) -> None:
        self._advance, self._done = advance, done


def _epoch(about: dict[str, Any]) -> "EpochResult":
    told = EpochTold(about["epoch"], about["loss"], about["seconds"], about["metrics"])
    return cast("EpochResult", told)


@dataclass
class Show:
    """Who is told what: `event(task, event)`, `states(states)` when they change, `say(text)` in between."""

    event: Callable[[int, dict[str, Any]], object]
    states: Callable[[States], object]
    say: Callable[[str], object]
    pauses_s: Sequence[float] = field(default_factory=lambda: _PAUSES_S)
    patience_s: float = _PATIENCE_S


def follow_job(server: Server, job: Job, show: Show) -> States:
    """Until every task has ended. Raises `LabError` where the connection stays lost, and where there is no such job."""
    seen: dict[str, int] = {}
    last: States = {}
    lost_at, tries = 0.0, 0
    while True:
        try:
            with connect(server) as line:
                for said in line.listen("follow", base=job.base, job=job.job, seen=seen):
                    if lost_at:
                        show.say(f"{server.name}: connected again")
                        lost_at, tries = 0.0, 0
                    if "states" in said:
                        changed, last = said["states"] != last, said["states"]
                        if changed:
                            show.states(last)
                            check_hope(server, job, last)
                    else:
                        seen[str(said["task"])] = said["seen"]
                        show.event(said["task"], said["event"])
            return last
        except LostError as error:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at >= show.patience_s:
                raise LabError(error.message, hint=f"the job goes on; lab follow {job.job}") from error
            if tries == 0:
                show.say(f"{error.message}; the job goes on there, trying again …")
            time.sleep(show.pauses_s[min(tries, len(show.pauses_s) - 1)])
            tries += 1


def check_hope(server: Server, job: Job, states: States) -> None:
    """Raise `LabError` where the queue says that a task will never begin by itself."""
    for state in states.values():
        if state.get("hopeless"):
            raise LabError(
                f"server '{server.name}': job {job.job} waits for what will not come ({state['hopeless']})",
                hint=f"change servers.yaml and send it again; lab jobs --stop {job.job} takes it out of the queue",
            )
