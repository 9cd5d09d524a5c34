"""The description of a workshop, `workshop.yaml`: its schema and reader, and the folder that a workshop lives in.

A workshop lives in this project, or in a working copy that `instructor new` made. A command finds it by the folder that
it is run in: the nearest one with a `workshop.yaml`, and else this project. What a working copy does not have of its
own (the code that students read, the pinned packages) comes from here.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from instructor.classroom.schedule import Schedule, check_schedule
from instructor.schema import find_line, read_yaml
from lab_code.errors import LabError, suggest
from lab_code.workshop.plan import HAND_IN, TRAIN, UNLOCK
from lab_code.workshop.points import PointRules

PROJECT = Path(__file__).parent.parent
WORKSHOP_FILE = Path(__file__).parent / "workshop.yaml"
MOST_GROUPS, MOST_STAGES = 60, 8
SYNTHETIC = "synthetic"


@dataclass
class DataSource:
    source: str = SYNTHETIC
    images: int = 5000
    image_size: int = 64
    difficulty: float = 0.5
    seed: int = 0
    test_images: int = 2000
    test_imbalance: float = 0.5
    test_fraction: float = 0.2
    stored_size: int = 128


@dataclass
class StageSpec:
    id: str
    title: str
    questions: int


@dataclass
class LockCost:
    memory_kib: int = 262_144
    iterations: int = 3
    lanes: int = 1


@dataclass
class LockSettings(LockCost):
    room_code: bool = False


@dataclass
class Points:
    stage: int = 10
    rescued: int = 4
    hints: list[int] = field(default_factory=lambda: [1, 2])

    def rules(self) -> PointRules:
        """As the kits count them."""
        return PointRules(self.stage, self.rescued, tuple(self.hints))


@dataclass
class HandinLimits:
    """What reading or scoring one hand-in may cost; it happens in a process of its own."""

    seconds: int = 60
    memory_mb: int = 4000
    unpacked_mb: int = 1000
    rows: int = 1_000_000


@dataclass
class BoardSettings:
    """Where kits report to, as `http://192.0.2.7:8050`; empty: they report to nobody."""

    report_to: str = ""


@dataclass
class Scoring:
    """What the final ranking is made of: the full points of every part, and when two models differ."""

    model: float = 40
    stages: float = 20
    management: float = 30
    kahoot: float = 10
    certainty: float = 0.95
    resamplings: int = 2000
    wrong_list: float = 0.1
    late: float = 0.1

    def weights(self) -> dict[str, float]:
        """The parts that count, and their full points."""
        parts = {"model": self.model, "stages": self.stages, "management": self.management, "kahoot": self.kahoot}
        return {name: points for name, points in parts.items() if points}


@dataclass
class Workshop:
    """Everything that makes one workshop; `instructor/workshop.yaml` explains every key."""

    id: str
    title: str
    seed: int
    groups: list[str]
    stages: list[StageSpec]
    data: DataSource = field(default_factory=DataSource)
    locks: LockSettings = field(default_factory=LockSettings)
    points: Points = field(default_factory=Points)
    limits: HandinLimits = field(default_factory=HandinLimits)
    schedule: Schedule = field(default_factory=Schedule)
    board: BoardSettings = field(default_factory=BoardSettings)
    scoring: Scoring = field(default_factory=Scoring)
    activity_minutes: int = 30
    kahoot_teams: str = "mean"
    paper: str = "a4"
    home: Path = field(default=PROJECT, metadata={"omegaconf_ignore": True})  # where its bank and locked files lie


def find_workshop(folder: Path | None = None) -> Path:
    """The description of the workshop that a command run in `folder` (the current one) means."""
    here = (folder or Path.cwd()).resolve()
    for place in (here, *here.parents):
        if place == PROJECT:
            break
        if (place / WORKSHOP_FILE.name).is_file() and place != WORKSHOP_FILE.parent:
            return place / WORKSHOP_FILE.name
    return WORKSHOP_FILE


def home_of(path: Path) -> Path:
    """The folder that a description belongs to: its own, where a bank or locked files lie beside it, or the project."""
    place = path.resolve().parent
    return place if any((place / name).is_dir() for name in ("locked", "quiz")) else PROJECT


def trees_of(home: Path, tree: str) -> list[Path]:
    """The folders called `tree` that ship together, a file of a later one in the place of an earlier one's.

    A working copy's notebooks stand alone; to the code of the project it adds, or replaces, single files.
    """
    own = home / tree
    places = [own] if tree == "notebooks" and own.is_dir() else [PROJECT / tree, own]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def read_workshop(path: Path | None = None) -> Workshop:
    """Read and check a workshop; without a path that of the current folder.

    Raises `LabError` that names the file, the key and the fix.
    """
    path = path or find_workshop()
    workshop = replace(read_yaml(path, Workshop), home=home_of(path))
    if workshop.home != PROJECT and workshop.data.source != SYNTHETIC:
        workshop.data.source = str(workshop.home / workshop.data.source)  # its own folder goes wherever it is copied
    _check_names(path, workshop)
    _check_counts(path, workshop)
    data = workshop.data
    checks = {
        "data.images": data.images >= 70,
        "data.test_images": data.test_images >= 7,
        "data.image_size": 16 <= data.image_size <= 512,
        "data.stored_size": 16 <= data.stored_size <= 2000,
        "data.test_fraction": 0 < data.test_fraction < 1,
        "data.difficulty": 0 < data.difficulty <= 1,
        "data.test_imbalance": 0 <= data.test_imbalance <= 1,
        "stages.questions": all(1 <= stage.questions <= 12 for stage in workshop.stages),
        "kahoot_teams": workshop.kahoot_teams in ("mean", "sum"),
        "paper": workshop.paper in ("a4", "us-letter"),
        "activity_minutes": 1 <= workshop.activity_minutes <= 600,
        "board.report_to": re.fullmatch(r"(https?://[\w.\[\]:-]+/?)?", workshop.board.report_to) is not None,
        "points": all(0 <= n <= 1000 for n in (workshop.points.stage, workshop.points.rescued, *workshop.points.hints)),
        "limits.seconds": 1 <= workshop.limits.seconds <= 36_000,
        "limits.memory_mb": 500 <= workshop.limits.memory_mb <= 1_000_000,
        "limits.unpacked_mb": 1 <= workshop.limits.unpacked_mb <= 100_000,
        "limits.rows": 1000 <= workshop.limits.rows <= 1_000_000_000,
        "locks": 8 <= workshop.locks.memory_kib <= 262_144 and 1 <= workshop.locks.iterations <= 16,
    }
    for key, holds in (checks | _check_scoring(workshop.scoring)).items():
        if not holds:
            where = f"{path}{find_line(path, key)}"
            raise LabError(f"{where}: {key} is out of range", hint="the comments in the file say what is meant")
    _check_activity(path, workshop)
    check_schedule(path, workshop.schedule, workshop.activity_minutes)
    return workshop


def _check_names(path: Path, workshop: Workshop) -> None:
    """Raise `LabError` for a name that cannot be a folder's on every system."""
    names = [
        ("id", workshop.id),
        *(("groups", g) for g in workshop.groups),
        *(("stages", s.id) for s in workshop.stages),
    ]
    for key, name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
            raise LabError(f"{path}: {key}: '{name}' cannot be a folder's name", hint="use a-z, 0-9 and dashes")


def _check_counts(path: Path, workshop: Workshop) -> None:
    """Raise `LabError` for no groups or stages, for equal ones, and for more than there are marks and minutes for."""
    stages = [stage.id for stage in workshop.stages]
    for key, values, most in (("groups", workshop.groups, MOST_GROUPS), ("stages", stages, MOST_STAGES)):
        if not values or len(set(values)) != len(values):
            raise LabError(
                f"{path}: {key} must be there and differ from each other", hint=f"found: {', '.join(values)}"
            )
        if len(values) > most:
            hint = f"1 to {most}; teach the others in a second workshop: instructor new"
            raise LabError(f"{path}{find_line(path, key)}: {len(values)} {key}, at most {most}", hint=hint)


def _check_activity(path: Path, workshop: Workshop) -> None:
    """Raise `LabError` where the sections take another time than the activity, or end with what does not exist."""
    sections = workshop.schedule.activity
    minutes = sum(section.minutes for section in sections)
    if sections and minutes != workshop.activity_minutes:
        raise LabError(
            f"{path}: the sections of schedule.activity take {minutes} minutes together, but activity_minutes is "
            f"{workshop.activity_minutes}",
            hint="change one of the two",
        )
    conf = "conf/experiment/*.yaml"
    files = [file for tree in trees_of(workshop.home, "lab_code") for file in tree.glob(conf)]
    files += workshop.home.glob(f"locked/*/lab_code/{conf}")
    known = [f"{UNLOCK} {stage.id}" for stage in workshop.stages]
    known += [f"{TRAIN} {file.stem}" for file in sorted(files)] + [HAND_IN]
    for number, section in enumerate(sections, 1):
        where = f"{path}: schedule.activity, entry {number}"
        if section.minutes < 1:
            raise LabError(f"{where}: {section.minutes} minutes", hint="write a whole number, 1 or more")
        if section.until and section.until not in known:
            hint = f"{suggest(section.until, known)}until can be: {', '.join(known)}"
            raise LabError(f"{where}: nothing ends with '{section.until}'", hint=hint)


def _check_scoring(scoring: Scoring) -> dict[str, bool]:
    weights = {name: getattr(scoring, name) for name in ("model", "stages", "management", "kahoot")}
    return {
        **{f"scoring.{name}": 0 <= points <= 1000 for name, points in weights.items()},
        "scoring": any(weights.values()),
        "scoring.certainty": 0.5 < scoring.certainty < 1,
        "scoring.resamplings": 100 <= scoring.resamplings <= 100_000,
        "scoring.wrong_list": 0 <= scoring.wrong_list <= 1,
        "scoring.late": 0 <= scoring.late <= 1,
    }


def find_group(workshop: Workshop, name: str) -> str:
    """A group by its name or its number: `3` is `group-3`."""
    for number, group in enumerate(workshop.groups, 1):
        if name in (group, str(number)):
            return group
    raise LabError(f"there is no group '{name}'", hint=f"groups: {', '.join(workshop.groups)}")


def find_stage(workshop: Workshop, name: str) -> StageSpec:
    """A stage by its id or its number."""
    for number, stage in enumerate(workshop.stages, 1):
        if name in (stage.id, str(number)):
            return stage
    ids = ", ".join(f"{number} = {stage.id}" for number, stage in enumerate(workshop.stages, 1))
    raise LabError(f"there is no stage '{name}'", hint=f"stages: {ids}")
