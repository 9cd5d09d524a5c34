"""The course's server: many clients at once, kills, backups, accounts, kits that report, and what goes wrong."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from instructor.cli.app import main
from instructor.collect.server import read_server
from instructor.server import course as course_module
from instructor.server.accounts import check_name, list_accounts, sign_in
from instructor.server.backup import back_up, count, read_counts, restore
from instructor.server.course import (
    ADMIN,
    Course,
    check_schema,
    describe_course,
    make_environment,
    read_running,
    start_course,
    stop_course,
)
from lab_code.errors import LabError
from lab_code.tracking.runs import read_runs
from lab_code.workshop.course_server import describe_sending, list_waiting, send_later, send_runs
from lab_code.workshop.kit import read_kit
from tests.conftest import KitOnDisk, no_progress
from tests.instructor.server.clients import find_lost, run_clients
from tests.instructor.server.conftest import make_course, point_at


def quiet(text: str) -> None:
    """Nobody looks."""


def test_many_clients_finish_at_once_and_nothing_is_lost(course: Course) -> None:
    clients = asyncio.run(run_clients(course, 20, 3, "many"))
    assert not [client.faults for client in clients if client.faults]
    assert sum(len(client.acknowledged) for client in clients) == 60 and not find_lost(course, clients)


def processes_of(course: Course) -> list[psutil.Process]:
    """The server's, its workers with it."""
    server = read_running(course)
    process = server.process() if server else None
    assert process is not None
    return [*process.children(recursive=True), process]


def kill_server(course: Course) -> None:
    kill(processes_of(course))


def kill(family: list[psutil.Process]) -> None:
    """All of them at once, and wait until none is left; some end because the others do."""
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    psutil.wait_procs(family)


def kill_database(course: Course) -> None:
    assert course.database.folder is not None
    pid = int((course.database.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    postmaster = psutil.Process(pid)
    kill([postmaster, *postmaster.children(recursive=True)])


@pytest.mark.slow
def test_what_was_acknowledged_outlives_a_kill_of_server_and_database_under_load(course: Course) -> None:
    acknowledged = threading.Event()

    async def play() -> list:
        clients = asyncio.create_task(run_clients(course, 12, 10_000, "killed"))
        while count_points(course) < 60:  # asks the database: leaves the processor to the others
            await asyncio.sleep(0)
        kill_database(course)
        kill_server(course)
        acknowledged.set()
        return await clients

    clients = asyncio.run(play())
    assert acknowledged.is_set() and sum(len(client.acknowledged) for client in clients) >= 40
    assert all(client.faults for client in clients)
    assert start_course(course, quiet)
    assert not find_lost(course, clients)
    assert not start_course(course, quiet), "a second start finds what runs"


def count_points(course: Course) -> int:
    return int(str(course.database.ask("SELECT count(*) FROM metrics")[0][0]))


def test_a_backup_brings_the_same_back_and_keeps_what_was_there(course: Course, tmp_path: Path) -> None:
    asyncio.run(run_clients(course, 3, 2, "saved"))
    (course.artifacts / "7").mkdir(exist_ok=True)
    (course.artifacts / "7" / "curve.png").write_bytes(b"a curve")
    before = count(course)
    path = back_up(course, tmp_path / "course.zip")
    assert read_counts(path) == before and before["runs"] >= 3 and before["users"] >= 4
    with pytest.raises(LabError, match="the server is running"):
        restore(course, path)
    course.database.ask("CREATE DATABASE another", "postgres")  # of a server that does not run, with other things in it
    database = replace(course.database, uri=course.database.at("another"), folder=None)
    another = replace(course, folder=tmp_path / "another", database=database)
    another.artifacts.mkdir(parents=True)
    (another.artifacts / "old.png").write_bytes(b"old")
    database.ask("CREATE TABLE runs (run_uuid TEXT)")
    assert restore(another, path) == before == count(another)
    assert (another.artifacts / "7" / "curve.png").read_bytes() == b"a curve"
    ((kept,),) = database.ask("SELECT datname FROM pg_database WHERE datname LIKE 'before_%'", "postgres")
    assert count(another, str(kept)) == {"runs": 0}
    assert (another.folder / f"artifacts-{kept}" / "old.png").read_bytes() == b"old"


def test_a_backup_that_is_damaged_changes_nothing(course: Course, tmp_path: Path) -> None:
    path = tmp_path / "course.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("database.dump", b"no dump")
        archive.writestr("counts.json", json.dumps({"counts": {"runs": 1}, "files": 0}))
    another = replace(course, folder=tmp_path, database=replace(course.database, folder=None))
    before, known = count(course), course.database.ask("SELECT datname FROM pg_database", "postgres")
    with pytest.raises(LabError, match="pg_restore failed"):
        restore(another, path)
    assert count(course) == before and course.database.ask("SELECT datname FROM pg_database", "postgres") == known
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        (b"x", "is no backup"),
        ({"other": b"x"}, "is no backup"),
        ({"counts.json": b"[]"}, "is no backup"),
        ({"counts.json": b"{}"}, "is no backup"),
        ({"counts.json": b"\xff"}, "is no backup"),
    ],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, content, said: str) -> None:
    path = tmp_path / "course.zip"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
    with pytest.raises(LabError, match=said):
        read_counts(path)


def test_a_group_sees_its_own_runs_alone_and_a_closed_account_nothing(course: Course) -> None:
    assert {ADMIN, *course.workshop.groups} <= set(list_accounts(course))
    accounts = sign_in(course)
    assert accounts.ensure("group-1", course.password("group-1")) == "known"
    assert accounts.ensure("ada", course.password("ada")) == "made"
    accounts.close("ada")
    assert accounts.ensure("ada", course.password("ada")) == "changed"
    with pytest.raises(LabError, match="no such account"):
        accounts.close("nobody")
    for name in (ADMIN, "Ada", "", "a b", "../x"):
        with pytest.raises(LabError, match="cannot be an account's name"):
            check_name(name)


# Kits that report.


@pytest.fixture
def trained(kit: KitOnDisk, course: Course):
    """A kit with one run, which nobody has sent yet."""
    kit.lab("train", "trainer.epochs=1", "name=sent")
    return point_at(read_kit(kit.root), course)


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """A disk on which nothing fits, in the place of a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
def test_a_kits_runs_arrive_whole_once_and_are_collected_under_their_own_ids(
    trained, course: Course, build: Path, tmp_path: Path
) -> None:
    from instructor.vault import Vault

    (run,) = read_runs(trained.root)
    lost = replace(trained, server="http://127.0.0.1:9")
    away = send_runs(lost)
    assert (away.sent, away.waiting) == (0, 1) and "does not answer" in away.fault
    assert "1 of your runs wait" in describe_sending(lost) and not send_later(lost), "it is not asked again at once"
    point_at(trained, course, "another-password")
    assert "does not know the password of group-1" in send_runs(trained).fault
    point_at(trained, course)
    if os.geteuid() == 0:
        with full_disk(course.artifacts):
            fault = send_runs(trained).fault
        assert "the course's server says 500" in fault and "is the server's disk full?" in fault
    done = send_runs(trained)
    assert (done.sent, done.waiting, done.fault) == (1, 0, "") and not list_waiting(trained)
    (trained.root / ".lab" / "server.json").unlink()  # as after a cut: it is found there and sent once more
    before = count(course)
    assert send_runs(trained).sent == 1 and count(course) == before
    address = course.address.replace("://", f"://{ADMIN}:{course.password(ADMIN)}@")
    read = read_server(address, course.workshop, Vault(build), tmp_path, no_progress)
    assert set(read.zips) == {"group-1"} and not read.notes
    with zipfile.ZipFile(read.zips["group-1"]) as archive:
        archive.extractall(tmp_path / "collected")
    (copy,) = read_runs(tmp_path / "collected")
    assert (copy.run_id, copy.name, copy.status) == (run.run_id, run.name, run.status)
    assert (copy.params, copy.metrics, copy.ended_ms) == (run.params, run.metrics, run.ended_ms)
    assert {path.name for path in copy.artifacts.rglob("*")} == {path.name for path in run.artifacts.rglob("*")}


# What goes wrong.


def test_a_port_in_use_a_full_disk_and_an_old_schema_are_said(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="cannot be used: Address already in use"):
        course_module.find_free(course)
    (found,) = course.database.ask("SELECT version_num FROM alembic_version")
    course.database.ask("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
    try:
        with pytest.raises(LabError, match="tables of another version of MLflow") as old:
            check_schema(course)
        assert "instructor server up --upgrade" in str(old.value.hint)
    finally:
        course.database.ask(f"UPDATE alembic_version SET version_num = '{found[0]}'")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(LabError, match="MB are needed for the backup, 0 MB are free"):
        back_up(course)
    stopped = replace(course, folder=course.folder / "other")
    with pytest.raises(LabError, match="0 MB are free on the disk"):
        start_course(stopped, quiet)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://lab:wrong@127.0.0.1:{port}/mlflow", "password authentication failed"),
        ("postgresql://lab:{password}@127.0.0.1:{port}/nothing", 'database "nothing" does not exist'),
        ("postgresql://lab:x@127.0.0.1:9/mlflow", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(course: Course, uri: str, said: str) -> None:
    password = course.password("database")
    address = uri.format(port=course.database.port, password=password)
    other = replace(course.database, uri=address, folder=None)
    with pytest.raises(LabError, match=said) as error:
        other.ask("SELECT 1")
    assert password not in str(error.value) and "wrong" not in str(error.value) and error.value.hint


def test_nothing_secret_stands_on_a_command_line_or_lies_open(course: Course) -> None:
    words = " ".join(word for member in processes_of(course) for word in member.cmdline())
    assert course.password("database") not in words and course.password(ADMIN) not in words
    assert not [path for path in course.folder.rglob("*.ini") if path.stat().st_mode & 0o077]
    assert json.dumps(describe_course(course)) and describe_course(course)["answers"] is True


def test_without_postgresql_the_way_to_get_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(LabError, match="PostgreSQL is not installed") as error:
        start_course(make_course(tmp_path), quiet)
    assert "apt install postgresql" in str(error.value.hint)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_full_for_postgresql_is_said() -> None:
    folder = Path(tempfile.mkdtemp(prefix="lab-small-disk-"))  # where the account of PostgreSQL reaches it
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    try:
        folder.chmod(0o755)
        made = make_course(folder)
        with pytest.raises(LabError, match="initdb failed") as error:
            made.database.start()
        assert "free some room" in str(error.value.hint)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def test_accounts_of_a_server_that_does_not_run_are_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer") as error:
        sign_in(make_course(tmp_path))
    assert error.value.hint == "instructor server up"


def test_down_stops_both_and_a_second_one_finds_nothing(tmp_path: Path) -> None:
    assert stop_course(make_course(tmp_path)) == []


def test_the_containers_have_the_settings_that_the_server_here_has(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_") or name == "DO_NOT_TRACK"]:
        monkeypatch.delenv(name)
    made = make_course(tmp_path, workers=2)
    recipe = yaml.safe_load((project / "instructor/server/compose.yaml").read_text(encoding="utf-8"))
    server, database = recipe["services"]["mlflow"], recipe["services"]["database"]
    mine = {key: value for key, value in make_environment(made).items() if key not in os.environ}
    own = [key for key in mine if key.endswith(("_URI", "_PATH", "_PASSWORD", "_SECRET_KEY"))]  # of each server
    theirs = server["environment"]
    assert set(theirs) == set(mine) and len(own) == 4
    assert {**theirs, **dict.fromkeys(own)} == {**mine, **dict.fromkeys(own)}
    assert f"max_connections={made.database.connections}" in database["command"]
    made.folder.mkdir()
    course_module.write_settings(made)
    written = (made.folder / "accounts.ini").read_text(encoding="utf-8").splitlines()
    inside = recipe["configs"]["accounts"]["content"].splitlines()
    assert [line for line in written if "uri" not in line] == [line for line in inside if "uri" not in line]
    pins = (project / "constraints.txt").read_text(encoding="utf-8").splitlines()
    image = server["build"]["dockerfile_inline"].replace("[auth]", "")
    assert all(pin in image for pin in pins if pin.startswith(("mlflow==", "psycopg2-binary==")))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"report_to": "the server"}, "server.report_to is out of range"),
        ({"report_to": "http://a b"}, "server.report_to is out of range"),
        ({"port": 0}, "server.port is out of range"),
        ({"workers": 0}, "server.workers is out of range"),
        ({"database": "sqlite:///here.db"}, "server.database is out of range"),
        ({"adress": "x"}, "keys here: report_to, address, port, workers, database"),
        ({}, "there is no vault"),
    ],
)
def test_a_wrong_setting_of_the_server_is_named(
    tmp_path: Path, settings: dict, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    described = {"id": "tiny", "title": "Tiny", "seed": 1, "groups": ["group-1"], "server": settings}
    described["stages"] = [{"id": "1-x", "title": "A stage", "questions": 2}]
    (tmp_path / "workshop.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    place = ["--workshop", str(tmp_path / "workshop.yaml"), "--build", str(tmp_path / "build")]
    for command in ("up", "down", "status", "backup", "user"):
        assert main(["server", command, *place]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "build").exists()
