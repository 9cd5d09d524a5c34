"""Runs that the journal says were trained here, and that are not in MLflow's store any more.

Nothing is brought back by itself: whoever deletes a run in MLflow's page may have meant it. But nobody shall find out
only when the ranking is shown, so `lab status` and `lab handin` say what is missing and how to get it back.
"""

from pathlib import Path

from lab_code.tracking.runs import read_states
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT
from lab_code.workshop.progress import read_journal

_LISTED = 3  # names in a note


def find_missing(store: Path, present: set[str]) -> dict[str, str]:
    """Ids and names of the runs that were trained in this kit and are not among those `present`."""
    trained = ((event.get("run"), event.get("name")) for event in read_journal(store).of("trained"))
    return {run: str(name or run[:8]) for run, name in trained if isinstance(run, str) and run not in present}


def describe_missing(store: Path, present: set[str]) -> list[str]:
    """A note for each way in which runs have gone: which they are, and what to do."""
    missing, states = find_missing(store, present), read_states(store)
    deleted = [run for run in missing if states.get(run) == "deleted"]
    changed = [run for run in missing if run in states and run not in deleted]
    gone = [run for run in missing if run not in states]
    kept = [run for run in gone if run.isalnum() and (store / ARTIFACTS / EXPERIMENT / run).is_dir()]
    lost = [run for run in gone if run not in kept]
    notes = [
        (
            deleted,
            "deleted in MLflow's page, and not handed in. To bring back: lab ui, then above the table choose "
            "State: Deleted, tick them, Restore",
        ),
        (changed, f"changed in {DATABASE} by another program, and not handed in: show this to the instructor"),
        (
            kept,
            f"not in {DATABASE} any more, which was emptied or replaced; their files are still in "
            f"{ARTIFACTS}/{EXPERIMENT}/: show this to the instructor before you train again",
        ),
        (lost, f"neither in {DATABASE} nor in {ARTIFACTS}/ any more: show this to the instructor"),
    ]
    return [f"{_name_all([missing[run] for run in runs])} {text}" for runs, text in notes if runs]


def _name_all(names: list[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    listed = f"({', '.join(names[:_LISTED])}{more})"
    return f"1 run that was trained here {listed} is" if len(names) == 1 else (
        f"{len(names)} runs that were trained here {listed} are"
    )  # fmt: skip
