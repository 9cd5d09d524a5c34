"""Training one run from the terminal: its configuration, what it is tagged with, and what is told of it.

`lab train`, `lab resume`, `lab sweep` and `lab repeat` share this; torch, mlflow and hydra are imported inside.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lab_code.cli.outcome import print_mistake, tell_finished
from lab_code.cli.statements import print_bet
from lab_code.cli.terminal import escape, make_console
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, locked_choice
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from lab_code.config import Config


def compose(kit: Kit, changes: list[str]) -> "Config":
    """The configuration, or an error that says which stage opens what is missing."""
    _prepare_threads()
    from lab_code.config import UnknownChoiceError, compose_config

    try:
        return compose_config(changes, kit.root / "lab_code" / "conf")
    except UnknownChoiceError as error:
        raise locked_choice(kit, error.group, error.choice) or error from error


def _prepare_threads() -> None:
    # Threads that wait by sleeping: beside a browser and MLflow's page, spinning ones make training several times
    # slower. OpenMP reads this once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def run_and_tell(
    kit: Kit, config: "Config", tags: dict[str, str], resume: str | None = None, trial: str | None = None
) -> str:
    """Train, tell, and return the id of the run."""
    from lab_code.jobs.record import refuse_away

    if resume:
        refuse_away(kit.root, resume)
    from lab_code.cli.progress_bar import ProgressBar, make_reporter

    reporter = make_reporter(config.name)
    if isinstance(reporter, ProgressBar):  # which shows nothing before training begins
        doing = "going on with the run" if resume else "reading the photographs, opening MLflow"
        make_console(stderr=True).print(f"{escape(config.name)}: {doing} …", style="dim")
    _prepare_threads()
    from lab_code.experiment import run_experiment
    from lab_code.tracking.interrupts import hear_termination

    _report_training(kit)
    if trial:
        from lab_code.jobs.search import Pruner

        # Instances may bring their own: this process trains one run, and what shows it knows nothing of searches.
        reporter.is_enough = Pruner(kit.root, trial).is_enough  # type: ignore[method-assign]
    try:
        with hear_termination():  # a queue, or whoever shuts down, lets the run write down where it was
            run_id, _ = run_experiment(config, kit.root, {**tags_of(kit), **tags}, reporter, resume)
    except KeyboardInterrupt:
        note = spell_commands("stopped; this goes on with it: lab resume")
        make_console(stderr=True).print(note, style="dim")
        raise
    if not run_id:  # one of several processes, and not the one that tracks
        return run_id
    tell_finished(kit, run_id)
    return run_id


def _report_training(kit: Kit) -> None:
    if kit.report_to:
        from lab_code.workshop.reports import report

        report(kit, training=True)


def go_on(kit: Kit, config: "Config") -> bool:
    """Where a run of these settings is finished, say so; where one was stopped, go on with it. False: there is none.

    Raises `LabError` where one is being trained by another process.
    """
    from lab_code.analysis.compare import find_same_run
    from lab_code.cli.progress_bar import make_reporter
    from lab_code.config import flatten_config
    from lab_code.tracking.runs import can_resume, read_runs

    found = find_same_run(read_runs(kit.root), flatten_config(config))
    if found is None:
        return False
    if found.status in ("RUNNING", "FINISHED"):
        make_reporter(config.name).show_again(kit.root, found.run_id)
    if found.status == "RUNNING":
        raise LabError(f"run '{found.name}' is being trained right now, by another window", hint="wait: lab status")
    if found.status == "FINISHED":
        make_console().print(
            f"Run '{escape(found.name)}' is finished already ({found.run_id[:8]}): balanced accuracy "
            f"[bold]{found.metrics['best_balanced_accuracy']:.3f}[/]. Without --once it is made again."
        )
        print_mistake(found, "")
        print_bet(kit, found.run_id)
        return True
    if can_resume(kit.root, found):
        run_and_tell(kit, config, {}, resume=found.run_id)
        return True
    return False


def load_run_config(kit: Kit, artifacts: Path) -> "Config":
    """The configuration of a run. Raises `LabError` for one that was stopped before it had any."""
    from lab_code.config import load_config

    if not (artifacts / "config.yaml").is_file():
        raise LabError(
            f"the run has no {(artifacts / 'config.yaml').relative_to(kit.root)}: it was stopped before it began",
            hint="train it again: lab train …",
        )
    return load_config(artifacts / "config.yaml")


def tags_of(kit: Kit) -> dict[str, str]:
    """What every run is tagged with; its stage is the last one that is open, and empty before the first."""
    from lab_code.workshop.progress import read_journal

    journal = read_journal(kit.root)
    stage = next((stage.id for stage in reversed(kit.stages) if journal.unlocked(stage.id)), "")
    return {**kit.tags(), "stage": stage}
