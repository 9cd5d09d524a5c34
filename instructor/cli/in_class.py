"""The commands of `instructor` while the class works: the key, a rescue code, a stage's room code, the duel."""

import json
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from instructor.cli.options import BuildOption, WorkshopOption, take
from instructor.cli.waiting import alone
from instructor.spelling import spell_make
from instructor.vault import Vault
from instructor.workshop import Workshop, find_group, find_stage, read_workshop
from lab_code.cli.terminal import escape, make_console
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.results.duel import Duel


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


@dataclass(frozen=True)
class DuelOptions:
    """Of `instructor duel`."""

    build: BuildOption
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Kits, or folders of kits, to read the groups' answers from; build/kits if left out."),
    ] = None
    photographs: Annotated[int | None, typer.Option(help="How many photographs; 10 if left out.")] = None
    seed: Annotated[int | None, typer.Option(help="Which ones: another number shows others.")] = None
    new: Annotated[bool, typer.Option("--new", help="Other photographs with another code.")] = False
    count: Annotated[
        Path | None, typer.Option(help="Count the result that the page has saved, for the ceremony.", metavar="FILE")
    ] = None
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True
    workshop: WorkshopOption = None


@take(DuelOptions)
def duel(options: DuelOptions) -> None:
    """Human against machine: a page for the projector, with hidden photographs and the class's best network.

    It needs what `make collect` has collected. The same photographs and code stay until --new; typed again, it takes in
    the answers that have arrived.

    Example: instructor duel
    """
    from instructor.classroom.duel import PAGE, Wish, prepare_duel, read_room, write_duel_page
    from instructor.classroom.room import FILE as ROOM_FILE
    from instructor.results.duel import choose_answers, describe_age, read_answers
    from lab_code.data.ham10000 import read_dataset
    from lab_code.workshop.duel import list_choices

    described, build = read_workshop(options.workshop), options.build
    if options.count is not None:
        _count_duel(options.count, described, build)
        return
    notes = make_console(stderr=True)
    with alone(build):
        wish = Wish(options.photographs, options.seed, options.new)
        made, is_new = prepare_duel(described, build, wish)
        typed, faults = _read_kits(options.places, build, described)
        heard = read_room(described, build / "class" / ROOM_FILE)
        answers, refused = choose_answers(made, [*typed, *heard, *read_answers(build / "collected")])
        page = build / "class" / PAGE
        test_set = Vault(build).folder / "test"
        write_duel_page(page, described, made, list_choices(test_set), answers, read_dataset(test_set))
    for note in (*faults, *refused):
        notes.print(f"note: {spell_make(note)}", markup=False)
    before = "" if is_new else f"  (as made on {describe_age(Vault(build).folder)}; --new makes another duel)"
    _tell_duel(page, made, before, answers=list(answers))
    if options.open_page and not _open(page):
        raise LabError("no browser could be opened", hint=f"open {page} by hand")


def _read_kits(
    places: Sequence[Path] | None, build: Path, described: Workshop
) -> tuple[list[tuple[str, str, list[str]]], list[str]]:
    from instructor.classroom.duel import read_kits

    usual = [build / "kits"] if (build / "kits").is_dir() else []
    return read_kits(places or usual, described.id)


def _tell_duel(page: Path, made: "Duel", before: str, answers: Sequence[str]) -> None:
    console = make_console()
    size = page.stat().st_size / 1e6
    console.print(f"{page}  ({len(made.photographs)} photographs, {size:.1f} MB; → goes on, ← back)", markup=False)
    console.print(f"Code: [bold]{made.code}[/]{before}")
    console.print(f"Groups type: lab duel {made.code} --answers 6,5,…   or in their notebook", markup=False)
    if answers:
        console.print(f"Answers are here from {', '.join(answers)}", markup=False)
    console.print("At the end press S on the page, then: instructor duel --count duel-result.json", markup=False)


def _count_duel(saved: Path, described: Workshop, build: Path) -> None:
    from instructor.results.duel import keep_played, read_duel, read_duel_result, read_played, settle_duel

    vault, collected = Vault(build).folder, build / "collected"
    with alone(build):
        known = read_duel(vault)
        if known is None:
            raise LabError("there is no duel yet", hint="make collect, then: instructor duel")
        keep_played(vault, read_played(saved, known, described.groups))
        notes = settle_duel(vault, collected, described.groups)
        result = read_duel_result(collected)
    for note in notes:
        make_console(stderr=True).print(f"note: {spell_make(note)}", markup=False)
    if result is None:
        make_console().print("Nobody has answered anything yet.")
        return
    humans = "nobody voted" if result.humans is None else f"class {result.humans}"
    groups = "".join(f", {group} {right}" for group, right in result.groups.items())
    console = make_console()
    console.print(f"Counted: network {result.machine}, {humans}{groups}, of {result.photographs}", markup=False)
    console.print(f"{collected / 'duel.csv'}  (the ceremony knows it: instructor ceremony)", markup=False)


def _open(page: Path) -> bool:
    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False
