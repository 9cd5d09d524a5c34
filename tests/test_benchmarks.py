"""`make bench` is no test; what must hold of it is that it measures, or says why not. Its types: `make lint`."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.measuring import TOOK, take


def test_a_figure_holds_up_to_its_goal_and_what_it_took_is_a_figure(tmp_path: Path) -> None:
    def measure(scratch: Path) -> Iterator[tuple]:
        yield "at most", 2.0, "ratio", 2.0
        yield "more", 2.1, "ratio", 2.0
        yield "only reported", 3.0, "s"

    figures = take("some", measure, tmp_path)
    assert [figure.holds for figure in figures[:3]] == [True, False, None]
    assert figures[3].name == "some" + TOOK


@pytest.mark.parametrize("then", ["stumbles", "goes on"])
def test_what_a_thread_raises_ends_the_benchmark_with_that_error(then: str, tmp_path: Path) -> None:
    def measure(scratch: Path) -> Iterator[tuple]:
        done: dict[str, float] = {}
        thread = threading.Thread(target=lambda: done.update(wrong=1 / 0))
        thread.start()
        thread.join()
        yield "what the thread has done", done["right"] if then == "stumbles" else 1.0, "s"

    with pytest.raises(ZeroDivisionError):
        take("some", measure, tmp_path)
