"""The folder of a kit while it is filled: every file is hashed as it is written, so nothing has to be read again.

It lies beside its place and is moved there whole, so its files need not appear whole one by one.
"""

import errno
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from lab_code.files import sha256_file

_MOST_REMEMBERED = 64_000_000  # bytes


@dataclass
class Contents:
    """What files hold, with its SHA-256; read for one kit, it is remembered for the next, as far as there is room."""

    _known: dict[Path, tuple[bytes, str]] = field(default_factory=dict)
    _room: int = _MOST_REMEMBERED

    def read(self, path: Path) -> tuple[bytes, str]:
        """The content of a file, and its SHA-256."""
        if path in self._known:
            return self._known[path]
        with open(path, "rb", buffering=0) as file:
            content = file.read()
        known = content, hashlib.sha256(content).hexdigest()
        self._room -= len(content)
        if self._room >= 0:
            self._known[path] = known
        return known


class KitFolder:
    """A folder that is being filled. `digests` are the SHA-256 of what was written, by path."""

    def __init__(self, root: Path, contents: Contents | None = None) -> None:
        self.root = root
        self.digests: dict[str, str] = {}
        self._contents = contents or Contents()
        self._folders: set[str] = set()

    def copy(self, source: Path, name: str, mode: int | None = None) -> None:
        """Write `name` with the content of a file."""
        content, digest = self._contents.read(source)
        self._put(name, content, mode)
        self.digests[name] = digest

    def write(self, name: str, content: bytes, mode: int | None = None) -> None:
        """Write `name` and the folders that it needs; without a mode, it gets the access rights of any new file."""
        self._put(name, content, mode)
        self.digests[name] = hashlib.sha256(content).hexdigest()

    def _put(self, name: str, content: bytes, mode: int | None) -> None:
        path = f"{self.root}/{name}"
        folder = os.path.dirname(path)
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        with open(path, "wb", buffering=0) as file:  # a buffer would cost more than a photograph's few kilobytes
            written = file.write(content)
        if written != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if mode is not None:
            os.chmod(path, mode)

    def add(self, name: str) -> None:
        """A file that something else has written."""
        self.digests[name] = sha256_file(self.root / name)
