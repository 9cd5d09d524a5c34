"""Bringing a run home: fetched beside its place, every file compared with its SHA-256, then added in one transaction.

    run_id = bring_home(root, line, job, 0, tags)

An interrupted call leaves nothing in the kit's store, and the next one fetches only what is missing.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.jobs.record import Job, find_job
from lab_code.jobs.ssh import Line
from lab_code.tracking.adding import add_runs
from lab_code.tracking.one_at_a_time import one_at_a_time
from lab_code.tracking.store import DATABASE

_STAGING = Path(".lab") / "home"
_COPY = "home.db"  # what far.py calls a consistent copy of the database
_PATIENCE_S = 600


class AtHomeError(LabError):
    """Somebody else was faster."""


def bring_home(root: Path, line: Line, job: Job, task: int, tags: Mapping[str, str]) -> str | None:
    """Fetch what a task has brought, add it to the kit's own store, and return the run's id; None where there is none.

    Raises `LabError` where the connection is lost, and where what arrives is not what was sent.
    """
    with one_at_a_time(root / ".lab" / "home.lock", "bringing a run home", _PATIENCE_S):
        if not find_job(root, job.job).is_open:
            raise AtHomeError(f"job {job.job} was brought home by another window meanwhile", hint="lab status")
        staging = root / _STAGING / job.job / str(task)
        files: dict[str, str] = line.ask("pack", base=job.base, job=job.job, task=task)
        if _COPY not in files:  # it was stopped before it had a run
            return None
        _fetch(line, job, task, files, staging)
        shutil.copyfile(staging / _COPY, staging / DATABASE)
        machine = {"machine.server": line.server.name, "machine.job": job.job}
        added = add_runs(staging, root, {**machine, **tags})
        shutil.rmtree(root / _STAGING / job.job, ignore_errors=True)
        return added[0] if added else None


def _fetch(line: Line, job: Job, task: int, files: Mapping[str, str], staging: Path) -> None:
    odd = [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if odd:
        raise LabError(f"server '{line.server.name}': names a file '{odd[0]}'", hint="show this to the instructor")
    staging.mkdir(parents=True, exist_ok=True)
    source = f"{{there}}:{job.base}/jobs/{job.job}/tasks/{task}/"
    copy = ["-a", "--partial-dir=.part", "--no-owner", "--no-group", "--files-from=-"]
    line.rsync([*copy, source, f"{staging.as_posix()}/"], "".join(f"{name}\n" for name in files))
    wrong = [name for name, digest in files.items() if _digest(staging / name) != digest]
    if wrong:
        for name in wrong:
            (staging / name).unlink(missing_ok=True)
        raise LabError(
            f"server '{line.server.name}': {wrong[0]} came with other bytes than it has there",
            hint=f"again, which fetches it anew: lab follow {job.job}",
        )


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() else ""
