"""Many clients of a course's server at once, each with an account, and what was acknowledged to them."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest

from instructor.server.course import Course

_TIMEOUT_S = 300.0


@dataclass
class Client:
    """Somebody who trains: one run, a point of a metric in every call."""

    course: Course
    group: str
    run_id: str = ""
    acknowledged: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def work(self, experiment: str, calls: int) -> None:
        """Make a run and log to it, until the calls are over or the server is."""
        try:
            made = await self.post("runs/create", experiment_id=experiment)
            self.run_id = made["run"]["info"]["run_id"]
            for step in range(calls):
                point = {"key": "loss", "value": step / 7, "timestamp": 1_700_000_000_000 + step, "step": step}
                await self.post("runs/log-batch", run_id=self.run_id, metrics=[point])
                self.acknowledged.append(step)
        except (OSError, HTTPError) as error:
            self.faults.append(str(error))

    async def post(self, method: str, **document: Any) -> dict[str, Any]:
        """One call of MLflow's interface."""
        started = time.perf_counter()
        sign = base64.b64encode(f"{self.group}:{self.course.password(self.group)}".encode()).decode()
        headers = {"Authorization": f"Basic {sign}", "Content-Type": "application/json"}
        request = HTTPRequest(
            f"{self.course.address}/api/2.0/mlflow/{method}", "POST", headers,
            json.dumps(document), request_timeout=_TIMEOUT_S, connect_timeout=_TIMEOUT_S,
        )  # fmt: skip
        answer = await AsyncHTTPClient().fetch(request)
        self.seconds.append(time.perf_counter() - started)
        return dict(json.loads(answer.body))


async def make_experiments(course: Course, name: str) -> dict[str, str]:
    """One for each group, by its own account."""
    groups = course.workshop.groups
    made = [await Client(course, group).post("experiments/create", name=f"{name} {group}") for group in groups]
    return {group: entry["experiment_id"] for group, entry in zip(groups, made, strict=True)}


async def run_clients(course: Course, count: int, calls: int, name: str) -> list[Client]:
    """All at once; each has the account of some group."""
    AsyncHTTPClient.configure(None, max_clients=count)
    experiments = await make_experiments(course, name)
    groups = course.workshop.groups
    clients = [Client(course, groups[number % len(groups)]) for number in range(count)]
    await asyncio.gather(*(client.work(experiments[client.group], calls) for client in clients))
    return clients


def find_lost(course: Course, clients: list[Client]) -> list[tuple[str, int]]:
    """Calls that were acknowledged and are not in the database."""
    there = set(course.database.ask("SELECT run_uuid, step FROM metrics WHERE key = 'loss'"))
    said = {(client.run_id, step) for client in clients for step in client.acknowledged}
    return sorted(said - there)
