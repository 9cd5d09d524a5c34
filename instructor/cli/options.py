"""Options that several commands of `instructor` share, and commands that have many."""

import inspect
import os
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from instructor.workshop import PROJECT, WORKSHOP_FILE, find_workshop

__all__ = ["BuildOption", "OutOption", "WorkshopOption", "take"]

Options = TypeVar("Options")


def take(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Give a command its options as one dataclass: each of its fields is one."""
    hints = get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)  # type: ignore[arg-type]  # a dataclass, as its name says
    ]

    def wrap(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            command(options(**values))

        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = hints
        return run

    return wrap


def default_build() -> Path:
    """The build/ of the workshop that is meant here, as it is seen from the current folder."""
    found = find_workshop()
    build = (PROJECT if found == WORKSHOP_FILE else found.parent) / "build"
    try:
        return Path(os.path.relpath(build))
    except ValueError:  # another drive of a Windows machine
        return build


WorkshopOption = Annotated[
    Path | None,
    typer.Option("--workshop", show_default="the nearest workshop.yaml", help="The workshop's description."),
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
