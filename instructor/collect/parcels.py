"""What arrives: zips as they were written, re-zipped by a file manager, zips of zips, and unpacked folders.

    for parcel in find_parcels([Path("usb-stick")]):
        for content in open_parcel(parcel, scratch, limit):   # hand-ins: usually one
            content.names(), content.read("manifest.json", 1000)

A parcel is hostile until proved otherwise: nothing in it says how large it is, only what was read counts.
"""

import os
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from lab_code.errors import LabError
from lab_code.printable import one_line
from lab_code.workshop.handin_rules import MANIFEST
from lab_code.workshop.kit import KIT_FILE

_AGAIN = "let the group run lab handin again and copy the new zip from its folder handin/ as it is"
_CLUTTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave behind
_MOST_MEMBERS = 20_000
_MOST_PARCELS = 500  # in one zip
_DEEPEST = 3  # zips in zips in zips
_MOST_AT_ONCE = 20  # times what one hand-in may unpack to, for all zips in a zip together
_CHUNK = 1 << 16


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


@dataclass(frozen=True)
class Content:
    """One hand-in as it lies: in a zip below a folder (`prefix`), or in a folder on the disk."""

    path: Path
    prefix: str = ""
    shown: str = ""  # how the instructor knows it: the parcel, and where in it
    fault: str = ""  # why it is none, where only a part of a parcel is damaged

    @contextmanager
    def open(self) -> Iterator["Members"]:
        """Its members. Raises `LabError` for what cannot be read as a zip."""
        if self.path.is_dir():
            yield FolderMembers(self.path)
        else:
            with _open_zip(self.path) as archive:
                yield ZipMembers(archive, self.prefix)


class Members:
    """Files by name, wherever they lie; names are spelled with `/`, in Unicode's composed form."""

    def names(self) -> list[str]:
        """All of them."""
        raise NotImplementedError

    def open(self, name: str) -> IO[bytes]:
        """One of them, to read. Raises KeyError where there is none."""
        raise NotImplementedError

    def read(self, name: str, longest: int) -> bytes:
        """A small one. Raises `LabError` for one that is missing or longer."""
        return b"".join(self.chunks(name, Budget(longest, f"its file {name} is larger than {longest:,} bytes")))

    def chunks(self, name: str, budget: Budget) -> Iterator[bytes]:
        """What is in it, piece by piece; only what really comes out is counted. Raises `LabError` for a damaged one."""
        try:
            with self.open(name) as file:
                while chunk := file.read(_CHUNK):
                    budget.take(len(chunk))
                    yield chunk
        except KeyError as error:
            raise LabError(f"its file {one_line(name)} is missing", hint=_AGAIN) from error
        except _UNREADABLE as error:
            raise LabError(f"its file {one_line(name)} is damaged: {_explain(error)}", hint=_AGAIN) from error


class ZipMembers(Members):
    """Those of a zip, below `prefix`."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        self._archive = archive
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for name, info in _list_zip(archive):
            if name.startswith(prefix):
                short = name[len(prefix) :]
                if short in self._infos:
                    raise LabError(f"it holds {one_line(short)} twice", hint=_AGAIN)
                self._infos[short] = info

    def names(self) -> list[str]:
        return list(self._infos)

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._infos[name])


class FolderMembers(Members):
    """Those of a folder; links are left alone, since they may lead anywhere."""

    def __init__(self, folder: Path) -> None:
        self._paths: dict[str, Path] = {}
        for path in _walk(folder):
            self._paths[unicodedata.normalize("NFC", path.relative_to(folder).as_posix())] = path
            if len(self._paths) > _MOST_MEMBERS:
                raise LabError(f"it holds more than {_MOST_MEMBERS} files", hint="name the folder of one hand-in")

    def names(self) -> list[str]:
        return list(self._paths)

    def open(self, name: str) -> IO[bytes]:
        return self._paths[name].open("rb")


_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)


def find_parcels(places: Iterable[Path]) -> list[Path]:
    """The zips among `places` and inside the folders among them, and folders that hold an unpacked hand-in; sorted.

    Raises `LabError` for a place that is not there.
    """
    found: set[Path] = set()
    for place in places:
        if place.is_dir():
            found.update(_find_in(place))
        elif place.is_file():
            found.add(place)
        else:
            raise LabError(f"there is no {place}", hint="name a zip or a folder that holds some")
    return sorted(found)


def open_parcel(parcel: Path, scratch: Path, limit: int) -> list[Content]:
    """Every hand-in of a parcel; zips inside it are unpacked into `scratch`, `limit` bytes at most.

    Raises `LabError` that says what was found where there is none.
    """
    if parcel.is_dir():
        return [Content(parcel, shown=str(parcel))]
    search = _Search(scratch, limit, Budget(_MOST_AT_ONCE * limit))
    search.look_into(parcel, str(parcel), 0)
    if not search.found:
        raise LabError(f"it is no hand-in: {search.describe()}", hint=_AGAIN)
    return search.found


@dataclass
class _Search:
    """Looks for hand-ins in a zip and in the zips inside it."""

    scratch: Path
    limit: int  # bytes of one zip in a zip
    budget: Budget  # of all of them
    found: list[Content] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    unpacked: int = 0

    def look_into(self, path: Path, shown: str, depth: int) -> None:
        with _open_zip(path) as archive:
            members = list(_list_zip(archive))
            self.seen += [name for name, _ in members[:50]]
            roots = _outermost(
                name.removesuffix(MANIFEST) for name, _ in members if PurePosixPath(name).name == MANIFEST
            )
            for root in roots:
                self.found.append(Content(path, root, f"{shown} › {one_line(root)}" if root else shown))
            inner = [
                (n, i) for n, i in members if n.lower().endswith(".zip") and not n.startswith(tuple(roots) or "\0")
            ]
            for name, info in inner:
                if depth == _DEEPEST or len(self.found) > _MOST_PARCELS:
                    raise LabError("it holds zips in zips without end", hint=_AGAIN)
                self._look_inside(archive, info, f"{shown} › {one_line(name)}", depth + 1)

    def _look_inside(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, shown: str, depth: int) -> None:
        """A zip in a zip; where there are several, what is wrong with one is its own affair."""
        try:
            self.look_into(self._unpack(archive, info), shown, depth)
        except LabError as error:
            self.found.append(Content(Path(), shown=shown, fault=error.message))

    def _unpack(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Path:
        self.unpacked += 1
        target = self.scratch / f"inner-{self.unpacked}.zip"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            own = Budget(self.limit)
            with archive.open(info) as source, target.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    own.take(len(chunk))
                    self.budget.take(len(chunk))
                    file.write(chunk)
        except _UNREADABLE as error:
            raise LabError(
                f"the zip {one_line(info.filename)} in it is damaged: {_explain(error)}", hint=_AGAIN
            ) from error
        return target

    def describe(self) -> str:
        if any(PurePosixPath(name).name == KIT_FILE for name in self.seen):
            return "it is a kit without a hand-in; lab handin writes one"
        if not self.seen:
            return "it is empty"
        return f"it holds no {MANIFEST}, but {one_line(', '.join(self.seen[:4]))}{' …' if len(self.seen) > 4 else ''}"


def _outermost(prefixes: Iterable[str]) -> list[str]:
    """Those that lie below none of the others: a run may have a file of that name, too."""
    found: list[str] = []
    for prefix in sorted(prefixes, key=len):
        if not any(prefix.startswith(other) for other in found):
            found.append(prefix)
    return found


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise LabError(f"not a zip, or cut off ({_explain(error)})", hint=_AGAIN) from error
    with archive:
        yield archive


def _list_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files of a zip that are no clutter, by the one spelling of their names."""
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise LabError(f"it holds {len(infos)} files", hint="do not use this zip")
    for info in infos:
        name = unicodedata.normalize("NFC", info.filename.replace("\\", "/")).removeprefix("./")
        if not name.endswith("/") and not _is_clutter(PurePosixPath(name)):
            yield name, info


def _is_clutter(path: PurePosixPath | Path) -> bool:
    return path.name.startswith("._") or any(part in _CLUTTER for part in path.parts)


def _find_in(place: Path) -> Iterator[Path]:
    for path in _walk(place, hidden=False):
        if path.suffix.lower() == ".zip":
            yield path
        elif path.name == MANIFEST and (path.parent / KIT_FILE).is_file():
            yield path.parent


def _walk(folder: Path, *, hidden: bool = True) -> Iterator[Path]:
    """The files below a folder that are no clutter, without following a link."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if n not in _CLUTTER and (hidden or not n.startswith(".")))
        for name in sorted(n for n in names if hidden or not n.startswith(".")):
            path = Path(here, name)
            if not _is_clutter(Path(name)) and path.is_file() and not path.is_symlink():
                yield path


def _explain(error: BaseException) -> str:
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
