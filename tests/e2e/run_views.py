"""What a group sees of its runs in a real browser: MLflow's list and charts, and training after a reload."""

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from instructor.screenshots.jupyter import cell_of, wait_for_kernel
from lab_code.tracking.runs import Run, read_runs
from lab_code.workshop.desk import read_servers, write_redirect
from tests.conftest import KitOnDisk
from tests.e2e.test_browser import find_violations, open_page

pytestmark = pytest.mark.slow
SIZES: dict[str, ViewportSize] = {
    "laptop": {"width": 1366, "height": 768},
    "projector": {"width": 1920, "height": 1080},
}
_LONG = "train experiment=baseline name=watched trainer.epochs=900"
_SAVED = """async () => {
    const answer = await fetch("/api/contents/notebooks/watched.ipynb");
    return (await answer.text()).includes("data-lab-run");
}"""
_FIRST = "import os, sys; os.chdir('..'); sys.path.insert(0, os.getcwd())"


@pytest.fixture
def kit(kit: KitOnDisk) -> KitOnDisk:
    """With a run that is finished, and a notebook of three cells."""
    kit.lab("unlock", "--answers", kit.answers[0])
    kit.lab("train", "experiment=baseline", "trainer.epochs=2")
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for n, source in enumerate((_FIRST, "from lab_code.notebook import lab", f'lab("{_LONG}")'))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (kit.root / "notebooks" / "watched.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return kit


def newest_epoch(page: Page) -> Locator:
    """The number in the last line of the table."""
    return cell_of(page, "name=watched").locator("tbody tr").last.locator("td").first


def test_a_group_sees_its_runs_while_and_after_they_are_trained(
    kit: KitOnDisk, desk: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    page = open_page(browser, desk["JupyterLab"].replace("starter", "watched"), [])
    page.on("dialog", lambda dialog: dialog.accept())
    wait_for_kernel(page, "watched.ipynb")
    load_again_while_it_trains(page)
    cell = cell_of(page, "name=watched")
    for name, size in SIZES.items():
        page.set_viewport_size(size)
        cell_of(page, "name=watched")
        page.screenshot(path=tmp_path / f"training-{name}.png")
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_text("Interrupt Kernel", exact=True).first.click()
    expect(cell.get_by_text("stopped after")).to_be_visible()
    with page.context.expect_page() as opened:
        cell.get_by_role("link", name="this run in MLflow").click()
    expect(opened.value.get_by_role("heading", name="watched")).to_be_visible()
    finished, watched = read_runs(kit.root)
    expect(opened.value.get_by_role("link", name="Runs", exact=True).first).to_be_visible()  # of training, not of chats
    assert watched.run_id in opened.value.url and "token" not in opened.value.url

    address = f"{desk['JupyterLab'].partition('/lab/')[0]}/lab-run/{watched.run_id}"
    assert "balanced accuracy" not in browser.new_context().request.get(address).text()  # another account's browser
    assert "balanced accuracy" in page.context.request.get(address).text()

    server = next(server for server in read_servers(kit.root) if server.name == "mlflow")
    page = open_page(browser, write_redirect(kit.root, server).as_uri(), [])
    look_at_the_list(page, finished)
    page.screenshot(path=tmp_path / "mlflow-list.png")
    look_at_the_charts(page)
    page.screenshot(path=tmp_path / "mlflow-charts.png")


def begin_all(page: Page) -> None:
    """Run every cell; a page that has just been opened forgets what is run before its kernel is connected."""
    prompt = page.locator(".jp-CodeCell .jp-InputPrompt").first
    for _ in range(5):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).first.click()
        with suppress(AssertionError):
            expect(prompt).not_to_have_text("[ ]:", timeout=5_000)
            return


def load_again_while_it_trains(page: Page) -> None:
    """The page is loaded again, and the table goes on, although the kernel draws into a page that is gone."""
    begin_all(page)
    expect(newest_epoch(page)).not_to_have_text("1", timeout=60_000)
    page.keyboard.press("ControlOrMeta+s")
    page.wait_for_function(_SAVED, polling=500)
    page.reload()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    cell = cell_of(page, "name=watched")
    saved = newest_epoch(page).inner_text()
    expect(newest_epoch(page)).not_to_have_text(saved, timeout=60_000)
    expect(cell.get_by_text("training: step")).to_be_visible()
    said = re.compile(r"watched .*0\..* for comparison baseline 0\.")
    expect(cell.get_by_role("img")).to_have_attribute("aria-label", said)
    assert find_violations(page, "[data-lab-run]") == []


def look_at_the_list(page: Page, run: Run) -> None:
    """Scores and choices stand in the list, also after the page was loaded again."""
    for again in (False, True):
        if again:
            page.reload()
        expect(page.get_by_role("link", name="baseline").first).to_be_visible()
        for column in ("best_balanced_accuracy", "best_accuracy", "optimizer.lr", "loss.name", "data.augment"):
            expect(page.get_by_role("columnheader", name=column).first).to_be_visible()
        expect(page.get_by_text(str(run.metrics["best_balanced_accuracy"])[:6]).first).to_be_visible()
        expect(page.get_by_text(run.params["optimizer.lr"], exact=True).first).to_be_visible()
        expect(page.get_by_role("button", name="New Chat")).to_have_count(0)  # of MLflow's assistant


def look_at_the_charts(page: Page) -> None:
    """The curves and the settings are drawn, and no single number is."""
    page.goto(page.url + "&compareRunsMode=CHART")
    for chart in ("Parallel Coordinates", "balanced_accuracy", "train_loss", "learning_rate"):
        expect(page.get_by_text(chart, exact=True).first).to_be_visible()
    assert page.get_by_text("best_epoch").count() == 0
