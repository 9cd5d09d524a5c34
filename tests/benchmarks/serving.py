"""One server for many: 60 and 120 clients of the course's MLflow beside MLflow's own settings, users of a hub.

With MLflow's settings sixty clients do not finish; they are given `_LIMIT_S` seconds, and what they have done by then
is counted. That takes a quarter of an hour: only where `FULL=1` is in the environment. There, clients make twice as
many calls as usually, and the hub has twelve users instead of four. All clients are one process of asyncio with a
connection each, which needs few seconds of processor itself.
"""

import asyncio
import csv
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from instructor.cli.app import main
from instructor.server import course as course_module
from instructor.server.accounts import sign_in
from instructor.server.course import Course, start_course, stop_course
from tests.instructor.deliver import hubs
from tests.instructor.server.clients import Client, find_lost, make_experiments
from tests.instructor.server.conftest import make_course

_FULL = bool(os.environ.get("FULL"))
_CALLS, _LIMIT_S = 24 if _FULL else 12, 300
_OURS = ("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW")
_USERS = 12 if _FULL else 4


def measure(scratch: Path) -> Iterator[tuple]:
    """The hub uses the kits that the benchmark of provisioning has built."""
    yield from _measure_server("the course's settings", (60, 120))
    with mock.patch.object(course_module, "make_environment", _plain_environment):
        yield from _measure_server("MLflow's own settings", (20, 60)) if _FULL else ()
    if hubs.why_not():
        print(f"not measured: JupyterHub ({hubs.why_not()})")
        return
    yield from _measure_hub(scratch)


_WITH_OURS = course_module.make_environment


def _plain_environment(course: Course) -> dict[str, str]:
    """Without our pools; passwords are checked each time, see `_measure_server`."""
    return {key: value for key, value in _WITH_OURS(course).items() if key not in _OURS}


def _measure_server(settings: str, counts: tuple[int, ...]) -> Iterator[tuple]:
    folder = Path(tempfile.mkdtemp(prefix="lab-course-"))
    folder.chmod(0o755)
    course = make_course(folder, workers=2)
    cache = 0 if "own" in settings else course_module.CACHE_S
    try:
        with mock.patch.object(course_module, "CACHE_S", cache):
            start_course(course, lambda text: None)
        for group in course.workshop.groups:
            sign_in(course).ensure(group, course.password(group))
        for count in counts:
            yield from _measure_clients(course, count, f"server: {count} clients, {settings}")
    finally:
        stop_course(course)
        shutil.rmtree(folder, ignore_errors=True)


def _measure_clients(course: Course, count: int, name: str) -> Iterator[tuple]:
    started = time.perf_counter()
    clients = asyncio.run(_let_work(course, count, name))
    seconds = time.perf_counter() - started
    times = sorted(second for client in clients for second in client.seconds)
    unfinished = sum(len(client.acknowledged) < _CALLS for client in clients)
    yield f"{name}: calls a second", len(times) / seconds, "1/s"
    yield f"{name}: p95 of a call", times[int(0.95 * len(times))] if times else _LIMIT_S, "s"
    goal = 0 if "course" in name else None
    yield f"{name}: not finished in {_LIMIT_S} s", unfinished, "clients", goal
    yield f"{name}: acknowledged and lost", len(find_lost(course, clients)), "calls", goal


async def _let_work(course: Course, count: int, name: str) -> list[Client]:
    from tornado.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure(None, max_clients=count)
    experiments = await make_experiments(course, name)
    groups = course.workshop.groups
    clients = [Client(course, groups[number % len(groups)]) for number in range(count)]
    work = [asyncio.create_task(client.work(experiments[client.group], _CALLS)) for client in clients]
    _, late = await asyncio.wait(work, timeout=_LIMIT_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return clients


def _measure_hub(scratch: Path) -> Iterator[tuple]:
    """Everybody starts at once, opens a lock and trains an epoch."""
    build, port = scratch / "hub", hubs.find_ports()
    build.mkdir()
    workshop = hubs.make_class(build, _USERS, port)
    for words in (["provision"], ["deliver", "hub"]):
        assert main([*words, "--workshop", str(workshop), "--build", str(build)]) == 0
    with hubs.run_hub(build / "hub", port) as hub:
        times = asyncio.run(_sit_down(hub, build))
    starts, ends = zip(*times, strict=True)
    yield f"hub: {_USERS} users, until the page of the middle one", statistics.median(starts), "s"
    yield f"hub: {_USERS} users, until the last page", max(starts), "s"
    yield f"hub: {_USERS} users, until the last has opened a lock and trained an epoch", max(ends), "s"


async def _sit_down(hub: hubs.Hub, build: Path) -> list[tuple[float, float]]:
    with (build / "vault" / "hub-passwords.csv").open(encoding="utf-8") as file:
        passwords = {row["account"]: row["password"] for row in csv.DictReader(file)}
    key = json.loads((build / "vault" / "key.json").read_text(encoding="utf-8"))
    await hub.wait()
    began = time.perf_counter()

    async def work(group: str) -> tuple[float, float]:
        person = hubs.Person(hub, group)
        await person.sign_in(passwords[group])
        assert (await person.start_server()).code == 200
        started = time.perf_counter() - began
        unlock = f"lab('unlock --answers {key[group][0]['answers']}')"
        said = await person.type_in("from kit import lab", unlock, "lab('train experiment=baseline trainer.epochs=1')")
        assert "is finished" in said, said
        return started, time.perf_counter() - began

    return list(await asyncio.gather(*(work(group) for group in passwords)))
