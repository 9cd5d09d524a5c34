"""`make pictures`: makes what is older than what it shows, or says what is.

python -m instructor.screenshots board ceremony --again
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from instructor.cli.waiting import show_progress
from instructor.workshop import PROJECT
from lab_code.cli.terminal import make_console, run_app
from lab_code.tracking.one_at_a_time import one_at_a_time

_PATIENCE_S = 900.0
_WORK = PROJECT / "build" / "screenshots"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def pictures(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; all of them if left out.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that show what is there now.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Only say which there are, and which are too old.")] = False,
) -> None:
    """Make the pictures of README and docs/, from a class that is played once by simulated groups.

    The class takes minutes and is kept in build/screenshots/ until anything changes that a kit is made of.

    Example: python -m instructor.screenshots board
    """
    from instructor.screenshots.make import Places, make_pictures
    from instructor.screenshots.record import find_stale
    from instructor.screenshots.table import choose

    chosen, console, notes = choose(names or []), make_console(), make_console(stderr=True)
    if show:
        stale = find_stale(PROJECT, chosen)
        for picture in chosen:
            said = f"too old: {', '.join(stale[picture.name])}" if picture.name in stale else "as it should be"
            console.print(f"{picture.path}  {said}", markup=False)
        return
    _WORK.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(_WORK / ".lock", "making pictures", _PATIENCE_S):
        places = Places(PROJECT, _WORK)
        written = make_pictures(chosen, places, lambda text: notes.print(text, style="dim"), show_progress, again=again)
    for path in written:
        console.print(f"{path.relative_to(PROJECT)}  {path.stat().st_size / 1000:.0f} kB", markup=False)
    if not written:
        console.print("All pictures show what is there now (--again makes them anyway).")


def main() -> int:
    """Run it; exit code 0 done, 1 failed, 2 misuse."""
    return run_app(app, None, log_folder=Path.cwd())


if __name__ == "__main__":
    sys.exit(main())
