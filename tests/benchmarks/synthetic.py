"""Synthetic photographs a second, on one core."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from instructor.dataset.synthetic import block_count, plan_lesions, render_block

_REPEATS, _GOAL = 3, 600


def measure(scratch: Path) -> Iterator[tuple]:
    plan = plan_lesions(1000, seed=0)
    rates = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        drawn = sum(len(render_block(plan, block, 64, 0, 0.5)[1]) for block in range(block_count(plan)))
        rates.append(drawn / (time.perf_counter() - started))
    rate = statistics.median(rates)
    yield "synthetic: photographs of 64 px a second, one core", rate, "/s"
    yield f"synthetic: {_GOAL} a second over that", _GOAL / rate, "ratio", 1.0
