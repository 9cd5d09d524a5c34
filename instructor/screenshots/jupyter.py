"""JupyterLab in Chromium: a kit's desk with its servers, the kernel behind a notebook, its cells.

    with open_kit(root, "jupyter") as addresses:
        page.goto(addresses["jupyter"])
        wait_for_kernel(page, "starter.ipynb")
        run_cell(page, "quiz(1)")

The tests of the half hour in a browser use the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab_code.workshop.desk import open_desk
from lab_code.workshop.kit import read_kit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

LONG_MS = 180_000  # until a cell has ended
_IS_IDLE = """async name => {
    const sessions = await (await fetch("/api/sessions")).json();
    const kernels = sessions.filter(session => session.path.endsWith(name)).map(session => session.kernel);
    return kernels.some(kernel => kernel.connections > 0 && kernel.execution_state === "idle");
}"""


@contextmanager
def open_kit(root: Path, *names: str) -> Iterator[dict[str, str]]:
    """`jupyter` and `mlflow` of a kit that has trained, or one of them, until the end: their addresses by name."""
    desk = open_desk(read_kit(root), list(names), lambda folder: None, lambda text: None)
    try:
        yield {server.name: server.address for server in desk.servers}
    finally:
        desk.stop()


def wait_for_kernel(page: "Page", name: str) -> None:
    """Until the server says that the page of a notebook is connected to its kernel, and the page says so as well."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.wait_for_function(_IS_IDLE, arg=name, polling=500)
    page.get_by_text("| Idle").wait_for()


def cell_of(page: "Page", code: str, number: int = 0) -> "Locator":
    """The cell with this code, of several the one with this number from 0, scrolled into view."""
    cell = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=code)).nth(number)
    cell.scroll_into_view_if_needed()
    return cell


def run_cell(page: "Page", code: str, number: int = 0) -> "Locator":
    """Run one cell, and wait until it has ended. A page that has just been opened may forget what is asked first."""
    from playwright.sync_api import Error

    cell = cell_of(page, code, number)
    prompt = cell.locator(".jp-InputPrompt").first
    before = prompt.inner_text()
    for _ in range(5):
        cell.locator(".jp-InputArea-editor").click()
        page.keyboard.press("ControlOrMeta+Enter")
        with suppress(Error):
            page.wait_for_function(
                "([p, t]) => p.innerText !== t", arg=[prompt.element_handle(), before], timeout=5_000
            )
            break
    page.wait_for_function(
        "p => /\\[\\d+\\]/.test(p.innerText)", arg=prompt.element_handle(), timeout=LONG_MS, polling=200
    )
    return cell
