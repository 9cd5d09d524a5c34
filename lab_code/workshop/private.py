"""Files that only the account which made them can read, where the disk allows it.

    make_private(root / ".lab")           # the folder, and what an older version of the kit has left in it
    write_private(path, token)
    is_private(path)                      # False where the disk keeps no access rights, as on most USB sticks

On Windows a file's access list is set as Jupyter sets that of its own; `is_private` takes that for granted.
"""

import os
from contextlib import suppress
from pathlib import Path

from lab_code.files import write_whole

_MINE, _MY_FOLDER, _OTHERS = 0o600, 0o700, 0o077


def make_private(folder: Path) -> None:
    """Make `folder`, or take away what other accounts may do with it and with the files in it."""
    folder.mkdir(mode=_MY_FOLDER, parents=True, exist_ok=True)
    restrict(folder, _MY_FOLDER)
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            restrict(path)


def write_private(path: Path, content: str) -> None:
    """A whole file, or none, that nobody else can read at any moment."""
    write_whole(path, content, _MINE)
    if os.name == "nt":
        restrict(path)


def restrict(path: Path, mode: int = _MINE) -> None:
    """Take away what others may do with a file; nothing happens where the disk or its owner forbid that."""
    with suppress(OSError):
        if os.name != "nt":
            path.chmod(mode)
        elif path.is_file():
            from jupyter_core.paths import win32_restrict_file_to_user

            win32_restrict_file_to_user(str(path))


def is_private(path: Path) -> bool:
    """Whether `path` is ours and nobody else's to read or write."""
    if os.name == "nt":
        return True
    found = path.lstat()
    return found.st_uid == os.geteuid() and not found.st_mode & _OTHERS
