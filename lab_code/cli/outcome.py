"""What is said of runs that are over, wherever they were trained."""

from contextlib import suppress
from typing import TYPE_CHECKING

from lab_code.cli.statements import print_bet
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit

if TYPE_CHECKING:
    from lab_code.jobs.search import SearchOutcome
    from lab_code.tracking.runs import Run

_BEST = 10  # trials of a search that are listed


def tell_finished(kit: Kit, run_id: str) -> None:
    """Note in the journal that a run is finished, and say what came out."""
    from lab_code.analysis.compare import find_run
    from lab_code.tracking.runs import read_runs
    from lab_code.workshop.progress import append_event

    run = find_run(read_runs(kit.root), run_id)
    append_event(kit.root, "trained", run=run_id, name=run.name)
    scores = run.metrics
    make_console().print(
        f"[bold green]Run '{escape(run.name)}' is finished[/] ({run_id[:8]}): best epoch {scores['best_epoch']:.0f}, "
        f"balanced accuracy [bold]{scores['best_balanced_accuracy']:.3f}[/], accuracy {scores['best_accuracy']:.3f}"
    )
    print_mistake(run, "")
    print_bet(kit, run_id)


def print_mistake(run: "Run", first: str) -> None:
    """What the run gets wrong most often, in words; nothing where it has kept no confusion matrix."""
    from lab_code.analysis.compare import load_confusion
    from lab_code.analysis.in_words import describe_mistake
    from lab_code.data.ham10000 import read_dataset

    with suppress(LabError):
        mistake = describe_mistake(load_confusion(run), read_dataset(run.artifacts))
        make_console().print(f"{first}{mistake}", markup=False)


def print_sweep(name: str, runs: "list[Run]") -> None:
    """The finished runs of a sweep, best first."""
    scores = ["balanced accuracy", "accuracy", "seconds"]
    table = make_table("run", "changes", title=f"Sweep '{name}'", right=scores)
    for run in runs:
        scores = [f"{run.metrics.get(f'best_{key}', float('nan')):.3f}" for key in ("balanced_accuracy", "accuracy")]
        table.add_row(run.run_id[:8], escape(run.tags["sweep.job"]), *scores, f"{run.seconds or 0:.0f}")
    make_console().print(table)


def print_search(name: str, outcome: "SearchOutcome") -> None:
    """What a search has found: its best trials, and which settings mattered."""
    console = make_console()
    print_sweep(name, outcome.runs[:_BEST])
    console.print(f"{len(outcome.runs)} runs are finished, {outcome.pruned} of them early; in MLflow: '{name}'")
    for key, share in sorted(outcome.importance.items(), key=lambda pair: -pair[1]):
        console.print(f"  {key:<24}{share:>4.0%} of the differences", markup=False)
