"""The commands of `lab` about runs: data, train, resume, sweep, compare.

Each parses, calls and prints; torch, mlflow and hydra are imported inside.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.outcome import print_mistake, print_sweep, tell_finished
from lab_code.cli.statements import print_bet
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, find_kit, locked_choice
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from rich.console import Console

    from lab_code.analysis.compare import Comparison
    from lab_code.config import Config
    from lab_code.data.dataset import Dataset

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
    config = _compose(kit, changes or [])
    if dry_run:
        _print_dry_run(kit, config)
        return
    if once and _go_on(kit, config):
        return
    if on is not None:
        from lab_code.cli.remote import train_on

        train_on(kit, on, config, _tags(kit))
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
    trial: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Go on with a run that was stopped, where it was.

    By Ctrl-C, a closed lid, a full disk: it stays the same run in MLflow, and its numbers are those of a whole run.

    Example: lab resume
    """
    from lab_code.analysis.compare import find_run
    from lab_code.tracking.runs import read_runs

    kit = find_kit()
    stopped = [run for run in read_runs(kit.root) if run.status in ("KILLED", "FAILED") and not run.is_group]
    if not stopped:
        raise LabError("there is no stopped run to go on with", hint="lab status lists all runs")
    found = find_run(stopped, run) if run else stopped[-1]
    run_and_tell(kit, load_run_config(kit, found.artifacts), {}, resume=found.run_id, trial=trial)


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
        if on is not None:
            raise LabError("a search trains here, not on a server", hint="leave --on out, or sweep every combination")
        _search(kit, changes or [], search, jobs, dry_run)
        return
    plan = plan_sweep(kit.root, changes or [], lambda overrides: _compose(kit, overrides))
    console = make_console()
    if dry_run:
        for planned in plan.jobs:
            console.print(f"{'done before' if planned.run_id else 'to train':<12}{planned.text}", markup=False)
        return
    if on is not None:
        from lab_code.cli.remote import sweep_on

        sweep_on(kit, on, plan, [_compose(kit, planned.overrides) for planned in plan.jobs], _tags(kit))
        return
    outcome = run_sweep(kit.root, plan, _tags(kit), jobs)
    print_sweep(plan.name, outcome.runs)
    if outcome.failed:
        failures = "; ".join(f"{text}: {reason}" for text, reason in outcome.failed)
        raise LabError(f"{len(outcome.failed)} of {len(plan.jobs)} runs failed: {failures}", hint=outcome.hint)


def _search(kit: Kit, changes: list[str], trials: int, at_once: int | None, dry_run: bool) -> None:
    """Let Optuna choose what to try, and say what it has found."""
    from lab_code.config import Interval
    from lab_code.jobs.search import plan_search, run_search

    plan, console = plan_search(kit.root, changes, lambda overrides: _compose(kit, overrides)), make_console()
    if dry_run:
        for key, values in plan.space.items():
            choices = f"{values.low:g} to {values.high:g}" if isinstance(values, Interval) else ", ".join(values)
            console.print(f"{key:<24}{choices}", markup=False)
        return
    outcome = run_search(kit.root, plan, _tags(kit), trials, at_once)
    print_sweep(plan.name, outcome.runs[:_LISTED])
    console.print(f"{len(outcome.runs)} runs are finished, {outcome.pruned} of them early; in MLflow: '{plan.name}'")
    for key, share in sorted(outcome.importance.items(), key=lambda pair: -pair[1]):
        console.print(f"  {key:<24}{share:>4.0%} of the differences", markup=False)
    if outcome.failed:
        text, reason = outcome.failed[0]
        raise LabError(f"{len(outcome.failed)} trials failed, such as {text}: {reason}", hint="change where to look")


def compare(
    runs: Annotated[list[str] | None, typer.Argument(help="Two runs by name; the newest two if left out.")] = None,
    code: Annotated[bool, typer.Option("--code", help="Show every line of the code that differs.")] = False,
) -> None:
    """Show two runs side by side: what was changed, and what it did.

    Example: lab compare baseline balanced
    """
    from lab_code.analysis.compare import choose_runs, compare_code, compare_runs
    from lab_code.tracking.runs import read_runs

    comparison = compare_runs(*choose_runs(read_runs(find_kit().root), runs or []))
    console = make_console()
    print_comparison(comparison, console)
    for run in (comparison.first, comparison.second):
        print_mistake(run, f"{run.name}: ")
    difference = compare_code(comparison.first, comparison.second)
    if difference and code:
        console.print(difference, markup=False)
    elif difference:
        files = [line.removeprefix("+++ b/") for line in difference.splitlines() if line.startswith("+++ b/")]
        console.print(f"The code differs in {', '.join(files)}; every line of it: --code", markup=False)


def print_comparison(comparison: "Comparison", console: "Console") -> None:
    """Settings that differ, and the scores of both runs."""
    from lab_code.data.ham10000 import read_dataset

    dataset = read_dataset(comparison.second.artifacts)
    first, second = escape(comparison.first.name), escape(comparison.second.name)
    changed = make_table("what was changed", first, second, title="Settings")
    for row in comparison.changed:
        changed.add_row(*map(escape, row))
    columns = [first, second, "difference"]
    did = make_table("what it did (validation)", title="Results of the best epoch", right=columns)
    for score in comparison.scores:
        did.add_row(_name_score(score.name, dataset), *score.texts, score.difference)
    console.print(changed if comparison.changed else "The two runs have the same settings.")
    console.print(did)
    word, groups = dataset.class_words[0], dataset.group_words[1]
    console.print(f"(of a {word}: its sensitivity, the share of its photographs that was recognised)", style="dim")
    if any("(" in text for score in comparison.scores for text in score.texts):
        console.print(f"(in brackets: 95 % intervals, by bootstrap over {groups})", style="dim")


def _name_score(name: str, dataset: "Dataset") -> str:
    """`balanced accuracy`; a sensitivity by its class, `melanoma (mel)`."""
    code = name.removeprefix("sensitivity/")
    return dataset.label(code) if code != name else name.replace("_", " ")


def print_notes(notes: list[str]) -> None:
    """What is odd about the store, a line each."""
    for note in notes:
        make_console(stderr=True).print(f"[yellow]note:[/] {escape(spell_commands(note))}")


def _compose(kit: Kit, changes: list[str]) -> "Config":
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
            run_id, _ = run_experiment(config, kit.root, {**_tags(kit), **tags}, reporter, resume)
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


def _go_on(kit: Kit, config: "Config") -> bool:
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


def _tags(kit: Kit) -> dict[str, str]:
    """What every run is tagged with; its stage is the last one that is open, and empty before the first."""
    from lab_code.workshop.progress import read_journal

    journal = read_journal(kit.root)
    stage = next((stage.id for stage in reversed(kit.stages) if journal.unlocked(stage.id)), "")
    return {**kit.tags(), "stage": stage}
