"""One zip of each group, made once, and build folders to collect them in."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from instructor.collect import collect, gather, review
from instructor.collect import handins as reading
from instructor.collect.collect import Collected, collect_handins
from instructor.collect.disk import is_disk_full
from instructor.collect.isolation import Job, Outcome, describe_fault
from instructor.results import show
from instructor.vault import Vault
from instructor.workshop import HandinLimits, Workshop
from lab_code.config import compose_config
from lab_code.experiment import run_experiment
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import append_event
from tests.conftest import make_once, no_progress
from tests.instructor.collect.hand_ins import Files, read_zip, sign_again, write_zip

QUICK = ["trainer.epochs=1", "model.width=2", "data.image_size=16", "trainer.device=cpu"]


def train_in(root: Path, group: str, name: str = "mine", seed: int = 0, *, finish: bool = True) -> None:
    """A real, tiny run in a kit."""
    run_experiment(
        compose_config([*QUICK, f"name={name}", f"seed={seed}"]), root, {"group": group, "workshop": "small"}
    )
    if not finish:  # as a laptop leaves it whose lid was closed
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE name = ?", (name,))
        database.close()


def work_in(kits: Path, folder: Path) -> None:
    """Kits after a class: group-1 with two runs and one that still ran, group-2 and group-3 with one."""
    for number, group in enumerate(("group-1", "group-2", "group-3")):
        root = shutil.copytree(kits / group, folder / group)
        append_event(root, "unlock_failed", stage="1-configuration")
        append_event(root, "unlocked", stage="1-configuration", by="answers")
        train_in(root, group, seed=number)
        if number == 0:
            train_in(root, group, "second", seed=7)
            train_in(root, group, "cut-off", seed=8, finish=False)
        write_handin(read_kit(root))


@pytest.fixture
def figures() -> None:
    """For `usefixtures`, where a test wants the figures: drawing takes longer than all else in collecting."""


@pytest.fixture(autouse=True)
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere none are drawn; tests/instructor/results/test_shown.py draws what is hard to draw."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(show, "write_figures", lambda results, folder: [])


def run_here(jobs: Sequence[Job], limits: HandinLimits, advance: Callable[[], object] = lambda: None) -> list[Outcome]:
    """The jobs in this process, one after the other; what comes out is what `run_isolated` would say."""
    outcomes = []
    for job in jobs:
        try:
            outcomes.append(Outcome(json.loads(json.dumps(job.function(*job.arguments)))))
        except Exception as error:
            if is_disk_full(error):
                raise
            outcomes.append(Outcome(error=describe_fault(error)))
            if job.scratch:
                shutil.rmtree(job.scratch, ignore_errors=True)
        advance()
    return outcomes


@pytest.fixture
def isolated() -> None:
    """For `usefixtures`, where a hand-in is hostile: a process for each takes longer than what it does."""


@pytest.fixture(autouse=True)
def few_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere there are none."""
    if "isolated" not in request.fixturenames:
        stay_here(monkeypatch)


def stay_here(patch: pytest.MonkeyPatch) -> None:
    """Read and score hand-ins in this process."""
    for module in (collect, gather, reading, review):
        patch.setattr(module, "run_isolated", run_here)


@pytest.fixture(scope="session")
def worked_in(build: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The kits of `work_in`, which have handed in."""
    folder = make_once(tmp_path_factory, "worked-in", lambda folder: work_in(build / "kits", folder))
    return {root.name: root for root in folder.iterdir()}


@pytest.fixture(scope="session")
def handins(worked_in: dict[str, Path]) -> dict[str, Path]:
    """What these kits hand in; tests only read it."""
    return {group: next((root / "handin").glob("*.zip")) for group, root in worked_in.items()}


@dataclass
class Desk:
    """The instructor's build folder with three hand-ins in `build/handins/`."""

    build: Path
    workshop: Workshop
    zips: dict[str, Path]

    @property
    def inbox(self) -> Path:
        return self.build / "handins"

    def collect(self, *, unsigned: bool = False) -> Collected:
        return collect_handins(self.workshop, [self.inbox], self.build, no_progress, unsigned=unsigned)

    def forget(self) -> None:
        """As if nothing had been collected yet."""
        shutil.rmtree(self.build / "inbox", ignore_errors=True)

    def members(self, group: str) -> Files:
        return read_zip(self.zips[group])

    def key(self, group: str) -> bytes:
        return Vault(self.build).handin_key(self.workshop.id, group)

    def replace(self, group: str, members: Files) -> Path:
        """Another content of a group's zip, signed by its kit."""
        if "manifest.json" in members:
            sign_again(members, self.key(group))
        write_zip(self.zips[group], members)
        return self.zips[group]


@pytest.fixture
def desk(handins: dict[str, Path], build: Path, workshop: Workshop, tmp_path: Path) -> Desk:
    folder = tmp_path / "build"
    (folder / "handins").mkdir(parents=True)
    shutil.copytree(build / "vault", folder / "vault")
    shutil.copytree(build / "data", folder / "data")
    for script in build.glob("mlflow-*.sql"):
        shutil.copyfile(script, folder / script.name)
    zips = {group: folder / "handins" / path.name for group, path in handins.items()}
    for group, path in handins.items():
        shutil.copyfile(path, zips[group])
    return Desk(folder, workshop, zips)
