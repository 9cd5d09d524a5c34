"""Building the film: seconds for each minute of it, and what a second call costs, when nothing has changed."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from instructor.film.build import make_film, plan_film
from instructor.film.draw import Size
from tests.conftest import PROJECT


def measure(scratch: Path) -> Iterator[tuple]:
    """All of it takes minutes: only where `FULL=1` is in the environment; else one scene."""
    if missing := [name for name in ("ffmpeg", "chromium") if shutil.which(name) is None]:
        print(f"not measured: the film ({' and '.join(missing)} missing)")
        return
    only = None if os.environ.get("FULL") else "login"
    took = [_build(scratch / "film", only) for _ in range(2)]
    what = "the whole film" if only is None else f"the scene '{only}'"
    yield f"make film: a minute of {what}", took[0][0] / took[0][1] * 60, "s"
    yield f"make film: {what} again, unchanged", took[1][0], "s"
    yield f"make film: {what}, size of a minute", took[0][2] / took[0][1] * 60 / 1e6, "MB"


def _build(out: Path, only: str | None) -> tuple[float, float, int]:
    """Seconds that it took, seconds that it lasts, and bytes."""
    started = time.perf_counter()
    plan = plan_film(PROJECT / "docs" / "film", out, Size(), only=only)
    film = make_film(plan)
    return time.perf_counter() - started, sum(scene.seconds for scene in plan.scenes), film.stat().st_size
