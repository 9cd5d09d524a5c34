"""The identity of a kit: which workshop and group it belongs to, its stages, and the files it was shipped with.

`find_kit()` looks for `kit.json` upward from the current folder. Nothing in it helps to find an answer.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab_code.errors import LabError, find_near, suggest
from lab_code.workshop.mark import Mark, mark_of
from lab_code.workshop.plan import Section
from lab_code.workshop.points import PointRules

KIT_FILE, SHEET = "kit.json", "instructions.pdf"


@dataclass(frozen=True)
class Stage:
    """One step of the game: `lock` is a file, `opens` the files that its answers bring."""

    id: str
    title: str
    lock: str
    opens: tuple[str, ...]
    questions: int
    room_code: bool = False  # whether the answers need the words that the instructor shows

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of the experiments that it opens."""
        return tuple(Path(path).stem for path in self.opens if "/experiment/" in path)


@dataclass(frozen=True)
class Kit:
    """A kit on disk."""

    root: Path
    workshop: str
    title: str
    group: str
    stages: tuple[Stage, ...]
    files: dict[str, str]  # path -> SHA-256 of every file as it was shipped
    points: PointRules = field(default_factory=PointRules)
    minutes: int = 30  # that the group has for answering and training
    plan: tuple[Section, ...] = ()  # what of them each section of the notebook should take
    report_to: str = ""  # address of the instructor's board; empty: nothing is sent to anybody
    server: str = ""  # address of the course's MLflow, which runs are sent to; empty: they are sent nowhere
    group_number: int = 1  # among the groups of the workshop, counted from 1: it chooses the group's colour and shape

    @property
    def mark(self) -> Mark:
        """The group's colour and shape, as on its sheet."""
        return mark_of(self.group_number)

    def stage(self, name: str) -> Stage:
        """The stage with this id, or this number counted from 1. Raises `LabError` where there is none."""
        for number, stage in enumerate(self.stages, 1):
            if name in (stage.id, str(number)):
                return stage
        ids = [stage.id for stage in self.stages]
        raise LabError(f"there is no stage '{name}'", hint=f"{suggest(name, ids)}stages: {', '.join(ids)}")

    def number(self, stage: Stage) -> int:
        """The number of a stage, counted from 1."""
        return self.stages.index(stage) + 1

    def stage_that_opens(self, path: str) -> Stage | None:
        """The stage that brings this file, or None where no stage does."""
        return next((stage for stage in self.stages if path in stage.opens), None)

    def tags(self) -> dict[str, str]:
        """What every run of this kit is tagged with."""
        return {"workshop": self.workshop, "group": self.group}


def find_kit(start: Path | None = None) -> Kit:
    """The kit that holds the folder `start` (default: the current one)."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / KIT_FILE).is_file():
            return read_kit(folder)
    raise LabError(f"{here} is not inside a kit", hint=f"change into the folder of your group: it holds {KIT_FILE}")


def read_kit(root: Path) -> Kit:
    """Read `root/kit.json`. Raises `LabError` where it is damaged."""
    try:
        return kit_from_json(json.loads((root / KIT_FILE).read_text(encoding="utf-8")), root)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LabError(
            f"{root / KIT_FILE} cannot be read: {type(error).__name__}: {error}",
            hint="ask the instructor for a fresh kit",
        ) from error


def kit_from_json(document: dict[str, Any], root: Path) -> Kit:
    """Build a `Kit` from the parsed `kit.json`. Raises KeyError, TypeError or ValueError where it is not one."""
    stages = tuple(Stage(**{**stage, "opens": tuple(stage["opens"])}) for stage in document["stages"])
    workshop, title, group = (str(document[key]) for key in ("workshop", "title", "group"))
    rules = document["points"]
    points = PointRules(int(rules["stage"]), int(rules["rescued"]), tuple(int(price) for price in rules["hints"]))
    minutes = int(document.get("minutes", 30))
    plan = tuple(Section(**section) for section in document.get("plan", ()))
    kit = Kit(root, workshop, title, group, stages, dict(document["files"]), points, minutes, plan)
    number = max(1, int(document.get("group_number", 1)))
    report_to, server = str(document.get("report_to", "")), str(document.get("server", ""))
    return replace(kit, group_number=number, report_to=report_to, server=server)


def kit_to_json(kit: Kit) -> dict[str, Any]:
    """The document of `kit.json`."""
    return {
        "about": "What this kit is. The program reads it; please leave it as it is.",
        "workshop": kit.workshop,
        "title": kit.title,
        "group": kit.group,
        "group_number": kit.group_number,
        "stages": [asdict(stage) for stage in kit.stages],
        "points": asdict(kit.points),
        "minutes": kit.minutes,
        "plan": [asdict(section) for section in kit.plan],
        "report_to": kit.report_to,
        "server": kit.server,
        "files": kit.files,
    }


def locked_file(kit: Kit, path: str) -> LabError | None:
    """The error for a file that a lock will bring, or None where no lock does."""
    stage = kit.stage_that_opens(path)
    if stage is None:
        return None
    number, name = kit.number(stage), Path(path).stem
    what = f"{Path(path).parent.name} '{name}'" if "/conf/" in path else path
    return LabError(
        f"{what} is still locked: stage {number} '{stage.title}' opens it",
        hint=f"answer the questions of stage {number} (lab status shows them), then: lab unlock --answers …",
    )


def locked_choice(kit: Kit, group: str, choice: str) -> LabError | None:
    """The same for a file of a group of settings, mistyped or not: `experiment`, `Balanced`."""
    folder = f"lab_code/conf/{group}"
    locked = [Path(path).stem for stage in kit.stages for path in stage.opens if str(Path(path).parent) == folder]
    there = [path.stem for path in (kit.root / folder).glob("*.yaml")]
    near = find_near(choice, [*there, *locked])
    if near is None or near in there:
        return locked_file(kit, f"{folder}/{choice}.yaml")
    meant = locked_file(kit, f"{folder}/{near}.yaml")
    return meant and LabError(f"{group} '{choice}' does not exist", hint=f"did you mean '{near}'? {meant.message}")


def missing_stage_files(kit: Kit, stage: Stage) -> Sequence[str]:
    """Which of a stage's files are not there (yet, or any more)."""
    return [path for path in stage.opens if not (kit.root / path).is_file()]
