"""A course's server that really runs: PostgreSQL by initdb, MLflow with accounts, on free ports."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instructor.server.accounts import sign_in
from instructor.server.course import Course, open_course, start_course, stop_course
from instructor.vault import Vault
from instructor.workshop import ServerSettings
from lab_code.workshop.kit import Kit
from lab_code.workshop.private import write_private
from tests.conftest import make_small_workshop


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_course(folder: Path, **settings: object) -> Course:
    """A server's folder, which PostgreSQL's account can reach; nothing runs yet."""
    values = {"address": "127.0.0.1", "port": find_port(), "workers": 1, **settings}
    workshop = make_small_workshop(server=ServerSettings(**values))
    course = open_course(workshop, Vault(folder), folder / "server")
    if course.database.folder is None:
        return course
    uri = course.database.uri.replace(f":{course.database.port}/", f":{find_port()}/")
    return replace(course, database=replace(course.database, uri=uri))


@pytest.fixture(scope="session")
def course() -> Iterator[Course]:
    """One that runs, with an account for every group; whoever stops it starts it again."""
    folder = Path(tempfile.mkdtemp(prefix="lab-course-"))
    folder.chmod(0o755)
    made = make_course(folder)
    try:
        start_course(made, lambda text: None)
        for group in made.workshop.groups:
            sign_in(made).ensure(group, made.password(group))
        yield made
    finally:
        stop_course(made)
        shutil.rmtree(folder, ignore_errors=True)


def point_at(kit: Kit, course: Course, password: str = "") -> Kit:
    """The kit as it is provisioned where the workshop has a server."""
    write_private(kit.root / ".lab" / "server.key", password or course.password(kit.group))
    return replace(kit, server=course.address)
