"""Commands of `instructor` for other workshops: a working copy, and photographs from the network."""

from pathlib import Path
from typing import Annotated

import typer

from lab_code.cli.terminal import make_console


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
