"""What travels: a kit as it was built, or a folder that lies beside kits, each file with its SHA-256.

    cargo = read_kit_cargo(build / "kits" / "group-1")

Of a kit exactly that travels which `kit.json` and `data/SHA256SUMS` name: whatever somebody tried in the folder under
`build/kits` stays there. `EXTRAS` are folders of `build/` that every medium carries once, beside its kits.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.workshop.environment import SetupError
from lab_code.workshop.kit import KIT_FILE
from lab_code.workshop.wheelhouse import LISTING, Wheelhouse, read_wheelhouse

if TYPE_CHECKING:
    from instructor.workshop import Workshop

SUMS = "data/SHA256SUMS"
EXTRAS = ("wheels",)  # what the kits' installer needs where there is no network; each travels once a medium
_MOST_LISTED = 20  # faults of one kit; a kit that is broken in a hundred places is broken


@dataclass(frozen=True)
class Item:
    """One file: where it lies here, its bytes, its SHA-256, and what others may do with it."""

    source: Path
    size: int
    digest: str
    mode: int = 0o644


@dataclass(frozen=True)
class Cargo:
    """A folder of files by their paths. Of a kit, `identity` is its `kit.json`, which is not among them."""

    name: str
    folder: Path
    files: dict[str, Item]
    identity: bytes | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The parsed `kit.json`."""
        return dict(json.loads(self.identity or b"{}"))

    @property
    def size(self) -> int:
        return sum(item.size for item in self.files.values()) + len(self.identity or b"")

    def digest(self) -> str:
        """Stands for everything in here: names, contents, modes."""
        lines = [f"{item.digest} {item.mode:o} {name}\n" for name, item in sorted(self.files.items())]
        return hashlib.sha256((self.identity or b"") + "".join(lines).encode()).hexdigest()


def read_cargos(build: Path, groups: Iterable[str]) -> dict[str, Cargo]:
    """The kits of these groups. Raises `LabError` that lists everything that is wrong with any of them."""
    cargos, faults = {}, []
    for group in groups:
        try:
            cargos[group] = read_kit_cargo(build / "kits" / group)
        except LabError as error:
            faults.append(error.message)
    refuse(faults, "make provision builds what is missing; move a kit that was changed away first")
    return cargos


def read_kit_cargo(folder: Path) -> Cargo:
    """A kit under `build/kits`, every file read. Raises `LabError` where it is not as it was built."""
    try:
        identity = (folder / KIT_FILE).read_bytes()
        named = dict(json.loads(identity)["files"])
    except FileNotFoundError as error:
        raise LabError(f"there is no kit {folder}", hint="make provision") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LabError(f"{folder / KIT_FILE} cannot be read: {error}", hint="make provision") from error
    if (folder / SUMS).is_file():
        sums = parse_sums((folder / SUMS).read_text(encoding="utf-8"))
        named |= {f"data/{name}": digest for name, digest in sums.items()}
    files, wrong = {}, []
    for name, digest in named.items():
        try:
            files[name] = _read_item(folder / name)
        except OSError:
            wrong.append(f"{folder / name} is missing")
            continue
        if files[name].digest != digest:
            wrong.append(f"{folder / name} is not as it was built")
        if "\n" in name or "\\" in name:
            wrong.append(f"{folder}: no medium can carry a file of the name {name!r}")
    refuse(wrong[:_MOST_LISTED], f"move {folder} away, then: make provision")
    return Cargo(folder.name, folder, files, identity)


def read_extras(build: Path) -> list[Cargo]:
    """The folders that lie beside kits on a medium, as far as they were built."""
    return [_read_extra(build / name) for name in EXTRAS if (build / name).is_dir()]


def _read_extra(folder: Path) -> Cargo:
    """A folder as it lies; of a wheelhouse exactly what it lists. Raises `LabError` where that is not whole."""
    if not (folder / LISTING).is_file():
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return Cargo(folder.name, folder, {path.relative_to(folder).as_posix(): _read_item(path) for path in paths})
    wheelhouse = read_listing(folder)
    files, wrong = {LISTING: _read_item(folder / LISTING)}, []
    for name, known in wheelhouse.files.items():
        try:
            files[name] = _read_item(folder / name)
        except OSError:
            wrong.append(f"{folder / name} is missing")
            continue
        if files[name].digest != known["sha256"]:
            wrong.append(f"{folder / name} is damaged")
    refuse(wrong[:_MOST_LISTED], "instructor wheels fetches again what is missing or damaged")
    return Cargo(folder.name, folder, files)


def read_listing(folder: Path) -> Wheelhouse:
    """What a wheelhouse lists. Raises `LabError` where that cannot be read."""
    try:
        return read_wheelhouse(folder)
    except SetupError as error:
        raise LabError(str(error), hint=f"remove {folder / LISTING}, then: instructor wheels") from error


def choose_for(extra: Cargo, platform: str) -> Cargo:
    """Of a wheelhouse what laptops of one system need (linux, macos, windows); any other folder whole."""
    if LISTING not in extra.files:
        return extra
    wheelhouse = read_listing(extra.folder)
    kinds = [kind for kind in wheelhouse.platforms if kind.partition("-")[0] == platform]
    names = {LISTING, *(name for kind in kinds for name in wheelhouse.names_for(kind))}
    return replace(extra, files={name: item for name, item in extra.files.items() if name in names})


def _read_item(path: Path) -> Item:
    found = path.stat()
    return Item(path, found.st_size, sha256_file(path), found.st_mode & 0o755)


def parse_sums(text: str) -> dict[str, str]:
    """Names and digests of a list as `sha256sum` writes it; what is no such line is passed over."""
    pairs = (line.split("  ", 1) for line in text.splitlines() if "  " in line)
    return {name: digest for digest, name in pairs}


def built_groups(workshop: "Workshop", build: Path, wanted: Sequence[str] = ()) -> list[str]:
    """The groups that are meant: those that are named, or all of the workshop."""
    return [group for group in workshop.groups if not wanted or group in wanted]


def refuse(faults: Sequence[str], hint: str) -> None:
    """Raise `LabError` with all faults at once, if there are any."""
    if len(faults) == 1:
        raise LabError(faults[0], hint=hint)
    if faults:
        raise LabError(f"{len(faults)} things are in the way:\n  " + "\n  ".join(faults), hint=hint)


def walk_files(folder: Path, skipped: frozenset[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file and link below a folder by its path with `/`, without following a link or entering `skipped`."""
    waiting = [("", folder)]
    while waiting:
        prefix, here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in skipped:
                        waiting.append((f"{prefix}{entry.name}/", Path(entry.path)))
                else:
                    yield prefix + entry.name, entry
