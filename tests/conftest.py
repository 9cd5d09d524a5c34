"""What the tests share: one small workshop, built once per process, and fresh copies of its kits."""

import gc
import hashlib
import os
import pickle
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from filelock import FileLock
from hypothesis import settings
from sqlalchemy import event
from sqlalchemy.engine import Engine

from instructor import vault
from instructor.provision.store_script import find_brought
from instructor.provision.workshop_kits import provision
from instructor.quizbank.bank import load_bank
from instructor.quizbank.networks import KEPT, write_kept
from instructor.vault import Vault
from instructor.workshop import DataSource, LockSettings, StageSpec, Workshop, read_workshop
from tests.warm_launcher import run_launcher

PROJECT = Path(__file__).parent.parent
IMPORT_MUCH = {
    "train",
    "resume",
    "repeat",
    "card",
    "sweep",
    "predict",
    "doctor",
    "jobs",
    "follow",
}  # commands that need PyTorch and MLflow

T = TypeVar("T")
DRAW_MASTER = vault.draw_master  # the real one


def _write_without_waiting(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


def pytest_configure() -> None:
    # More tests run at once than there are cores: a second thread would only wait for the first.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    gc.set_threshold(100_000, 20, 50)  # as the programs themselves: imports take a third less
    # Nobody pulls the plug here: what is written need not have reached the disk, on which everybody would wait.
    os.fsync = lambda handle: None
    event.listen(Engine, "connect", _write_without_waiting)
    # The same examples each time: a test that fails must fail again.
    settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
    settings.load_profile("fixed")
    # The same answers each time: a list that is wrong must stay wrong.
    vault.draw_master = lambda: hashlib.sha256(b"the tests' vault").digest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark who waits for kits to be built, so that `-m "not workshop"` leaves these tests out; and choose the order.

    Two processes take a half each, and whoever is done takes over from the end of the other's. So what takes long comes
    first in both halves, and files that need no kits come before the others: one process builds, one is busy.
    """
    waiting = set()
    for item in items:
        if "build" in getattr(item, "fixturenames", ()):
            item.add_marker("workshop")
            waiting.add(item.path)
    items.sort(key=lambda item: item.path in waiting)
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    cut = len(quick) // 2
    items[:] = slow[: len(slow) // 2] + quick[:cut] + slow[len(slow) // 2 :] + quick[cut:]


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported and collected stays to the end: it is not looked through again and again


@dataclass(frozen=True)
class KitOnDisk:
    """A fresh copy of a kit, with what its instructor knows."""

    root: Path
    group: str
    answers: list[str]  # of the stages, each as it is typed
    rescue: list[str]
    room_codes: list[str]  # whether the locks ask for them or not

    def lab(self, *argv: str, check: bool = True, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        """Run the kit's own launcher; where `check` is set it must succeed."""
        environment = os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "200"}
        if argv[0] in IMPORT_MUCH:
            done = run_launcher(self.root, list(argv), environment, timeout)
        else:
            done = subprocess.run(
                [sys.executable, str(self.root / "lab"), *argv],
                cwd=self.root,
                capture_output=True,
                text=True,
                timeout=timeout,
                encoding="utf-8",
                env=environment,
            )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def files(self) -> dict[str, bytes]:
        """Every file but caches and empty lock files, to compare before and after."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
            and "__pycache__" not in path.parts
            and not re.fullmatch(r"\.(unlock|files|handin)\.lock", path.name)
        }


def hear_interrupts() -> None:
    """For `preexec_fn`: a program in the background of a script ignores Ctrl-C, under nohup the closing of a terminal,
    and so would its children."""
    for name in {"SIGINT", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Leave the processor to a program until that holds, or it has ended."""
    while process.poll() is None and not reached():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.005)


_read_real = cache(read_workshop)  # for those who change nothing of it


def make_small_workshop(**changes: object) -> Workshop:
    """The real stages with few, small photographs and locks that cost nothing."""
    real = _read_real()
    values: dict = {
        "id": "small",
        "title": "A small workshop",
        "seed": 7,
        "groups": ["group-1", "group-2", "group-3"],
        "stages": [StageSpec(stage.id, stage.title, stage.questions) for stage in real.stages],
        "data": DataSource(images=210, image_size=32, test_images=70, seed=3),
        "locks": LockSettings(memory_kib=64, iterations=1, lanes=1),
    }
    return Workshop(**{**values, **changes})


def no_progress(title: str, total: int):
    """A progress bar that shows nothing."""
    return lambda: None


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    return make_small_workshop()


def describe_empty_store() -> str:
    """As MLflow does, which is imported only where somebody asks."""
    from lab_code.tracking.tracker import describe_empty_store as describe

    return describe()


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make(folder)` fills once for all processes of this run of pytest; tests only read it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"unfinished-{name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def find_once(factory: pytest.TempPathFactory, name: str, find: Callable[[Path], T]) -> T:
    """What `find(folder)` finds out in a folder that stays as it is, once for all processes of this run of pytest."""

    def keep(folder: Path) -> None:
        (folder / "found").write_bytes(pickle.dumps(find(factory.mktemp(name))))

    return pickle.loads((make_once(factory, f"found-{name}", keep) / "found").read_bytes())


@pytest.fixture(scope="session")
def store_script() -> Path:
    """The script of an empty MLflow store that the project brings: MLflow would take seconds to make one."""
    script = find_brought()
    assert script, "constraints.txt names another MLflow: .venv/bin/python -m instructor.keep"
    return script


@pytest.fixture(scope="session")
def begun_build(tmp_path_factory: pytest.TempPathFactory, store_script: Path) -> Path:
    """A build folder with all that every build begins with and that takes seconds to find out: for whoever runs
    `instructor provision` as a command, and is not about that."""

    def make(folder: Path) -> None:
        load_bank(make_small_workshop())
        write_kept(folder / KEPT)
        shutil.copy(store_script, folder)

    return make_once(tmp_path_factory, "begun", make)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, workshop: Workshop) -> Path:
    """A provisioned `build/` that tests only read; whoever writes takes a copy."""

    def make(folder: Path) -> None:
        assert not provision(workshop, folder, no_progress).failed

    return make_once(tmp_path_factory, "build", make)


@pytest.fixture
def make_kit(build: Path, tmp_path: Path):
    """A function that copies the kit of a group: `make_kit("group-2")`."""

    def make(group: str = "group-1") -> KitOnDisk:
        shutil.copytree(build / "kits" / group, tmp_path / "kits" / group)
        key = Vault(build).read_key()[group]
        answers, rescue = [entry["answers"] for entry in key], [entry["rescue"] for entry in key]
        room_codes = [Vault(build).room_code("small", entry["stage"]) for entry in key]
        return KitOnDisk(tmp_path / "kits" / group, group, answers, rescue, room_codes)

    return make


@pytest.fixture
def kit(make_kit) -> KitOnDisk:
    return make_kit()


@pytest.fixture(scope="session")
def ham10000_sample() -> Path:
    """35 real photographs of HAM10000, which lie beside the project and are never part of it."""
    folder = PROJECT.parent / "shared" / "ham10000-sample"
    if not folder.is_dir():
        pytest.skip("the sample of real photographs is not beside this checkout")
    return folder
