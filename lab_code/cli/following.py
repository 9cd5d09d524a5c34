"""How a job on a server is shown: one run by the usual reporter, several by a bar that counts runs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from lab_code.cli.progress_bar import make_reporter, start_bar
from lab_code.jobs.follow import Replay, Show, States
from lab_code.jobs.record import Job

_OVER = ("finished", "failed", "stopped", "timed_out", "gone")


@contextmanager
def make_show(job: Job, say: Callable[[str], object]) -> Iterator[Show]:
    """What is told of a job, on the screen."""
    if job.is_search:
        yield from _show_search(job, say)
        return
    if job.sweep:
        yield from _show_many(job, say)
        return
    with make_reporter(job.title) as reporter:
        replay = Replay(reporter)
        yield Show(lambda task, event: replay.show(event), _tell_waiting(job, reporter.note), say)


def _tell_waiting(job: Job, note: Callable[[str], object]) -> Callable[[States], object]:
    """Says why a job of one task waits, whenever that changes."""
    before = [""]

    def tell_state(states: States) -> None:
        waiting = states["0"].get("reason", "") if states["0"]["state"] == "waiting" else ""
        if states["0"]["state"] == "waiting" and before[0] != waiting:
            note(f"waiting in the queue of {job.server}" + (f": {waiting}" if waiting else ""))
        before[0] = waiting

    return tell_state


def _show_search(job: Job, say: Callable[[str], object]) -> Iterator[Show]:
    bar = start_bar(job.title, job.tasks[0].search["trials"], "trial", delay=0)

    def tell(task: int, event: dict[str, Any]) -> None:
        if event["e"] == "trial":
            tqdm.write(event["text"], file=sys.stderr)
            bar.update(event["done"] - bar.n)

    with bar:
        yield Show(tell, _tell_waiting(job, lambda text: tqdm.write(text, file=sys.stderr)), say)


def _show_many(job: Job, say: Callable[[str], object]) -> Iterator[Show]:
    bar = start_bar(job.title, len(job.tasks), "run", delay=0)
    over: set[str] = set()

    def tell_states(states: States) -> None:
        for number, state in states.items():
            if state["state"] in _OVER and number not in over:
                over.add(number)
                tqdm.write(f"{job.tasks[int(number)].text}: {state.get('error') or state['state']}", file=sys.stderr)
                bar.update()

    def ignore(task: int, event: dict[str, Any]) -> None:
        """What one of many runs does in detail is not shown."""

    with bar:
        yield Show(ignore, tell_states, say)
