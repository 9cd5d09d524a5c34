"""A backup of the course's server in one file, and back: every run, every account, every artifact.

    path = back_up(course)                   # while the server runs
    restore(course, path)                    # while it does not

The file is a zip: `database.dump` by pg_dump, `artifacts/`, and `counts.json` that says how much is in it. Restoring
fills a new database and a new folder, counts, and only then puts both in their places; what was there is kept beside.
"""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from instructor.server.course import Course, read_running
from instructor.server.postgres import explain_database, run_program
from lab_code.errors import LabError
from lab_code.files import open_whole, to_json

COUNTED = ("experiments", "runs", "params", "tags", "metrics", "users")
Ask = Callable[[str], list[tuple[object, ...]]]
_DUMP, _COUNTS, _ARTIFACTS = "database.dump", "counts.json", "artifacts/"


def count(course: Course, name: str = "") -> dict[str, int]:
    """How many rows its tables have; those that are not there yet are left out."""
    with _frozen(course, name) as (ask, _):
        return _count(ask)


def back_up(course: Course, target: Path | None = None) -> Path:
    """Write the backup, whole or not at all. Raises `LabError` where the disk has no room for it."""
    path = target or course.folder / "backups" / f"{course.workshop.id}-{datetime.now():%Y%m%d-%H%M%S}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=course.folder, prefix=".backup-") as scratch:
        dump = Path(scratch) / _DUMP
        with _frozen(course) as (ask, snapshot):  # what is counted is what is dumped, while the server goes on
            counts = _count(ask)
            options = ["-Fc", f"--snapshot={snapshot}", "-f", str(dump), "-d", _without_password(course.database.uri)]
            run_program("pg_dump", options, Path(scratch), _secret(course))
        # After the dump: whatever it names is there, and what came later does no harm.
        files = sorted(file for file in course.artifacts.rglob("*") if file.is_file())
        needs, free = sum(file.stat().st_size for file in (dump, *files)), shutil.disk_usage(path.parent).free
        if needs > free:
            raise LabError(
                f"{needs // 1_000_000} MB are needed for the backup, {free // 1_000_000} MB are free in {path.parent}",
                hint="instructor server backup --to FILE on another disk",
            )
        with open_whole(path, 0o600) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.write(dump, _DUMP)
            for one in files:
                archive.write(one, _ARTIFACTS + one.relative_to(course.artifacts).as_posix())
            archive.writestr(_COUNTS, to_json({"counts": counts, "files": len(files)}))
    return path


@contextmanager
def _frozen(course: Course, name: str = "") -> Iterator[tuple[Ask, str]]:
    """Ask the database as it is at one moment; the name by which pg_dump sees the same."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(course.database.at(name) if name else course.database.uri, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            snapshot = str(connection.execute(text("SELECT pg_export_snapshot()")).scalar_one())
            yield lambda statement: [tuple(row) for row in connection.execute(text(statement))], snapshot
    except SQLAlchemyError as error:
        raise explain_database(course.database.shown, error) from error
    finally:
        engine.dispose()


def _count(ask: Ask) -> dict[str, int]:
    known = ask("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    tables = [table for table in COUNTED if (table,) in known]
    return {table: int(str(ask(f"SELECT count(*) FROM {table}")[0][0])) for table in tables}


def read_counts(path: Path) -> dict[str, int]:
    """What a backup says that it holds. Raises `LabError` for a file that is none, or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            if broken is not None:
                raise LabError(f"{path} is damaged: {broken}", hint="take an earlier backup")
            return {str(key): int(value) for key, value in json.loads(archive.read(_COUNTS))["counts"].items()}
    except FileNotFoundError as error:
        raise LabError(f"there is no file {path}", hint="backups lie in build/server/backups") from error
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, AttributeError, TypeError) as error:
        raise LabError(f"{path} is no backup of a course's server: {error}", hint="take another file") from error


def restore(course: Course, path: Path) -> dict[str, int]:
    """Put a backup in the place of what is there; returns what is in it now. Raises `LabError`; nothing is lost."""
    expected = read_counts(path)
    if read_running(course) is not None:
        raise LabError("the server is running", hint="instructor server down, then again")
    course.database.start()
    fresh = f"restored_{datetime.now():%Y%m%d%H%M%S%f}"
    beside = course.folder / f"artifacts-{fresh}"
    try:
        _fill(course, path, fresh, beside)
        found = count(course, fresh)
        if found != expected:
            raise LabError(f"{path} brought {found}, but should bring {expected}", hint="take an earlier backup")
    except BaseException:
        course.database.ask(f'DROP DATABASE IF EXISTS "{fresh}"', "postgres")
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _swap(course, fresh, beside)
    return found


def _fill(course: Course, path: Path, fresh: str, beside: Path) -> None:
    """Unpack a backup into a new database and a new folder."""
    beside.mkdir(mode=0o700)
    with (
        tempfile.TemporaryDirectory(dir=course.folder, prefix=".restore-") as scratch,
        zipfile.ZipFile(path) as archive,
    ):
        archive.extract(_DUMP, scratch)
        course.database.ask(f'CREATE DATABASE "{fresh}"', "postgres")
        address = _without_password(course.database.at(fresh))
        options = ["--no-owner", "--exit-on-error", "-d", address, str(Path(scratch) / _DUMP)]
        run_program("pg_restore", options, Path(scratch), _secret(course))
        for name in archive.namelist():
            if name.startswith(_ARTIFACTS):
                _extract(archive, name, beside)


def _extract(archive: zipfile.ZipFile, name: str, folder: Path) -> None:
    target = folder / name.removeprefix(_ARTIFACTS)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise LabError(f"the backup holds a file outside of its folder: {name}", hint="take another file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _swap(course: Course, fresh: str, beside: Path) -> None:
    mine, before = urlsplit(course.database.uri).path[1:], fresh.replace("restored", "before")
    course.database.ask(f'ALTER DATABASE "{mine}" RENAME TO "{before}"', "postgres")
    course.database.ask(f'ALTER DATABASE "{fresh}" RENAME TO "{mine}"', "postgres")
    if course.artifacts.exists():
        os.replace(course.artifacts, course.folder / f"artifacts-{before}")
    os.replace(beside, course.artifacts)


def _without_password(uri: str) -> str:
    """An address that may stand on a command line; the password goes by the environment."""
    parts = urlsplit(uri)
    account, _, place = parts.netloc.rpartition("@")
    name = account.partition(":")[0]
    return parts._replace(netloc=f"{name}@{place}" if name else place).geturl()


def _secret(course: Course) -> dict[str, str]:
    password = urlsplit(course.database.uri).password
    return {"PGPASSWORD": unquote(password)} if password else {}
