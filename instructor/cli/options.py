"""Options that several commands of `instructor` share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from instructor.workshop import PROJECT, WORKSHOP_FILE

__all__ = ["WORKSHOP_FILE", "BuildOption", "OutOption", "WorkshopOption"]


def default_build() -> Path:
    """The project's build/, as it is seen from the current folder."""
    try:
        return Path(os.path.relpath(PROJECT / "build"))
    except ValueError:  # another drive of a Windows machine
        return PROJECT / "build"


WorkshopOption = Annotated[
    Path, typer.Option("--workshop", show_default="instructor/workshop.yaml", help="The workshop's description.")
]
BuildOption = Annotated[
    Path,
    typer.Option("--build", default_factory=default_build, show_default="build", help="The folder for what is built."),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        default_factory=lambda: default_build() / "quiz",
        show_default="build/quiz",
        help="The folder to write into.",
    ),
]
