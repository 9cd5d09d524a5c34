"""Commands of `instructor` for other workshops: a working copy, and photographs from the network."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from instructor.cli.options import default_build
from lab_code.cli.terminal import escape, make_console
from lab_code.errors import LabError


def new(
    folder: Annotated[Path, typer.Argument(help="The folder to make; outside this project.")],
    example: Annotated[
        str | None, typer.Option(help="Begin with a small workshop about another subject: digits, or shapes.")
    ] = None,
) -> None:
    """Make a working copy of the workshop to adapt: its own groups, questions, locked files and photographs.

    Commands that are run in the new folder mean the workshop there. Nothing that is there already is overwritten.

    Example: instructor new ../my-workshop --example digits
    """
    from instructor.adapt.working_copy import make_working_copy

    made, console = make_working_copy(folder, example), make_console()
    console.print(f"[bold green]{made} is ready.[/] What to change stands in its README.md.")
    console.print(f"next:  cd {folder} && instructor provision", markup=False)


def fetch(
    name: Annotated[str, typer.Argument(help="ham10000, or dermamnist.")],
    size: Annotated[int, typer.Option(help="Pixels of DermaMNIST's photographs: 28, 64, 128 or 224.")] = 64,
    to: Annotated[
        Path | None, typer.Option(help="The folder for the photographs.", show_default="build/downloads/NAME")
    ] = None,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="You agree to the licence shown.")] = False,
    manual: Annotated[bool, typer.Option("--manual", help="Only list the steps by hand.")] = False,
    mirror: Annotated[
        str, typer.Option(envvar="LAB_DATA_MIRROR", help="A server that has the publishers' files at the same paths.")
    ] = "",
) -> None:
    """Fetch real photographs from where they are published, with checksums; a break is resumed by the next call.

    Example: instructor data fetch dermamnist --size 64 --accept-licence
    """
    from instructor.dataset.fetch import choose_source, describe_by_hand
    from instructor.dataset.fetch import fetch as fetch_source
    from instructor.fetching import UnreachableError

    source, console = choose_source(name, size), make_console()
    folder = to or default_build() / "downloads" / source.name
    if manual:
        for step in describe_by_hand(source, folder):
            console.print(step, markup=False, soft_wrap=True)
        return
    console.print(f"{source.title}\nlicence: {source.licence}\n{source.page}", markup=False)
    if not accept_licence:
        raise LabError("the licence is not accepted", hint="read it, then add: --accept-licence")
    if mirror and not mirror.startswith(("http://", "https://")):
        raise LabError(f"the mirror '{mirror}' is no address", hint="as http://192.0.2.7:8000")
    try:
        path, notes = fetch_source(source, folder, _show_bytes, mirror)
    except UnreachableError:
        for step in ["By hand:", *describe_by_hand(source, folder)]:
            make_console(stderr=True).print(step, markup=False, soft_wrap=True)
        raise
    for note in notes:
        console.print(f"note: {note}", markup=False)
    console.print(f"[bold green]{source.name} is complete.[/] next:  instructor provision --data {escape(str(path))}")


def _show_bytes(title: str, total: int) -> Callable[[int], object]:
    """A bar that counts bytes."""
    from tqdm import tqdm

    bar = tqdm(total=total or None, desc=title, unit="B", unit_scale=True, disable=None, leave=False)
    return lambda count: bar.update(count)
