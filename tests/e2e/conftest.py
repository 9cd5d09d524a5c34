"""The system's Chromium, and a desk whose servers really run."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from instructor.screenshots.browser import find_chromium, open_browser
from lab_code.workshop.desk import Desk, read_servers
from tests.conftest import KitOnDisk, hear_interrupts

# A tenth less work: nothing is handed to other processes and threads, which would wait for the same two cores.
_THRIFTY = ("--disable-gpu", "--in-process-gpu", "--js-flags=--single-threaded")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium as the system has it, for the tests of one file: Playwright brings none, and lets no other loop run."""
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine; .ci/run shows how Debian installs one")
    with open_browser(*_THRIFTY) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser without any page."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture
def desk(kit: KitOnDisk) -> Iterator[dict[str, str]]:
    """The addresses that `lab start` prints, by name; it is stopped by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, str(kit.root / "lab"), "start", "--no-browser"], cwd=kit.root, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=hear_interrupts,
    )  # fmt: skip
    try:
        said = []
        for line in process.stdout or ():
            said.append(line)
            if "Ctrl-C stops them" in line:
                break
        addresses = {line.split()[0]: line.split()[1] for line in said if "http://" in line}
        assert set(addresses) == {"JupyterLab", "MLflow"}, said
        yield addresses
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.communicate()
        Desk(kit.root).stop(read_servers(kit.root))
