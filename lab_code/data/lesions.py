"""Photographs and labels in memory, and the split that never puts one lesion on two sides.

`load_lesions` reads every photograph into one uint8 array; `split_by_lesion` divides it. Several photographs may show
the same lesion: if one were used for training and another for validation, the network would be asked about something it
has already seen, and the score would flatter it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from lab_code.data.dataset import Dataset
from lab_code.data.duplicates import digest_pixels, find_same
from lab_code.data.ham10000 import HAM10000, find_images, is_other, missing_images, read_dataset
from lab_code.data.image_table import read_image_table
from lab_code.data.medmnist import read_part
from lab_code.data.photographs import Progress, check_kind, decode_photographs
from lab_code.data.table import Photograph, Reading
from lab_code.errors import LabError


@dataclass(frozen=True)
class Lesions:
    """Photographs in memory. `labels` index the classes of `dataset`, `dataset.codes`."""

    images: np.ndarray  # (N, H, W, 3) uint8
    labels: np.ndarray  # (N,) int64
    lesion_ids: np.ndarray  # (N,) str
    image_ids: np.ndarray  # (N,) str
    dataset: Dataset = HAM10000

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, which: np.ndarray) -> "Lesions":
        """The photographs where the mask `which` (N,) is true."""
        images, labels = self.images[which], self.labels[which]
        return Lesions(images, labels, self.lesion_ids[which], self.image_ids[which], self.dataset)

    @staticmethod
    def join(parts: "Sequence[Lesions]") -> "Lesions":
        """Several sets in one, in their order."""
        columns = ("images", "labels", "lesion_ids", "image_ids")
        joined = {column: np.concatenate([getattr(part, column) for part in parts]) for column in columns}
        return Lesions(**joined, dataset=parts[0].dataset)

    def class_counts(self) -> np.ndarray:
        """Photographs of each diagnosis, (C,) int64."""
        return np.bincount(self.labels, minlength=len(self.dataset))

    def fingerprint(self) -> str:
        """Twelve characters that change with any pixel, label or id."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        for array in (self.labels, self.lesion_ids, self.image_ids):
            digest.update("\n".join(map(str, array)).encode())
        return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Findings:
    """What was found at a place, faults included: told before training."""

    place: Path
    lesions: int
    photographs: dict[str, int]  # of each diagnosis
    lesions_of: dict[str, int]  # of each diagnosis
    missing: list[str]
    unreadable: list[LabError]
    same: list[list[int]] = field(default_factory=list)  # indices of photographs that are the same picture
    notes: list[str] = field(default_factory=list)  # how a folder was understood, what of it was left out
    dataset: Dataset = HAM10000

    def summary(self) -> str:
        """One line: photographs, lesions, diagnoses, faults."""
        counts = _list_some(f"{dx} {count}" for dx, count in self.photographs.items())
        groups = self.dataset.group_words[self.lesions != 1]
        text = (
            f"{sum(self.photographs.values())} photographs of {self.lesions} {groups} in {self.place.name}/ ({counts})"
        )
        if self.missing or self.unreadable:
            text += f"; {len(self.missing)} missing, {len(self.unreadable)} unreadable"
        if self.same:
            text += f"; the same picture more than once: {len(self.same)}, each kept on one side of the split"
        absent = [dx for dx, count in self.photographs.items() if not count]
        return text + (f"; none of {_list_some(absent)}" if absent else "")


def load_lesions(place: Path, image_size: int, progress: Progress | None = None, on_fault: str = "stop") -> Lesions:
    """All photographs at `place`, `image_size` pixels square; `progress(total)` gives what is called after each one.

    Raises `LabError` for a table that cannot be read and, unless `on_fault` is `leave_out`, for photographs that are
    missing or unreadable.
    """
    lesions, findings = find_lesions(place, image_size, progress, on_fault)
    if not len(lesions):
        raise LabError(f"none of the photographs in {findings.place} can be read", hint="copy the complete folder")
    return lesions


def find_lesions(
    place: Path, image_size: int, progress: Progress | None = None, on_fault: str = "leave_out"
) -> tuple[Lesions, Findings]:
    """The readable photographs at `place`, and a report of everything that was found."""
    if is_medmnist(place):
        lesions = Lesions.join([load_part(place, part, image_size) for part in ("train", "val")])
        return lesions, _report(place, lesions, find_same(digest_pixels(lesions.images)))
    reading = read_folder(place)
    if reading.missing and on_fault == "stop":
        raise missing_images(reading, find_images(place))
    if reading.missing:
        reading.notes.append(f"of the missing: {missing_images(reading, find_images(place)).hint}")
    images, pictures, faults = decode_photographs(reading.photographs, image_size, place, progress)
    if faults and on_fault == "stop":
        raise unreadable(reading.photographs, faults, "copy them again, or write data.on_fault=leave_out")
    lesions = Lesions(images, *_columns(reading.photographs, reading.dataset), reading.dataset)
    if faults:
        lesions = lesions.select(~np.isin(np.arange(len(lesions)), list(faults)))
    check_kind(lesions.dataset, lesions.images, lesions.image_ids.tolist(), place)
    same = find_same([picture for picture in pictures if picture], digest_pixels(lesions.images))
    return lesions, _report(place, lesions, same, reading, list(faults.values()))


def read_folder(folder: Path) -> Reading:
    """Read a folder of images in any layout that `image_table.py` knows, HAM10000's among them."""
    if folder.is_file():
        raise LabError(f"{folder} is a file", hint=f"name the folder that holds it: {folder.parent}")
    if not folder.is_dir():
        raise LabError(f"there is no folder {folder}", hint="data.folder names where the photographs are")
    return read_image_table(folder)


def is_medmnist(place: Path) -> bool:
    """Whether `place` is a file of DermaMNIST's kind, which is divided already."""
    return place.suffix.lower() == ".npz"


def load_part(path: Path, part: str, image_size: int) -> Lesions:
    """One part (train, val or test) of DermaMNIST, or of a file of its kind with a description.

    Which photographs share a lesion is unknown: each counts as one.
    """
    dataset = read_dataset(path)
    images, labels = read_part(path, part, dataset)
    if images.shape[1] != image_size:
        size = (image_size, image_size)
        images = np.stack([np.asarray(Image.fromarray(i).resize(size, Image.Resampling.BILINEAR)) for i in images])
    names = np.array([f"{part}-{number}" for number in range(len(labels))])
    return Lesions(images, labels, names, names, dataset)


def split_by_lesion(
    labels: np.ndarray,
    lesion_ids: Sequence[str] | np.ndarray,
    fraction: float,
    seed: int,
    dataset: Dataset = HAM10000,
) -> np.ndarray:
    """A mask (N,) of the photographs set aside: `fraction` of the lesions of every diagnosis, whole lesions only.

    Lesions are ordered by SHA-256 of seed and id, so the split is the same on every machine and stays as it is for
    all other lesions when some are added. At least one lesion of a diagnosis is set aside, and at least one stays.
    Ids that `join_lesions` has joined count as one lesion.
    """
    lesion_ids = np.asarray(lesion_ids)
    aside, kept = set[str](), set[str]()
    names, counts = np.unique(labels, return_counts=True)
    for label in names[counts.argsort(kind="stable")]:  # the rarest first: see the last lines
        lesions = sorted(set(lesion_ids[labels == label].tolist()), key=lambda lesion: _rank(seed, lesion))
        wanted = min(max(1, round(fraction * len(lesions))), len(lesions) - 1)
        decided = aside | kept
        free = [lesion for lesion in lesions if lesion not in decided]
        wanted = max(0, wanted - len(aside.intersection(lesions)))
        aside.update(free[:wanted])
        kept.update(free[wanted:])
        # Lesions that share a picture count as one, and may have two diagnoses: then the rarer one has decided.
        if not (aside.intersection(lesions) and kept.intersection(lesions)):
            raise _indivisible(dataset, dataset.codes[label])
    return np.isin(lesion_ids, list(aside))


def _indivisible(dataset: Dataset, code: str) -> LabError:
    one, several = dataset.group_words
    return LabError(
        f"{dataset.class_words[0]} '{code}' has only one {one}, which cannot be on both sides of the split",
        hint=f"add another {one} of it, or remove its photographs ({several} that share a picture are one)",
    )


def _rank(seed: int, lesion_id: str) -> bytes:
    return hashlib.sha256(f"{seed}|{lesion_id}".encode()).digest()


def _columns(photographs: list[Photograph], dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.array([dataset.codes.index(p.dx) for p in photographs], np.int64)
    return labels, np.array([p.lesion_id for p in photographs]), np.array([p.image_id for p in photographs])


def unreadable(photographs: Sequence[Photograph], faults: dict[int, LabError], hint: str) -> LabError:
    """The faults of several photographs, by their index, in one error."""
    names, first = [photographs[index].image_id for index in faults], next(iter(faults.values()))
    if len(names) == 1:
        return first
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return LabError(f"{len(names)} photographs are unreadable: {listed}; the first: {first.message}", hint=hint)


def _report(
    place: Path,
    lesions: Lesions,
    same: list[list[int]],
    reading: Reading | None = None,
    unreadable: Sequence[LabError] = (),
) -> Findings:
    codes = lesions.dataset.codes
    photographs = dict(zip(codes, lesions.class_counts().tolist(), strict=True))
    pairs = set(zip(lesions.lesion_ids.tolist(), lesions.labels.tolist(), strict=True))
    counts = Counter(label for _, label in pairs)
    lesions_of = {dx: counts[label] for label, dx in enumerate(codes)}
    groups = len({lesion for lesion, _ in pairs}) if is_other(lesions.dataset) else len(pairs)
    missing, notes = (reading.missing, reading.notes) if reading else ([], [])
    faults = list(unreadable)
    return Findings(place, groups, photographs, lesions_of, missing, faults, same, notes, lesions.dataset)


def _list_some(words: Iterable[str], most: int = 20) -> str:
    """The first of them: a data set may have a hundred classes."""
    listed = list(words)
    return ", ".join(listed[:most]) + (f" … and {len(listed) - most} more" if len(listed) > most else "")
