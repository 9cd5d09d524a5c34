"""MLflow's pages as they are in Chromium, for the film: pictures, and where on them the spots are that it looks at."""

import io
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from instructor.film.build import PICTURE_ENDING
from instructor.screenshots.browser import open_browser
from lab_code.files import write_whole
from lab_code.workshop.desk import read_servers, write_redirect

_WIDTH, _HEIGHT, _SCALE = 1340, 560, 2.0  # the shape of the film's window
_PATIENCE_MS = 120_000
_CALM_MS = 2_000  # until nothing flickers any more
Box = list[float]


def photograph(kit: Path, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Take every picture; returns where the spots are, in parts of each."""
    with _open_mlflow(kit, environment) as page:
        takes = {"list": _take_list, "curves": _take_curves, "run": _take_run}
        return {"spots": {name: take(page, folder) for name, take in takes.items()}}


@contextmanager
def _open_mlflow(kit: Path, environment: Mapping[str, str]) -> Iterator[Page]:
    command = [sys.executable, str(kit / "lab"), "ui", "--no-browser"]
    process = subprocess.Popen(command, cwd=kit, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if "http://" in line:
                break
        address = write_redirect(kit, next(server for server in read_servers(kit) if server.name == "mlflow")).as_uri()
        with open_browser() as browser:
            page = browser.new_page(
                viewport={"width": _WIDTH, "height": _HEIGHT}, device_scale_factor=_SCALE, reduced_motion="reduce"
            )
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(address)
            yield page
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _take_list(page: Page, folder: Path) -> dict[str, Box]:
    """All runs, without the note that the view is a shared one."""
    runs = [page.get_by_role("link", name=name, exact=True).first for name in ("on-the-laptop", "on-gpu1", "baseline")]
    for run in runs:
        expect(run).to_be_visible(timeout=_PATIENCE_MS)
    page.locator("[role=alert] button").last.click()
    page.get_by_role("button", name="Toggle sidebar").click()
    page.wait_for_timeout(_CALM_MS)
    heads = [page.get_by_role("columnheader", name=name).first for name in ("Run Name", "optimizer.lr")]
    _shoot(page, folder / f"list{PICTURE_ENDING}")
    return {"runs": _around(*runs, *heads)}


def _take_curves(page: Page, folder: Path) -> dict[str, Box]:
    """The curves of all runs in one chart."""
    address = page.url
    page.goto(f"{address}&compareRunsMode=CHART")
    chart = page.get_by_text("balanced_accuracy", exact=True).first
    expect(chart).to_be_visible(timeout=_PATIENCE_MS)
    chart.evaluate("(element) => element.scrollIntoView({block: 'start'})")
    chart.hover()
    page.mouse.wheel(0, -70)  # from below the page's own bar
    page.wait_for_timeout(2 * _CALM_MS)
    _shoot(page, folder / f"curves{PICTURE_ENDING}")
    page.goto(address)
    return {}


def _take_run(page: Page, folder: Path) -> dict[str, Box]:
    """The page of the run from the server, as far down as its tags."""
    page.get_by_role("link", name="on-gpu1", exact=True).first.click()
    tag = page.get_by_text("machine.server").first
    expect(tag).to_be_visible(timeout=_PATIENCE_MS)
    tag.evaluate("(element) => element.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(_CALM_MS)
    _shoot(page, folder / f"run{PICTURE_ENDING}")
    return {"tags": _around(tag.locator("xpath=.."))}  # with its value


def _around(*places: Locator) -> Box:
    """The box around all of them, in parts of the picture."""
    boxes = [box for place in places if (box := place.bounding_box())]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right, bottom = max(box["x"] + box["width"] for box in boxes), max(box["y"] + box["height"] for box in boxes)
    return [round(v, 4) for v in (left / _WIDTH, top / _HEIGHT, (right - left) / _WIDTH, (bottom - top) / _HEIGHT)]


def _shoot(page: Page, path: Path) -> None:
    """As WebP, which is a quarter of what PNG takes."""
    image = Image.open(io.BytesIO(page.screenshot(type="png"))).convert("RGB")
    file = io.BytesIO()
    image.save(file, "WEBP", quality=82, method=6)
    write_whole(path, file.getvalue())
