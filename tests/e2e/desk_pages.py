"""What people do in the pages of a desk, with a real browser: run cells, answer forms by keyboard, follow links."""

import re
from contextlib import suppress

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from instructor.screenshots.jupyter import LONG_MS, cell_of

LAPTOP: ViewportSize = {"width": 1366, "height": 768}
PROJECTOR: ViewportSize = {"width": 1920, "height": 1080}
OPEN_NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
_SERIOUS = ("serious", "critical")
expect.set_options(timeout=60_000)


def open_page(browser: Browser, address: str, asked: list[str]) -> Page:
    page = browser.new_page(viewport=LAPTOP)
    page.set_default_timeout(90_000)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    return page


def run_all(page: Page) -> None:
    """Run every cell, and wait until the kernel rests."""
    begin_all(page)
    wait_until_idle(page)


def begin_all(page: Page) -> None:
    """Run every cell; a page that has just been opened forgets what is run before its kernel is connected."""
    prompt = page.locator(f"{OPEN_NOTEBOOK} .jp-CodeCell .jp-InputPrompt").first
    expect(prompt).to_have_text(re.compile(r"\["))
    before = prompt.inner_text()
    for _ in range(5):
        choose(page, "Run", "Run All Cells")
        with suppress(AssertionError):
            expect(prompt).not_to_have_text(before, timeout=5_000)
            break


def run_from(page: Page, code: str) -> None:
    """Run the cell with this code and all below it, and wait until the kernel rests."""
    prompt = cell_of(page, code).locator(".jp-InputPrompt")
    before = prompt.inner_text()
    prompt.click()
    choose(page, "Run", "Run Selected Cell and All Below")
    expect(prompt).not_to_have_text(before)
    wait_until_idle(page)


def wait_until_idle(page: Page) -> None:
    panel = page.locator(OPEN_NOTEBOOK)
    expect(panel.locator(".jp-InputPrompt", has_text="*")).to_have_count(0, timeout=LONG_MS)
    expect(panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")


def choose(page: Page, menu: str, entry: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_text(entry, exact=True).first.click()


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
    choose(page, "Kernel", "Restart Kernel and Run All Cells…")
    page.get_by_role("dialog").get_by_role("button", name="Confirm").press("Enter")
