"""The commands of `lab` for what a group says: bet, sentence, duel; and how a bet is told beside its result.

Each parses, calls and prints.
"""

from typing import Annotated

import typer

from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.spelling import spell_commands


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (bet, sentence, duel):
        app.command()(command)


def bet(
    run: Annotated[str, typer.Argument(help="Name of the run to come; own for your own experiment.")],
    score: Annotated[float, typer.Argument(help="The balanced accuracy that it will reach, from 0 to 1.")],
    why: Annotated[str, typer.Option(help="Why you think so.")] = "",
    change: Annotated[str, typer.Option(help="Of your own experiment: the one thing that it changes.")] = "",
) -> None:
    """Bet on a run before it is made: which balanced accuracy will it reach, and why?

    A bet can be changed until its run has a score. It travels in the hand-in.

    Example: lab bet baseline 0.4 --why "two of three photographs are of one class"
    """
    from lab_code.tracking.runs import read_runs
    from lab_code.workshop.statements import Bet, place_bet

    kit = find_kit()
    before = place_bet(kit, Bet(run.strip(), score, why.strip(), change.strip()), read_runs(kit.root))
    instead = "" if before is None else f", instead of {before.score:.3f}"
    make_console().print(f"Your bet on {escape(run)}: balanced accuracy {score:.3f}{instead}. Now train it.")


def sentence(
    text: Annotated[str, typer.Argument(help="What was changed, what it did, what you cannot conclude.")],
) -> None:
    """Keep your honest sentence about the two experiments; a later one takes its place. It travels in the hand-in.

    Example: lab sentence "balanced finds 30 of 35 rare ones, baseline 12; four settings differ, so which one did it?"
    """
    from lab_code.tracking.runs import read_runs
    from lab_code.workshop.statements import describe_runs, write_sentence

    kit = find_kit()
    write_sentence(kit.root, text)
    describe_runs(kit, read_runs(kit.root))
    console = make_console()
    console.print(spell_commands("Your sentence is kept, and goes with the next lab handin."))
    if not any(letter.isdigit() for letter in text):
        console.print("It names no number yet: which one would convince somebody who was not here?")


def duel(
    code: Annotated[str | None, typer.Argument(help="The code beside the photographs on the wall.")] = None,
    answers: Annotated[
        str | None, typer.Option(help="What each photograph is, by number or name, with commas: 6,5,nv,…")
    ] = None,
) -> None:
    """Human against machine: say what the photographs on the wall are. Without answers, show what they can be.

    The first list stands. It travels in the hand-in.

    Example: lab duel K7QM-2XRT-9 --answers 6,5,6,3,6,6,2,7,6,1
    """
    from lab_code.workshop.duel import DATA, answer_duel, describe_answers, list_choices

    kit, console = find_kit(), make_console()
    if code is not None and answers is not None:
        kept, is_new = answer_duel(kit, code, answers)
        console.print(f"Your answers to {kept.code} {'are kept' if is_new else 'stood already'}: ", end="")
        console.print(describe_answers(kit, kept), markup=False)
        console.print(spell_commands("They go with the next lab handin; now look at the wall."))
        return
    table = make_table("type", "it can be", "what to look for", title="Human against machine")
    for choice in list_choices(kit.root / DATA):
        table.add_row(str(choice.number), escape(choice.label), escape(choice.hint))
    console.print(table)
    console.print("For learning about experiments only: neither you nor the network can tell for real.", style="dim")
    if code is not None or answers is not None:
        raise LabError(
            f"lab duel needs the {'answers' if answers is None else 'code'} as well",
            hint="lab duel CODE --answers 6,5,6,… (the code stands on the wall)",
        )


def print_bet(kit: Kit, run_id: str) -> None:
    """What the group had bet on this run, beside what came out; nothing where it had not."""
    from lab_code.tracking.runs import read_runs
    from lab_code.workshop.statements import (
        SCORE,
        describe_result,
        describe_runs,
        experiments_of,
        find_result,
        read_statements,
    )

    runs = read_runs(kit.root)
    describe_runs(kit, runs)
    for placed in read_statements(kit.root).bets:
        found = find_result(placed, runs, experiments_of(kit))
        if found is not None and found.run_id == run_id:
            make_console().print(f"  {describe_result(placed, found.metrics[SCORE])}", markup=False)
