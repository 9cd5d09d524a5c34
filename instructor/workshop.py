"""The description of a workshop, `workshop.yaml`: its schema and reader, and the folder that a workshop lives in.

A workshop lives in this project, or in a working copy that `instructor new` made. A command finds it by the folder that
it is run in: the nearest one with a `workshop.yaml`, and else this project. What a working copy does not have of its
own (the code that students read, the pinned packages) comes from here.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from instructor.classroom.schedule import Schedule
from instructor.rehearsal.settings import RehearsalSettings
from instructor.schema import read_yaml
from instructor.workshop_checks import PARTS, check_workshop
from lab_code.errors import LabError
from lab_code.workshop.points import PointRules

PROJECT = Path(__file__).parent.parent
WORKSHOP_FILE = Path(__file__).parent / "workshop.yaml"
SYNTHETIC = "synthetic"
HUB_GROUPS = "groups"


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
class HubSettings:
    """Of `instructor deliver hub` (docs/hub.md): JupyterHub, for a room without laptops of its own."""

    spawner: str = "simple"
    authenticator: str = HUB_GROUPS
    users: dict[str, str] = field(default_factory=dict)  # name -> group, beside the groups' own names
    address: str = "0.0.0.0"
    port: int = 8000
    memory_mb: int = 2000
    cpus: float = 1
    at_once: int = 6
    image: str = "lab-kit-hub"


@dataclass
class ServerSettings:
    """One MLflow for a course (docs/server.md). `report_to`: where kits send their runs; empty: nowhere."""

    report_to: str = ""
    address: str = "0.0.0.0"
    port: int = 5000
    workers: int = 2
    database: str = ""


@dataclass
class Scoring:
    """What the final ranking is made of: the full points of every part, and when two models differ."""

    model: float = 40
    stages: float = 20
    management: float = 30
    kahoot: float = 10
    relay: float = 5
    certainty: float = 0.95
    resamplings: int = 2000
    wrong_list: float = 0.1
    late: float = 0.1

    def weights(self) -> dict[str, float]:
        """The parts that count, and their full points."""
        return {name: points for name in PARTS if (points := getattr(self, name))}


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
    hub: HubSettings = field(default_factory=HubSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    scoring: Scoring = field(default_factory=Scoring)
    prizes: list[str] = field(default_factory=list)
    rehearsal: RehearsalSettings = field(default_factory=RehearsalSettings)
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


def list_experiments(home: Path) -> list[str]:
    """The names of the experiments that a workshop's kits have, or open."""
    conf = "conf/experiment/*.yaml"
    files = [file for tree in trees_of(home, "lab_code") for file in tree.glob(conf)]
    return [file.stem for file in sorted([*files, *home.glob(f"locked/*/lab_code/{conf}")])]


def find_experiments(workshop: Workshop) -> dict[str, Path]:
    """Every experiment and its file: those that the stages open, in their order, then those that kits begin with."""
    conf = "conf/experiment/*.yaml"
    locked = [workshop.home / "locked" / stage.id / "lab_code" for stage in workshop.stages]
    files = [file for tree in (*locked, *trees_of(workshop.home, "lab_code")) for file in sorted(tree.glob(conf))]
    return {file.stem: file for file in files}


def read_workshop(path: Path | None = None) -> Workshop:
    """Read and check a workshop; without a path that of the current folder.

    Raises `LabError` that names the file, the key and the fix.
    """
    path = path or find_workshop()
    workshop = replace(read_yaml(path, Workshop), home=home_of(path))
    if workshop.home != PROJECT and workshop.data.source != SYNTHETIC:
        workshop.data.source = str(workshop.home / workshop.data.source)  # its own folder goes wherever it is copied
    check_workshop(path, workshop, list_experiments(workshop.home))
    return workshop


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
