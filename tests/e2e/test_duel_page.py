"""Human against machine in a real browser: with the keyboard alone, with the tree that a screen reader gets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from instructor.classroom.duel import write_duel_page
from instructor.classroom.duel_looks import draw_heat, draw_picture
from instructor.results.duel import Duel, DuelPhotograph, read_played, score_duel
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.workshop.duel import list_choices, make_duel_code
from tests.conftest import make_small_workshop

WORKSHOP = make_small_workshop()
SAID = [("mel", "mel"), ("nv", "bcc"), ("df", "vasc")]  # what each photograph is, and what the network says


@pytest.fixture
def duel(tmp_path: Path) -> Duel:
    Image.effect_noise((64, 64), 60).convert("RGB").save(tmp_path / "one.png")
    heat = np.zeros((16, 16))
    heat[:5, :5] = 1
    shown = [
        DuelPhotograph(f"SYN_{n}", dx, said, 0.62, draw_picture(tmp_path / "one.png"), draw_heat(heat),
                       "most in the upper left", "Grad-CAM")
        for n, (dx, said) in enumerate(SAID)
    ]  # fmt: skip
    return Duel("small", make_duel_code("small", 3, b"abc"), 1, "run", True, list(DIAGNOSES), shown)


@pytest.fixture
def page(browser: Browser, duel: Duel, tmp_path: Path) -> Iterator[Page]:
    """The page at the projector; group-1 has sent its answers. It may ask for nothing but itself."""
    place = tmp_path / "duel.html"
    write_duel_page(place, WORKSHOP, duel, list_choices(Path()), {"group-1": ["mel", "nv", "nv"]})
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, reduced_motion="reduce")
    page, asked = context.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(place.as_uri())
    yield page
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {place.as_uri()}
    context.close()


def find_violations(page: Page) -> list[str]:
    return [fault["id"] for fault in Axe().run(page).response["violations"]]


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def heading(page: Page) -> str:
    """What the focus stands on, where a screen reader begins."""
    return page.evaluate("document.activeElement.textContent")


def test_the_duel_is_played_with_the_keyboard_heard_by_a_screen_reader_and_counted(
    page: Page, duel: Duel, tmp_path: Path
) -> None:
    expect(page.get_by_role("paragraph").get_by_text(duel.code, exact=True).first).to_be_visible()
    expect(page.get_by_text("never for clinical use")).to_be_visible()
    assert find_violations(page) == []
    press(page, "ArrowRight")
    assert heading(page) == "Photograph 1 of 3: what is it?"
    tree = page.locator("body").aria_snapshot()
    assert 'img "Photograph 1 of 3"' in tree and "melanoma (mel)" in tree and 'navigation "Duel"' in tree
    press(page, " ", "ArrowRight", "ArrowRight")

    assert heading(page) == "What do the groups say?"
    expect(page.get_by_text("3 answers from its kit")).to_be_visible()
    press(page, "Tab")
    for typed, said in (("65", "✗ 2 of 3 answers"), ("699", "✗ answer 2 is 9: 1 to 7"), ("644", "✓ 3 answers")):
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(typed)
        expect(page.get_by_text(said, exact=True)).to_be_visible()
    assert find_violations(page) == []
    press(page, "PageDown", "5")  # the class sees a melanoma
    expect(page.get_by_role("button", name="melanoma (mel)")).to_have_attribute("aria-pressed", "true")
    assert find_violations(page) == []
    assert [text for text in page.locator("#score b").all_inner_texts()] == ["0", "0", "0", "0"]

    press(page, "ArrowRight")
    tree = page.locator("body").aria_snapshot()
    assert "The network says" in tree and 'img "Where the network looked: most in the upper left"' in tree
    assert "62 % sure, and looked most in the upper left" in page.locator("#said").inner_text()
    press(page, "h")
    expect(page.locator("img.heat")).to_have_count(0)
    press(page, "h", "ArrowRight")
    expect(page.locator("#said")).to_have_text("It is melanoma (mel). Network 1, class 1.")
    expect(page.get_by_text("✓ right").first).to_be_visible()
    assert find_violations(page) == []
    press(page, "ArrowRight", "6", "ArrowRight", "ArrowRight")  # the second: a mole, says the class
    page.reload()
    expect(page.locator("#said")).to_have_text("It is mole (nv). Network 1, class 2.")  # where it was
    press(page, "End")
    expect(page.get_by_role("heading", name="The humans win!")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") <= 1081
    assert find_violations(page) == []

    with page.expect_download() as saved:
        press(page, "s")
    saved.value.save_as(tmp_path / "duel-result.json")
    played = read_played(tmp_path / "duel-result.json", duel, WORKSHOP.groups)
    result = score_duel(duel, played.answers, played.votes)
    shown = dict(re.findall(r"(Network|Class|group-\d)\s+(\d+)", " ".join(page.locator("#score").inner_text().split())))
    counted = {"Network": result.machine, "Class": result.humans, **result.groups}
    assert {name: int(number) for name, number in shown.items()} == counted
    assert counted == {"Network": 1, "Class": 2, "group-1": 2, "group-2": 1}
    assert json.loads((tmp_path / "duel-result.json").read_text())["votes"] == ["mel", "nv", ""]


def test_hands_alone_are_enough_and_nothing_moves_where_that_is_not_wanted(page: Page) -> None:
    press(page, "v")
    assert heading(page) == "Photograph 1 of 3: hands up!"
    assert page.evaluate("document.getAnimations().length") == 0
    press(page, "4", "4")  # a vote can be taken back
    expect(page.locator("[aria-pressed=true]")).to_have_count(0)
    page.get_by_role("button", name="dermatofibroma").focus()
    press(page, "Enter", "ArrowLeft")
    assert heading(page) == "What do the groups say?"
    press(page, "Home")
    assert heading(page) == "Human against machine"
