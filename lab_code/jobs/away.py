"""Runs of this kit that go on elsewhere: their rows in MLflow, their files and their checkpoints travel there.

    check_checkpoint(root, run)            # before: is there anything to go on from
    sent = send_runs(root, line, job)      # into the folders of the job's tasks, before it begins

They come home like any other run (`home.py`), as what they have become.
"""

import shutil
from pathlib import Path

from lab_code.errors import LabError
from lab_code.jobs.record import Job, Task
from lab_code.jobs.ssh import Line
from lab_code.tracking.running import CHECKPOINTS, is_running, run_folder
from lab_code.tracking.runs import ARTIFACTS, EXPERIMENT, Run
from lab_code.tracking.store import DATABASE
from lab_code.tracking.store_copy import copy_own_runs
from lab_code.training.checkpoint import read_checkpoint

_STAGING = Path(".lab") / "away"


def check_checkpoint(root: Path, run: Run) -> int:
    """After how many epochs a run goes on. Raises `LabError` where it is trained here, or has no whole checkpoint."""
    if is_running(root, run.run_id):
        raise LabError(f"run '{run.name}' is being trained right now", hint="wait for it: lab status")
    past = read_checkpoint(run_folder(root, run.run_id))
    if past is None:
        raise LabError(
            f"run '{run.name}' has no checkpoint: it was stopped before its first epoch was over",
            hint="begin it there anew: lab train --on SERVER …",
        )
    return len(past.history)


def send_runs(root: Path, line: Line, job: Job) -> int:
    """Bring what the job's tasks go on from to their folders there; returns the bytes that were sent."""
    sent = 0
    try:
        for number, task in enumerate(job.tasks):
            if task.runs:
                staging = root / _STAGING / job.job / str(number)
                staging.mkdir(parents=True, exist_ok=True)
                sent += _send_task(root, line, staging, task, f"{job.base}/jobs/{job.job}/tasks/{number}/")
    finally:
        shutil.rmtree(root / _STAGING, ignore_errors=True)
    return sent


def _send_task(root: Path, line: Line, staging: Path, task: Task, target: str) -> int:
    (staging / DATABASE).unlink(missing_ok=True)  # of a call that was killed
    copy_own_runs(root, staging / DATABASE, task.runs)
    folders = [Path(place, run) for run in task.runs for place in (f"{ARTIFACTS}/{EXPERIMENT}", CHECKPOINTS)]
    there = [f"{root.as_posix()}/./{folder.as_posix()}" for folder in folders if (root / folder).is_dir()]
    return line.copy([f"{staging.as_posix()}/./{DATABASE}", *there], target, ["--exclude=lock", "--exclude=.*.part"])
