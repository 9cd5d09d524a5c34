"""The command of `instructor` that builds the film about the GPU server."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.options import BuildOption
from instructor.cli.waiting import show_progress
from instructor.workshop import PROJECT
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError
from lab_code.tracking.one_at_a_time import one_at_a_time

if TYPE_CHECKING:
    from instructor.film.build import Plan

FOLDER = PROJECT / "docs" / "film"
_PATIENCE_S = 900  # for another window that draws


def film(
    build: BuildOption,
    scene: Annotated[str | None, typer.Option(metavar="NAME", help="Only this scene: scene-NAME.mp4.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Look for faults and say what would be drawn.")] = False,
    silent: Annotated[
        bool, typer.Option("--silent", help="Without narration; the captions stand in the picture.")
    ] = False,
    height: Annotated[int, typer.Option(min=180, max=2160, help="Lines of the picture.")] = 1080,
    source: Annotated[Path, typer.Option(show_default="docs/film", help="The folder of film.yaml.")] = FOLDER,
) -> None:
    """Build the film about the GPU server: build/film/film.mp4, and film.html, which plays it offline.

    Its script is docs/film/film.yaml. Scenes that have not changed are not drawn again.

    Example: instructor film --scene login
    """
    try:
        from instructor.film.build import make_film, plan_film
        from instructor.film.draw import Size
    except ModuleNotFoundError as error:
        hint = f"make -C {shlex.quote(str(PROJECT))} for-media"
        raise LabError(f"{error.name} is not installed here, which the film needs", hint=hint) from error

    say = make_console(stderr=True).print
    plan = plan_film(source, build / "film", Size(height - height % 2), only=scene, silent=silent)
    if check:
        _show_plan(plan)
        return
    if not plan.voice and not silent:
        say("[yellow]note:[/] espeak-ng is not installed, so nobody speaks (apt install espeak-ng)")
    with one_at_a_time(plan.out / ".lock", f"drawing the film in {plan.out}", _PATIENCE_S):
        target = make_film(plan, show_progress("scenes", len(plan.missing)))
    minutes, seconds = divmod(round(sum(one.seconds for one in plan.scenes)), 60)
    size = target.stat().st_size / 1e6
    make_console().print(f"{target}  ({minutes}:{seconds:02} minutes, {size:.1f} MB)", markup=False)
    if scene is None:
        make_console().print(f"{target.with_name('film.html')}  plays it; text.html is what it says", markup=False)


def _show_plan(plan: "Plan") -> None:
    table = make_table("scene", "kind", "title", "drawn", title=plan.script.title, right=["seconds", "captions"])
    missing = {scene.name for scene, _ in plan.missing}
    for scene in plan.scenes:
        drawn = "not yet" if scene.name in missing else "yes"
        cells = (escape(scene.name), scene.kind, escape(scene.title), drawn)
        table.add_row(*cells, f"{scene.seconds:g}", str(len(scene.captions)))
    make_console().print(table)
    spoken = "spoken by espeak-ng" if plan.voice else "without narration"
    make_console().print(f"{sum(scene.seconds for scene in plan.scenes):g} seconds, {spoken}; no fault was found")
