"""The image files below a folder, found by the name that a table gives them.

    files = ImageFiles(folder)
    files.find("ISIC_0024306")                # the ending may be left out, or be another one than the file's
    files.find("C:/study/images/ISIC_0024306.JPG")  # folders as any system writes them

A name is never taken for a file in another folder, and a name that fits two files is refused.
"""

import os
import posixpath
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from lab_code.errors import LabError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
# What people have too, and Pillow does not read: named where an image is missing.
OTHER_ENDINGS = (".heic", ".heif", ".avif", ".dcm", ".jp2", ".svg", ".raw", ".nef", ".cr2", ".dng")
_ENDINGS = {*IMAGE_ENDINGS, *OTHER_ENDINGS}


def list_files(folder: Path, endings: Sequence[str] = IMAGE_ENDINGS) -> list[Path]:
    """All files below a folder with one of the endings, in order. Names that begin with a dot (`._1.jpg`, which macOS
    leaves beside 1.jpg; caches) and macOS's `__MACOSX` are no files of anybody."""
    found, seen = [], set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(name for name in folders if is_visible(name))
        wanted = [name for name in names if is_visible(name) and name.lower().endswith(tuple(endings))]
        found += [os.path.join(here, name) for name in wanted]
        seen.add(real)
    return [Path(path) for path in sorted(found)]


def is_visible(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def strip_ending(name: str) -> str:
    """A name without the ending of an image; `study.1` keeps its dot."""
    stem, dot, ending = name.rpartition(".")
    return stem if stem and (dot + ending).lower() in _ENDINGS else name


def spell_path(name: str) -> PurePosixPath:
    """A path of any system in one spelling: forward slashes, NFC, without `./`."""
    return PurePosixPath(posixpath.normpath(unicodedata.normalize("NFC", name).replace("\\", "/")))


class ImageFiles:
    """An index of the images below `folder`, or only of those below some `parts` of it."""

    def __init__(self, folder: Path, parts: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.paths = [path for part in parts or [folder] for path in list_files(part)]
        self._by_stem: dict[str, list[tuple[PurePosixPath, Path]]] = {}
        for path in self.paths:
            inside = spell_path("/".join(path.parts[len(folder.parts) :]))
            self._by_stem.setdefault(strip_ending(inside.name).casefold(), []).append((inside, path))

    def find_unreadable(self, name: str) -> Path | None:
        """A file of that name in a format that cannot be read, such as a telephone's .heic."""
        stem = strip_ending(spell_path(name).name).casefold()
        others = list_files(self.folder, OTHER_ENDINGS)
        return next((path for path in others if strip_ending(path.name).casefold() == stem), None)

    def find(self, name: str) -> Path | None:
        """The file of a name, or None. Raises `LabError` where two files fit equally well."""
        wanted = spell_path(name)
        fits = self._by_stem.get(strip_ending(wanted.name).casefold(), [])
        fits = [fit for fit in fits if _agree(wanted.parts[:-1], fit[0].parts[:-1])]
        if len(fits) > 1:
            for closer in _closer(wanted):
                fits = [fit for fit in fits if closer(fit[0])] or fits
        if len(fits) > 1:
            first, second = fits[0][1], fits[1][1]
            places = f"{first.parent} and {second.parent}" if first.name == second.name else f"{first} and {second}"
            raise LabError(
                f"image {name} is in both {places}", hint="remove one, or write folder and ending into the table"
            )
        return fits[0][1] if fits else None


def _agree(wanted: tuple[str, ...], there: tuple[str, ...]) -> bool:
    """Whether the folders of a name fit those of a file: one ends with the other.

    A table may say less (`1.jpg`) or more (`C:/study/images/1.jpg`) than where the file lies in the folder.
    """
    shorter = min(len(wanted), len(there))
    return not shorter or [p.casefold() for p in wanted[-shorter:]] == [p.casefold() for p in there[-shorter:]]


def _closer(wanted: PurePosixPath) -> list[Callable[[PurePosixPath], bool]]:
    """What makes one of several fitting files the one that is meant: the first that any of them satisfies counts."""
    return [
        lambda path: path == wanted,
        lambda path: path.parent == wanted.parent,
        lambda path: path.name == wanted.name,
        lambda path: strip_ending(path.name) == strip_ending(wanted.name),
    ]
