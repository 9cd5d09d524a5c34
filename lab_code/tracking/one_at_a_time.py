"""Two commands that must not do the same thing at once: the second one says so and waits, or gives up in a sentence.

    with one_at_a_time(root / ".handin.lock", "handing in", patience_s=60):
        …

The operating system holds the lock, so that nothing is left of it when a command is killed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lab_code.errors import LabError


def say(text: str) -> None:
    """A line for whoever looks at the terminal."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def one_at_a_time(
    lock: Path, doing: str, patience_s: float, on_wait: Callable[[str], object] = say, hint: str | None = None
) -> Iterator[None]:
    """Be the only process in here. Raises `LabError` where another one still is after `patience_s` seconds.

    `on_wait` is told once that there is another one. Where a disk knows no locks, nobody waits.
    """
    held = FileLock(lock)
    try:
        _acquire(held, doing, patience_s, on_wait)
    except Timeout as error:
        raise LabError(
            f"another window is {doing} right now", hint=hint or "wait until it is done, or close it; then try again"
        ) from error
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        held.release()


def _acquire(lock: FileLock, doing: str, patience_s: float, on_wait: Callable[[str], object]) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait(f"another window is {doing}; waiting for it …")
        lock.acquire(timeout=patience_s)
