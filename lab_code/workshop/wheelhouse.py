"""The folder `wheels` beside the kits: every package that a kit needs, for the kinds of laptop that are expected.

    wheelhouse = read_wheelhouse(find_wheelhouse(root))
    find_faults(wheelhouse, this_platform(), root)     # [] or all that is in the way, one sentence each

`wheelhouse.json` in it names every file with its SHA-256, and for each kind of laptop and each Python those it needs.
`instructor wheels` writes it. As in `environment.py`, nothing but Python's own library is there when this runs.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import string
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_code.workshop.environment import SetupError

FOLDER, LISTING, FORMAT = "wheels", "wheelhouse.json", 1
_READERS = 4
_MOST_NAMED = 5
_AGAIN = "copy the folder `wheels` again from where the kit came from; with a network: {}"
ONLINE = f"{'lab' if os.name == 'nt' else './lab'} setup --online"
_MEDIA = ("/media/*", "/media/*/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")


@dataclass(frozen=True)
class Wheelhouse:
    """The folder, and what its listing says."""

    folder: Path
    files: dict[str, dict[str, Any]]  # name -> its size and sha256
    platforms: dict[str, dict[str, Any]]

    def pythons(self, kind: str) -> list[str]:
        """The versions of Python whose packages are here for a kind of laptop: 3.11, 3.12 …"""
        return list(self.platforms.get(kind, {}).get("pythons", {}))

    def part(self, kind: str, python: str) -> dict[str, Any]:
        """What one kind of laptop needs with one Python: `wheels`, `unpacked` bytes, perhaps `build`."""
        return dict(self.platforms[kind]["pythons"][python])

    def names_for(self, kind: str) -> list[str]:
        """Every file that laptops of one kind need, whichever Python they have."""
        parts = self.platforms.get(kind, {}).get("pythons", {}).values()
        return sorted({name for part in parts for name in (*part["wheels"], *filter(None, [part.get("build")]))})


def read_wheelhouse(folder: Path) -> Wheelhouse:
    """The listing of a wheelhouse. Raises `SetupError` where it is none, or of a newer kind."""
    again = _AGAIN.format(ONLINE)
    try:
        document = json.loads((folder / LISTING).read_text(encoding="utf-8"))
        if document["format"] > FORMAT:
            raise SetupError(f"{folder / LISTING} is of a newer kind than this kit", "take the kit that came with it")
        return Wheelhouse(folder, document["files"], document["platforms"])
    except FileNotFoundError as error:
        raise SetupError(f"{folder} is no wheelhouse: it has no {LISTING}", again) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SetupError(f"{folder / LISTING} cannot be read: {error}", again) from error


def find_wheelhouse(root: Path) -> Path | None:
    """The wheelhouse in a kit, beside it or above it, or else on any stick that is plugged in."""
    beside = [root / FOLDER, *(parent / FOLDER for parent in list(root.parents)[:2])]
    return next((folder for folder in (*beside, *_on_media()) if (folder / LISTING).is_file()), None)


def _on_media() -> Iterator[Path]:
    if os.name == "nt":
        media = [Path(f"{letter}:/") for letter in string.ascii_uppercase[3:]]
    else:
        media = [path for pattern in _MEDIA for path in sorted(Path("/").glob(pattern[1:]))]
    for medium in media:
        try:
            yield from (medium / FOLDER, *sorted(medium.glob(f"*/{FOLDER}")))
        except OSError:  # an empty drive, or somebody else's
            continue


def this_platform() -> str:
    """The kind of laptop that this Python is made for, such as linux-x86_64, macos-arm64 or windows-x86_64."""
    system = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}.get(platform.system(), platform.system())
    machine = platform.machine().lower()
    if system == "windows":  # an Intel Python runs on Arm as well, and takes Intel's packages
        machine = sysconfig.get_platform().removeprefix("win-")
    if sys.maxsize < 2**32:
        machine = "32-bit"
    if "musl" in str(sysconfig.get_config_var("SOABI")):
        system += "-musl"
    return f"{system}-{ {'amd64': 'x86_64', 'aarch64': 'arm64'}.get(machine, machine) }"


def this_python() -> str:
    """The version of this Python as a wheelhouse names it: 3.11"""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def find_faults(wheelhouse: Wheelhouse, kind: str, root: Path) -> list[str]:
    """Why a kit's environment cannot be made from here, everything at once; wheels are read and compared."""
    if kind not in wheelhouse.platforms:
        titles = ", ".join(part["title"] for part in wheelhouse.platforms.values())
        return [f"{wheelhouse.folder} serves {titles}, and this laptop's Python is made for {kind}"]
    if this_python() not in wheelhouse.pythons(kind):
        served = ", ".join(wheelhouse.pythons(kind))
        return [f"{wheelhouse.folder} serves Python {served} on this kind of laptop, and this is {this_python()}"]
    part = wheelhouse.part(kind, this_python())
    faults = [*_find_too_old(wheelhouse.platforms[kind].get("oldest"))]
    faults += _find_other_pins(part["wheels"], root)
    faults += _find_no_room(part["unpacked"], root)
    return faults or find_damaged(wheelhouse, part["wheels"])


def _find_too_old(oldest: str | None) -> Iterator[str]:
    """Whether this system is older than the packages are made for."""
    name, found = ("macOS", platform.mac_ver()[0]) if sys.platform == "darwin" else platform.libc_ver()
    if oldest and found and _numbers(found) < _numbers(oldest):
        yield f"this system is too old: it has {name} {found}, and the packages need {oldest}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _find_other_pins(wheels: list[str], root: Path) -> Iterator[str]:
    """Whether the wheelhouse was made for another kit: another version, or a package that it has not."""
    here = dict(split_wheel(name) for name in wheels)
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    pins = {canonical(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}
    needed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    missing = [name for line in needed if (name := canonical(re.split(r"[^\w.-]", line)[0])) not in here]
    others = [
        f"{name} {version} instead of {pins[name]}"
        for name, version in here.items()
        if version.split("+")[0] != pins.get(name, version).split("+")[0]
    ]
    if missing or others:
        found = _few([*others, *(f"no {name}" for name in missing)])
        yield f"the wheelhouse was made for another kit: it has {found}"


def _find_no_room(unpacked: int, root: Path) -> Iterator[str]:
    free = shutil.disk_usage(root).free
    if free < unpacked:
        yield f"{unpacked / 1e9:.1f} GB are needed in {root}, {free / 1e9:.1f} GB are free"


def find_damaged(wheelhouse: Wheelhouse, names: list[str]) -> list[str]:
    """Which of these files are missing or not as they were written: one sentence for all of them, or none."""

    def state(name: str) -> str:
        known = wheelhouse.files.get(name, {})
        path = wheelhouse.folder / name
        try:
            if path.stat().st_size == known["size"] and read_digest(path) == known["sha256"]:
                return ""
            return f"{name} is damaged"
        except FileNotFoundError:
            return f"{name} is missing"
        except (OSError, KeyError) as error:
            return f"{name} cannot be read ({error})"

    with ThreadPoolExecutor(_READERS) as pool:
        found = [fault for fault in pool.map(state, names) if fault]
    return [f"{wheelhouse.folder}: {_few(found)}"] if found else []


def read_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_wheel(name: str) -> tuple[str, str]:
    """A wheel's package, in the spelling that compares, and its version."""
    package, version = name.rpartition("/")[2].split("-")[:2]
    return canonical(package), version


def canonical(name: str) -> str:
    """A package's name in the one spelling by which pip compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _few(found: list[str]) -> str:
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
