"""The command `lab`: one small function per command, which parses, calls and prints.

Here are the commands of the workshop (unlock, hint, handin). `status.py` says where the group stands; commands about
runs are in `runs.py`, those about the desk in `desk.py`. torch, mlflow and hydra are imported only inside the commands
that need them, so that `lab --help`, `lab status` and `lab unlock` start at once.
"""

import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli import desk as desk_commands
from lab_code.cli import relay as relay_commands
from lab_code.cli import remote as remote_commands
from lab_code.cli import runs as run_commands
from lab_code.cli import statements as statement_commands
from lab_code.cli.predict import predict
from lab_code.cli.status import count, points, print_store_notes, status
from lab_code.cli.terminal import escape, make_console, make_table, run_app, wrap
from lab_code.errors import LabError
from lab_code.workshop.by_hand import expect_a_hand
from lab_code.workshop.kit import Kit, find_kit

if TYPE_CHECKING:
    from rich.status import Status

    from lab_code.workshop.unlock import Unlocked

_HANDED_OVER = "LAB_HANDED_OVER"  # set while another kit's launcher runs, which must not hand over again

app = typer.Typer(
    help="Read, unlock, train, compare, hand in. Begin with: lab status",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the other kind takes longer to import than everything else
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `lab` and return its exit code: 0 done, 1 failed, 2 misuse."""
    other = _launcher_of_another_kit()
    if other is not None and _HANDED_OVER not in os.environ:
        return _hand_over([sys.executable, str(other), *(sys.argv[1:] if argv is None else argv)])
    code = run_app(app, argv, log_folder=Path.cwd())
    _report_to_board()
    return code


def _report_to_board() -> None:
    """A board that listens hears what this command has changed, and a course's server gets runs; nothing waits."""
    with suppress(Exception):  # whatever it is: nobody at this laptop should hear of it
        kit = find_kit()
        if kit.report_to:
            from lab_code.workshop.reports import report

            report(kit)
        if kit.server:
            from lab_code.workshop.course_server import send_later

            send_later(kit)


app.command()(status)


@app.command()
def unlock(
    answers: Annotated[str | None, typer.Option(help="All answers of the stage, with commas: 3,1,4")] = None,
    rescue: Annotated[str | None, typer.Option(help="The instructor's rescue code, instead of answers.")] = None,
    stage: Annotated[str | None, typer.Option(help="Number of the stage; the next locked one if left out.")] = None,
    room_code: Annotated[
        str | None, typer.Option(help="The words that the instructor shows, if the stage asks.")
    ] = None,
) -> None:
    """Open a stage with the answers to its questions.

    Example: lab unlock --answers 3,1,4
    """
    from lab_code.workshop.quiz import example_answers, read_questions
    from lab_code.workshop.unlock import next_stage, unlock_with_answers, unlock_with_rescue

    kit = find_kit()
    if (answers is None) == (rescue is None):
        asked = read_questions(kit)[(next_stage(kit) or kit.stages[-1]).id]
        hint = f"lab unlock --answers {example_answers(asked)}"
        raise LabError("unlock needs either answers or a rescue code", hint=hint)
    if rescue is not None:
        _print_unlocked(kit, unlock_with_rescue(kit, kit.stage(stage) if stage else None, rescue))
        return
    chosen = kit.stage(stage) if stage else next_stage(kit)
    if chosen is None:
        make_console().print("All stages are open already. Next: lab train, lab compare, lab handin")
        return
    with make_console(stderr=True).status("reading the lock …") as status:

        def on_try() -> None:
            status.update(f"opening stage {kit.number(chosen)} …")

        def pause(left: float) -> None:
            _count_down(status, left)

        done = unlock_with_answers(kit, chosen, answers or "", room_code, pause, on_try)
    _print_unlocked(kit, done)


@app.command()
def hint(
    question: Annotated[int | None, typer.Argument(help="Number of the question; all prices if left out.")] = None,
    stage: Annotated[str | None, typer.Option(help="Number of the stage; the next locked one if left out.")] = None,
) -> None:
    """Get the next hint to a question. Hints cost points; without a number, only the prices are shown.

    Example: lab hint 2
    """
    from lab_code.workshop.hints import list_hints, take_hint
    from lab_code.workshop.unlock import next_stage

    kit = find_kit()
    chosen = kit.stage(stage) if stage else next_stage(kit)
    if chosen is None:
        make_console().print("All stages are open already: no hint is needed.")
        return
    if question is not None:
        expect_a_hand(f"hint {question}")
        text, price = take_hint(kit, chosen, question)
        console = make_console()
        console.print(
            f"Hint to question {question} (cost {count(price, 'point')}, you have {points(kit)}):", style="bold"
        )
        console.print(wrap(text, "  "), markup=False)
        return
    title = f"Stage {kit.number(chosen)}: what a hint costs"
    table = make_table("question", "hints so far", title=title, right=["the next one"])
    for number, state in enumerate(list_hints(kit, chosen), 1):
        next_price = "there is none" if state.price is None else count(state.price, "point")
        table.add_row(str(number), escape("\n".join(state.taken)) or "–", next_price)
    make_console().print(table)


run_commands.add_commands(app)
relay_commands.add_commands(app)
remote_commands.add_commands(app)
app.command()(predict)
statement_commands.add_commands(app)
desk_commands.add_commands(app)


@app.command()
def handin() -> None:
    """Pack everything into one zip for the instructor.

    It ends with a receipt to read aloud; the newest hand-in counts.

    Example: lab handin
    """
    from lab_code.workshop.handin import write_handin
    from lab_code.workshop.progress import read_journal

    kit = find_kit()
    expect_a_hand("handin")
    earlier = [event.get("runs") for event in read_journal(kit.root).of("handed_in")]
    path, code, runs = write_handin(kit)
    print_store_notes(kit)
    if earlier and isinstance(earlier[-1], int) and runs < earlier[-1]:
        fewer = f"this hand-in holds {count(runs, 'finished run')}, the one before held {earlier[-1]}"
        run_commands.print_notes([f"{fewer}; that zip is still in {path.parent.name}/"])
    console = make_console()
    console.print(f"[bold green]Handed in:[/] {path.relative_to(kit.root)}  ({count(runs, 'finished run')})")
    console.print(f"Receipt: [bold]{code}[/]   (read it aloud; you may hand in again, the newest counts)")


def _print_unlocked(kit: Kit, done: "Unlocked") -> None:
    from lab_code.workshop.reasons import read_reasons

    console = make_console()
    console.print(f"[bold green]Stage {kit.number(done.stage)} '{escape(done.stage.title)}' is open.[/]")
    for heading, names in (("new", done.written), ("there already", done.present), ("yours, kept", done.kept)):
        for name in names:
            if name in done.stage.opens:
                console.print(f"  {heading}: {name}")
    for number, reason in enumerate(read_reasons(kit, done.stage), 1):
        console.print(wrap(f"{reason.right}: {reason.why}", "     ", f"  {number}. "), markup=False)
    if done.kept:
        note = "To get an original back, rename your file and run the same unlock again."
        make_console(stderr=True).print(note)


def _count_down(status: "Status", left: float) -> None:
    """Wait, and show how long it still takes; one line where no terminal looks."""
    text = "two or more wrong lists in a row: time to look again. Next try in {} s"
    if not sys.stderr.isatty():
        make_console(stderr=True).print(text.format(math.ceil(left)))
    end = time.monotonic() + left
    while (remaining := end - time.monotonic()) > 0:
        status.update(text.format(math.ceil(remaining)))
        time.sleep(min(remaining, 1))


def _hand_over(command: list[str]) -> int:
    """Run the other launcher to its end: Ctrl-C is for that one alone, which may have something to write down, and so
    is whatever else asks this one to end."""
    import signal
    import subprocess
    import threading

    process = subprocess.Popen(command, env={**os.environ, _HANDED_OVER: "1"})
    if threading.current_thread() is not threading.main_thread():
        return process.wait()
    ends = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    asked = [number for number in ends if signal.getsignal(number) is signal.SIG_DFL]
    before = {number: signal.signal(number, lambda heard, _: process.send_signal(heard)) for number in asked}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)  # only now: the other one shall hear it
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _launcher_of_another_kit() -> Path | None:
    """The launcher of the kit around the current folder, where that kit brings a `lab_code` other than this one.

    One environment may serve several kits: whichever `lab` is called, the code of the kit one stands in must run.
    """
    try:
        root = find_kit().root
    except LabError:
        return None
    launcher = root / "lab"
    mine = Path(__file__).resolve().parent.parent
    return launcher if launcher.is_file() and mine != root / "lab_code" else None


if __name__ == "__main__":
    sys.exit(main())
