"""Which runs are being trained at this moment: the operating system knows, whatever happened to the process.

A training process holds a lock on `checkpoints/<run id>/lock` for as long as it lives. After a power cut or a kill
nobody holds it, so a run that MLflow still calls RUNNING is known to be dead, and can be resumed.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lab_code.errors import LabError

CHECKPOINTS = "checkpoints"
_LOCK = "lock"


def run_folder(store: Path, run_id: str) -> Path:
    """Where a run keeps what it needs to go on; removed when it is finished."""
    return store / CHECKPOINTS / run_id


@contextmanager
def hold_run(store: Path, run_id: str) -> Iterator[Path]:
    """Be the process that trains this run. Raises `LabError` where another one is."""
    folder = run_folder(store, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield folder
    except Timeout as error:
        raise LabError(f"run {run_id[:8]} is being trained right now", hint="wait for it: lab status") from error


def is_running(store: Path, run_id: str) -> bool:
    """Whether a process trains this run."""
    lock = run_folder(store, run_id) / _LOCK
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def forget_run(store: Path, run_id: str) -> None:
    """Remove what a finished run no longer needs."""
    shutil.rmtree(run_folder(store, run_id), ignore_errors=True)
    if (store / CHECKPOINTS).is_dir() and not any((store / CHECKPOINTS).iterdir()):
        (store / CHECKPOINTS).rmdir()
