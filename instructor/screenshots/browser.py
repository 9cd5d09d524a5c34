"""Chromium, as the system has it, with a page that is the same each time: its size, its clock, its zone, light, still.

    with open_browser() as browser:
        page = open_page(browser, (1366, 768), sharpness=1.2)

Playwright comes with the extra `media`, and brings no browser of its own.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab_code.errors import LabError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ALIKE = ("--no-sandbox", "--font-render-hinting=none")
_PATIENCE_MS = 90_000


def find_chromium() -> str | None:
    """The path of the system's Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def need_chromium() -> str:
    """The same. Raises `LabError` where there is none."""
    if path := find_chromium():
        return path
    raise LabError(
        f"there is no Chromium on this machine: none of {', '.join(_NAMES)}",
        hint="install it, for instance: apt install chromium",
    )


@contextmanager
def open_browser(*flags: str) -> Iterator["Browser"]:
    """A browser without a window. Raises `LabError` where Playwright or Chromium is missing, or does not start."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError as error:
        raise LabError(
            "Playwright is not installed here", hint="make pictures installs it (the extra media)"
        ) from error
    path = need_chromium()
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=[*_ALIKE, *flags])
        except Error as error:
            raise LabError(f"{path} does not start: {error.message.splitlines()[0]}", hint=f"try: {path}") from error
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: "Browser", size: tuple[int, int], sharpness: float = 2.0, zone: str = "UTC") -> "Page":
    """An empty page; `sharpness` is how many pixels of the picture one of the page becomes."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=sharpness,
        timezone_id=zone,
        locale="en-GB",
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(_PATIENCE_MS)
    return context.new_page()
