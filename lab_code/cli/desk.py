"""The commands of `lab` around the work: start, ui, doctor, feedback, review.

Each parses, calls and prints.
"""

import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.terminal import escape, make_console
from lab_code.errors import LabError
from lab_code.workshop.feedback import RATINGS, SENTENCES
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from rich.console import Console

    from lab_code.workshop.desk import Desk, Server
    from lab_code.workshop.doctor import Check


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (start, ui, doctor, feedback, review):
        app.command()(command)


BrowserOption = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")]
StopOption = Annotated[bool, typer.Option("--stop", help="Stop what runs in the background, and nothing else.")]


def start(browser: BrowserOption = True, stop: StopOption = False) -> None:
    """Open the starter notebook in JupyterLab, with MLflow beside it.

    Both run on this laptop only, until Ctrl-C. A second start finds what already runs.

    Example: lab start
    """
    _run_desk(find_kit(), ["jupyter", "mlflow"], browser, stop)


def ui(browser: BrowserOption = True, stop: StopOption = False) -> None:
    """Open MLflow's page: every run of this kit.

    Example: lab ui
    """
    _run_desk(find_kit(), ["mlflow"], browser, stop)


def _run_desk(kit: Kit, names: list[str], browser: bool, stop: bool) -> None:
    from lab_code.tracking.interrupts import hear_termination
    from lab_code.workshop.desk import Desk, open_desk, read_servers, write_redirect
    from lab_code.workshop.doctor import QUICK, run_checks
    from lab_code.workshop.hub_page import hub_address

    console, notes = make_console(), make_console(stderr=True)
    if address := hub_address(kit.root):
        console.print(f"This kit is open in JupyterHub already. MLflow, behind the hub's own address: {address}")
        return
    if stop:
        running = [server for server in read_servers(kit.root) if server.name in names and server.process()]
        Desk(kit.root).stop(running)
        stopped = ", ".join(server.title for server in running)
        console.print(f"Stopped: {stopped}" if stopped else "Nothing was running.")
        return
    for check in run_checks(kit, QUICK):
        if not check.ok and check.name == "writing":
            raise LabError(check.found, hint=check.fix)
        if not check.ok:
            notes.print(f"note: {check.name}: {check.found}; {check.fix}", markup=False)
    with hear_termination(), open_desk(kit, names, _make_store, lambda text: notes.print(text, style="dim")) as desk:
        for server in desk.servers:
            console.print(f"{server.title:<11} {server.address}", markup=False)
        if browser and not _open(write_redirect(kit.root, desk.servers[0])):
            notes.print("note: no browser could be opened; open the first address yourself", markup=False)
        if not desk.own:
            console.print(spell_commands("Both were running already. To stop them: lab start --stop"))
            return
        console.print("Ctrl-C stops them. Everything you do is kept in the kit.")
        ended = _watch(desk, notes)
    if ended is not None:
        raise LabError(
            f"{ended.title} has ended by itself", hint=f"its last words are in .lab/{ended.name}.log; lab start"
        )
    console.print("Stopped.")


def _watch(desk: "Desk", notes: "Console") -> "Server | None":
    """The server that has ended by itself, in a while; None where somebody wanted them to end."""
    from lab_code.workshop.desk import read_servers

    try:
        ended = desk.watch()
        return ended if ended in read_servers(desk.root) else None
    except KeyboardInterrupt:
        notes.print("\nstopping …", style="dim")
        return None


def _make_store(root: Path) -> None:
    from lab_code.tracking.empty_store import make_from_script
    from lab_code.tracking.runs import name_own_experiment

    if not make_from_script(root):
        from lab_code.tracking.tracker import prepare_store

        prepare_store(root, name_own_experiment(root))


def _open(page: Path) -> bool:
    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For the instructor's programs.")] = False) -> None:
    """Check whether this laptop is ready for class.

    Every line is one check; a fix stands under each that fails. The exit code is 1 where any does.

    Example: lab doctor
    """
    import json

    from lab_code.workshop.doctor import run_checks

    kit = find_kit()
    console, checks = make_console(), []
    with make_console(stderr=True).status("checking …") as status:
        for check in (*run_checks(kit), *_heavy_checks(kit, status.update)):
            checks.append(check)
            if not as_json:
                mark = "[green]ok  [/]" if check.ok else "[bold red]FAIL[/]"
                console.print(f"{mark}  {check.name:<12} {escape(check.found)}")
                if check.fix:
                    console.print(f"      fix: {check.fix}", markup=False)
    failed = [check.name for check in checks if not check.ok]
    if as_json:
        ready = {"group": kit.group, "ready": not failed, "checks": [vars(check) for check in checks]}
        print(json.dumps(ready, ensure_ascii=False, indent=2))
    elif not failed:
        console.print("[bold green]This laptop is ready.[/]")
    if failed:
        raise typer.Exit(1)


def _heavy_checks(kit: Kit, tell: Callable[[str], object]) -> Iterator["Check"]:
    """Training and tracking, which take some seconds to import."""
    from dataclasses import replace

    from lab_code.workshop.doctor import guard

    figures: dict[str, float] = {}

    def training() -> tuple[bool, str, str]:
        from lab_code.cli.trial import time_training

        photographs = sum(1 for _ in (kit.root / "data").rglob("*.jpg"))
        trial = time_training(photographs)
        if not trial.fits:  # the laptop may have been busy with something else
            trial = min(trial, time_training(photographs), key=lambda trial: trial.two_experiments_s)
        start_s = trial.experiment_s - trial.epochs * trial.epoch_s
        figures.update(photographs=photographs, epochs=trial.epochs, epoch_s=trial.epoch_s, start_s=start_s)
        return trial.fits, str(trial), "close other programs; or train with fewer epochs: trainer.epochs=3"

    def tracking() -> tuple[bool, str, str]:
        from lab_code.cli.trial import try_tracking

        return True, f"a run written and read in {try_tracking(kit.root):.1f} s", ""

    tell("training a little …")
    yield replace(guard("training", training), figures=figures)
    tell("writing to MLflow …")
    yield guard("MLflow", tracking)


def feedback(
    clear: Annotated[int, typer.Option(min=1, max=5, help=RATINGS["clear"])],
    learned: Annotated[int, typer.Option(min=1, max=5, help=RATINGS["learned"])],
    pace: Annotated[int, typer.Option(min=1, max=5, help=RATINGS["pace"])],
    good: Annotated[str, typer.Option(help=SENTENCES["good"])] = "",
    better: Annotated[str, typer.Option(help=SENTENCES["better"])] = "",
) -> None:
    """Say what you think: three ratings and two sentences, without names. They travel in the hand-in.

    Example: lab feedback --clear 4 --learned 5 --pace 3 --better "more time for stage 3"
    """
    from lab_code.workshop.feedback import write_feedback

    kit = find_kit()
    path = write_feedback(kit.root, {"clear": clear, "learned": learned, "pace": pace}, good, better)
    make_console().print(spell_commands(f"Thank you. It is in {path.name}, and goes with the next lab handin."))


def review(
    changed: Annotated[str, typer.Option(help="What was changed between run A and run B?")] = "",
    effect: Annotated[str, typer.Option(help="What did the change do? Name a number.")] = "",
    doubt: Annotated[str, typer.Option(help="What can one not conclude, and which run would you make next?")] = "",
    stars: Annotated[int | None, typer.Option(help="Their sentence: 1 (hardly honest and clear) to 5 (very).")] = None,
) -> None:
    """Review two runs of another group, whose name nobody says; without answers, show them and the questions.

    The answers travel in the next hand-in.

    Example: lab review --changed "the loss" --effect "mel from 0.11 to 0.74" --doubt "two seeds more would tell"
    """
    from lab_code.analysis.compare import compare_runs
    from lab_code.cli.comparing import print_comparison
    from lab_code.workshop.review import QUESTIONS, STARS, read_review, write_answers

    kit, console = find_kit(), make_console()
    found = read_review(kit.root)
    if changed or effect or doubt or stars is not None:
        path = write_answers(kit.root, found, {"changed": changed, "effect": effect, "doubt": doubt}, stars)
        console.print(spell_commands(f"Thank you. It is in {path.name}, and goes with the next lab handin."))
        return
    print_comparison(compare_runs(*found.runs), console)
    for number, (key, question) in enumerate(QUESTIONS.items(), 1):
        console.print(f"{number}. {question}   --{key}", markup=False)
    if found.sentence:
        console.print(f"Their sentence: “{found.sentence}”\n{len(QUESTIONS) + 1}. {STARS}   --stars", markup=False)
