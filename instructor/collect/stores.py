"""The collected store: made beside its place, put there when it is whole; and empty stores in milliseconds."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lab_code.data.dataset import DESCRIPTION
from lab_code.data.ham10000 import read_dataset
from lab_code.tracking.empty_store import make_from_script, script_name
from lab_code.tracking.runs import name_own_experiment
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT, find_own_experiment
from lab_code.tracking.views import add_view

_STAGING, _OLD = ".staging-collect-", ".collected-before"


@contextmanager
def stage(build: Path) -> Iterator[Path]:
    """A folder of its own below `build` for what is unfinished; what killed commands left is tidied up first."""
    build.mkdir(parents=True, exist_ok=True)
    for leftover in build.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    old, final = build / _OLD, build / "collected"
    if old.exists() and not final.exists():  # killed between the two renames below
        os.replace(old, final)
    with tempfile.TemporaryDirectory(dir=build, prefix=_STAGING, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def make_store(store: Path, final: Path, build: Path) -> None:
    """An empty MLflow store with the one experiment, whose artifacts will lie in `final`; in milliseconds where
    `build/` keeps the script of one."""
    if name_own_experiment(build) != EXPERIMENT:  # the store says itself what it is about
        store.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(build / "data" / DESCRIPTION, store / DESCRIPTION)
    script = build / Path(script_name()).name
    if not script.is_file():
        from lab_code.tracking.tracker import create_store

        create_store(store, name_own_experiment(build), artifacts=final / ARTIFACTS / EXPERIMENT)
        return
    beside = store / script_name()
    beside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(script, beside)
    make_from_script(store)
    shutil.rmtree(beside.parent)
    with closing(sqlite3.connect(store / DATABASE)) as database, database:
        address = (final.resolve() / ARTIFACTS / EXPERIMENT).as_uri()
        number = find_own_experiment(database)
        assert number is not None  # the script has made it
        mine = (name_own_experiment(build), address, number)
        database.execute("UPDATE experiments SET name = ?, artifact_location = ? WHERE experiment_id = ?", mine)
        add_view(database, number, read_dataset(build / "data").codes)


def replace_collected(new: Path, build: Path) -> None:
    """Put the new store in its place, once its database is on the disk; what was there is removed last."""
    old, final = build / _OLD, build / "collected"
    with (new / DATABASE).open("rb+") as database:
        os.fsync(database.fileno())
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    os.replace(new, final)
    shutil.rmtree(old, ignore_errors=True)
