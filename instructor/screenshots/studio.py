"""Where pictures are taken: the class that was played, a browser, and what no picture may show.

page = studio.open_page((1200, 675))
page.goto(…)
png = studio.take(page)             # looks first at what stands on the page
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typst
from pypdf import PdfReader

from instructor.screenshots.browser import open_page
from instructor.screenshots.discretion import Secrets, check_text
from instructor.screenshots.played import BEGINS, ZONE, Played
from lab_code.errors import LabError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_WIDTH = 1600  # pixels of a picture, about: a README shows half as many
_LOOK = """() => ({
    text: document.body.innerText,
    chosen: [...document.querySelectorAll(".lab-form input:checked, .lab-form .lab-text input")]
        .filter(field => field.checked || (field.type !== "radio" && field.value)).length,
    reasons: [...document.querySelectorAll(".lab-reasons")].filter(list => list.checkVisibility()).length,
})"""
_PPI = 130


@dataclass(frozen=True)
class Studio:
    """For one picture, whose `name` errors say."""

    name: str
    played: Played
    browser: "Browser"
    secrets: Secrets
    scratch: Path

    def open_page(self, size: tuple[int, int], *, at: float | None = None) -> "Page":
        """A page of this size; `at`: with a clock that stands still, at a minute of the groups' half hour."""
        page = open_page(self.browser, size, _WIDTH / size[0], ZONE)
        if at is not None:
            page.clock.set_fixed_time(datetime.fromtimestamp(BEGINS + 60 * at, UTC))
        return page

    def take(self, page: "Page") -> bytes:
        """Photograph what is seen. Raises `LabError` where that would be too much."""
        seen: dict[str, Any] = page.evaluate(_LOOK)
        check_text(seen["text"], self.secrets, self.name)
        if seen["chosen"] or seen["reasons"]:
            raise LabError(
                f"the picture '{self.name}' would show answers in a form; it is not taken",
                hint="hide that part in instructor/screenshots/scenes.py",
            )
        return page.screenshot(animations="disabled", caret="hide")

    def draw_pdf(self, pdf: Path) -> bytes:
        """The first page of a PDF."""
        check_text(PdfReader(pdf).pages[0].extract_text(), self.secrets, self.name)
        self.scratch.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pdf, self.scratch / "page.pdf")
        source = self.scratch / "page.typ"
        alone = "#set page(width: auto, height: auto, margin: 0pt)\n"
        source.write_text(f"{alone}#image({json.dumps('page.pdf')}, page: 1)", encoding="utf-8")
        drawn: bytes = typst.compile(source, root=self.scratch, format="png", ppi=_PPI, ignore_system_fonts=True)
        return drawn

    def copy_kit(self, kit: Path) -> Path:
        """A kit to work in, so that the class stays as it was."""
        copied = self.scratch / kit.name
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(kit, copied)
        return copied
