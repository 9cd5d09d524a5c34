"""How long the rehearsal takes: fast, with six groups and every behaviour; and the minutes that it finds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor.workshop import read_workshop

_FAST_GOAL_S = 180  # on two quiet cores


def measure(scratch: Path) -> Iterator[tuple]:
    """The full one takes a quarter of an hour: only where `FULL=1` is in the environment."""
    for mode, goal in (("fast", _FAST_GOAL_S), ("full", None)):
        if mode == "full" and not os.environ.get("FULL"):
            continue
        began = time.perf_counter()
        document = _rehearse(scratch / f"rehearsing-{mode}", ["--fast"] if mode == "fast" else [])
        yield f"rehearsal, {mode}, six groups, every behaviour", time.perf_counter() - began, "s", goal
        last, planned = max(group["done"] for group in document["groups"]), read_workshop().activity_minutes
        yield f"rehearsal, {mode}: the last group, share of the schedule's minutes", last / planned, "ratio"
        yield f"rehearsal, {mode}: what did not end well", len(document["faults"]), "", 0


def _rehearse(build: Path, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "instructor.cli", "rehearse", *options, "--json", "--build", str(build)]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True).stdout))
