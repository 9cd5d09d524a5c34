"""The files of a hand-in, wherever they lie: in a zip as it was written, one that a file manager made, or a folder.

    with open_members(path) as members:
        members.names(), members.read("manifest.json", 1000)

A zip is hostile until proved otherwise: nothing in it says how large it is, only what was read counts.
"""

import os
import unicodedata
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.workshop.handin_rules import MOST_MEMBERS, is_clutter

AGAIN = "let the group run lab handin again and copy the new zip from its folder handin/ as it is"
CHUNK = 1 << 16


@dataclass
class Budget:
    """How many bytes may still be unpacked."""

    left: int
    excess: str = "it unpacks to more than a hand-in may"

    def take(self, count: int) -> None:
        """Raises `LabError` where it is used up."""
        self.left -= count
        if self.left < 0:
            raise LabError(self.excess, hint="where that is honest work, raise limits in workshop.yaml")


@contextmanager
def open_members(path: Path, prefix: str = "") -> Iterator["Members"]:
    """The files in a folder, or in a zip below `prefix`. Raises `LabError` for what cannot be read as a zip."""
    if path.is_dir():
        yield FolderMembers(path)
    else:
        with open_zip(path) as archive:
            yield ZipMembers(archive, prefix)


class Members(ABC):
    """Files by name, wherever they lie; names are spelled with `/`, in Unicode's composed form."""

    @abstractmethod
    def names(self) -> list[str]:
        """All of them."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """One of them, to read. Raises KeyError where there is none."""

    def read(self, name: str, longest: int) -> bytes:
        """A small one. Raises `LabError` for one that is missing or longer."""
        return b"".join(self.chunks(name, Budget(longest, f"its file {name} is larger than {longest:,} bytes")))

    def chunks(self, name: str, budget: Budget) -> Iterator[bytes]:
        """What is in it, piece by piece; only what really comes out is counted. Raises `LabError` for a damaged one."""
        try:
            with self.open(name) as file:
                while chunk := file.read(CHUNK):
                    budget.take(len(chunk))
                    yield chunk
        except KeyError as error:
            raise LabError(f"its file {one_line(name)} is missing", hint=AGAIN) from error
        except UNREADABLE as error:
            raise LabError(f"its file {one_line(name)} is damaged: {explain(error)}", hint=AGAIN) from error


class ZipMembers(Members):
    """Those of a zip, below `prefix`."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        self._archive = archive
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for name, info in list_zip(archive):
            if name.startswith(prefix):
                short = name[len(prefix) :]
                if short in self._infos:
                    raise LabError(f"it holds {one_line(short)} twice", hint=AGAIN)
                self._infos[short] = info

    def names(self) -> list[str]:
        return list(self._infos)

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._infos[name])


class FolderMembers(Members):
    """Those of a folder; links are left alone, since they may lead anywhere."""

    def __init__(self, folder: Path) -> None:
        self._paths: dict[str, Path] = {}
        for path in walk(folder):
            self._paths[unicodedata.normalize("NFC", path.relative_to(folder).as_posix())] = path
            if len(self._paths) > MOST_MEMBERS:
                raise LabError(f"it holds more than {MOST_MEMBERS} files", hint="name the folder of one hand-in")

    def names(self) -> list[str]:
        return list(self._paths)

    def open(self, name: str) -> IO[bytes]:
        return self._paths[name].open("rb")


UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise LabError(f"not a zip, or cut off ({explain(error)})", hint=AGAIN) from error
    with archive:
        yield archive


def list_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files of a zip that are no clutter, by the one spelling of their names."""
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise LabError(f"it holds {len(infos)} files", hint="do not use this zip")
    for info in infos:
        name = unicodedata.normalize("NFC", info.filename.replace("\\", "/")).removeprefix("./")
        if not name.endswith("/") and not is_clutter(name):
            yield name, info


def walk(folder: Path, *, hidden: bool = True, on_error: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """The files below a folder that are no clutter, without following a link."""
    for here, folders, names in os.walk(folder, onerror=on_error):
        folders[:] = sorted(n for n in folders if not is_clutter(n) and (hidden or not n.startswith(".")))
        for name in sorted(n for n in names if hidden or not n.startswith(".")):
            path = Path(here, name)
            if not is_clutter(name) and path.is_file() and not path.is_symlink():
                yield path


def explain(error: BaseException) -> str:
    text = one_line(error)
    if "encrypted" in text or "password" in text:
        return "it is encrypted; a hand-in is not"
    return text or type(error).__name__


def copy_limited(members: Members, name: str, target: Path, budget: Budget) -> None:
    """Write one member to `target`, which nothing has been written to before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for chunk in members.chunks(name, budget):
            file.write(chunk)
