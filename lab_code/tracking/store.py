"""The folder in which MLflow keeps everything: `mlflow.db` (SQLite) and `mlartifacts/`, and what is the lab's in it.

Other programs write into the same database. What is theirs is never touched: the lab's own things are those whose
artifacts lie under `mlartifacts/skin-lesions/`. Every fault of the file becomes a `LabError` that says who holds it or
what to do, and none of them asks to move runs away.
"""

import errno
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lab_code.errors import LabError

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
EXPERIMENT = "skin-lesions"  # the folder of all runs of the lab, whatever their experiment is called (`runs.py`)

_SILENCE_S, _PATIENCE_S = 1, 20  # for a program that holds the database: before a word is said, and in all
_SAFE = f"what the runs have written so far stays in {ARTIFACTS}/"


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is closed at the end; every SQLite error becomes a `LabError` that names the file."""
    try:
        with closing(sqlite3.connect(path, timeout=_SILENCE_S)) as database:
            _wait_aloud(path, database)
            database.text_factory = lambda text: text.decode("utf-8", "replace")
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite may quote bytes that are no text
        raise explain_fault(path, error) from error


def _wait_aloud(path: Path, database: sqlite3.Connection) -> None:
    """Whoever must wait for another program learns what for."""
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        print(f"{path.name} is in use by another program; waiting for it, {_PATIENCE_S} s at most …", file=sys.stderr)
    database.execute(f"PRAGMA busy_timeout = {_PATIENCE_S * 1000}")


def read_rows(database: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """All rows with whatever columns this version of MLflow has."""
    found = database.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def explain_fault(path: Path, error: Exception) -> LabError:
    """What SQLite, SQLAlchemy, MLflow or the disk had to say about `path`, and what to do."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    said, number = reason.lower(), getattr(error, "errno", None)
    if "locked" in said or "busy" in said:
        return LabError(
            f"{path} is locked by another program{_name_holders(path)}", hint="close it, then run the command again"
        )
    if "readonly" in said or "read-only" in said or "unable to open" in said or number in (errno.EACCES, errno.EROFS):
        return LabError(f"{path} cannot be written to", hint="copy the kit into a folder of your own")
    if "full" in said or "disk i/o" in said or number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return LabError(
            f"{path} cannot be written: {reason}",
            hint="the disk is full; free some space and try again (a run that was stopped goes on with: lab resume)",
        )
    if "out-of-date" in said or "no such column" in said or "locate revision" in said:
        return _explain_version(path, reason)
    if "malformed" in said or "not a database" in said or "no such table" in said:
        return LabError(
            f"{path} is not a readable MLflow store: {reason}",
            hint=f"leave every file where it is and show this to the instructor; {_SAFE}",
        )
    return LabError(f"MLflow cannot use {path}: {reason}", hint=f"{_SAFE}; try again with: lab resume")


def artifact_tail(uri: str) -> Path:
    """The part of an artifact address that does not depend on the machine: `mlartifacts/…`.

    Takes addresses as any system writes them (`file:///C:/kit/mlartifacts/…`, `C:\\kit\\mlartifacts\\…`). Raises
    `LabError` for an address that leads anywhere else.
    """
    parts = uri.replace("\\", "/").split("/")
    if ARTIFACTS not in parts or ".." in parts:
        raise LabError(
            f"the artifact address '{uri}' does not lead into {ARTIFACTS}/", hint="this store was edited by hand"
        )
    last = len(parts) - 1 - parts[::-1].index(ARTIFACTS)
    return Path(*parts[last:])


def own_tail(uri: object) -> Path | None:
    """The same for what is the lab's own, `mlartifacts/skin-lesions/…`; None for whatever belongs to others."""
    with suppress(LabError):
        tail = artifact_tail(uri) if isinstance(uri, str) and "://" not in uri.removeprefix("file://") else Path()
        if tail.parts[:2] == (ARTIFACTS, EXPERIMENT) and "\0" not in str(uri):
            return tail
    return None


def find_own_experiment(database: sqlite3.Connection, schema: str = "main") -> int | None:
    """The number of the experiment of the lab's own runs, known by its place; None where there is none."""
    rows = read_rows(database, f"{schema}.experiments")
    return next((row["experiment_id"] for row in rows if is_own_place(row["artifact_location"])), None)


def is_own_place(location: object) -> bool:
    """Whether the experiment of the lab's own runs keeps its artifacts there."""
    return own_tail(location) == Path(ARTIFACTS, EXPERIMENT)


def _explain_version(path: Path, reason: str) -> LabError:
    """MLflow says of any other schema that it is out of date; an older one is among the migrations that it brings."""
    found = re.search(r"found version (\w+)", reason)
    home = find_spec("mlflow")
    places = [Path(place) for place in (home and home.submodule_search_locations) or ()]
    older = found and any(any(place.glob(f"store/db_migrations/versions/{found[1]}*")) for place in places)
    if older:
        return LabError(
            f"{path} was made by an older MLflow (schema {found[1] if found else ''})",
            hint=f"all runs stay; copy the file to be safe, then: mlflow db upgrade sqlite:///{path.as_posix()}",
        )
    return LabError(
        f"{path} was made by another MLflow, which this one does not know ({reason.split('. ')[0]})",
        hint="all runs stay; use the environment that made them, or: pip install -c constraints.txt mlflow",
    )


def _name_holders(path: Path) -> str:
    """`: python (process 4711)`, where this account can see who has the file open."""
    import psutil

    if os.name == "nt":  # there, asking for open files may hang
        return ""
    holders = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(Path(f.path) == path.resolve() for f in process.open_files()):
                holders.append(f"{process.info['name']} (process {process.pid})")
    return f": {', '.join(holders)}" if holders else ""
