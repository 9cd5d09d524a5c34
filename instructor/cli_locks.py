"""The commands of `instructor` about locks: rescue, room-code, locks audit."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from instructor.options import WORKSHOP_FILE, BuildOption, WorkshopOption
from instructor.vault import Vault
from instructor.workshop import Workshop, find_group, find_stage, read_workshop
from lab_code.errors import LabError
from lab_code.terminal import make_console


def add_commands(app: typer.Typer, locks: typer.Typer) -> None:
    """Register the commands."""
    app.command()(rescue)
    app.command()(room_code)
    locks.command()(audit)


def rescue(
    build: BuildOption,
    group: Annotated[str, typer.Option(help="Number or name of the group.")],
    stage: Annotated[str, typer.Option(help="Number or id of the stage.")],
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Show the rescue code of one group's stage, to be read aloud and typed by the group.

    Example: instructor rescue --group 3 --stage 2
    """
    described = read_workshop(workshop)
    name, spec = find_group(described, group), find_stage(described, stage)
    keys = Vault(build).read_key()
    entry = next((entry for entry in keys.get(name, []) if entry["stage"] == spec.id), None)
    if entry is None:
        raise LabError(f"{name} has no kit with stage {spec.id} yet", hint="make provision")
    console = make_console()
    console.print(f"{name}, stage {described.stages.index(spec) + 1} '{escape(spec.title)}':\n")
    console.print(f"    [bold]{entry['rescue']}[/]\n")
    console.print(f"The group types:  lab unlock --rescue {entry['rescue']}")
    console.print("(capitals and dashes do not matter; O is taken as 0, I and L as 1)", style="dim")


def room_code(
    build: BuildOption,
    stage: Annotated[str, typer.Option(help="Number or id of the stage that begins.")],
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Show a stage's room code in large letters: the words that all groups type with their answers.

    Example: instructor room-code --stage 2
    """
    from instructor.locks.room_code import draw_room_code

    described = read_workshop(workshop)
    spec = find_stage(described, stage)
    if not described.locks.room_code:
        raise LabError(
            f"the locks of '{described.id}' need no room code",
            hint="write room_code: true under locks in instructor/workshop.yaml, then: make provision",
        )
    code, console = Vault(build).room_code(described.id, spec.id), make_console()
    console.print(f"Stage {described.stages.index(spec) + 1}: {escape(spec.title)}\n", style="bold")
    console.print(draw_room_code(code, console.width), markup=False)
    console.print(f'\nlab unlock --answers … --room-code "{code}"', markup=False)


def audit(
    build: BuildOption,
    workshop: WorkshopOption = WORKSHOP_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell for every stage how long guessing takes, on this machine and on larger ones, and what would help.

    Example: instructor locks audit
    """
    from instructor.locks.audit import audit_locks, audits_to_json, time_guess
    from instructor.quizbank.bank import load_bank
    from instructor.quizbank.variants import make_variants

    described, vault = read_workshop(workshop), Vault(build)
    data = build / "data" if (build / "data").is_dir() else None
    secret = vault.answer_secret(described.id) if vault.is_drawn else "an example"
    variants = make_variants(described, load_bank(described, data=data), secret)
    audits = audit_locks(described, variants, time_guess(described.locks), data=data)
    if as_json:
        print(audits_to_json(audits))
        return
    _print_audits(audits, described)
    if not vault.is_drawn:
        make_console().print(f"({vault.folder} is not made yet: these are the figures of an example)", style="dim")


def _print_audits(audits: list, described: Workshop) -> None:
    from instructor.locks.audit import CORES, describe_seconds

    table = Table("", title="Guessing lists of answers by program, stage by stage", title_justify="left")
    table.add_column("tried", no_wrap=True)
    for name in ("lists", "by hand", *(f"{cores} cores" if cores > 1 else "1 core" for cores in CORES)):
        table.add_column(name, justify="right", no_wrap=True)
    for number, stage in enumerate(audits, 1):
        for who, lists in (
            ("every list", stage.combinations),
            ("lazily: most", max(stage.lazy)),
            ("lazily: median", stage.median),
            ("lazily: fewest", stage.quickest),
        ):
            seconds = [stage.seconds_by_hand(lists), *(stage.seconds(cores, lists) for cores in CORES)]
            shown = f"{lists:,}" + (" × room code" if stage.room_code else "")
            first = str(number) if who == "every list" else ""
            table.add_row(first, who, shown, *map(describe_seconds, seconds), end_section=who == "lazily: fewest")
    console = make_console()
    console.print(table)
    memory = described.locks.memory_kib / 1024
    console.print(
        f"One guess takes {audits[0].guess_s:.2f} s and {memory:.0f} MiB on one core of this machine; the activity "
        f"lasts {described.activity_minutes} min. By hand counts the waiting after wrong lists. Lazily: what "
        "lies at hand first, options by their looks, numbers and names from the files that the question names; over "
        "the groups. Every stage after the first can be guessed only once the one before it is open."
    )
    for number, stage in enumerate(audits, 1):
        fix = f"; cheapest fix: {stage.fix}" if stage.fix else ""
        console.print(f"  stage {number}: {stage.verdict}{fix}")
        if stage.rest is not None and not stage.room_code:
            console.print(f"    whoever types the command that shows its number has {stage.rest:,} lists left to try")


def summarise_audit(described: Workshop, variants: dict) -> list[str]:
    """What `provision` says about its locks: one line a stage that a lazy program could open in class."""
    from instructor.locks.audit import audit_locks, describe_seconds, time_guess

    lines = []
    for number, stage in enumerate(audit_locks(described, variants, time_guess(described.locks, repeats=1)), 1):
        if not stage.holds:
            lines.append(
                f"stage {number}: a program that tries what lies at hand first needs {stage.quickest:,} lists of "
                f"{stage.combinations:,}, {describe_seconds(stage.seconds(1))} on one core; fix: {stage.fix}"
            )
    return lines
