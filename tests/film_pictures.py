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
from playwright.sync_api import Locator, Page, expect, sync_playwright

from instructor.film.build import PICTURE_ENDING
from instructor.film.draw import find_browser
from lab_code.files import write_whole
from lab_code.tracking.runs import Run, read_runs
from lab_code.workshop.desk import read_servers, write_redirect

_WIDTH, _HEIGHT, _SCALE = 1340, 560, 2.0  # the shape of the film's window
_PATIENCE_MS = 120_000
Box = list[float]


def photograph(kit: Path, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Take every picture; returns where the spots are, in parts of each."""
    with _open_mlflow(kit, environment) as page:
        run = next(run for run in read_runs(kit) if run.name == "on-gpu1")
        spots = {
            "list": _take_list(page, folder),
            "run": _take_run(page, folder, run),
            "curves": _take_curves(page, folder, run),
        }
    return {"spots": spots}


@contextmanager
def _open_mlflow(kit: Path, environment: Mapping[str, str]) -> Iterator[Page]:
    command = [sys.executable, str(kit / "lab"), "ui", "--no-browser"]
    process = subprocess.Popen(command, cwd=kit, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if "http://" in line:
                break
        address = write_redirect(kit, next(server for server in read_servers(kit) if server.name == "mlflow")).as_uri()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            page = browser.new_page(
                viewport={"width": _WIDTH, "height": _HEIGHT}, device_scale_factor=_SCALE, reduced_motion="reduce"
            )
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(address)
            yield page
            browser.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _take_list(page: Page, folder: Path) -> dict[str, Box]:
    """All runs."""
    for name in ("on-the-laptop", "on-gpu1", "baseline"):
        expect(page.get_by_role("link", name=name).first).to_be_visible(timeout=_PATIENCE_MS)
    page.wait_for_timeout(2_000)  # until nothing flickers
    names = [page.get_by_role("link", name=name).first for name in ("on-the-laptop", "on-gpu1", "baseline")]
    heads = [page.get_by_role("columnheader", name=name).first for name in ("best_balanced_accuracy", "optimizer.lr")]
    _shoot(page, folder / f"list{PICTURE_ENDING}")
    return {"runs": _around(*names, *heads)}


def _take_run(page: Page, folder: Path, run: Run) -> dict[str, Box]:
    """The page of a run, as far down as its tags."""
    _open_run(page, run, "")
    tag = page.get_by_text("machine.server").first
    tag.scroll_into_view_if_needed()
    tag.evaluate("(element) => element.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(1_500)
    _shoot(page, folder / f"run{PICTURE_ENDING}")
    return {"tags": _around(tag)}


def _take_curves(page: Page, folder: Path, run: Run) -> dict[str, Box]:
    _open_run(page, run, "/model-metrics")
    expect(page.get_by_text("balanced_accuracy", exact=True).first).to_be_visible(timeout=_PATIENCE_MS)
    page.wait_for_timeout(3_000)
    _shoot(page, folder / f"curves{PICTURE_ENDING}")
    return {}


def _open_run(page: Page, run: Run, tab: str) -> None:
    base = page.url.split("#")[0]
    experiment = run.artifacts.parents[1].name
    page.goto(f"{base}#/experiments/{experiment}/runs/{run.run_id}{tab}")
    page.reload()
    expect(page.get_by_role("heading", name=run.name).first).to_be_visible(timeout=_PATIENCE_MS)
    page.wait_for_timeout(2_000)


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
