"""What this kit has sent where: one file for every job below `.lab/jobs/`, so that a closed lid forgets nothing.

A job is written down before anything is sent, and every step after that can be done again.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lab_code.errors import LabError, suggest
from lab_code.files import to_json, write_whole

_FOLDER = Path(".lab") / "jobs"
SENDING, SENT, HOME, REFUSED, FORGOTTEN = "sending", "sent", "home", "refused", "forgotten"


@dataclass(frozen=True)
class Task:
    """One run of a job: its changes as they are typed (in a sweep), name, resolved configuration, tags."""

    text: str
    name: str
    config: str  # YAML
    tags: Mapping[str, str]
    links: Sequence[str] = ()  # the top folders of the files that it needs
    search: Mapping[str, Any] = field(default_factory=dict)  # instead of a run: where to look, and how often
    runs: Sequence[str] = ()  # the ids of runs of this kit that go along: the first of them goes on there


@dataclass(frozen=True)
class Job:
    """What was sent by one command. `brought` are the numbers of the tasks that are at home; `sweep` its plan's key."""

    job: str
    server: str
    base: str  # the folder on the server
    key: str  # what was asked for: the same command finds its job by it
    tasks: tuple[Task, ...]
    sent_at: str = ""
    state: str = SENDING
    brought: tuple[int, ...] = ()
    sweep: str = ""
    title: str = ""

    @property
    def is_search(self) -> bool:
        """Whether its one task is a search, which brings many runs."""
        return bool(self.tasks[0].search)

    @property
    def is_open(self) -> bool:
        """Whether there is something to bring home still."""
        return self.state in (SENDING, SENT)


def make_job(server: str, base: str, key: str, tasks: Sequence[Task], title: str = "") -> Job:
    """A job that nobody knows yet."""
    now = datetime.now()
    name = f"{now:%m%d-%H%M}-{secrets.token_hex(2)}"
    at = now.isoformat(timespec="seconds")
    return Job(
        name,
        server,
        base,
        key,
        tuple(tasks),
        at,
        sweep=key if title and not tasks[0].search else "",
        title=title or tasks[0].name,
    )


def write_job(root: Path, job: Job) -> Job:
    """Write it down, and return it."""
    write_whole(root / _FOLDER / f"{job.job}.json", to_json(asdict(job)))
    return job


def change_job(root: Path, job: Job, state: str, brought: Sequence[int] | None = None) -> Job:
    """Write down how it stands now."""
    return write_job(root, replace(job, state=state, brought=job.brought if brought is None else tuple(brought)))


def read_jobs(root: Path) -> list[Job]:
    """All jobs of this kit, oldest first. Raises `LabError` for a file that cannot be read."""
    jobs = []
    for path in sorted((root / _FOLDER).glob("*.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            tasks = tuple(Task(**task) for task in about.pop("tasks"))
            jobs.append(Job(**{**about, "tasks": tasks, "brought": tuple(about["brought"])}))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LabError(f"{path} cannot be read: {error}", hint="move this file away; its job goes on") from error
    return jobs


def find_away(root: Path, run_id: str) -> Job | None:
    """The job in which a run of this kit goes on elsewhere."""
    open_jobs = [job for job in read_jobs(root) if job.is_open]
    return next((job for job in open_jobs if any(run_id in task.runs for task in job.tasks)), None)


def refuse_away(root: Path, run_id: str) -> None:
    """Raise `LabError` where a run goes on elsewhere: it has one place at a time."""
    job = find_away(root, run_id)
    if job is not None:
        raise LabError(
            f"run {run_id[:8]} goes on on {job.server} already, as job {job.job}",
            hint=f"lab follow {job.job} brings it home; if that server is lost for good: lab jobs --forget {job.job}",
        )


def refuse_open(root: Path, key: str) -> None:
    """Raise `LabError` where what one is about to do here is being done elsewhere."""
    for job in read_jobs(root):
        if job.is_open and job.key == key:
            message = f"'{job.title}' is on {job.server} still, as job {job.job}"
            raise LabError(message, hint=f"lab follow {job.job} brings it home once it is over")


def find_job(root: Path, name: str | None) -> Job:
    """The job of this name, or the newest that is not at home. Raises `LabError` where there is none."""
    jobs = read_jobs(root)
    if name is None:
        found = [job for job in jobs if job.is_open]
        if not found:
            raise LabError("no job is on its way", hint="lab train --on SERVER … sends one; lab jobs lists all")
        return found[-1]
    matching = [job for job in jobs if job.job == name or job.job.endswith(f"-{name}")]
    if not matching:
        names = [job.job for job in jobs]
        raise LabError(f"there is no job '{name}'", hint=f"{suggest(name, names)}lab jobs lists all")
    return matching[-1]
