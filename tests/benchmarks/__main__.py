"""What must be fast, measured: `make bench` prints a table and writes build/bench.json.

Machines are shared and noisy, so every figure that carries a goal is a ratio or a difference of things measured
alternately in one run, and the median of several. `build/bench.json` is a list of {name, value, unit, goal, holds,
benchmark, seconds}; `goal` is null where a figure is only reported, and `seconds` passed until it was there. How long
each benchmark took, and the processor time of that, are figures as well: all of them together may take twelve minutes.
With `FULL=1` in the environment, what takes longer is measured, too; each benchmark says what that is.

No benchmark deletes many files while others are to come: for minutes after that, ext4 looks ten times as long for a
place for each new file (it does not use again at once what was freed), and the next benchmark would pay for it.
"""

import json
import os
import sys
import tempfile
import traceback
from dataclasses import asdict
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
from tests.benchmarks.measuring import TOOK, Figure, judge, take

OUT = Path("build") / "bench.json"
_WHOLE_S = 720  # without FULL=1, on two quiet cores


# In this order: the second to the ninth use the kits that the first one builds.
_MODULES = (
    provisioning, delivering, installing, unlocking, collecting, merging, classroom, desk, duel, experiments,
    synthetic, training, networks, rehearsing, serving, remote,
    filming,
)  # fmt: skip


def main() -> int:
    """Measure everything, or only what is named: `python -m tests.benchmarks networks training`."""
    names, known = sys.argv[1:], {module.__name__.rpartition(".")[2]: module.measure for module in _MODULES}
    if unknown := set(names) - set(known):
        sys.exit(f"there is no benchmark {', '.join(sorted(unknown))}; those there are: {', '.join(known)}")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    figures: list[Figure] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in known:
            if not names or name in names:
                print(f"measuring {name} …", file=sys.stderr)
                try:
                    figures += take(name, known[name], Path(scratch))
                except Exception:  # the others are measured all the same
                    traceback.print_exc()
                    failed.append(name)
        _write(figures, whole=not names and not os.environ.get("FULL"))  # before the files go, which takes a while
    if failed:
        print(f"not measured, because of an error above: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _write(figures: list[Figure], *, whole: bool) -> None:
    """As a file and as a table; where everything was measured, with what that took."""
    if whole:
        took_s = sum(figure.value for figure in figures if figure.name.endswith(TOOK))
        figures.append(judge("all", 0, "all benchmarks" + TOOK, took_s, "s", _WHOLE_S))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n", encoding="utf-8")
    _print_table(figures)


def _print_table(figures: list[Figure]) -> None:
    table = Table("figure", "holds")
    for name in ("value", "goal", "after"):
        table.add_column(name, justify="right")
    for figure in figures:
        holds = {None: "", True: "yes", False: "NO"}[figure.holds]
        goal = "" if figure.goal is None else f"≤ {figure.goal:g}"
        table.add_row(figure.name, holds, f"{figure.value:.3f} {figure.unit}", goal, f"{figure.seconds:.0f} s")
    Console().print(table)
    Console().print(f"written to {OUT}")


if __name__ == "__main__":
    sys.exit(main())
