"""What a medium can hold: the kind of its file system, and names that some system cannot have.

FAT32, as most sticks come, takes no file of 4 GB, keeps no run bit, and takes README and readme for one name.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import psutil

from instructor.deliver.cargo import Cargo
from instructor.deliver.plan import STAGING, show_bytes

LONGEST_ON_WINDOWS = 259  # characters of a whole path, drive included
_LARGEST_ON_FAT = 2**32 - 1
_FAT = ("vfat", "msdos", "fat", "fat32", "fat16")  # Linux, macOS, Windows
_WITHOUT_MODES = (*_FAT, "exfat", "ntfs", "fuseblk")
_RESERVED = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ROOM_FOR_A_FOLDER = len(r"C:\Users\somebody.longer\Documents")  # where a group copies its kit to


def find_file_system(place: Path) -> str:
    """The kind of the file system that holds `place`, in small letters; empty where nobody can say."""
    place = place.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if place.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype.lower() if mounts else ""


def keeps_modes(file_system: str) -> bool:
    """Whether a program copied there can still be run on Linux and macOS."""
    return file_system not in _WITHOUT_MODES


def find_unfit(cargos: Iterable[Cargo], file_system: str) -> Iterator[str]:
    """Why some file cannot lie on a medium of this kind, one sentence a file."""
    for cargo in cargos:
        spelt: dict[str, str] = {}
        for name, item in cargo.files.items():
            if file_system in _FAT and item.size > _LARGEST_ON_FAT:
                yield (
                    f"{cargo.name}/{name} has {show_bytes(item.size)}; {file_system} takes 4 GB a file: format it exFAT"
                )
            other = spelt.setdefault(name.casefold(), name)
            if other != name:
                yield f"{cargo.name}/{name} and {other} are one name on Windows, macOS and most sticks"
            if fault := find_windows_fault(name):
                yield f"{cargo.name}/{name}: {fault}"
            if len(f"{cargo.name}/{name}") + _ROOM_FOR_A_FOLDER > LONGEST_ON_WINDOWS:
                yield f"{cargo.name}/{name} is {len(name)} letters long: too long for Windows in a folder of its own"


def find_windows_fault(path: str) -> str:
    """Why Windows cannot have a path, given with `/`; empty where it can."""
    for part in PurePosixPath(path).parts:
        if _RESERVED.search(part):
            return f"Windows takes no name such as '{part}'"
        if _DEVICES.fullmatch(part):
            return f"'{part}' is the name of a device on Windows"
    return ""


def find_too_long(root: str, cargo: Cargo) -> str:
    """Why a kit does not fit below a folder of Windows; empty where it does."""
    longest = max(cargo.files, key=len, default="")
    length = len(f"{root}\\{STAGING}\\files\\{longest}")
    if length <= LONGEST_ON_WINDOWS:
        return ""
    return f"{length} letters with {longest}: Windows takes {LONGEST_ON_WINDOWS}"
