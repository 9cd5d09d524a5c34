"""Find hand-ins among what people bring: zips, zips in zips (a platform's "download all"), and unpacked folders.

`find_parcels` walks over a disk; `look_into` opens one parcel, in a process of its own, and says which hand-ins and
which further zips are in it. Who is said to have written a hand-in is known before anything of it is unpacked.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from instructor.collect.packing import is_kit
from instructor.collect.parcels import (
    AGAIN,
    Budget,
    FolderMembers,
    Members,
    ZipMembers,
    copy_limited,
    list_zip,
    open_members,
    open_zip,
    walk,
)
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.files import canonical_json
from lab_code.tracking.runs import ARTIFACTS
from lab_code.workshop.handin_rules import MANIFEST, MAX_MANIFEST_BYTES
from lab_code.workshop.kit import KIT_FILE
from lab_code.workshop.signature import SIGNATURE

_MOST_ROOTS = 100  # hand-ins in one zip
_ZIP_BEGINS = b"PK\3\4"
_OTHER_ARCHIVES = (".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".crdownload", ".part", ".download")
_LONGEST_SHOWN = 1000


@dataclass(frozen=True)
class Parcel:
    """A zip or a folder on the disk; where `member` is named, the zip of that name inside it."""

    path: Path
    shown: str  # how the instructor knows it
    member: str = ""
    original: str = ""  # SHA-256 of the file that holds it all
    outermost: Path | None = None  # that file
    kept: bool = False  # read from the inbox: its bytes are those that were collected before
    brought: bool = True  # this time; False for what only the inbox has still
    came_as: str = ""  # how the outermost file is known; empty: as this one

    def inner(self, path: Path, member: str) -> "Parcel":
        """A zip inside this one, which now lies at `path`."""
        shown, came_as = f"{self.shown} › {one_line(member)}", self.came_as or self.shown
        return replace(self, path=path, shown=shown, member=member, came_as=came_as)


@dataclass(frozen=True)
class Content:
    """One hand-in as it lies: in a zip below a folder (`prefix`), or in a folder; and what its manifest says."""

    path: Path
    prefix: str = ""
    shown: str = ""
    fault: str = ""  # why it is none
    workshop: str = ""
    group: str = ""
    written: str = ""
    digest: str = ""  # of the manifest
    signature: str = ""
    files: str = ""  # SHA-256 of the list of files with their SHA-256: the same for one state of one kit
    parcel: Parcel | None = None  # in which it came

    @staticmethod
    def from_json(document: dict[str, str], parcel: Parcel | None = None) -> "Content":
        """What `look_into` has sent from its process, about a parcel."""
        texts = {key: value for key, value in document.items() if key != "path"}
        return Content(Path(document["path"]), **texts, parcel=parcel)


def find_parcels(places: Iterable[Path]) -> tuple[list[Parcel], dict[str, str]]:
    """The zips among `places` and inside the folders among them, unpacked hand-ins, and kits with a store, sorted.

    Beside them, what looks like a hand-in and cannot be one, with the reason. Raises `LabError` for a place that is not
    there.
    """
    found: set[Path] = set()
    odd: dict[str, str] = {}
    for place in places:
        if place.is_dir():
            found.update(_find_in(place, odd))
        elif place.is_file():
            found.add(place)
        else:
            raise LabError(f"there is no {place}", hint="name a zip or a folder that holds some")
    return [Parcel(path, one_line(path, _LONGEST_SHOWN)) for path in sorted(found)], odd


def look_into(parcel: Parcel, target: Path, limit: int) -> dict[str, Any]:
    """The hand-ins in a parcel (`contents`, as `Content` in JSON) and the names of further zips in it (`inner`).

    A zip inside a zip is unpacked to `target` first, `limit` bytes at most. Raises `LabError` that says what was found
    where there is nothing to be used.
    """
    path = parcel.path
    if parcel.member:
        with open_members(path) as outer:
            copy_limited(outer, parcel.member, target, Budget(limit))
        path = target
    if path.is_dir():
        return {"path": str(path), "contents": [_describe(path, "", parcel.shown, None)], "inner": []}
    with open_zip(path) as archive:
        names = [name for name, _ in list_zip(archive)]
        roots = find_roots(names)
        if len(roots) > _MOST_ROOTS:
            raise LabError(f"it holds {len(roots)} hand-ins, of {_MOST_ROOTS} at most", hint="do not use this zip")
        shown = [f"{parcel.shown} › {one_line(root)}" if root else parcel.shown for root in roots]
        contents = [_describe(path, root, name, archive) for root, name in zip(roots, shown, strict=True)]
        runs = tuple(f"{root}{ARTIFACTS}/" for root in roots)
        inner = [name for name in names if name.lower().endswith(".zip") and not name.startswith(runs)]
    if not roots and not inner:
        raise LabError(f"it is no hand-in: {_describe_names(names)}", hint=AGAIN)
    return {"path": str(path), "contents": contents, "inner": inner}


def find_roots(names: Iterable[str]) -> list[str]:
    """Where hand-ins begin: folders with a manifest and a kit's identity, but not among the files of another's runs."""
    known = set(names)
    roots = [name.removesuffix(MANIFEST) for name in known if PurePosixPath(name).name == MANIFEST]
    roots = sorted((root for root in roots if f"{root}{KIT_FILE}" in known), key=lambda root: (len(root), root))
    found: list[str] = []
    inside: set[str] = set()
    for root in roots:
        above = (root[: place + 1] for place, letter in enumerate(root) if letter == "/")
        if inside.isdisjoint(above):
            found.append(root)
            inside.add(f"{root}{ARTIFACTS}/")
    return found


def read_manifest(members: Members) -> tuple[bytes, dict[str, Any]]:
    """The manifest of a hand-in, as bytes and parsed. Raises `LabError` for one that cannot be read."""
    text = members.read(MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = json.loads(text)
        return text, {
            "files": {str(name): str(digest) for name, digest in manifest["files"].items()},
            **{key: str(manifest[key]) for key in ("workshop", "group", "written")},
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LabError(f"its {MANIFEST} cannot be read: {one_line(error)}", hint=AGAIN) from error


def _describe(path: Path, prefix: str, shown: str, archive: zipfile.ZipFile | None) -> dict[str, str]:
    content = Content(path, prefix, shown)
    try:
        members = ZipMembers(archive, prefix) if archive else FolderMembers(path)
        text, manifest = read_manifest(members)
        signed = SIGNATURE in members.names()
        content = replace(
            content,
            workshop=one_line(manifest["workshop"], 100),
            group=one_line(manifest["group"], 100),
            written=one_line(manifest["written"], 100),
            digest=hashlib.sha256(text).hexdigest(),
            files=hashlib.sha256(canonical_json(manifest["files"])).hexdigest(),
            signature=members.read(SIGNATURE, 1000).decode("ascii", "replace") if signed else "",
        )
    except LabError as error:
        content = replace(content, fault=f"{error.message} (hint: {error.hint})")
    return {key: str(value) for key, value in asdict(content).items() if key != "parcel"}


def _describe_names(names: list[str]) -> str:
    if any(PurePosixPath(name).name == KIT_FILE for name in names) and MANIFEST not in names:
        return "it is a kit without a hand-in; lab handin writes one"
    if not names:
        return "it is empty"
    some = one_line(", ".join(names[:4])) + (" …" if len(names) > 4 else "")
    return f"it holds no {MANIFEST} beside {KIT_FILE}, but {some}"


def _find_in(place: Path, odd: dict[str, str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        odd[one_line(error.filename, _LONGEST_SHOWN)] = f"it cannot be read: {error.strerror}"

    for path in walk(place, hidden=False, on_error=note):
        shown, ending = one_line(path, _LONGEST_SHOWN), path.suffix.lower()
        if ending == ".zip" or (ending in ("", *_OTHER_ARCHIVES) and _begins_like_a_zip(path)):
            yield path
        elif path.name in (MANIFEST, KIT_FILE) and _holds_work(path.parent):
            yield path.parent
        elif ending in _OTHER_ARCHIVES:
            odd[shown] = f"it is no zip but a {ending} file; a hand-in is the zip in the kit's folder handin/, as it is"


def _holds_work(folder: Path) -> bool:
    """Whether a folder is an unpacked hand-in, or a kit that was worked in."""
    return (folder / KIT_FILE).is_file() and ((folder / MANIFEST).is_file() or is_kit(folder))


def _begins_like_a_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP_BEGINS)) == _ZIP_BEGINS
    except OSError:
        return False
