"""From image files to one uint8 array: decoded once, then kept in a cache beside the photographs.

`decode_photographs(photographs, size, folder)` gives pixels and the faults it met. The cache knows every file by the
SHA-256 of its content, and by size and time of change, as git does: an untouched file is not even opened, and a copied
or renamed one is recognised. Where the folder cannot be written, everything works without a cache.
"""

import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lab_code.data.table import Photograph
from lab_code.errors import LabError
from lab_code.files import open_whole, sha256_file

CACHE_FOLDER = ".cache"
Progress = Callable[[int], Callable[[], object]]  # told a number of photographs, gives what is called after each
_DECODER = 2  # raise this number when decoding changes: older caches are then left unused
_MAX_PIXELS = 50_000_000  # a photograph from a phone has 12 million; beyond this a file is damaged or a trap
_MAX_SIDE = 65_000  # a JPEG cannot be longer
_TOO_LARGE = "resize it to at most 7000 x 7000 pixels"
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")  # by content, whatever the file is called
# What Pillow thinks of a file's notes beside its pixels, and that it is large (its limit is higher than ours), would be
# printed in the middle of a progress bar, without the file's name.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_photographs(
    photographs: Sequence[Photograph], size: int, folder: Path, progress: Progress | None = None
) -> tuple[np.ndarray, dict[int, LabError]]:
    """Pixels (N, size, size, 3) uint8, and the faults by index; the pixels of a faulty photograph are zero.

    `progress(total)` gives a function that is called once a photograph. The cache is `folder/.cache/`.
    """
    cache = folder / CACHE_FOLDER / f"{size}px-{_DECODER}.npz"
    known = _read_cache(cache)
    images = np.zeros((len(photographs), size, size, 3), np.uint8)
    digests, faults = [""] * len(photographs), {}
    advance = progress(len(photographs)) if progress else None
    names = [_stamp(photograph.path, folder) for photograph in photographs]

    def load(index: int) -> bool:
        """Fill one place; returns whether it had to be decoded."""
        path = photographs[index].path
        try:
            digest = digests[index] = known.digests.get(names[index]) or sha256_file(path)
        except OSError as error:
            faults[index] = LabError(f"{path} cannot be read: {error.strerror}", hint="copy the file again")
            return True
        cached = known.rows.get(digest)
        if cached is not None:
            images[index] = known.images[cached]
        else:
            try:
                images[index] = decode_photograph(path, size)
            except LabError as error:
                faults[index] = error
        return cached is None

    decoded = 0
    with ThreadPoolExecutor() as pool:  # Pillow decodes and resizes without holding Python's lock
        for was_decoded in pool.map(load, range(len(photographs))):
            decoded += was_decoded
            if advance:
                advance()
    sound = [index for index in range(len(photographs)) if index not in faults]
    if decoded > len(faults) or known.digests.keys() != {names[index] for index in sound}:
        with suppress(OSError):  # a full or write-protected disk: the next start decodes again
            pixels = images[sound] if faults else images
            _write_cache(cache, pixels, [names[index] for index in sound], [digests[index] for index in sound])
    return images, dict(sorted(faults.items()))


def decode_photograph(path: Path, size: int) -> np.ndarray:
    """The middle square of a photograph, resized: (size, size, 3) uint8."""
    picture = open_photograph(path, size)
    return np.array(ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR))


def open_photograph(path: Path, size: int | None = None) -> Image.Image:
    """A photograph as people see it, in RGB: turned as its camera was held, what is transparent in white.

    Where `size` is given, it is decoded no larger than needed for so many pixels. Raises `LabError`, which names the
    file, for what is no photograph, for several pictures in one file, and for pixels without a meaning as colours.
    """
    try:
        with Image.open(path, formats=_FORMATS) as file:
            _check_picture(path, file)
            if size is not None:
                file.draft("RGB", (2 * size, 2 * size))
            return to_rgb(file)
    except LabError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LabError(f"{path} has too many pixels: {error}", hint=_TOO_LARGE) from error
    except Exception as error:  # what is damaged makes Pillow raise nearly anything
        reason = "it is empty" if _is_empty(path) else error
        raise LabError(
            f"{path} is not a readable photograph: {reason}",
            hint="copy the file again, or remove its line from the table",
        ) from error


def _check_picture(path: Path, file: Image.Image) -> None:
    """Raise `LabError` for what would not become the picture that people see."""
    if file.width * file.height > _MAX_PIXELS or max(file.size) > _MAX_SIDE:
        raise LabError(f"{path} has {file.width} x {file.height} pixels, which is too many", hint=_TOO_LARGE)
    frames = getattr(file, "n_frames", 1)
    if frames > 1 and file.format != "MPO":  # a telephone's JPEG may carry a second, smaller copy
        raise LabError(f"{path} holds {frames} pictures, one was expected", hint="save the one that is meant as .png")
    if file.mode in ("F", "I") or (file.mode.startswith("I;16") and "transparency" in file.info):
        raise LabError(
            f"{path} has pixels of the kind '{file.mode}', of which nobody can tell what is white",
            hint="save it with 8 bits a channel, as .png or .jpg",
        )


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any kind of pixels in RGB of 8 bits, without anything that a file carries beside its pixels."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):  # converted by Pillow, everything above 255 would become white
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    picture.info.clear()  # a JPEG's comment would be written again
    return picture


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.stat().st_size


class _Cache:
    """What a cache file holds: pixels, and which content they belong to."""

    def __init__(self, images: np.ndarray, names: Sequence[str], digests: Sequence[str]) -> None:
        self.images = images
        self.digests = dict(zip(names, digests, strict=True))
        self.rows = {digest: row for row, digest in enumerate(digests)}


def _stamp(path: Path, folder: Path) -> str:
    """What an untouched file keeps: its place, its size, its time of change."""
    status = path.stat()
    return f"{path.relative_to(folder).as_posix()}|{status.st_size}|{status.st_mtime_ns}"


def _read_cache(path: Path) -> _Cache:
    """The cache, or an empty one where it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _Cache(archive["images"], archive["names"].tolist(), archive["digests"].tolist())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return _Cache(np.empty((0, 0, 0, 3), np.uint8), [], [])


def _write_cache(path: Path, images: np.ndarray, names: list[str], digests: list[str]) -> None:
    with open_whole(path) as file:
        np.savez(file, images=images, names=np.array(names, str), digests=np.array(digests, str))
