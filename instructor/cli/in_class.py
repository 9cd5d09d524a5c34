"""The commands of `instructor` while the class works: the key, a rescue code, a stage's room code."""

import json
from typing import Annotated

import typer
from rich.table import Table

from instructor.cli.options import BuildOption, WorkshopOption
from instructor.vault import Vault
from instructor.workshop import find_group, find_stage, read_workshop
from lab_code.cli.terminal import escape, make_console
from lab_code.errors import LabError


def key(
    build: BuildOption,
    group: Annotated[str | None, typer.Option(help="One group, by number or name; all of them if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Show the answers and rescue codes of the kits that were built.

    Example: instructor key --group 3
    """
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


def rescue(
    build: BuildOption,
    group: Annotated[str, typer.Option(help="Number or name of the group.")],
    stage: Annotated[str, typer.Option(help="Number or id of the stage.")],
    workshop: WorkshopOption = None,
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
    workshop: WorkshopOption = None,
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
