"""Photographs and labels in memory, and the split that never puts one lesion on two sides.

`load_lesions` decodes every photograph once into one uint8 array; `split_by_lesion` divides it. Several photographs
may show the same lesion: if one were used for training and another for validation, the network would be asked about
something it has already seen, and the score would flatter it.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lab_code.data.ham10000 import DIAGNOSES, Photograph, read_photographs
from lab_code.errors import LabError

_MAX_PIXELS = 50_000_000  # a photograph from a phone has 12 million; beyond this a file is damaged or a trap


@dataclass(frozen=True)
class Lesions:
    """Photographs in memory. `labels` index `DIAGNOSES`."""

    images: np.ndarray  # (N, H, W, 3) uint8
    labels: np.ndarray  # (N,) int64
    lesion_ids: np.ndarray  # (N,) str
    image_ids: np.ndarray  # (N,) str

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, which: np.ndarray) -> "Lesions":
        """The photographs where the mask `which` (N,) is true."""
        return Lesions(self.images[which], self.labels[which], self.lesion_ids[which], self.image_ids[which])

    def class_counts(self) -> np.ndarray:
        """Photographs of each diagnosis, (C,) int64."""
        return np.bincount(self.labels, minlength=len(DIAGNOSES))

    def fingerprint(self) -> str:
        """Twelve characters that change with any pixel, label or id."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        for array in (self.labels, self.lesion_ids, self.image_ids):
            digest.update("\n".join(map(str, array)).encode())
        return digest.hexdigest()[:12]


def load_lesions(folder: Path, image_size: int, progress: Callable[[], object] | None = None) -> Lesions:
    """Read the table and decode every photograph to `image_size` pixels square.

    `progress` is called once a photograph. Raises `LabError` for a table or an image that cannot be read.
    """
    photographs = read_photographs(folder)
    images = np.empty((len(photographs), image_size, image_size, 3), np.uint8)

    def decode(index: int) -> None:
        images[index] = decode_photograph(photographs[index].path, image_size)
        if progress:
            progress()

    with ThreadPoolExecutor() as pool:  # Pillow decodes and resizes without holding Python's lock
        for _ in pool.map(decode, range(len(photographs))):
            pass
    return Lesions(images, *_columns(photographs))


def decode_photograph(path: Path, image_size: int) -> np.ndarray:
    """The middle square of a photograph, resized: (image_size, image_size, 3) uint8."""
    picture = open_photograph(path, image_size)
    return np.asarray(ImageOps.fit(picture, (image_size, image_size), Image.Resampling.BILINEAR))


def open_photograph(path: Path, size: int) -> Image.Image:
    """A photograph as RGB, decoded no larger than needed for `size` pixels. Raises `LabError` for anything else."""
    try:
        with Image.open(path) as file:
            if file.width * file.height > _MAX_PIXELS:
                raise LabError(
                    f"{path} has {file.width} x {file.height} pixels", hint="resize it to at most 7000 x 7000"
                )
            file.draft("RGB", (2 * size, 2 * size))
            return file.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise LabError(
            f"{path} is not a readable photograph: {error}",
            hint="copy the file again, or remove its line from the table",
        ) from error


def split_by_lesion(
    labels: np.ndarray, lesion_ids: Sequence[str] | np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """A mask (N,) of the photographs set aside: `fraction` of the lesions of every diagnosis, whole lesions only.

    Lesions are ordered by SHA-256 of seed and id, so the split is the same on every machine and stays as it is for
    all other lesions when some are added. At least one lesion of a diagnosis is set aside, and at least one stays.
    """
    chosen: set[str] = set()
    for label in np.unique(labels):
        lesions = sorted(set(np.asarray(lesion_ids)[labels == label]), key=lambda lesion: _rank(seed, str(lesion)))
        if len(lesions) < 2:
            raise LabError(
                f"diagnosis '{DIAGNOSES[label]}' has only one lesion, which cannot be on both sides of the split",
                hint="add a lesion of that diagnosis, or remove its lines from the table",
            )
        chosen.update(lesions[: min(max(1, round(fraction * len(lesions))), len(lesions) - 1)])
    return np.isin(lesion_ids, list(chosen))


def _rank(seed: int, lesion_id: str) -> bytes:
    return hashlib.sha256(f"{seed}|{lesion_id}".encode()).digest()


def _columns(photographs: list[Photograph]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.array([DIAGNOSES.index(p.dx) for p in photographs], np.int64)
    return labels, np.array([p.lesion_id for p in photographs]), np.array([p.image_id for p in photographs])
