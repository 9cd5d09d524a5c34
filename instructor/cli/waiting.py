"""Commands that take long: one at a time in a build folder, with a progress bar."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from lab_code.cli.progress_bar import start_bar
from lab_code.tracking.one_at_a_time import one_at_a_time

_PATIENCE_S = 900  # for another window that builds kits or collects


def alone(build: Path) -> AbstractContextManager[None]:
    """Two commands that write into one build folder would lose each other's kits: the second one waits."""
    build.mkdir(parents=True, exist_ok=True)
    return one_at_a_time(build / ".lock", f"building kits or collecting in {build}", _PATIENCE_S)


def show_progress(title: str, total: int) -> Callable[[], object]:
    """A progress bar; call what it returns after every one of `total` steps."""
    return start_bar(title, total).update
