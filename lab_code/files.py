"""Files that appear whole or not at all, and their SHA-256."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Write beside the target, flush to the disk, rename: whoever reads `path` sees the old file or the new one."""
    with open_whole(path, mode) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def open_whole(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `path` at the end; where anything fails, `path` stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(PermissionError):  # a disk that keeps no access rights
            os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove what was written beside `path` by processes that were killed; only its one writer may call this."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        part.unlink(missing_ok=True)


def to_json(value: Any) -> str:
    """JSON as people read it: indented, UTF-8, a newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def canonical_json(value: Any) -> bytes:
    """JSON in exactly one spelling, for hashing and authentication: sorted keys, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
