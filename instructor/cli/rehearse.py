"""The command `instructor rehearse`: the whole class once by simulated groups, the evening before."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.options import BuildOption, WorkshopOption, take
from instructor.cli.waiting import show_progress
from instructor.workshop import Workshop, find_workshop, read_workshop
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.rehearsal.laptops import Laptop
    from instructor.rehearsal.rehearse import Rehearsal
    from instructor.rehearsal.verdict import Verdict

REHEARSAL = "rehearsal"
PATIENCE_S = 5.0  # for another window that rehearses


@dataclass(frozen=True)
class RehearseOptions:
    """Of `instructor rehearse`."""

    build: BuildOption
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Few photographs and epochs; three minutes instead of the class's machine time."),
    ] = False
    laptops: Annotated[
        Path | None,
        typer.Option(help="doctor.json of the laptops, or a folder that holds some: the slowest one counts."),
    ] = None
    data: Annotated[Path | None, typer.Option(help="The photographs of the class, as for provision.")] = None
    show: Annotated[bool, typer.Option("--list", help="Only list the behaviours, and who shows which.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
    workshop: WorkshopOption = None


@take(RehearseOptions)
def rehearse(options: RehearseOptions) -> None:
    """Give the whole class once, with simulated groups and their accidents, in build/rehearsal/.

    It ends with each group's minutes against the schedule, and with a verdict: exit code 0 where this class fits its
    minutes and everything ended well. Kits, hand-ins and results of the real class are not touched.

    Example: instructor rehearse --fast --laptops /media/usb
    """
    from instructor.rehearsal.cast import make_cast
    from instructor.rehearsal.laptops import read_laptops
    from instructor.rehearsal.paper import to_document, write_papers
    from instructor.rehearsal.verdict import judge

    described = read_workshop(options.workshop)
    if options.data is not None:
        if not options.data.exists():
            raise LabError(f"the data folder {options.data} does not exist", hint="make rehearse DATA=path/to/ham10000")
        described.data.source = str(options.data.resolve())
    cast = make_cast(described, options.workshop or find_workshop())
    if options.show:
        _print_cast(cast.groups, cast.notes)
        return
    laptops, notes = read_laptops(options.laptops) if options.laptops else ([], [])
    folder = (options.build / REHEARSAL).resolve()
    made = _rehearse(described, options, folder)
    made.notes += notes
    verdict = judge(made, laptops)
    write_papers(folder, made, verdict)
    if options.as_json:
        print(json.dumps(to_document(made, verdict), ensure_ascii=False, indent=2))
    else:
        _show(made, verdict, folder)
    if not verdict.fits:
        raise typer.Exit(1)


def _rehearse(described: Workshop, options: RehearseOptions, folder: Path) -> "Rehearsal":
    """One rehearsal at a time; what an earlier one has found is removed before."""
    from instructor.rehearsal.cast import make_cast
    from instructor.rehearsal.launcher import Launcher
    from instructor.rehearsal.paper import JSON, PDF
    from instructor.rehearsal.rehearse import Options, Stage
    from lab_code.tracking.one_at_a_time import one_at_a_time

    notes = make_console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    cast = make_cast(described, options.workshop or find_workshop())
    given = Options(fast=options.fast, report=not options.fast)
    with one_at_a_time(folder / ".lock", f"rehearsing in {folder}", PATIENCE_S):
        for name in (PDF, JSON):
            (folder / name).unlink(missing_ok=True)
        with Launcher(warm=options.fast) as launcher:
            stage = Stage(described, cast, launcher, given, lambda text: notes.print(text, style="dim"), show_progress)
            return stage.rehearse(folder / ("fast" if options.fast else "full"))


def _print_cast(groups: dict[str, list[str]], notes: list[str]) -> None:
    from instructor.rehearsal.behaviours import BEHAVIOURS

    table = make_table("behaviour", "what the group does", "groups")
    for name, behaviour in BEHAVIOURS.items():
        shown = [group for group, names in groups.items() if name in names]
        table.add_row(name, behaviour.does, ", ".join(shown) or "–")
    make_console().print(table)
    for note in notes:
        make_console(stderr=True).print(f"note: {note}", markup=False)


def _show(made: "Rehearsal", verdict: "Verdict", folder: Path) -> None:
    console, notes = make_console(), make_console(stderr=True)
    _print_minutes(made, verdict)
    _print_incidents(made)
    for check in made.checks:
        if not check.ok:
            console.print(f"[red]does not agree:[/] {escape(check.name)}: {escape(check.found)}")
    _print_machine(made, verdict.slowest)
    for part in verdict.parts:
        works = f"   ({part.works})" if part.works else ""
        console.print(f"  {part.title}: {part.takes:.1f} of {part.planned:.0f} min{works}", markup=False)
    for note in made.notes:
        notes.print(f"note: {note}", markup=False)
    for line in [*verdict.faults, *verdict.late]:
        console.print(f"  {line}", markup=False)
    colour = "green" if verdict.fits else "red"
    console.print(f"[bold {colour}]Verdict: {escape(verdict.text)}[/]")
    for line in verdict.cuts:
        console.print(f"  {line}", markup=False)
    console.print(f"{folder / 'rehearsal.pdf'}   (as a picture; rehearsal.json for programs)", markup=False)


def _print_minutes(made: "Rehearsal", verdict: "Verdict") -> None:
    """Each group's minutes by section, beside the schedule's; below the table, what its columns and groups are."""
    from instructor.rehearsal.behaviours import describe_behaviours
    from instructor.rehearsal.script import name_section, plan_sections

    console, sections, slow = make_console(), plan_sections(made.workshop), verdict.slowest
    numbers = [str(number) for number in range(1, len(sections) + 1)]
    right = [*numbers, "done", *(["slowest"] if slow else [])]
    table = make_table("group", title=f"Minutes of the groups, by section: {escape(made.workshop.title)}", right=right)
    planned = [str(section.minutes) for section in sections]
    table.add_row("schedule", *planned, str(made.workshop.activity_minutes), *([""] if slow else []), end_section=True)
    for times in verdict.groups:
        cells = [f"{minutes:.1f}" if minutes else "–" for minutes in times.sections]
        projected = ["–" if times.on_slowest is None else f"{times.on_slowest:.1f}"] if slow else []
        table.add_row(times.group, *cells, f"{times.done:.1f}", *projected)
    console.print(table)
    legend = "   ".join(f"{number} {name_section(section)}" for number, section in enumerate(sections, 1))
    console.print(legend, style="dim", markup=False)
    for player in made.players:
        console.print(f"  {player.group} {describe_behaviours(player.behaviours)}", markup=False)


def _print_incidents(made: "Rehearsal") -> None:
    console = make_console()
    console.print("What went wrong, and whether the kit coped", style="italic")
    for player in made.players:
        for one in player.incidents:
            coped = "[green]coped[/]" if one.coped else "[bold red]NOT[/]  "
            console.print(f"  {coped}  {one.group}, minute {one.minute:.0f}: {escape(one.what)}")
            console.print(f"         {one.answer.removeprefix('error: ')}", style="dim", markup=False)


def _print_machine(made: "Rehearsal", slow: "Laptop | None") -> None:
    """Where the machine's minutes come from."""
    console = make_console()
    if made.here:
        takes = made.here.training_s(made.photographs)
        how = "taken for each training, from lab doctor" if made.fast else "the median of those that were made"
        console.print(f"  one training takes {takes:.0f} s on this machine ({how})", markup=False)
    if slow:
        console.print(
            f"  and {slow.training_s(made.photographs):.0f} s on {slow.name}, the slowest laptop", markup=False
        )
