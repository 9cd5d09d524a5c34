"""Make the pictures that are older than what they show, each whole or not at all.

make_pictures(choose([]), Places(PROJECT, build / "screenshots"), tell, progress)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructor.rehearsal.rehearse import Progress
from instructor.screenshots.browser import open_browser
from instructor.screenshots.compress import to_webp
from instructor.screenshots.discretion import read_secrets
from instructor.screenshots.played import play_class
from instructor.screenshots.record import Shown, find_stale, note_made, read_digests
from instructor.screenshots.scenes import Scene, find_scene
from instructor.screenshots.studio import Studio
from lab_code.errors import LabError
from lab_code.files import remove_leftovers, write_whole

_SCRATCH = "scratch"


@dataclass(frozen=True)
class Places:
    """The project, whose `docs/pictures/` is written to, and the folder of the class."""

    project: Path
    work: Path


def make_pictures(
    pictures: Sequence[Shown],
    places: Places,
    tell: Callable[[str], object],
    progress: Progress,
    *,
    again: bool = False,
    scene_of: Callable[[str], Scene] = find_scene,
) -> list[Path]:
    """Make those that are due (`again`: all); returns what was written.

    One that cannot be taken stays as it was, and the others go on. Raises `LabError` in the end where there was such a
    one, and at once where there is no browser or the class cannot be played.
    """
    stale = find_stale(places.project, pictures)
    due = [picture for picture in pictures if again or picture.name in stale]
    if not due:
        return []
    with open_browser() as browser:
        played = play_class(places.work, tell, progress)
        secrets, scratch = read_secrets(played.build, played.workshop), played.folder / _SCRATCH
        written, faults, advance = list[Path](), list[str](), progress("pictures", len(due))
        for picture in due:
            try:
                studio = Studio(picture.name, played, browser, secrets, scratch)
                written.append(_make(picture, scene_of(picture.name), studio, places.project))
            except LabError as error:
                faults.append(f"{picture.name}: {error.message}")
            except Exception as error:  # of the browser: a page that looks different from what a scene waits for
                faults.append(f"{picture.name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            advance()
    if faults:
        count = "one picture" if len(faults) == 1 else f"{len(faults)} pictures"
        raise LabError(
            f"{count} could not be taken, and stayed as before: {'; '.join(faults)}",
            hint=f"make pictures ONLY={faults[0].partition(':')[0]} tries it again; scenes.py says how it is taken",
        )
    return written


def _make(picture: Shown, scene: Scene, studio: Studio, project: Path) -> Path:
    path, digests = project / picture.path, read_digests(project, picture)
    content = to_webp(scene(studio))
    remove_leftovers(path)
    write_whole(path, content)
    note_made(project, picture, digests)
    return path
