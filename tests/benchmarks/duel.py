"""Human against machine: how large its page is and how soon it is on the screen; how large a run card is."""

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import segno
from PIL import Image
from playwright.sync_api import sync_playwright

from instructor.classroom.duel import write_duel_page
from instructor.classroom.duel_looks import draw_heat, draw_picture
from instructor.results.duel import Duel, DuelPhotograph
from instructor.workshop import read_workshop
from lab_code.analysis.card import card_to_text, make_card, write_card
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.workshop.duel import USUAL, list_choices, make_duel_code
from tests.lab_code.analysis.test_card import make_run

_TIMES = 5


def measure(scratch: Path) -> Iterator[tuple]:
    """Needs no kits: pictures of noise are the largest that there can be."""
    folder = scratch / "duel"
    folder.mkdir()
    page = _write_page(folder)
    yield f"duel: page of {USUAL} large photographs", page.stat().st_size / 1e6, "MB", 5
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is not None:
        yield "duel: page on the screen, median", statistics.median(_open(page, browser)), "s", 2
    card = make_card(make_run(folder / "run"))
    yield "relay: size of a card", write_card(folder / "x.card", card) / 1000, "kB", 20
    code = segno.make_qr(card_to_text(card), error="l", boost_error=False)
    yield "relay: dots along a side of its QR code", code.symbol_size(border=0)[0], "", 177


def _write_page(folder: Path) -> Path:
    described = read_workshop()
    Image.effect_noise((900, 900), 60).convert("RGB").save(folder / "noise.png")
    heat = np.random.default_rng(0).random((128, 128))
    shown = [
        DuelPhotograph(f"x{n}", dx, dx, 0.5, draw_picture(folder / "noise.png"), draw_heat(heat), "in the middle", "")
        for n, dx in enumerate((DIAGNOSES * USUAL)[:USUAL])
    ]
    code = make_duel_code(described.id, USUAL, b"abc")
    write_duel_page(
        folder / "duel.html", described, Duel(described.id, code, 1, "", False, list(DIAGNOSES), shown),
        list_choices(folder), {},
    )  # fmt: skip
    return folder / "duel.html"


def _open(page: Path, browser: str) -> Iterator[float]:
    """From the request to a photograph that is drawn."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(_TIMES):
            tab = chromium.new_page(viewport={"width": 1920, "height": 1080})
            began = time.perf_counter()
            tab.goto(page.as_uri())
            tab.keyboard.press("ArrowRight")
            tab.wait_for_function("document.querySelector('.photograph img')?.complete")
            yield time.perf_counter() - began
            tab.close()
        chromium.close()
