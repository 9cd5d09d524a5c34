"""The command `instructor`: one small function per command, which parses, calls and prints.

What takes long to import (MLflow, torch) is imported only inside the commands that need it. The commands about locks
are in `cli_locks.py`, those about the quiz in `cli_quiz.py`.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from instructor import cli_locks, cli_quiz
from instructor.options import BuildOption, WorkshopOption
from instructor.workshop import PROJECT, WORKSHOP_FILE, find_group, read_workshop
from lab_code.errors import LabError
from lab_code.files import write_whole
from lab_code.one_at_a_time import one_at_a_time
from lab_code.progress_bar import start_bar
from lab_code.runs import DATABASE
from lab_code.terminal import make_console, run_app

_FEW_PHOTOGRAPHS = 500
_MOST_LINES = 60  # of what is wrong with hand-ins
UnsignedOption = Annotated[
    bool, typer.Option("--unsigned", help="Take hand-ins that no kit has signed: anyone may have made them.")
]
_PATIENCE_S = 900  # for another window that builds kits or collects


def _make_app(help_text: str) -> typer.Typer:
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _make_app("Build the kits, look up the key, collect and rank. Begin with: make provision")
quiz = _make_app("The quiz bank.")
export = _make_app("Write the quiz for other programs.")
app.add_typer(quiz, name="quiz")
quiz.add_typer(export, name="export")
kahoot = _make_app("Kahoot's results.")
app.add_typer(kahoot, name="kahoot")
locks = _make_app("The locks.")
app.add_typer(locks, name="locks")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `instructor` and return its exit code: 0 done, 1 failed, 2 misuse."""
    return run_app(app, argv, log_folder=Path.cwd())


@app.command()
def provision(
    build: BuildOption,
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of photographs (HAM10000, ISIC, your own with a table) or a DermaMNIST .npz file."),
    ] = None,
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Build every group's kit under build/kits/, and the key under build/vault/.

    Example: instructor provision --data ../ham10000
    """
    from instructor.provision.workshop_kits import provision as build_kits

    described = read_workshop(workshop)
    if data is not None:
        if not data.exists():
            raise LabError(f"the data folder {data} does not exist", hint="make provision DATA=path/to/ham10000")
        described.data.source = str(data)
    with _alone(build):
        done = build_kits(described, build, _progress)
    console = make_console()
    shipped, hidden = done.data.count()
    console.print(f"  {shipped} photographs ({described.data.source}) for every kit, {hidden} hidden for the ranking")
    for note in done.data.notes:
        console.print(f"  note: {note}", markup=False)
    for group in described.groups:
        state = "built" if group in done.built else "up to date" if group in done.current else "FAILED"
        console.print(f"  {build / 'kits' / group}  {state}")
    for group, place in done.moved.items():
        console.print(f"  note: {group} had been worked in; that kit is now {place}")
    for note in done.notes:
        console.print(f"  note: {escape(note)}")
    if done.failed:
        reasons = "; ".join(f"{group}: {reason}" for group, reason in done.failed.items())
        raise LabError(
            f"{len(done.failed)} of {len(described.groups)} kits failed: {reasons}",
            hint="; ".join(dict.fromkeys(done.hints)),
        )
    weak = cli_locks.summarise_audit(described, done.variants)
    for line in weak:
        console.print(f"  note: {line}")
    if weak:
        console.print("  (all about it: instructor locks audit)")
    if shipped < _FEW_PHOTOGRAPHS:
        console.print(f"  note: {shipped} photographs are enough to try the kits, but not to learn from")
    console.print(f"[bold green]{len(described.groups)} kits are ready.[/] The key: {build / 'vault' / 'key.pdf'}")
    console.print(f"Try one:  cd {build / 'kits' / described.groups[0]} && ./lab status")


@app.command()
def key(
    build: BuildOption,
    group: Annotated[str | None, typer.Option(help="One group, by number or name; all of them if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Show the answers and rescue codes of the kits that were built.

    Example: instructor key --group 3
    """
    from instructor.vault import Vault

    keys = Vault(build).read_key()
    if group is not None:
        name = group if group in keys else find_group(read_workshop(workshop), group)
        if name not in keys:
            raise LabError(f"{name} has no kit yet", hint="make provision")
        keys = {name: keys[name]}
    if as_json:
        print(json.dumps(keys))
        return
    table = Table("group", "stage", "answers", "rescue code")
    for name, entries in keys.items():
        for entry in entries:
            table.add_row(name, entry["stage"], entry["answers"], entry["rescue"])
    make_console().print(table)


cli_locks.add_commands(app, locks)
cli_quiz.add_commands(quiz, export, kahoot)


@app.command()
def collect(
    build: BuildOption,
    handins: Annotated[
        list[Path] | None,
        typer.Argument(help="Zips, or folders that hold some; the kits and build/handins if left out."),
    ] = None,
    unsigned: UnsignedOption = False,
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Merge the groups' hand-ins into one MLflow store, score them on the hidden test set, write the leaderboard.

    Example: instructor collect usb-stick/
    """
    from instructor.collect.collect import collect_handins

    described, places = read_workshop(workshop), handins or _usual_places(build)
    with _alone(build):
        collected = collect_handins(described, places, build, _progress, unsigned=unsigned)
    table = Table("rank", "group", "best run", title="Leaderboard: balanced accuracy", title_justify="left")
    for name in ("hidden test", "validation", "runs"):
        table.add_column(name, justify="right")
    table.add_column("receipt", no_wrap=True)
    for row in collected.rows:
        scores = [row.test_balanced_accuracy, row.validation_balanced_accuracy]
        cells = ["–" if score is None else f"{score:.3f}" for score in scores]
        table.add_row(str(row.rank or "–"), row.group, escape(row.best_run), *cells, str(row.runs), row.receipt)
    console, notes = make_console(), make_console(stderr=True)
    if collected.rows:
        console.print(table)
        if collected.reviews:
            groups = "1 group" if collected.reviews == 1 else f"{collected.reviews} groups"
            console.print(f"Reviews: {collected.html.with_name('reviews.csv')}   ({groups})")
        console.print(f"Leaderboard: {collected.html}   All runs: mlflow ui --backend-store-uri {collected.store_uri}")
    for group in collected.missing:
        notes.print(f"note: nothing from {group} yet")
    for fault in collected.notes:
        notes.print(f"note: {fault}", markup=False)
    if collected.refused or collected.incomplete:
        others = (
            "the others are collected; " if collected.rows else "nothing was collected, what was there before stays; "
        )
        raise _explain_refused(collected.refused, collected.incomplete, f"{others}fix these and run make collect again")
    if not collected.rows:
        raise LabError("no hand-in was found", hint="copy the groups' zips into build/handins/, then: make collect")


@app.command()
def review(
    build: BuildOption,
    handins: Annotated[
        list[Path] | None,
        typer.Argument(help="Zips, or folders that hold some; the kits and build/handins if left out."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="A folder of kits (a USB stick, build/kits): each gets its file at once.")
    ] = None,
    unsigned: UnsignedOption = False,
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Give every group two runs of another one to review, without saying whose.

    Who reviews whom stands in build/vault/reviews.yaml, which you may change. A group that is missing is passed over.

    Example: instructor review --into build/kits
    """
    from instructor.collect.collect import make_store, stage
    from instructor.collect.handins import read_handins
    from instructor.collect.review import bring_reviews, make_reviews
    from instructor.vault import Vault

    described, vault = read_workshop(workshop), Vault(build)
    if into is not None and not into.is_dir():
        raise LabError(f"there is no folder {into}", hint="instructor review --into build/kits")
    with _alone(build), stage(build) as scratch:
        make_store(scratch / "empty", scratch / "empty", build)
        empty, places = scratch / "empty" / DATABASE, handins or _usual_places(build)
        found = read_handins(places, described, vault, scratch, empty, _progress, unsigned=unsigned)
        made = make_reviews(described, found, vault, build / "reviews")
    brought = bring_reviews(made, described, into) if into is not None else {}
    console, notes = make_console(), make_console(stderr=True)
    for group, other in made.reviewed.items():
        console.print(f"{group} reviews {other}: {brought.get(group, made.files[group])}", markup=False)
    for note in (*found.notes, *made.notes):
        notes.print(f"note: {note}", markup=False)
    if not made.reviewed and not found.refused:
        raise LabError("nobody can review anybody yet", hint="copy two groups' zips into build/handins/ and try again")
    if made.reviewed and not brought:
        console.print("Copy each file into its group's kit; the group answers with: lab review")
    console.print(f"Who reviews whom: {made.plan}")
    if found.refused or found.incomplete:
        others = "the other groups' reviews are written" if made.reviewed else "no review was written"
        raise _explain_refused(found.refused, found.incomplete, f"{others}; fix these and run it again")


@app.command()
def experiments(
    out: Annotated[Path, typer.Option(help="The page to write.")] = PROJECT / "docs" / "experiments.md",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, counted from 0.")] = 5,
    real: Annotated[
        Path | None, typer.Option(help="A folder of real photographs, to be asked about after synthetic training.")
    ] = None,
    workshop: WorkshopOption = WORKSHOP_FILE,
    build: BuildOption = ...,  # type: ignore[assignment]
) -> None:
    """Train baseline and balanced with several seeds, and write down what the pair shows (about ten minutes).

    Example: instructor experiments --real path/to/ham10000
    """
    from instructor.experiments import measure_experiments, score_on_real, write_page

    group = read_workshop(workshop).groups[0]
    pairs = measure_experiments(build, group, range(seeds), build / "experiments")
    notes = make_console(stderr=True)
    if real is not None:
        notes.print("training on synthetic photographs alone, to be asked about real ones …", style="dim")
    scores = score_on_real(real, range(3)) if real is not None else None
    write_whole(out, write_page(pairs, scores))
    gains = [pair.gain("balanced_accuracy") for pair in pairs]
    make_console().print(f"[bold green]{out.name}[/] is written: balanced accuracy rises by {min(gains):.3f} or more")


def _explain_refused(refused: Mapping[str, str], incomplete: Sequence[str], advice: str) -> LabError:
    lines = [f"{path}: {reason}" for path, reason in refused.items()]
    counts = [f"{len(refused)} hand-in{'s' * (len(refused) != 1)} could not be read"] * bool(refused)
    counts += [f"{len(incomplete)} could be read in part"] * bool(incomplete)
    said = [*incomplete, *lines]
    more = [f"… and {len(said) - _MOST_LINES} more"] if len(said) > _MOST_LINES else []
    return LabError(f"{', '.join(counts)}:\n  " + "\n  ".join([*said[:_MOST_LINES], *more]), hint=advice)


def _usual_places(build: Path) -> list[Path]:
    """Where hand-ins lie if nobody says otherwise."""
    return [folder for folder in (build / "kits", build / "handins") if folder.is_dir()]


def _alone(build: Path) -> AbstractContextManager[None]:
    """Two commands that write into one build folder would lose each other's kits: the second one waits."""
    build.mkdir(parents=True, exist_ok=True)
    return one_at_a_time(build / ".lock", f"building kits or collecting in {build}", _PATIENCE_S)


def _progress(title: str, total: int) -> Callable[[], object]:
    return start_bar(title, total).update


if __name__ == "__main__":
    sys.exit(main())
