"""The instructor's own disk is full: that is no fault of a hand-in, so the command stops and says so."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab_code.errors import LabError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether this, or what it came from, is a disk without room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, sqlite3.Error) and "disk is full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def full_disk(folder: Path) -> LabError:
    """What to say of it."""
    return LabError(
        f"the disk that holds {folder} is full",
        hint="free some space and run it again: what was collected before is as it was, and nothing comes twice",
    )


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn every error that comes of a full disk into one sentence."""
    try:
        yield
    except (OSError, sqlite3.Error, LabError) as error:
        if is_disk_full(error):
            raise full_disk(folder) from error
        raise
