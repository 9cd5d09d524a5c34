"""The half hour as a group spends it: a real browser, the real JupyterLab and MLflow, keys instead of clicks."""

import io
import re
from contextlib import suppress
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from pypdf import PdfReader

from instructor.collect.leaderboard import Row, write_leaderboard
from instructor.quizbank.bank import load_bank
from instructor.quizbank.exports import export_page
from instructor.results.ceremony import write_ceremony
from instructor.screenshots.jupyter import cell_of, wait_for_kernel
from lab_code.tracking.runs import read_runs
from lab_code.workshop.desk import read_servers, write_redirect
from lab_code.workshop.progress import read_journal
from tests.instructor.results.made_up import make_class

_LAPTOP, _PROJECTOR = {"width": 1366, "height": 768}, {"width": 1920, "height": 1080}
_LONG_MS = 180_000
_SERIOUS = ("serious", "critical")
expect.set_options(timeout=60_000)


def open_page(browser: Browser, address: str, asked: list[str]) -> Page:
    page = browser.new_page(viewport=_LAPTOP)
    page.set_default_timeout(90_000)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    return page


def run_all(page: Page) -> None:
    """Run every cell, and wait until the kernel rests."""
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    prompt = panel.locator(".jp-CodeCell .jp-InputPrompt").first
    expect(prompt).to_have_text(re.compile(r"\["))
    before = prompt.inner_text()
    for _ in range(5):  # a page that has just been opened forgets what is run before its kernel is connected
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).first.click()
        with suppress(AssertionError):
            expect(prompt).not_to_have_text(before, timeout=5_000)
            break
    expect(panel.locator(".jp-InputPrompt", has_text="*")).to_have_count(0, timeout=_LONG_MS)
    expect(panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")


def answer_by_keyboard(page: Page, form: Locator, answers: str, key: str = "Enter") -> None:
    """Tab from field to field; arrow keys choose; Enter (or `key`) sends. The mouse is never used."""
    form.locator("input").first.focus()
    for number, answer in enumerate(answers.split(",")):
        if number:
            tab_to(page, "input, textarea")
        if page.evaluate("document.activeElement.type") == "radio":
            page.keyboard.press("Space")
            at = int(page.evaluate("document.activeElement.value"))
            for _ in range(abs(int(answer) - at)):
                page.keyboard.press("ArrowDown" if int(answer) > at else "ArrowUp")
        else:
            page.keyboard.press("ControlOrMeta+a")
            page.keyboard.type(answer)
    tab_to(page, "[type=submit]")
    page.keyboard.press(key)


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something of that kind has the focus: paths and hints stand between the fields."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def press_by_keyboard(page: Page, button: Locator) -> None:
    button.focus()
    page.keyboard.press("Enter")


def make_wrong(answers: str) -> str:
    *most, last = answers.split(",")
    return ",".join([*most, str(int(last) % 4 + 1)])


def find_violations(page: Page, selector: str) -> list[str]:
    """What axe-core finds serious in the parts of a page that are ours."""
    found = Axe().run(page, context=selector).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in _SERIOUS]


def follow_mlflow_link(page: Page) -> Page:
    """From the notebook to the page that its link opens, without the mouse."""
    link = cell_of(page, "mlflow_page()").get_by_role("link")
    assert "token" not in (link.get_attribute("href") or "")
    with page.context.expect_page() as opened:
        press_by_keyboard(page, link)
    return opened.value


def read_beside(page: Page, path: Locator, begins: str) -> None:
    """Open a file by its path in the notebook, which stays where it is, and read on at the right line."""
    press_by_keyboard(page, path)
    editor = page.locator(".jp-FileEditor:visible")
    expect(editor.locator(".cm-line").filter(has_text=begins).first).to_be_in_viewport()
    expect(page.locator(".jp-NotebookPanel")).to_be_visible()


def buy_a_hint(page: Page, form: Locator) -> None:
    """The first hint of a form, after thinking it over once."""
    press_by_keyboard(page, form.get_by_role("button", name="A hint: 1 point").first)
    press_by_keyboard(page, form.get_by_role("button", name="No", exact=True))
    press_by_keyboard(page, form.get_by_role("button", name="A hint: 1 point").first)
    expect(form.get_by_text("A hint costs 1 point. Buy it?")).to_be_visible()
    press_by_keyboard(page, form.get_by_role("button", name="Yes, buy it"))
    expect(form.get_by_text("Hint 1:")).to_be_visible()


def bet_by_keyboard(page: Page, form: Locator, steps: int) -> None:
    """So many steps of a hundredth more than a half."""
    form.get_by_role("slider").focus()
    for _ in range(steps):
        page.keyboard.press("ArrowRight")
    tab_to(page, "[type=submit]")
    page.keyboard.press("Enter")
    expect(form.get_by_role("status")).to_contain_text(f"balanced accuracy 0.5{steps}0")


def run_cell(page: Page, code: str) -> Locator:
    cell = cell_of(page, code)
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    return cell


def restart_and_run_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_text("Restart Kernel and Run All Cells…", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").press("Enter")


@pytest.mark.slow
def test_the_half_hour_in_a_browser_by_keyboard(kit, desk: dict[str, str], browser: Browser, tmp_path: Path) -> None:
    asked: list[str] = []
    sent_on = {server.title: write_redirect(kit.root, server).as_uri() for server in read_servers(kit.root)}
    page = open_page(browser, sent_on["JupyterLab"], asked)
    wait_for_kernel(page, "starter.ipynb")
    run_all(page)
    assert page.get_by_text("notified about official Jupyter news").count() == 0
    expect(cell_of(page, "baseline.yaml").get_by_text("is still locked: stage 1")).to_be_visible()
    strip = cell_of(page, "progress()").get_by_label("Stages")
    expect(strip).to_contain_text("Where the settings live: locked")

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
    bet_by_keyboard(page, run_cell(page, 'bet("baseline")'), 3)
    expect(cell_of(page, "progress()").get_by_label("Stages")).to_contain_text("Where the settings live: ✓ open")

    for number in (2, 3):
        run_all(page)
        name = ("baseline", "balanced")[number - 2]
        expect(cell_of(page, f"train experiment={name}").locator("table")).to_be_visible()
        answer_by_keyboard(page, cell_of(page, f"quiz({number})"), kit.answers[number - 1])
        expect(cell_of(page, f"quiz({number})").get_by_text(f"Stage {number} is open: go on below.")).to_be_visible()
    expect(cell_of(page, 'bet("baseline")').get_by_text("your bet was 0.530")).to_be_visible()
    run_all(page)
    cell_of(page, "sentence()").locator("textarea").fill("typed, and not sent")
    button = cell_of(page, "handin()").get_by_role("button", name="Hand in")
    expect(button).to_be_visible()
    assert not (kit.root / "handin").exists()  # running the cell hands nothing in
    press_by_keyboard(page, button)
    expect(cell_of(page, "handin()").get_by_text("Receipt:")).to_be_visible()
    assert [(run.name, run.status) for run in read_runs(kit.root)] == [
        ("baseline", "FINISHED"),
        ("balanced", "FINISHED"),
    ]
    assert len(read_journal(kit.root).of("unlock_failed")) == 1
    restart_and_run_all(page)
    expect(cell_of(page, "handin()").get_by_text("Receipt:")).to_have_count(0, timeout=_LONG_MS)
    expect(button).to_be_visible(timeout=_LONG_MS)
    assert len(list((kit.root / "handin").glob("*.zip"))) == 1 and len(read_journal(kit.root).of("hint")) == 1
    expect(cell_of(page, "sentence()").locator("textarea")).to_have_value("typed, and not sent")
    expect(cell_of(page, "quiz(1)").get_by_text("+10 points − 1 for hints.")).to_be_visible()
    linked = follow_mlflow_link(page)

    form = cell_of(page, "feedback()")
    answer_by_keyboard(page, form, "4,5,3,clear,more time")
    expect(form.get_by_role("status")).to_contain_text("Thank you")
    assert (kit.root / "feedback.json").is_file()
    for name, size in (("laptop", _LAPTOP), ("projector", _PROJECTOR)):
        page.set_viewport_size(size)
        cell_of(page, "feedback()")
        page.screenshot(path=tmp_path / f"notebook-{name}.png")
    page.set_viewport_size(_LAPTOP)
    assert find_violations(page, ".jp-Notebook .jp-OutputArea-output") == []

    page.goto(desk["JupyterLab"].replace("/tree/notebooks/starter", "/workspaces/another/tree/notebooks/compare"))
    page.get_by_role("heading", name="All of your runs").wait_for()
    wait_for_kernel(page, "compare.ipynb")
    run_all(page)
    page.screenshot(path=tmp_path / "compare.png")
    expect(page.get_by_alt_text("Photographs on which the two runs disagree")).to_be_attached()
    pictures = page.locator(".jp-OutputArea-output img")
    assert pictures.count() == 6 == page.locator(".jp-OutputArea-output img[alt]").count()

    for runs in (open_page(browser, sent_on["MLflow"], asked), linked):
        for name in ("baseline", "balanced"):
            expect(runs.get_by_role("link", name=name).first).to_be_visible()
        assert "token" not in runs.url and "workflowType=machine_learning" in runs.url
        runs.reload()
        expect(runs.get_by_role("link", name="baseline").first).to_be_visible()
    stranger = open_page(browser, desk["MLflow"].split("?")[0], asked)
    expect(stranger.get_by_text("This page opens with its key only")).to_be_visible()
    runs.screenshot(path=tmp_path / "mlflow.png")
    elsewhere = [url for url in asked if not url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:"))]
    assert elsewhere == []


def test_pages_for_the_projector_are_fit_for_everybody(workshop, build: Path, browser: Browser, tmp_path: Path) -> None:
    score = {"test_balanced_accuracy": 0.5, "test_accuracy": 0.7, "test_macro_auc": 0.8}
    facts = {"runs": 2, "stages_open": 3, "points": 28, "wrong_answers": 1, "handed_in": "12:30", "receipt": "ABCD"}
    row = Row(1, "group-1", "balanced", "0123abcd", validation_balanced_accuracy=0.52, **score, **facts)
    write_leaderboard(tmp_path, "A workshop", [row], numbers={"group-1": 1})
    questions = load_bank(workshop, data=build / "data")[:3]
    export_page(questions, tmp_path, seed=1)
    page = browser.new_page(viewport=_PROJECTOR)
    for path in sorted(tmp_path.glob("*.html")):
        page.goto(path.as_uri())
        assert find_violations(page, "html") == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= _PROJECTOR["width"]
    assert len(list(tmp_path.glob("*.html"))) == 2


def test_the_ceremony_is_given_by_keys_and_read_by_everybody(browser: Browser, tmp_path: Path) -> None:
    path = write_ceremony(make_class(), tmp_path)
    asked: list[str] = []
    page = open_page(browser, path.as_uri(), asked)
    page.set_viewport_size(_PROJECTOR)
    page.emulate_media(reduced_motion="reduce")
    shown = page.locator(".scene:visible h2")
    for title in ("And now: the results", "group-3", "group-2", "group-1", "All groups"):
        expect(shown).to_have_text(title)
        assert find_violations(page, "html") == [], title
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert size[0] <= _PROJECTOR["width"] and size[1] <= _PROJECTOR["height"], "a scene fits the wall"
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
