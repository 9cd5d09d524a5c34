"""The course's server: MLflow with accounts, before a PostgreSQL, its artifacts behind it.

    course = open_course(workshop, vault, build / "server")
    start_course(course, tell)       # finds what runs already
    stop_course(course)

The settings that it fails without under load are here: with MLflow's own, sixty clients never finish. A connection
waits for a free place in a pool, so the pool is as large as a worker has threads; a password is checked once in five
minutes, since each check costs a tenth of a second of processor; and there are no job runners, half of the memory.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from instructor.server.postgres import Database, find_database, find_free_port, last_words
from instructor.vault import Vault
from instructor.workshop import ServerSettings, Workshop
from lab_code.errors import LabError
from lab_code.files import to_json
from lab_code.workshop.desk import Server
from lab_code.workshop.private import make_private, write_private

ADMIN = "instructor"
POOL = 30  # connections of one worker that wait ready, and as many more for a rush
LEAST_FREE = 200_000_000  # bytes on the server's disk
CACHE_S = 300  # a password that was right once is believed for so long
_PATIENCE_S = 600  # until it answers: half a minute on a quiet machine
_NOTES, _SETTINGS, LOG = "server.json", "accounts.ini", "mlflow.log"
_FIRST_DATABASE_PORT = 15_432


@dataclass(frozen=True)
class Course:
    """Where everything of the server is. `folder` holds the cluster, the artifacts, settings and logs."""

    workshop: Workshop
    vault: Vault
    folder: Path
    database: Database

    @property
    def settings(self) -> ServerSettings:
        return self.workshop.server

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def address(self) -> str:
        """Where this machine itself reaches it."""
        return f"http://127.0.0.1:{self.settings.port}"

    def password(self, account: str) -> str:
        """As it follows from the vault."""
        return self.vault.password(self.workshop.id, account, "server")


def open_course(workshop: Workshop, vault: Vault, folder: Path) -> Course:
    """The server of a workshop, whether it runs or not; nothing is written."""
    folder, settings = folder.resolve(), workshop.server
    known = _read_notes(folder).get("database_port")
    port = int(known or find_free_port(_FIRST_DATABASE_PORT))
    connections = settings.workers * 2 * 2 * POOL + 20  # tracking and accounts, each with its rush
    password = vault.password(workshop.id, "database", "server")
    return Course(
        workshop, vault, folder, find_database(settings.database, folder / "postgres", password, port, connections)
    )


def start_course(course: Course, tell: Callable[[str], object]) -> bool:
    """Start what does not run and wait until it answers; whether anything was started. Raises `LabError`."""
    if (running := read_running(course)) is not None:
        _wait(course, running)
        return False
    make_private(course.folder)
    course.folder.chmod(0o711)  # the account of PostgreSQL goes through it to its own
    if (free := shutil.disk_usage(course.folder).free) < LEAST_FREE:
        raise LabError(f"{free // 1_000_000} MB are free on the disk of {course.folder}", hint="free some room there")
    find_free(course)
    _note(course, {"database_port": course.database.port})
    if course.database.folder is not None:
        tell("starting PostgreSQL …")
    course.database.start()
    check_schema(course)
    tell("starting MLflow …")
    server = _start_mlflow(course)
    _note(course, {"database_port": course.database.port, "mlflow": asdict(server)})
    try:
        _wait(course, server)
    except BaseException:
        server.stop()
        raise
    return True


def stop_course(course: Course) -> list[str]:
    """Stop the server, then its database; returns what was running."""
    stopped = []
    if (running := read_running(course)) is not None:
        running.stop()
        stopped.append("MLflow")
    if course.database.is_running():
        course.database.stop()
        stopped.append("PostgreSQL")
    return stopped


def read_running(course: Course) -> Server | None:
    """The server's process, or None where it has ended."""
    try:
        server = Server(**_read_notes(course.folder)["mlflow"])
    except (KeyError, TypeError):
        return None
    return server if server.process() is not None else None


def answers(course: Course) -> bool:
    """Whether its page can be fetched."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{course.address}/health", timeout=5) as page:
            return page.status == 200
    except (OSError, urllib.error.URLError, ValueError):
        return False


def describe_course(course: Course) -> dict[str, object]:
    """Whether it runs, how much is in it, and how much room is left."""
    from instructor.server.backup import count

    running = read_running(course)
    place = next(path for path in (course.folder, *course.folder.parents) if path.exists())
    found: dict[str, object] = {
        "answers": running is not None and answers(course), "address": course.address,
        "database": course.database.shown, "free_mb": shutil.disk_usage(place).free // 1_000_000,
    }  # fmt: skip
    if course.settings.database or course.database.is_running():
        found |= count(course)
    return found


def check_schema(course: Course) -> None:
    """Raise `LabError` where the database is that of another version of MLflow, and say what to do."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    tables = "SELECT 1 FROM information_schema.tables WHERE table_name = 'alembic_version'"
    if not course.database.ask(tables):
        return
    found = course.database.ask("SELECT version_num FROM alembic_version")
    if found and found[0][0] != _get_latest_schema_revision():
        raise LabError(
            f"the database {course.database.shown} has the tables of another version of MLflow ({found[0][0]})",
            hint="of an older one: instructor server backup, then instructor server up --upgrade; of a newer one: "
            "install that version here",
        )


def upgrade_schema(course: Course) -> None:
    """Bring the tables of an older MLflow up to date. Raises `LabError` where they are of a newer one."""
    from alembic.util.exc import CommandError
    from mlflow.store.db.utils import _upgrade_db
    from sqlalchemy import create_engine

    course.database.start()
    engine = create_engine(course.database.uri)
    try:
        _upgrade_db(engine)
    except CommandError as error:
        raise LabError(
            f"the tables of {course.database.shown} cannot be upgraded: {error}",
            hint="they are of a newer MLflow: install that version here",
        ) from error
    finally:
        engine.dispose()


def find_free(course: Course) -> None:
    """Raise `LabError` where another program has the server's port."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((course.settings.address, course.settings.port))
        except OSError as error:
            raise LabError(
                f"port {course.settings.port} of {course.settings.address} cannot be used: {error.strerror}",
                hint="another server has it: server.port in workshop.yaml",
            ) from error


def _start_mlflow(course: Course) -> Server:
    course.artifacts.mkdir(mode=0o700, exist_ok=True)
    write_settings(course)
    command = [
        sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--serve-artifacts",
        "--host", course.settings.address, "--port", str(course.settings.port),
        "--workers", str(course.settings.workers), "--artifacts-destination", course.artifacts.as_uri(),
    ]  # fmt: skip
    with (course.folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, cwd=course.folder, env=make_environment(course), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, umask=0o077,
        )  # fmt: skip
    process.returncode = 0  # it outlives this command, so that nobody has to wait for it
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.Error:
        started = time.time()
    return Server("mlflow", process.pid, started, course.settings.port, "")


def make_environment(course: Course) -> dict[str, str]:
    """What MLflow reads from its environment: secrets, which every account could read on a command line, above all."""
    return {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": course.database.uri,
        "MLFLOW_AUTH_CONFIG_PATH": str(course.folder / _SETTINGS),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": course.password(ADMIN),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": course.password("secret key"),
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(POOL),
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(POOL),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",  # laptops call it by any name; whoever comes is asked for a password
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }


def write_settings(course: Course) -> None:
    lines = {
        "default_permission": "NO_PERMISSIONS",  # a group sees and changes its own experiment alone
        "database_uri": course.database.uri.replace("%", "%%"),
        "admin_username": ADMIN,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(CACHE_S),
    }
    text = "".join(f"{key} = {value}\n" for key, value in lines.items())
    write_private(course.folder / _SETTINGS, f"[mlflow]\n{text}")


def _wait(course: Course, server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not answers(course):
        ended = server.process() is None
        if ended or time.monotonic() > deadline:
            happened = "has ended" if ended else f"does not answer after {_PATIENCE_S} s"
            log = course.folder / LOG
            raise LabError(f"MLflow {happened}: {last_words(log)}", hint=f"all that it said is in {log}")
        time.sleep(0.3)


def _read_notes(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _NOTES).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _note(course: Course, notes: dict[str, object]) -> None:
    write_private(course.folder / _NOTES, to_json(notes))
