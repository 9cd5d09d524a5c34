"""The pages that a class looks at, in a real browser: the board and the slides."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from instructor.classroom.board import Board
from instructor.classroom.clock import Clock
from instructor.classroom.pictures import Picture, Pictures
from instructor.classroom.room import Room
from instructor.classroom.slides import write_slides
from instructor.quizbank.bank import KAHOOT, load_bank, stage_questions
from instructor.quizbank.exports import export_page
from instructor.quizbank.kahoot_report import read_report
from instructor.workshop import Workshop, read_workshop
from tests.instructor.classroom.test_board import GOOD, KEY, Running, signed, start
from tests.instructor.classroom.test_clock import standing

__all__ = ["start"]
_PROJECTOR = {"width": 1920, "height": 1080}
expect.set_options(timeout=20_000)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport=_PROJECTOR)
    yield page
    page.close()


def make_class(groups: int, folder: Path) -> Board:
    described = read_workshop()
    described = replace(described, groups=[f"group-{number}" for number in range(1, groups + 1)])
    clock = Clock.open(folder / f"clock-{groups}.json", described.schedule)
    clock.start(time.time())
    return Board(described, clock, Room(described), list, {}, lambda _: KEY, "token-of-the-test")


def test_the_board_follows_six_groups_and_sixty_on_one_screen(page: Page, tmp_path: Path, start) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for groups in (6, 60):
        running = start(make_class(groups, tmp_path))
        page.goto(f"{running.address}/")
        expect(page.locator("li.lane")).to_have_count(groups)
        expect(page.locator("#clock")).to_have_text(re.compile(r"^[0-4]:\d\d$"))
        assert running.post(signed(GOOD))[0] == 200
        expect(page.locator("#news")).to_contain_text("group-1 opened stage 1")
        expect(page.locator("#group-1 .facts")).to_contain_text("stage 2 of 3")
        for number in range(2, groups + 1):  # many at once: the page shows the last state, not each
            running.board.room.hear(standing(f"group-{number}", runs=1, best=0.4, events=2), time.time())
        running.post(signed(GOOD | {"events": 4, "opened": 3}))
        expect(page.locator("#group-1 .facts")).to_contain_text("all stages open")
        expect(page.locator(f"#group-{groups} .facts")).to_contain_text("0.400")
        assert page.evaluate("document.documentElement.scrollHeight") <= _PROJECTOR["height"]
        assert not [fault["id"] for fault in Axe().run(page).response["violations"]]
        assert all(address.startswith(running.address) for address in asked)
        asked.clear()


def test_the_instructors_page_says_who_is_stuck(page: Page, tmp_path: Path, start) -> None:
    running: Running = start(make_class(6, tmp_path))
    running.board.room.hear(standing("group-4", wrong=3), time.time())
    page.goto(f"{running.address}/instructor?token=token-of-the-test")
    expect(page.locator("#group-4")).to_contain_text("STUCK")
    assert not [fault["id"] for fault in Axe().run(page).response["violations"]]


def test_the_quiz_is_played_counted_and_read_into_the_ranking(
    page: Page, build: Path, workshop, tmp_path: Path
) -> None:
    questions = stage_questions(load_bank(workshop, data=build / "data"), KAHOOT)[:2]
    (path,), _ = export_page(questions, tmp_path, 1, ["group-1", "group-2", "group-3"], "A workshop")
    page.goto(path.as_uri())
    assert page.get_by_role("heading", name="A workshop").is_visible() and not page.locator("#clock").is_visible()
    for pressed in (
        "Enter",
        "Enter",
        "2",
        "3",
        "ArrowRight",
        "Enter",
        "3",
    ):  # begin; reveal; groups 2, 3; on; reveal; 3
        page.keyboard.press(pressed)
    assert page.evaluate("document.documentElement.scrollHeight") <= _PROJECTOR["height"]
    page.reload()
    assert "from before" in page.locator("#kept").inner_text()
    for pressed in ("Enter", "ArrowRight", "ArrowRight"):
        page.keyboard.press(pressed)
    assert page.locator("#winner").inner_text() == "group-3!"
    assert not [fault["id"] for fault in Axe().run(page).response["violations"]]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the result").click()
    saved.value.save_as(tmp_path / "quiz-result.csv")
    players = read_report(tmp_path / "quiz-result.csv").players
    assert [(player.nickname, player.score) for player in players] == [("group-3", 2), ("group-2", 1), ("group-1", 0)]


def test_slides_are_driven_by_keys_and_read_aloud(page: Page, tmp_path: Path) -> None:
    described: Workshop = read_workshop()
    names = ("curves", "sensitivities", "confusions")
    for name in names:
        Image.new("RGB", (1000, 460), "grey").save(tmp_path / f"{name}.png")
    pictures = Pictures(
        tmp_path, "", {name: Picture(f"{name}.png", f"what {name} show") for name in names}, {"runs": "", "gain": ""}
    )
    html = write_slides(described, pictures, tmp_path / "out")[1]
    page.goto(html.as_uri())
    expect(page.locator("#slide-1")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#slide-3")).to_be_visible()
    expect(page.locator("#slide-1")).to_be_hidden()
    assert "Which file made the figure" in page.locator("#slide-3 .sr").inner_text()
    page.keyboard.press("s")
    expect(page.locator("#notes")).to_contain_text("Read the list aloud")
    assert not [fault["id"] for fault in Axe().run(page).response["violations"]]
