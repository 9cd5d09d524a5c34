"""What must be fast, measured: `make bench` prints a table and writes build/bench.json.

Machines are shared and noisy, so every figure that carries a goal is a ratio or a difference of things measured
alternately in one run, and the median of several. `build/bench.json` is a list of {name, value, unit, goal, holds};
`goal` is null where a figure is only reported.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    classroom,
    collecting,
    delivering,
    desk,
    duel,
    experiments,
    filming,
    installing,
    merging,
    networks,
    provisioning,
    rehearsing,
    remote,
    serving,
    synthetic,
    training,
    unlocking,
)

OUT = Path("build") / "bench.json"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    goal: float | None  # at most this
    holds: bool | None


# In this order: the second to the ninth use the kits that the first one builds.
_MODULES = (
    provisioning, delivering, installing, unlocking, collecting, merging, classroom, desk, duel, experiments,
    synthetic, training, networks, rehearsing, serving, remote,
    filming,
)  # fmt: skip


def main() -> int:
    """Measure everything, or only what is named: `python -m tests.benchmarks networks training`."""
    names = sys.argv[1:]
    chosen = [module for module in _MODULES if not names or module.__name__.rpartition(".")[2] in names]
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    figures = []
    with tempfile.TemporaryDirectory() as scratch:
        for module in chosen:
            figures += [_judge(*row) for row in _announce(module.measure, Path(scratch))]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n", encoding="utf-8")
    _print_table(figures)
    return 0


def _announce(measure: Callable[[Path], Iterator[tuple]], scratch: Path) -> Iterator[tuple]:
    print(f"measuring {measure.__module__.rpartition('.')[2]} …", file=sys.stderr)
    yield from measure(scratch)


def _judge(name: str, value: float, unit: str, goal: float | None = None) -> Figure:
    return Figure(name, round(value, 4), unit, goal, None if goal is None else value <= goal)


def _print_table(figures: list[Figure]) -> None:
    table = Table("figure", "holds")
    for name in ("value", "goal"):
        table.add_column(name, justify="right")
    for figure in figures:
        holds = {None: "", True: "yes", False: "NO"}[figure.holds]
        goal = "" if figure.goal is None else f"≤ {figure.goal:g}"
        table.add_row(figure.name, holds, f"{figure.value:.3f} {figure.unit}", goal)
    Console().print(table)
    Console().print(f"written to {OUT}")


if __name__ == "__main__":
    sys.exit(main())
