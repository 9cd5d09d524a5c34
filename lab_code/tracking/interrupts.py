"""Ctrl-C that waits: libraries that are interrupted half-way raise errors of their own, or leave locks behind."""

import signal
import threading
from collections.abc import Callable, Iterator
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


@contextmanager
def hear_termination() -> Iterator[None]:
    """The signals that ask a program to end, or say that its terminal has gone, are in here what Ctrl-C is."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not callable(signal.getsignal(signal.SIGINT)):  # ignored, by whoever started this
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    with _hear(interrupt):
        yield


@contextmanager
def end_tidily() -> Iterator[None]:
    """The same signals end the program in here by way of every `finally`, and nobody is asked anything."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _hear(leave):
        yield


@contextmanager
def _hear(answer: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    wanted = [getattr(signal, name) for name in names if signal.getsignal(getattr(signal, name)) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        wanted = []
    before = {number: signal.signal(number, answer) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
