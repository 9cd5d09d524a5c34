"""A search on a server: one job holds it, as `lab sweep --search` does here, and trains several trials at a time.

    python -m lab_code.jobs.search_task tasks/0                       # the whole search, in the task's own store
    python -m lab_code.jobs.search_task tasks/0 trial train lr=…      # one trial of it, in a process of its own

Its trials are children of one run already when they come home (`home.py`), with the ids that they had.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab_code.errors import LabError
from lab_code.files import write_whole
from lab_code.jobs.train_task import EventWriter, told

_CONF = Path(__file__).parent.parent / "conf"


def main(argv: Sequence[str]) -> int:
    """Exit codes as those of `train_task`."""
    root = Path(argv[0]).resolve()
    task: dict[str, Any] = json.loads((root / "task.json").read_text(encoding="utf-8"))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if argv[1:2] == ["trial"]:
        return _train(root, task["tags"], list(argv[2:]))
    return told(root, lambda: _search(root, task["search"], task["tags"]))


def _search(root: Path, search: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Begin the search, or go on with it where an earlier process was told to stop."""
    from lab_code.config import compose_config
    from lab_code.jobs.search import Trials, plan_search, run_search

    writer = EventWriter(root)
    plan = plan_search(root, search["changes"], lambda overrides: compose_config(overrides, _CONF))
    program = ["lab_code.jobs.search_task", str(root), "trial"]
    at_once = search["at_once"] or len(os.sched_getaffinity(0))

    def begin(run_id: str) -> None:
        write_whole(root / "run.json", json.dumps({"run": run_id}))  # so that the job can be queued again
        writer.tell("run", run=run_id)

    def tell(done: int, text: str) -> None:
        writer.tell("trial", done=done, text=text)

    outcome = run_search(root, plan, tags, search["trials"], at_once, Trials(program, begin, tell))
    if outcome.failed and not outcome.runs:
        raise LabError(f"every trial failed, such as {': '.join(outcome.failed[0])}", hint="change where to look")


def _train(root: Path, tags: Mapping[str, str], argv: list[str]) -> int:
    """What `lab train` and `lab resume` do for a trial here; `--name value` behind the changes."""
    from lab_code.config import compose_config, load_config
    from lab_code.experiment import run_experiment
    from lab_code.jobs.search import Pruner
    from lab_code.tracking.interrupts import hear_termination
    from lab_code.tracking.runs import read_runs
    from lab_code.training.reporter import Reporter

    reporter, given = Reporter(), {key: argv[argv.index(key) + 1] for key in argv if key.startswith("--")}
    trial = given.get("--parent") or given["--trial"]
    reporter.is_enough = Pruner(root, trial).is_enough  # type: ignore[method-assign]
    parent, _, number = trial.partition(":")
    about = {**tags, "mlflow.parentRunId": parent, "search.trial": number, "sweep.job": given.get("--job", "")}
    try:
        with hear_termination():
            if argv[0] == "resume":
                (run,) = [run for run in read_runs(root) if run.run_id == argv[1]]
                run_experiment(load_config(run.artifacts / "config.yaml"), root, {}, reporter, run.run_id)
            else:
                changes = argv[1 : argv.index("--parent")]
                run_experiment(compose_config(changes, _CONF), root, about, reporter)
    except LabError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
