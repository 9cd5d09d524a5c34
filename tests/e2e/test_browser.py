"""The half hour as a group spends it: a real browser, the real JupyterLab and MLflow, keys instead of clicks."""

import io
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from pypdf import PdfReader

from instructor.collect.leaderboard import Row, write_leaderboard
from instructor.quizbank.bank import load_bank
from instructor.quizbank.exports import export_page
from instructor.results.ceremony import write_ceremony
from instructor.screenshots.jupyter import LONG_MS, cell_of, wait_for_kernel
from lab_code.tracking.runs import read_runs
from lab_code.workshop.desk import read_servers, write_redirect
from lab_code.workshop.progress import read_journal
from tests.conftest import KitOnDisk
from tests.e2e.desk_pages import (
    OPEN_NOTEBOOK,
    PROJECTOR,
    answer_by_keyboard,
    bet_by_keyboard,
    buy_a_hint,
    find_violations,
    follow_mlflow_link,
    make_wrong,
    open_page,
    press_by_keyboard,
    read_beside,
    restart_and_run_all,
    run_all,
    run_cell,
    run_from,
)
from tests.e2e.run_views import look_at_the_charts, look_at_the_list, train_and_stop
from tests.instructor.results.made_up import make_class


@pytest.fixture
def kit(kit: KitOnDisk) -> KitOnDisk:
    """Whose runs are three epochs long."""
    settings = kit.root / "lab_code" / "conf" / "trainer" / "default.yaml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("epochs: 10 ", "epochs: 3 "), encoding="utf-8")
    return kit


@pytest.mark.slow
def test_the_half_hour_in_a_browser_by_keyboard_and_the_runs_while_and_after_they_are_trained(
    kit: KitOnDisk, desk: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    asked: list[str] = []
    sent_on = {server.title: write_redirect(kit.root, server).as_uri() for server in read_servers(kit.root)}
    page = open_page(browser, sent_on["JupyterLab"], asked)
    page.on("dialog", lambda dialog: dialog.accept())
    wait_for_kernel(page, "starter.ipynb")
    run_all(page)
    assert page.get_by_text("notified about official Jupyter news").count() == 0
    expect(cell_of(page, "baseline.yaml").get_by_text("is still locked: stage 1")).to_be_visible()
    strip = cell_of(page, "progress()").get_by_label("Stages")
    expect(strip).to_contain_text("Where the settings live: locked")

    read_and_open_stage_1(page, kit)
    bet_by_keyboard(page, run_cell(page, 'bet("baseline")'), 3)
    expect(cell_of(page, "progress()").get_by_label("Stages")).to_contain_text("Where the settings live: ✓ open")
    for number, name in ((2, "baseline"), (3, "balanced")):
        run_from(page, f"{name}.yaml")
        expect(cell_of(page, f"train experiment={name}").locator("table")).to_be_visible()
        answer_by_keyboard(page, cell_of(page, f"quiz({number})"), kit.answers[number - 1])
        expect(cell_of(page, f"quiz({number})").get_by_text(f"Stage {number} is open: go on below.")).to_be_visible()
    expect(cell_of(page, 'bet("baseline")').get_by_text("your bet was 0.530")).to_be_visible()
    hand_in(page, kit)
    of_the_run = train_and_stop(page, tmp_path)
    run_everything_again(page, kit)
    linked = follow_mlflow_link(page)
    say_what_you_think(page, kit, tmp_path)
    compare(page, tmp_path)

    baseline, _, watched = read_runs(kit.root)
    expect(of_the_run.get_by_role("heading", name="watched")).to_be_visible()
    expect(of_the_run.get_by_role("link", name="Runs", exact=True).first).to_be_visible()  # of training, not of chats
    assert watched.run_id in of_the_run.url and "token" not in of_the_run.url
    address = f"{desk['JupyterLab'].partition('/lab/')[0]}/lab-run/{watched.run_id}"
    assert "balanced accuracy" not in browser.new_context().request.get(address).text()  # another account's browser
    assert "balanced accuracy" in page.context.request.get(address).text()
    for runs in (open_page(browser, sent_on["MLflow"], asked), linked):
        look_at_the_list(runs, baseline)
        assert "token" not in runs.url and "workflowType=machine_learning" in runs.url
    runs.screenshot(path=tmp_path / "mlflow-list.png")
    look_at_the_charts(runs)
    runs.screenshot(path=tmp_path / "mlflow-charts.png")
    stranger = open_page(browser, desk["MLflow"].split("?")[0], asked)
    expect(stranger.get_by_text("This page opens with its key only")).to_be_visible()
    elsewhere = [url for url in asked if not url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:"))]
    assert elsewhere == []


def read_and_open_stage_1(page: Page, kit: KitOnDisk) -> None:
    """With a hint, with a wrong list first, sent three times; paths open beside the notebook."""
    form = cell_of(page, "quiz(1)")
    assert find_violations(page, ".lab-form") == []
    read_beside(page, form.get_by_role("button", name="lab_code/experiment.py").first, "def run_experiment(")
    the_map = page.locator(".jp-RenderedMarkdown table")
    read_beside(page, the_map.get_by_role("button", name="lab_code/metrics.py"), "def ")
    buy_a_hint(page, form)
    answer_by_keyboard(page, form, make_wrong(kit.answers[0]), key="Shift")
    form.locator("form").evaluate(
        "form => { for (let n = 0; n < 3; n++) form.requestSubmit(); }"
    )  # an impatient finger
    expect(form.get_by_role("status")).to_contain_text("Not yet: these answers do not open stage 1")
    expect(form.get_by_role("status")).to_contain_text("Next: at least one of them is wrong")
    page.emulate_media(reduced_motion="reduce")
    answer_by_keyboard(page, form, kit.answers[0])
    expect(form.get_by_text("Stage 1 is open: go on below.")).to_be_visible()
    expect(form.get_by_text("+10 points − 1 for hints. You have 9.")).to_be_visible()
    assert form.locator(".lab-reasons li").count() == 3
    shackle = form.get_by_role("img", name="an open lock").locator(".lab-shackle")
    assert shackle.evaluate("shackle => getComputedStyle(shackle).animationName") == "none"
    expect(form.get_by_role("img", name="the blue circle")).to_be_visible()


def find_handin(page: Page) -> Locator:
    return cell_of(page, "handin()").get_by_role("button", name="Hand in")


def hand_in(page: Page, kit: KitOnDisk) -> None:
    """Two runs, and a sentence that was never sent."""
    cell_of(page, "sentence()").locator("textarea").fill("typed, and not sent")
    expect(find_handin(page)).to_be_visible()
    assert not (kit.root / "handin").exists()  # running the cell hands nothing in
    press_by_keyboard(page, find_handin(page))
    expect(cell_of(page, "handin()").get_by_text("Receipt:")).to_be_visible()
    assert len(read_journal(kit.root).of("unlock_failed")) == 1


def run_everything_again(page: Page, kit: KitOnDisk) -> None:
    """In a kernel that knows nothing: no hint is bought, nothing handed in or trained twice, and nothing typed lost."""
    restart_and_run_all(page)
    expect(cell_of(page, "handin()").get_by_text("Receipt:")).to_have_count(0, timeout=LONG_MS)
    expect(find_handin(page)).to_be_visible(timeout=LONG_MS)
    assert len(list((kit.root / "handin").glob("*.zip"))) == 1 and len(read_journal(kit.root).of("hint")) == 1
    expect(cell_of(page, "sentence()").locator("textarea")).to_have_value("typed, and not sent")
    expect(cell_of(page, "quiz(1)").get_by_text("+10 points − 1 for hints.")).to_be_visible()
    states = {"baseline": "FINISHED", "balanced": "FINISHED", "watched": "KILLED"}
    assert [(run.name, run.status) for run in read_runs(kit.root)] == list(states.items())


def say_what_you_think(page: Page, kit: KitOnDisk, folder: Path) -> None:
    """By keyboard; and the whole notebook is fit for everybody."""
    form = cell_of(page, "feedback()")
    answer_by_keyboard(page, form, "4,5,3,clear,more time")
    expect(form.get_by_role("status")).to_contain_text("Thank you")
    assert (kit.root / "feedback.json").is_file()
    page.screenshot(path=folder / "notebook.png")
    assert find_violations(page, ".jp-Notebook .jp-OutputArea-output") == []


def compare(page: Page, folder: Path) -> None:
    """The second notebook, behind its link in the first: six pictures, and a text for each."""
    press_by_keyboard(page, page.get_by_role("link", name="compare.ipynb").first)
    page.get_by_role("heading", name="All of your runs").wait_for()
    run_all(page)
    page.screenshot(path=folder / "compare.png")
    notebook = page.locator(OPEN_NOTEBOOK)
    expect(notebook.get_by_alt_text("Photographs on which the two runs disagree")).to_be_attached()
    pictures = notebook.locator(".jp-OutputArea-output img")
    assert pictures.count() == 6 == notebook.locator(".jp-OutputArea-output img[alt]").count()


def test_pages_for_the_projector_are_fit_for_everybody(workshop, build: Path, browser: Browser, tmp_path: Path) -> None:
    score = {"test_balanced_accuracy": 0.5, "test_accuracy": 0.7, "test_macro_auc": 0.8}
    facts = {"runs": 2, "stages_open": 3, "points": 28, "wrong_answers": 1, "handed_in": "12:30", "receipt": "ABCD"}
    row = Row(1, "group-1", "balanced", "0123abcd", validation_balanced_accuracy=0.52, **score, **facts)
    write_leaderboard(tmp_path, "A workshop", [row], numbers={"group-1": 1})
    questions = load_bank(workshop, data=build / "data")[:3]
    export_page(questions, tmp_path, seed=1)
    page = browser.new_page(viewport=PROJECTOR)
    for path in sorted(tmp_path.glob("*.html")):
        page.goto(path.as_uri())
        assert find_violations(page, "html") == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= PROJECTOR["width"]
    assert len(list(tmp_path.glob("*.html"))) == 2


def test_the_ceremony_is_given_by_keys_and_read_by_everybody(browser: Browser, tmp_path: Path) -> None:
    path = write_ceremony(make_class(), tmp_path)
    asked: list[str] = []
    page = open_page(browser, path.as_uri(), asked)
    page.set_viewport_size(PROJECTOR)
    page.emulate_media(reduced_motion="reduce")
    shown = page.locator(".scene:visible h2")
    for title in ("And now: the results", "group-3", "group-2", "group-1", "All groups"):
        expect(shown).to_have_text(title)
        assert find_violations(page, "html") == [], title
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert size[0] <= PROJECTOR["width"] and size[1] <= PROJECTOR["height"], "a scene fits the wall"
        assert page.evaluate("document.getAnimations().length") == 0, "reduced motion is respected"
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    page.mouse.click(900, 300)
    expect(shown).to_have_text("group-3")
    page.keyboard.press("s")
    expect(shown).to_have_count(5)
    assert find_violations(page, "html") == []
    assert len(PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True))).pages) == 5
    page.emulate_media(reduced_motion="no-preference")
    page.goto(path.as_uri())
    assert page.evaluate("document.getAnimations().length") > 0
    assert asked == [path.as_uri()] * 2, "it loads nothing"
