"""A tiny workshop with the real stages and the real schedule, and one rehearsal of it with every behaviour."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instructor.rehearsal.cast import make_cast
from instructor.rehearsal.paper import JSON, write_papers
from instructor.rehearsal.rehearse import Options, Rehearsal, Stage
from instructor.rehearsal.verdict import judge
from instructor.workshop import PROJECT, Workshop, read_workshop
from tests.conftest import make_once, make_small_workshop
from tests.warm_launcher import warm_launcher

AGAIN = "again.json"
OPTIONS = Options(fast=True, doctor=False)  # how fast this machine trains would be chance


def make_tiny_workshop(**changes: object) -> Workshop:
    real = read_workshop()
    return make_small_workshop(**{"id": "tiny", "schedule": real.schedule, "scoring": real.scoring, **changes})


@pytest.fixture(scope="session")
def rehearse_tiny(build: Path, store_script: Path) -> Callable[..., Rehearsal]:
    """A function that rehearses a workshop in a folder, with the code of `project`, and writes what came out."""

    def rehearse(
        workshop: Workshop, folder: Path, project: Path = PROJECT, tell: Callable[[str], object] = lambda text: None
    ) -> Rehearsal:
        mine = folder / "fast" / "build"
        if not mine.exists():  # photographs and vault of the tests: quicker, and the same answers each time
            shutil.copytree(build / "data", mine / "data")
            shutil.copytree(build / "vault" / "test", mine / "vault" / "test")
            shutil.copy(build / "vault" / "master.key", mine / "vault")
            shutil.copy(store_script, mine)
        stage = Stage(workshop, make_cast(workshop, folder), warm_launcher(), OPTIONS, tell, project=project)
        rehearsal = stage.rehearse(folder / "fast")
        write_papers(folder, rehearsal, judge(rehearsal))
        return rehearsal

    return rehearse


@pytest.fixture(scope="session")
def rehearsed(tmp_path_factory: pytest.TempPathFactory, rehearse_tiny) -> Path:
    """The folder of a rehearsal with every behaviour, once for all processes; tests only read it. It was interrupted
    as soon as its kits were there, and begun again: `AGAIN` holds what it said then, and whether the kits stayed."""

    def make(folder: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            rehearse_tiny(make_tiny_workshop(), folder, tell=interrupt_before_the_class)
        said: list[str] = []
        kits = sorted((folder / "fast" / "build" / "kits").glob("*/kit.json"))
        built = [kit.stat().st_mtime_ns for kit in kits]
        rehearse_tiny(make_tiny_workshop(), folder, tell=said.append)
        kept = bool(kits) and built == [kit.stat().st_mtime_ns for kit in kits]
        (folder / AGAIN).write_text(json.dumps({"said": said, "kept": kept}), encoding="utf-8")

    return make_once(tmp_path_factory, "rehearsal", make)


def interrupt_before_the_class(text: str) -> None:
    if "at a time" in text:
        raise KeyboardInterrupt


@pytest.fixture(scope="session")
def document(rehearsed: Path) -> dict[str, Any]:
    """What that rehearsal says."""
    return dict(json.loads((rehearsed / JSON).read_text(encoding="utf-8")))


@pytest.fixture
def lonely() -> Workshop:
    """One group, one stage: the least that can be rehearsed."""
    tiny = make_tiny_workshop()
    schedule = replace(tiny.schedule, activity=[])
    rehearsal = replace(tiny.rehearsal, groups={"group-1": ["perfect"]})
    return replace(tiny, groups=["group-1"], stages=tiny.stages[:1], schedule=schedule, rehearsal=rehearsal)
