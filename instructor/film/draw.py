"""Frames drawn in the system's Chromium: one state of `frames.py` becomes one PNG.

    with open_stage(pictures, Size(1920, 1080)) as draw:
        png = draw(state)

The stage is 1920 by 1080 whatever is asked for; a smaller size is the same picture, scaled by the browser.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib

from instructor.screenshots.browser import open_browser

STAGE = Path(__file__).with_name("stage.html")
_FONTS = {"SANS": "DejaVuSans", "BOLD": "DejaVuSans-Bold", "MONO": "DejaVuSansMono", "MONO_BOLD": "DejaVuSansMono-Bold"}
_WIDTH, _HEIGHT = 1920, 1080
_ALIKE = ("--force-color-profile=srgb", "--disable-lcd-text")


@dataclass(frozen=True)
class Size:
    """Of the film: pixels, and frames a second."""

    height: int = _HEIGHT
    fps: int = 25

    @property
    def width(self) -> int:
        return self.height * 16 // 9


@cache
def read_stage() -> str:
    """The page with its fonts inside: matplotlib brings them, so every machine draws the same letters."""
    page = STAGE.read_text(encoding="utf-8")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, file in sorted(_FONTS.items(), reverse=True):
        page = page.replace(f"FONT_{name})", f"{embed(folder / f'{file}.ttf', 'font/ttf')})")
    return page


def embed(path: Path, kind: str) -> str:
    """A file as an address that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


@contextmanager
def open_stage(pictures: Mapping[str, Path], size: Size) -> Iterator[Callable[[Any], bytes]]:
    """A function that draws a state as PNG. Raises `LabError` where the browser does not start."""
    with open_browser(*_ALIKE) as browser:
        page = browser.new_page(
            viewport={"width": _WIDTH, "height": _HEIGHT}, device_scale_factor=size.height / _HEIGHT
        )
        page.set_content(read_stage())
        page.evaluate("prepare", {name: embed(file, "image/webp") for name, file in pictures.items()})

        def draw(state: Any) -> bytes:
            page.evaluate("draw", state)
            return page.screenshot(type="png")

        yield draw
