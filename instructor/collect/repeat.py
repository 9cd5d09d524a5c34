"""The best run of each group once more, from MLflow alone: its configuration, our code, our photographs.

    repeats = repeat_best(store, {"group-1": run_id}, data, limits, progress)

Each in a process of its own, with time for what the run took when it was made. What comes out is written to
`repeats.json` beside the collected store.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from instructor.collect.isolation import Job, run_isolated
from instructor.workshop import HandinLimits
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.tracking.empty_store import script_name
from lab_code.tracking.runs import Run, read_runs

REPEATS = "repeats.json"
_TIMES, _MOST_S = 4, 1800  # how much longer it may take here, and at most


@dataclass(frozen=True)
class Repeat:
    """What came out: `scores` that differ as (name, then, now), of `compared`; `error` where it could not be made."""

    run: str
    run_id: str
    compared: int = 0
    scores: list[list[Any]] = field(default_factory=list)
    reasons: list[list[str]] = field(default_factory=list)
    error: str = ""

    @property
    def same(self) -> bool:
        """Whether every score is the same to the last digit."""
        return not self.error and not self.scores and self.compared > 0


def repeat_best(
    store: Path,
    run_ids: Mapping[str, str],
    data: Path,
    limits: HandinLimits,
    progress: Callable[[str, int], Callable[[], object]],
) -> dict[str, Repeat]:
    """Make these runs again, by group; writes `store/repeats.json`."""
    runs = {run.run_id: run for run in read_runs(store)}
    chosen = {group: runs[run_id] for group, run_id in run_ids.items() if run_id in runs}
    advance, repeats = progress("repeating", len(chosen)), dict[str, Repeat]()
    for group, run in chosen.items():  # one after the other: each may use all cores, as the first did
        with TemporaryDirectory(dir=store.parent, prefix=".staging-collect-", ignore_cleanup_errors=True) as scratch:
            _bring_script(store.parent, Path(scratch))
            time = min(_MOST_S, max(limits.seconds, int(_TIMES * (run.seconds or 0)) + 30))
            job = Job(make_again, (store, run.run_id, data, Path(scratch)))
            (outcome,) = run_isolated([job], replace(limits, seconds=time))
        name = one_line(run.name, 80)
        found = outcome.value or {"error": outcome.error or ""}
        repeats[group] = Repeat(name, run.run_id, **found)
        advance()
    write_whole(
        store / REPEATS, to_json({group: asdict(repeat) | {"same": repeat.same} for group, repeat in repeats.items()})
    )
    return repeats


def _bring_script(build: Path, scratch: Path) -> None:
    """So that the second run's store is made in milliseconds, where `build/` keeps the script of one."""
    script = build / Path(script_name()).name
    if script.is_file():
        (scratch / script_name()).parent.mkdir()
        shutil.copyfile(script, scratch / script_name())


def make_again(store: Path, run_id: str, data: Path, scratch: Path) -> dict[str, Any]:
    """Train a run of the store again and compare. Raises `LabError` for one that its record does not suffice for."""
    from lab_code.analysis.compare import compare_repeat
    from lab_code.config import load_config
    from lab_code.experiment import run_experiment

    first = next(run for run in read_runs(store) if run.run_id == run_id)
    config = load_config(first.artifacts / "config.yaml")
    if config.model.weights:
        raise LabError("it began with weights from a file, which the record does not hold", hint="ask the group for it")
    here = replace(config, data=replace(config.data, folder=data.resolve().as_posix()))
    again, _ = run_experiment(here, scratch, {"repeats": run_id})
    second = next(run for run in read_runs(scratch) if run.run_id == again)
    result = compare_repeat(first, _as_if_there(second, first))
    return {
        "compared": result.compared,
        "scores": [list(score) for score in result.scores],
        "reasons": [list(reason) for reason in result.reasons],
    }


def _as_if_there(second: Run, first: Run) -> Run:
    """Where the photographs lie is no difference."""
    return replace(second, params={**second.params, "data.folder": first.params.get("data.folder", "")})
