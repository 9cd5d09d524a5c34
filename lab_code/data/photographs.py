"""From image files to one uint8 array: decoded once, then kept in a cache beside the photographs.

`decode_photographs(photographs, size, folder)` gives pixels, what tells one picture from another, and the faults it
met. The cache knows every file by the SHA-256 of its content, and by size and time of change, as git does: an untouched
file is not even opened, and a copied or renamed one is recognised. Where the folder cannot be written, everything works
without a cache.
"""

import hashlib
import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lab_code.data.dataset import DESCRIPTION, GREY, Dataset
from lab_code.data.table import Photograph
from lab_code.errors import LabError
from lab_code.files import open_whole, sha256_file

CACHE_FOLDER = ".cache"
Progress = Callable[[int], Callable[[], object]]  # told a number of photographs, gives what is called after each
_DECODER = 3  # raise this number when decoding changes: older caches are then left unused
_CACHED = ("names", "contents", "pictures")
_MAX_PIXELS = 50_000_000  # a photograph from a phone has 12 million; beyond this a file is damaged or a trap
_COLOURED = 12.0  # mean difference of a photograph's channels, of 255; what JPEG does to grey stays far below
_MAX_SIDE = 65_000  # a JPEG cannot be longer
_TOO_LARGE = "resize it to at most 7000 x 7000 pixels"
_TIFF_BITS, _TIFF_COLOURS, _TIFF_NUMBERS = 258, 262, 339  # TIFF 6.0: BitsPerSample, Photometric…, SampleFormat
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")  # by content, whatever the file is called
# What Pillow thinks of a file's notes beside its pixels, and that it is large (its limit is higher than ours), would be
# printed in the middle of a progress bar, without the file's name.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_photographs(
    photographs: Sequence[Photograph], size: int, folder: Path, progress: Progress | None = None
) -> tuple[np.ndarray, list[str], dict[int, LabError]]:
    """Pixels (N, size, size, 3) uint8, a digest of every picture in its full size, and the faults by index.

    Files that hold the same pixels have the same digest, whatever their format; a faulty one has none, and pixels of
    zero. `progress(total)` gives a function that is called once a photograph. The cache is `folder/.cache/`.
    """
    cache = folder / CACHE_FOLDER / f"{size}px-{_DECODER}.npz"
    known = _read_cache(cache)
    images = np.zeros((len(photographs), size, size, 3), np.uint8)
    contents, pictures, faults = [""] * len(photographs), [""] * len(photographs), {}
    advance = progress(len(photographs)) if progress else None
    names = [_stamp(photograph.path, folder) for photograph in photographs]

    def load(index: int) -> bool:
        """Fill one place; returns whether it had to be decoded."""
        path = photographs[index].path
        try:
            content = contents[index] = known.contents.get(names[index]) or sha256_file(path)
        except OSError as error:
            faults[index] = LabError(f"{path} cannot be read: {error.strerror}", hint="copy the file again")
            return True
        cached = known.rows.get(content)
        if cached is not None:
            images[index], pictures[index] = known.images[cached], known.pictures[cached]
            return False
        try:
            images[index], pictures[index] = decode_and_digest(path, size)
        except LabError as error:
            faults[index] = error
        return True

    decoded = 0
    with ThreadPoolExecutor() as pool:  # Pillow decodes and resizes without holding Python's lock
        for was_decoded in pool.map(load, range(len(photographs))):
            decoded += was_decoded
            if advance:
                advance()
    sound = [index for index in range(len(photographs)) if index not in faults]
    if decoded > len(faults) or known.contents.keys() != {names[index] for index in sound}:
        with suppress(OSError):  # a full or write-protected disk: the next start decodes again
            columns = [[column[index] for index in sound] for column in (names, contents, pictures)]
            _write_cache(cache, images[sound] if faults else images, *columns)
    return images, pictures, dict(sorted(faults.items()))


def decode_photograph(path: Path, size: int) -> np.ndarray:
    """The middle square of a photograph, resized: (size, size, 3) uint8."""
    return _fit(_open(path, size)[0], size)


def decode_and_digest(path: Path, size: int) -> tuple[np.ndarray, str]:
    """The same, and the SHA-256 of the picture in its full size.

    A large JPEG is decoded twice: what is decoded no larger than needed differs a little from the same picture as PNG.
    """
    picture, is_whole = _open(path, size)
    whole = picture if is_whole else open_photograph(path)
    return _fit(picture, size), hashlib.sha256(f"{whole.size}".encode() + whole.tobytes()).hexdigest()


def _fit(picture: Image.Image, size: int) -> np.ndarray:
    return np.array(ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR))


def open_photograph(path: Path) -> Image.Image:
    """A photograph as people see it, in RGB: turned as its camera was held, what is transparent in white.

    Raises `LabError`, which names the file, for what is no photograph, for several pictures in one file, and for pixels
    without a meaning as colours.
    """
    return _open(path)[0]


def _open(path: Path, size: int | None = None) -> tuple[Image.Image, bool]:
    """A photograph, where `size` is given decoded no larger than so many pixels need; and whether it is whole."""
    try:
        with Image.open(path, formats=_FORMATS) as file:
            _check_picture(path, file)
            bits = _count_bits(file)
            _check_pixels(path, file, bits)
            if bits < 8 and isinstance(file.info.get("transparency"), int) and file.mode != "P":
                file.info["transparency"] *= 255 // (2**bits - 1)  # as Pillow widens the pixels themselves
            if bits == 16 and _brightest(file) < 16:
                raise _refuse_pixels(path, "16 bits a channel, of which at most 12 are used: nearly black")
            whole = file.size
            if size is not None:
                file.draft("RGB", (2 * size, 2 * size))
            return to_rgb(file), file.size == whole
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


def _check_pixels(path: Path, file: Image.Image, bits: int) -> None:
    """Raise `LabError` for pixels of which it cannot be known what is white, or that Pillow would show otherwise."""
    transparent = "transparency" in file.info
    if file.mode in ("F", "I"):
        raise _refuse_pixels(path, f"pixels of the kind '{file.mode}', of which nobody can tell what is white")
    if bits not in (1, 2, 4, 8, 16):
        raise _refuse_pixels(path, f"{bits} bits a channel")
    if bits == 16 and transparent:
        raise _refuse_pixels(path, "16 bits a channel and one colour that is transparent")
    if isinstance(file, TiffImageFile):
        tags = file.tag_v2
        if set(tags.get(_TIFF_NUMBERS, (1,))) != {1}:
            raise _refuse_pixels(path, "signed or floating numbers for pixels, of which nobody can tell what is white")
        if len(set(tags.get(_TIFF_BITS, (1,)))) > 1:
            raise _refuse_pixels(path, f"channels of {tags[_TIFF_BITS]} bits")
        if bits == 16 and tags.get(_TIFF_COLOURS, 0) == 0:
            raise _refuse_pixels(path, "16 bits a channel, of which 0 is white")


def _refuse_pixels(path: Path, what: str) -> LabError:
    return LabError(f"{path} has {what}", hint="save it with 8 bits a channel, as .png or .jpg")


def _count_bits(file: Image.Image) -> int:
    """How many bits a channel has in a TIFF or a PNG; 8 elsewhere."""
    if isinstance(file, TiffImageFile):
        return int(file.tag_v2.get(_TIFF_BITS, (1,))[0])
    if not isinstance(file, PngImageFile):
        return 8
    mode = str(file.tile[0][3])  # "RGB;16B", "L;4"; the same without a number is 8, and "1" is 1
    return 1 if mode == "1" else int(mode.partition(";")[2].rstrip("BLN") or 8)


def _brightest(file: Image.Image) -> int:
    """The highest of 255 that any colour has, what is transparent included; the file has 16 bits a channel."""
    if file.mode.startswith("I;16"):
        return int(np.asarray(file).max()) >> 8
    return int(np.asarray(file.convert(file.mode.rstrip("A"))).max())


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
    """What a cache file holds: pixels, and which file, content and picture they belong to."""

    def __init__(
        self, images: np.ndarray, names: Sequence[str], contents: Sequence[str], pictures: Sequence[str]
    ) -> None:
        self.images = images
        self.pictures = pictures
        self.contents = dict(zip(names, contents, strict=True))
        self.rows = {content: row for row, content in enumerate(contents)}


def _stamp(path: Path, folder: Path) -> str:
    """What an untouched file keeps: its place, its size, its time of change."""
    status = path.stat()
    return f"{path.relative_to(folder).as_posix()}|{status.st_size}|{status.st_mtime_ns}"


def _read_cache(path: Path) -> _Cache:
    """The cache, or an empty one where it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _Cache(archive["images"], *(archive[name].tolist() for name in _CACHED))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return _Cache(np.empty((0, 0, 0, 3), np.uint8), [], [], [])


def _write_cache(path: Path, images: np.ndarray, *columns: Sequence[str]) -> None:
    named: dict[str, Any] = {name: np.array(column, str) for name, column in zip(_CACHED, columns, strict=True)}
    with open_whole(path) as file:
        np.savez(file, images=images, **named)


def check_kind(dataset: Dataset, images: np.ndarray, names: Sequence[str], where: Path) -> None:
    """Raise `LabError` for photographs in colour, (N, H, W, 3) uint8, in a data set that is described as grey."""
    if dataset.kind != GREY:
        return
    for image, name in zip(images, names, strict=True):
        if _is_coloured(image):
            raise LabError(
                f"{where}: photograph {name} is in colour, but the data set '{dataset.name}' is described as grey",
                hint=f"write kind: colour in {DESCRIPTION}, or save the photographs in grey",
            )


def _is_coloured(image: np.ndarray) -> bool:
    """Whether a photograph (H, W, 3) uint8 is more than shades of grey, as a camera or JPEG leaves them."""
    return float(np.ptp(image.astype(np.int16), axis=2).mean()) > _COLOURED
