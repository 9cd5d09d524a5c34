"""The commands of `instructor` for giving the class: plan, run-sheet, print, slides, run, board."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.classroom.schedule import require_schedule
from instructor.cli.options import BuildOption, WorkshopOption
from instructor.cli.waiting import alone
from instructor.vault import Vault
from instructor.workshop import Workshop, find_experiments, find_workshop, read_workshop
from lab_code.cli.terminal import make_console
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.classroom.laptops import Laptops

SshOption = Annotated[
    bool,
    typer.Option("--ssh", help="Also ask the laptops of inventory.yaml over SSH, every 15 seconds."),
]
KitsOption = Annotated[
    list[Path] | None,
    typer.Option("--kits", show_default="build/kits", help="A folder with kits, or a kit; may be given several times."),
]


def plan(build: BuildOption, workshop: WorkshopOption = None) -> None:
    """Draw the preparation and the class as a chart: build/class/plan.pdf and .png.

    Example: instructor plan
    """
    from instructor.classroom.papers import write_plan

    _tell(write_plan(_read(workshop), build / "class"))


def run_sheet(build: BuildOption, workshop: WorkshopOption = None) -> None:
    """Write the class minute by minute, to print: build/class/run-sheet.pdf.

    Its last page has every rescue code and answer, once the kits are built.

    Example: instructor run-sheet
    """
    from instructor.classroom.papers import write_run_sheet

    path = build / "class" / "run-sheet.pdf"
    write_run_sheet(_read(workshop), Vault(build), path)
    _tell([path])


def print_all(build: BuildOption, workshop: WorkshopOption = None) -> None:
    """Put everything that is printed into one file: build/class/print.pdf (sheets, run sheet, key).

    Print it on both sides; every group's sheet begins a leaf of its own.

    Example: instructor print
    """
    from instructor.classroom.papers import write_print_file

    path = build / "class" / "print.pdf"
    pages = write_print_file(build, _read(workshop), path)
    make_console().print(f"{path}  ({pages} pages; the last ones hold answers and codes)", markup=False)


def slides(
    build: BuildOption,
    again: Annotated[
        bool, typer.Option("--again", help="Train anew for the pictures, also if they are there.")
    ] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Make the slides: build/class/slides.html (presents offline, with notes and clock) and slides.pdf.

    Their pictures come from the first two experiments, trained in a copy of a kit of this workshop; the first time that
    takes about a minute.

    Example: instructor slides
    """
    from instructor.classroom.pictures import make_pictures
    from instructor.classroom.slides import write_slides
    from lab_code.data.ham10000 import read_dataset

    described = read_workshop(workshop)
    with alone(build):
        names = list(find_experiments(described))[:2]
        pictures = make_pictures(build, described.groups[0], names, again=again)
    _tell(write_slides(described, pictures, build / "class", read_dataset(build / "data")))


def run(
    build: BuildOption,
    kits: KitsOption = None,
    part: Annotated[str | None, typer.Option(help="Begin at this part (its id or number).")] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget the class before; the clock starts anew.")] = False,
    ssh: SshOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Run the class: a full-screen clock with what to say and do next, and where every group stands.

    Space starts and pauses, n goes on, b goes back, r shows a rescue code, q closes; opened again it goes on.

    Example: instructor run
    """
    import time

    from instructor.classroom.clock import FILE, Clock
    from instructor.classroom.clock_screen import ClockScreen, Sources
    from instructor.classroom.room import FILE as ROOM_FILE
    from instructor.classroom.room import Room, find_kits

    described = _read(workshop)
    folder = build / "class"
    if again:
        for name in (FILE, ROOM_FILE):
            (folder / name).unlink(missing_ok=True)
    clock = Clock.open(folder / FILE, described.schedule)
    if part is not None:
        clock.go_to(described.schedule.find(part), time.time())
    places = kits or ([] if ssh else [build / "kits"])
    find_kits(places)  # a folder that is not there is said before the screen opens
    try:
        keys = Vault(build).read_key()
    except LabError:
        keys = {}
    laptops = _find_laptops(workshop) if ssh else None
    room = Room(described, folder / ROOM_FILE, build / "collected")
    ClockScreen(described, clock, room, Sources(lambda: find_kits(places), keys, laptops=laptops)).run()


def board(
    build: BuildOption,
    kits: KitsOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of its pages.")] = 8050,
    room: Annotated[bool, typer.Option("--room", help="Also for the laptops of the room, which report to it.")] = False,
    ssh: SshOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Serve the board: a page for the projector, and one for you with who is stuck and rescue codes.

    It reads the kits that lie on this machine, and with --ssh asks the laptops of inventory.yaml. Where board.report_to
    in workshop.yaml names this machine, laptops report to it by themselves (--room). Ctrl-C ends it; started again it
    remembers the class.

    Example: instructor board
    """
    from instructor.classroom.serve import serve_board

    described = _read(workshop)
    if room and not described.board.report_to:
        raise LabError(
            "the kits of this workshop report to nobody",
            hint="write this machine's address under board.report_to in workshop.yaml, then: make provision",
        )
    laptops = _find_laptops(workshop) if ssh else None
    places = kits or ([] if ssh else [build / "kits"])
    serve_board(described, build, places, ("0.0.0.0" if room else "127.0.0.1", port), _say, laptops)


def _find_laptops(workshop: Path | None) -> "Laptops":
    """Those of the inventory, everything checked before the screen opens."""
    from instructor.classroom.laptops import Laptops
    from instructor.cli.deliver import find_pinned
    from instructor.deliver.over_ssh import choose_laptops

    inventory = find_pinned(workshop)
    choose_laptops(inventory, [])  # none with a group is said at once
    return Laptops(inventory)


def _read(workshop: Path | None) -> Workshop:
    path = workshop or find_workshop()
    described = read_workshop(path)
    require_schedule(described.schedule, path)
    return described


def _say(text: str) -> None:
    make_console().print(text, markup=False)


def _tell(paths: list[Path]) -> None:
    for path in paths:
        make_console().print(str(path), markup=False)
