"""Ctrl-C that waits: libraries that are interrupted half-way raise errors of their own, or leave locks behind."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def was_interrupted(error: BaseException) -> bool:
    """Whether an error is Ctrl-C, or what a library raised that stumbled over it."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Ctrl-C in here is heard at the end of the block, a second one at once. For the main thread, which hears them."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # by whoever started this: then nobody hears it
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
        if heard:
            signal.raise_signal(signal.SIGINT)
