"""How each picture is taken: a page is opened as people open it, brought to the moment that is worth a look, and taken.

Every scene is a function of a `Studio` that returns a PNG: `show_board` takes the picture `board`. Which files a
picture shows is in `table.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from instructor.classroom.board import Board, render_page
from instructor.classroom.clock import Clock
from instructor.classroom.duel import PAGE as DUEL
from instructor.classroom.duel import Wish, prepare_duel, write_duel_page
from instructor.classroom.room import Room
from instructor.rehearsal.launcher import Launcher
from instructor.results.ceremony import CEREMONY
from instructor.results.show import rank_again
from instructor.screenshots.compress import crop
from instructor.screenshots.jupyter import cell_of, open_kit, run_cell, wait_for_kernel
from instructor.screenshots.played import BEGINS
from instructor.screenshots.studio import Studio
from instructor.vault import Vault
from lab_code.data.ham10000 import read_dataset
from lab_code.errors import LabError
from lab_code.workshop.desk import open_desk
from lab_code.workshop.duel import list_choices
from lab_code.workshop.kit import Kit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Scene = Callable[[Studio], bytes]

_GROUP = "group-3"
_LAPTOP, _PROJECTOR = (1280, 720), (1280, 720)
_NOTEBOOK, _NARROW, _WIDE = (1120, 700), (820, 760), (1320, 760)
_MINUTE = 23.15  # of the board: everybody is somewhere else
_INTRODUCTION_MIN = 5
_SETTLES_MS = 1500  # until what is drawn step by step stands still
# Offers of MLflow that lead nowhere here.
_ASIDE = "[data-assistant-ui], .du-bois-light-alert-info { display: none !important; }"
_ABOVE_FOOTER = 0.94  # of a printed page
_BOARD = "http://board.invalid/"


def find_scene(name: str) -> Scene:
    """How a picture is taken. Raises `LabError` where nobody has said."""
    scene = globals().get(f"show_{name}")
    if scene is None:
        raise LabError(f"nobody has said how '{name}' is taken", hint=f"write show_{name} in {__name__}")
    return scene


# ── in JupyterLab ──


def show_form(studio: Studio) -> bytes:
    """The questions of stage 1, before anything is answered."""
    with _open_notebook(studio, studio.copy_kit(studio.played.build / "kits" / _GROUP)) as page:
        run_cell(page, "quiz(1)").locator("form").wait_for()
        return _take_from(studio, page, cell_of(page, "quiz(1)"))


def show_unlock(studio: Studio) -> bytes:
    """The strip, and the lock that has just opened; the reasons below it, which are the answers, are left out."""
    with _open_notebook(studio, studio.copy_kit(studio.played.build / "kits" / _GROUP)) as page:
        page.add_style_tag(content=".lab-reasons { display: none; }")
        form = run_cell(page, "quiz(1)")
        form.locator("form").wait_for()
        _answer(form, _answers_of(studio, _GROUP, 0))
        form.locator(".lab-opened").wait_for()
        strip = run_cell(page, "progress()", 1)
        return _take_from(studio, page, strip)


def show_training(studio: Studio) -> bytes:
    """The table of a run, with its curve beside that of the run before; it is trained here and now."""
    kit = studio.copy_kit(studio.played.build / "kits" / _GROUP)
    for stage in (0, 1):
        _type(kit, "unlock", "--answers", ",".join(_answers_of(studio, _GROUP, stage)))
    _type(kit, "train", "experiment=baseline")
    with _open_notebook(studio, kit) as page:
        return _take_from(studio, page, run_cell(page, "train experiment=balanced"))


def show_comparison(studio: Studio) -> bytes:
    """What `lab compare` says of both runs."""
    with _open_notebook(studio, studio.copy_kit(studio.played.laptop(_GROUP)), _NARROW) as page:
        return _take_from(studio, page, run_cell(page, "compare baseline balanced"))


def show_confusions(studio: Studio) -> bytes:
    """Both confusion matrices, as the notebook draws them."""
    with _open_notebook(studio, studio.copy_kit(studio.played.laptop(_GROUP)), _WIDE) as page:
        cell = run_cell(page, "plot_confusions")
        picture = cell.locator("img")
        picture.wait_for()
        return _take_from(studio, page, cell, picture)


@contextmanager
def _open_notebook(studio: Studio, kit: Path, size: tuple[int, int] = _NOTEBOOK) -> Iterator["Page"]:
    """The starter notebook of a kit, without the list of files beside it."""
    with open_kit(kit, "jupyter") as addresses:
        page = studio.open_page(size)
        page.goto(addresses["jupyter"])
        wait_for_kernel(page, "starter.ipynb")
        page.keyboard.press("ControlOrMeta+b")
        yield page


def _take_from(studio: Studio, page: "Page", cell: "Locator", ends_with: "Locator | None" = None) -> bytes:
    """The window, from this cell downwards, or so that it ends with a part of it; the mouse points at nothing."""
    page.wait_for_timeout(_SETTLES_MS)
    cell.evaluate("cell => cell.scrollIntoView({block: 'start'})")
    if ends_with is not None:
        ends_with.evaluate("part => part.scrollIntoView({block: 'end'})")
    page.mouse.move(0, 0)
    page.wait_for_timeout(_SETTLES_MS)
    return studio.take(page)


def _type(kit: Path, *argv: str) -> None:
    """Type a command in a kit. Raises `LabError` where it fails."""
    with Launcher() as launcher:
        done = launcher.run([str(kit / "lab"), *argv], kit)
    if done.code:
        raise LabError(f"lab {argv[0]} fails: {done.said.removeprefix('error: ')}", hint=f"try it in {kit}")


def _answers_of(studio: Studio, group: str, stage: int) -> list[str]:
    return Vault(studio.played.build).read_key()[group][stage]["answers"].split(",")


def _answer(form: "Locator", answers: list[str]) -> None:
    for number, answer in enumerate(answers):
        field = form.locator("fieldset, .lab-text").nth(number)
        if field.locator("input[type=radio]").count():
            field.locator(f"input[value='{answer}']").check()
        else:
            field.locator("input").fill(answer)
    form.locator("[type=submit]").click()


# ── MLflow ──


def show_runs(studio: Studio) -> bytes:
    """Every run of every group, as the instructor sees them after collecting."""
    with _open_mlflow(studio) as page:
        page.get_by_role("columnheader", name="best_balanced_accuracy").first.wait_for()
        page.wait_for_timeout(_SETTLES_MS)
        return studio.take(page)


@contextmanager
def _open_mlflow(studio: Studio) -> Iterator["Page"]:
    store = studio.played.build / "collected"
    desk = open_desk(Kit(store.resolve(), "", "", "", (), {}), ["mlflow"], lambda root: None, lambda text: None)
    try:
        page = studio.open_page(_LAPTOP, at=50)
        page.goto(desk.servers[0].address)
        page.get_by_role("link", name="balanced").first.wait_for()
        page.add_style_tag(content=_ASIDE)
        yield page
    finally:
        desk.stop()


# ── on the projector ──


def show_board(studio: Studio) -> bytes:
    """The room in the middle of the half hour."""
    workshop, now = studio.played.workshop, BEGINS + 60 * _MINUTE
    studio.scratch.mkdir(parents=True, exist_ok=True)
    place = studio.scratch / "clock.json"
    place.unlink(missing_ok=True)
    clock = Clock.open(place, workshop.schedule)
    clock.start(BEGINS - 60 * _INTRODUCTION_MIN)
    clock.next(BEGINS)
    room = Room(workshop)
    for seen in studio.played.seen_by(_MINUTE):
        room.hear(seen.standing, BEGINS + 60 * seen.minute)
    board = Board(workshop, clock, room, list, {}, lambda group: b"", "", now=lambda: now)
    html = render_page(board, secret=False)
    page = studio.open_page(_PROJECTOR, at=_MINUTE)
    page.route(f"{_BOARD}events", lambda route: None)  # no news: it stands still
    page.route(_BOARD, lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(_BOARD)
    page.locator("li.lane").first.wait_for()
    page.wait_for_timeout(_SETTLES_MS)
    return studio.take(page)


def show_winner(studio: Studio) -> bytes:
    """The ceremony, as the winner comes on stage."""
    page = _open_ceremony(studio)
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(_SETTLES_MS)
    return studio.take(page)


def show_ranking(studio: Studio) -> bytes:
    """The last page of the ceremony: all groups."""
    page = _open_ceremony(studio)
    page.keyboard.press("End")
    page.wait_for_timeout(_SETTLES_MS)
    return studio.take(page)


def _open_ceremony(studio: Studio) -> "Page":
    folder = _rank(studio)
    page = studio.open_page(_PROJECTOR)
    page.goto((folder / CEREMONY).as_uri())
    return page


def _rank(studio: Studio) -> Path:
    """Draw the pages again, as they are drawn now."""
    rank_again(studio.played.workshop, studio.played.build, lambda title, total: lambda: None)
    return studio.played.build.resolve() / "collected"


def show_duel(studio: Studio) -> bytes:
    """Human against machine: a photograph, what the class says, and where the network looked."""
    workshop, build = studio.played.workshop, studio.played.build
    duel, _ = prepare_duel(workshop, build, Wish(seed=1))
    page_file, test_set = studio.scratch.resolve() / DUEL, Vault(build).folder / "test"
    studio.scratch.mkdir(parents=True, exist_ok=True)
    write_duel_page(page_file, workshop, duel, list_choices(test_set), {}, read_dataset(test_set))
    page = studio.open_page(_PROJECTOR)
    page.goto(page_file.as_uri())
    for key in ("v", "6", "ArrowRight"):  # the photographs, the class's vote, what the network says
        page.keyboard.press(key)
    page.wait_for_timeout(_SETTLES_MS)
    return studio.take(page)


# ── on paper ──


def show_sheet(studio: Studio) -> bytes:
    """The first page of what a group finds on its table."""
    return crop(studio.draw_pdf(studio.played.build / "kits" / _GROUP / "instructions.pdf"), height=_ABOVE_FOOTER)


def show_rehearsal(studio: Studio) -> bytes:
    """The first page of the rehearsal of this class: every group's minutes."""
    return crop(studio.draw_pdf(studio.played.folder / "rehearsal.pdf"), height=_ABOVE_FOOTER)
