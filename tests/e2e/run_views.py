"""What a group sees of its runs in a real browser: training after a reload, and MLflow's list and charts."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from instructor.screenshots.jupyter import cell_of
from lab_code.tracking.runs import Run
from tests.e2e.desk_pages import choose, find_violations

_OWN = '# lab("train experiment=focal --once")'
_LONG = 'lab("train experiment=focal name=watched trainer.epochs=900 trainer.threads=1")'
_SAVED = """async () => {
    const answer = await fetch("/api/contents/notebooks/starter.ipynb");
    return (await answer.text()).includes("data-lab-run");
}"""


def train_and_stop(page: Page, folder: Path) -> Page:
    """The group's own experiment, in its cell: begun, seen again in a page that was loaded again, stopped. Returns the
    page of the run in MLflow."""
    write_cell(page, _OWN, _LONG)
    page.keyboard.press("ControlOrMeta+Enter")
    load_again_while_it_trains(page)
    page.screenshot(path=folder / "training.png")
    choose(page, "Kernel", "Interrupt Kernel")
    cell = cell_of(page, "name=watched")
    expect(cell.get_by_text("stopped after")).to_be_visible()
    with page.context.expect_page() as opened:
        cell.get_by_role("link", name="this run in MLflow").click()
    write_cell(page, _LONG, _OWN)
    return opened.value


def write_cell(page: Page, before: str, after: str) -> None:
    """Other code in a cell."""
    cell_of(page, before).locator(".jp-InputArea-editor").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(after)


def newest_epoch(page: Page) -> Locator:
    """The number in the last line of the table."""
    return cell_of(page, "name=watched").locator("tbody tr").last.locator("td").first


def load_again_while_it_trains(page: Page) -> None:
    """The page is loaded again, and the table goes on, although the kernel draws into a page that is gone."""
    expect(newest_epoch(page)).not_to_have_text("1")
    page.keyboard.press("ControlOrMeta+s")
    page.wait_for_function(_SAVED, polling=500)
    page.reload()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    cell = cell_of(page, "name=watched")
    saved = newest_epoch(page).inner_text()
    expect(newest_epoch(page)).not_to_have_text(saved)
    expect(cell.get_by_text("training: step")).to_be_visible()
    said = re.compile(r"watched .*0\..* for comparison balanced 0\.")
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
