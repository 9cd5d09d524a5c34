"""The commands of `lab` about runs: data, train, resume, sweep, compare.

Each parses, calls and prints; torch, mlflow and hydra are imported inside.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.comparing import compare
from lab_code.cli.outcome import print_search, print_sweep
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.cli.training import compose, go_on, load_run_config, run_and_tell, tags_of
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from lab_code.config import Config
    from lab_code.tracking.runs import Run

_LISTED = 10  # faults that are named one by one

Changes = Annotated[
    list[str] | None, typer.Argument(help="key=value, as many as you like: experiment=baseline trainer.epochs=3")
]
On = Annotated[
    str | None, typer.Option("--on", metavar="SERVER", help="Train on this server of servers.yaml, and bring it home.")
]


def add_commands(app: typer.Typer) -> None:
    """Register the commands, in the order in which `lab --help` lists them."""
    for command in (data, train, resume, sweep, compare):
        # `--epochs 3` is meant as a change: what is wrong with it, the configuration says.
        context = {"ignore_unknown_options": command in (train, sweep)}
        app.command(context_settings=context)(command)


def data(
    place: Annotated[
        Path | None, typer.Argument(help="A folder of photographs or a MedMNIST .npz file; this kit's data.")
    ] = None,
) -> None:
    """Count the photographs of a data set, what belongs together, and its classes.

    What is missing, unreadable, left out or there more than once is named.

    Example: lab data
    """
    from lab_code.cli.progress_bar import ProgressBar
    from lab_code.data.lesions import find_lesions

    lesions, found = find_lesions(place or find_kit().root / "data", 64, ProgressBar("data").start_reading)
    one, several = found.dataset.group_words
    title = f"{sum(found.photographs.values())} photographs of {found.lesions} {several if found.lesions != 1 else one}"
    columns = ["photographs", several, "share"]
    table = make_table(found.dataset.class_words[0], "", title=title, right=columns)
    total = sum(found.photographs.values()) or 1
    for dx, count in sorted(found.photographs.items(), key=lambda pair: -pair[1]):
        table.add_row(dx, found.dataset.names[dx], str(count), str(found.lesions_of[dx]), f"{count / total:.1%}")
    console = make_console()
    console.print(table)
    console.print(f"missing: {len(found.missing)}   unreadable: {len(found.unreadable)}")
    for fault in [f"{name} is missing" for name in found.missing[:_LISTED]] + [
        f"{error.message}; {error.hint}" for error in found.unreadable[:_LISTED]
    ]:
        console.print(f"  {fault}", markup=False)
    if found.same:
        console.print(f"the same picture more than once: {len(found.same)} (training keeps each on one side)")
    for group in found.same[:_LISTED]:
        console.print(f"  {' = '.join(lesions.image_ids[group])}", markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)


def train(
    changes: Changes = None,
    once: Annotated[
        bool, typer.Option("--once", help="Not again where a run of these settings is finished; a stopped one goes on.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: only say how large the run would be.")
    ] = False,
    parent: Annotated[str | None, typer.Option(hidden=True)] = None,
    job: Annotated[str | None, typer.Option(hidden=True)] = None,
    on: On = None,
) -> None:
    """Train one model and track it in this kit's MLflow.

    Example: lab train experiment=baseline
    """
    kit = find_kit()
    config = compose(kit, changes or [])
    if dry_run:
        _print_dry_run(kit, config)
        return
    if once and go_on(kit, config):
        return
    if on is not None:
        from lab_code.cli.remote import train_on

        train_on(kit, on, config, tags_of(kit))
        return
    group, _, number = (parent or "").partition(":")  # of a search, trials have numbers
    tags = {"mlflow.parentRunId": group, "sweep.job": job or "", "search.trial": number}
    given = {key: value for key, value in tags.items() if value}
    run_and_tell(kit, config, given, trial=parent if number else None)


def _print_dry_run(kit: Kit, config: "Config") -> None:
    from lab_code.analysis.dry_run import plan_run

    plan, console = plan_run(config, kit.root), make_console()
    console.print(f"Run '{escape(config.name)}' would be (nothing is trained):")
    for what, text in (
        ("network", f"{config.model.name}, which learns {plan.weights} weights"),
        ("photographs", f"{plan.training} to train, {plan.validation} to validate"),
        ("length", f"{config.trainer.epochs} epoch{'s' * (config.trainer.epochs != 1)}, {plan.steps} steps in all"),
    ):
        console.print(f"  {what:<13}{text}", markup=False, highlight=False)


def resume(
    run: Annotated[
        str | None, typer.Argument(help="Name or id of the run; the newest stopped one if left out.")
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="SERVER", help="Go on there, whoever trained it before.")
    ] = None,
    trial: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Go on with a run that was stopped, where it was.

    By Ctrl-C, a closed lid, a full disk: it stays the same run in MLflow, and its numbers are those of a whole run.

    Example: lab resume

    Example: lab resume --on gpu1 baseline
    """
    kit = find_kit()
    found = _find_stopped(kit, run)
    config = load_run_config(kit, found.artifacts)
    if on is not None:
        from lab_code.cli.remote import resume_on

        resume_on(kit, on, found, config)
        return
    run_and_tell(kit, config, {}, resume=found.run_id, trial=trial)


def _find_stopped(kit: Kit, name: str | None) -> "Run":
    """The run of this name that was stopped, or the newest. Raises `LabError` where there is none to go on with."""
    from lab_code.analysis.compare import find_run
    from lab_code.jobs.record import read_jobs
    from lab_code.tracking.runs import read_runs

    runs = [run for run in read_runs(kit.root) if not run.is_group]
    stopped = [run for run in runs if run.status in ("KILLED", "FAILED")]
    if stopped and (name is None or any(_is_called(run, name) for run in stopped)):
        return find_run(stopped, name) if name else stopped[-1]
    for job in (job for job in read_jobs(kit.root) if job.is_open and name in (None, job.title)):
        message = f"run '{job.title}' is on {job.server} still, as job {job.job}"
        raise LabError(message, hint=f"lab follow {job.job} brings it home once it is over")
    for run in (run for run in reversed(runs) if name and _is_called(run, name)):
        how = "is finished" if run.status == "FINISHED" else "is being trained right now"
        raise LabError(f"run '{run.name}' {how}: there is nothing to go on with", hint="lab status lists all runs")
    called = f" '{name}'" if name else ""
    raise LabError(f"there is no stopped run{called} to go on with", hint="lab status lists all runs")


def _is_called(run: "Run", name: str) -> bool:
    return run.name == name or (len(name) >= 4 and run.run_id.startswith(name))


def sweep(
    changes: Changes = None,
    jobs: Annotated[int | None, typer.Option(help="How many runs at a time; as many as the cores allow.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
    on: On = None,
    search: Annotated[
        int | None,
        typer.Option(metavar="TRIALS", min=1, help="Not every combination: choose so many by what came out."),
    ] = None,
) -> None:
    """Train every combination of several values, or search among them.

    The runs become children of one run in MLflow. Where a sweep was stopped, the same command goes on with it.

    Example: lab sweep optimizer.lr=1e-4,1e-3,1e-2 loss=cross_entropy

    Example: lab sweep --search 30 "optimizer.lr=interval(1e-4,1e-1)" data.augment=none,flips
    """
    from lab_code.jobs.sweep import plan_sweep, run_sweep

    kit = find_kit()
    if search is not None:
        _search(kit, changes or [], search, jobs, dry_run, on)
        return
    plan = plan_sweep(kit.root, changes or [], lambda overrides: compose(kit, overrides))
    console = make_console()
    if dry_run:
        for planned in plan.jobs:
            console.print(f"{'done before' if planned.run_id else 'to train':<12}{planned.text}", markup=False)
        return
    if on is not None:
        from lab_code.cli.remote import sweep_on

        sweep_on(kit, on, plan, [compose(kit, planned.overrides) for planned in plan.jobs], tags_of(kit))
        return
    outcome = run_sweep(kit.root, plan, tags_of(kit), jobs)
    print_sweep(plan.name, outcome.runs)
    if outcome.failed:
        failures = "; ".join(f"{text}: {reason}" for text, reason in outcome.failed)
        raise LabError(f"{len(outcome.failed)} of {len(plan.jobs)} runs failed: {failures}", hint=outcome.hint)


def _search(kit: Kit, changes: list[str], trials: int, at_once: int | None, dry_run: bool, on: str | None) -> None:
    """Let Optuna choose what to try, and say what it has found."""
    from lab_code.config import Interval
    from lab_code.jobs.record import refuse_open
    from lab_code.jobs.search import plan_search, run_search

    plan, console = plan_search(kit.root, changes, lambda overrides: compose(kit, overrides)), make_console()
    if dry_run:
        for key, values in plan.space.items():
            choices = f"{values.low:g} to {values.high:g}" if isinstance(values, Interval) else ", ".join(values)
            console.print(f"{key:<24}{choices}", markup=False)
        return
    if on is not None:
        from lab_code.cli.remote import search_on

        search_on(kit, on, plan, {"changes": changes, "trials": trials, "at_once": at_once or 0}, tags_of(kit))
        return
    refuse_open(kit.root, plan.key)
    outcome = run_search(kit.root, plan, tags_of(kit), trials, at_once)
    print_search(plan.name, outcome)
    if outcome.failed:
        text, reason = outcome.failed[0]
        raise LabError(f"{len(outcome.failed)} trials failed, such as {text}: {reason}", hint="change where to look")


def print_notes(notes: list[str]) -> None:
    """What is odd about the store, a line each."""
    for note in notes:
        make_console(stderr=True).print(f"[yellow]note:[/] {escape(spell_commands(note))}")
