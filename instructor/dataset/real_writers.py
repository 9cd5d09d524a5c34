"""Write real photographs into folders of HAM10000's layout: those of a folder, those of DermaMNIST's file.

Each `write_…` fills two folders, the kit's and the hidden one, says in `SOURCE.md` where the photographs come from, and
returns what the instructor should know. A picture that is there more than once never lies on both sides. Called by
`prepare.py` with folders that are not in place yet.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from instructor.dataset.drawing import JPEG_QUALITY
from instructor.dataset.writers import write_metadata
from instructor.workshop import DataSource
from lab_code.data.dataset import GREY, Dataset
from lab_code.data.duplicates import find_same, join_lesions
from lab_code.data.ham10000 import (
    HAM10000,
    IMAGE_FOLDERS,
    OTHER_FOLDER,
    find_images,
    is_other,
    missing_images,
    read_dataset,
)
from lab_code.data.image_files import strip_ending
from lab_code.data.lesions import read_folder, split_by_lesion, unreadable
from lab_code.data.medmnist import PARTS, read_part
from lab_code.data.photographs import Progress, check_kind, open_photograph
from lab_code.data.table import Photograph, Reading
from lab_code.errors import LabError
from lab_code.files import sha256_file, write_whole

DUPLICATES = "duplicates.csv"
_SHIPPED_COLUMNS = ("dx_type", "age", "sex", "localization", "dataset")
_LISTED = 5  # pictures that a note names
_SAFE_NAME = re.compile(r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9][a-z0-9_.-]{0,80}(?<!\.)", re.IGNORECASE)

_FOLDER_NOTE = """# Dermatoscopic photographs

Taken from the folder `{name}`, in the layout of HAM10000, reduced to {size} pixels. If they are HAM10000: Tschandl, P.,
Rosendahl, C. & Kittler, H. Sci. Data 5, 180161 (2018), doi:10.1038/sdata.2018.161, licence CC BY-NC 4.0. The models
trained here are for teaching only, never for clinical use.
"""
_OTHER_NOTE = """# {dataset.name}

Taken from `{name}`. Source: {dataset.source}

Licence: {dataset.licence}
"""
_MEDMNIST_NOTE = """# Dermatoscopic photographs

Taken from the file `{name}`, in the layout of DermaMNIST: Yang et al., Sci. Data 10, 41 (2023), made from HAM10000
(Tschandl et al., Sci. Data 5, 180161 (2018)), licence CC BY-NC 4.0. Which photographs show the same lesion is not
known, so one lesion may be on both sides of a split; the same picture never is. The models trained here are for
teaching only, never for clinical use.
"""


def write_folder(source: DataSource, kit: Path, test: Path, progress: Progress | None, hidden_seed: int) -> list[str]:
    """Reduce the photographs of a folder, and hide a share of the lesions of every diagnosis.

    Lesions that share a picture count as one. Raises `LabError` that names what is missing or unreadable.
    """
    folder = Path(source.source)
    reading = read_folder(folder)
    if reading.missing:
        raise missing_images(reading, find_images(folder))
    photographs, dataset = reading.photographs, reading.dataset
    ids = _make_ids(photographs)
    reduced = [kit.parent / "reduced" / f"{image_id}.jpg" for image_id in ids]
    same = find_same(_reduce_all(reading, reduced, source.stored_size, progress))
    labels = np.array([dataset.codes.index(photograph.dx) for photograph in photographs])
    groups = join_lesions([photograph.lesion_id for photograph in photographs], same)
    hidden = split_by_lesion(labels, groups, source.test_fraction, hidden_seed, dataset)
    for target, chosen in ((kit, ~hidden), (test, hidden)):
        for name in _folders(dataset):
            (target / name).mkdir(parents=True)
        mine = np.flatnonzero(chosen)
        for index in mine:
            os.replace(reduced[index], _place(photographs[index], reduced[index].name, target, _folders(dataset)))
        write_metadata(target, [_make_row(photographs[index], ids[index]) for index in mine], dataset)
        write_whole(target / "SOURCE.md", _describe_source(dataset, _FOLDER_NOTE, folder, source.stored_size))
    return [*reading.notes, *_tell_same(photographs, same, hidden, test)]


def write_medmnist(source: DataSource, kit: Path, test: Path, progress: Progress | None) -> list[str]:
    """The published training and validation parts ship, the test part stays hidden; no lesion is known.

    What the test part holds too is left out of the kits.
    """
    path = Path(source.source)
    dataset = read_dataset(path)
    parts = {part: read_part(path, part, dataset) for part in PARTS}
    advance = progress(sum(len(labels) for _, labels in parts.values())) if progress else None
    written = {
        part: _write_part(part, Part(*parts[part], dataset), test if part == "test" else kit, advance) for part in PARTS
    }
    hidden = {picture.digest: picture.row["image_id"] for picture in written["test"]}
    shipped = [picture for picture in written["train"] + written["val"] if picture.digest not in hidden]
    left_out = [picture for picture in written["train"] + written["val"] if picture.digest in hidden]
    for picture in left_out:
        picture.path.unlink()
    for target, pictures in ((kit, shipped), (test, written["test"])):
        write_metadata(target, [picture.row for picture in pictures], dataset)
        write_whole(target / "SOURCE.md", _describe_source(dataset, _MEDMNIST_NOTE, path, 0))
    notes = []
    if left_out:
        pairs = _list_some([f"{picture.row['image_id']} = {hidden[picture.digest]}" for picture in left_out])
        what = "photographs of train and val that the test part has too, left out of the kits"
        notes.append(f"{what}: {len(left_out)} ({pairs})")
    if same := find_same(picture.digest for picture in shipped):
        named = _list_some([" = ".join(shipped[index].row["image_id"] for index in group) for group in same])
        notes.append(
            f"the same picture more than once in the kits: {len(same)} ({named}); training keeps each on one side"
        )
    return notes


@dataclass(frozen=True)
class Part:
    """One part of a file of arrays: photographs (N, S, S, 3) uint8, labels (N,), and what they are about."""

    images: np.ndarray
    labels: np.ndarray
    dataset: Dataset


@dataclass(frozen=True)
class _Written:
    """One photograph of DermaMNIST as it was written."""

    path: Path
    row: dict[str, str]
    digest: str  # SHA-256 of the file, which equal pictures share


def _write_part(name: str, part: Part, target: Path, advance: Callable[[], object] | None) -> list[_Written]:
    folders, codes = _folders(part.dataset), part.dataset.codes
    for folder in folders:
        (target / folder).mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
        image_id = f"{name}_{number:05d}"
        path = target / folders[number % len(folders)] / f"{image_id}.jpg"
        picture = Image.fromarray(image)
        (picture.convert("L") if part.dataset.kind == GREY else picture).save(path, quality=JPEG_QUALITY)
        row = {"lesion_id": f"unknown_{image_id}", "image_id": image_id, "dx": codes[label]}
        pictures.append(_Written(path, row, sha256_file(path)))
        if advance:
            advance()
    return pictures


def _folders(dataset: Dataset) -> Sequence[str]:
    """Where the photographs lie in a kit: in HAM10000's two folders, those of another subject in one."""
    return [OTHER_FOLDER] if is_other(dataset) else IMAGE_FOLDERS


def _describe_source(dataset: Dataset, note: str, place: Path, size: int) -> str:
    """The text of SOURCE.md: where the photographs come from, and under which licence."""
    if is_other(dataset):
        note = _OTHER_NOTE
    return note.format(name=place.resolve().name, size=size, dataset=dataset)


def _reduce_all(reading: Reading, targets: Sequence[Path], size: int, progress: Progress | None) -> list[str]:
    """Write every photograph reduced; returns the SHA-256 of what was written, which equal pictures share."""
    photographs = reading.photographs
    targets[0].parent.mkdir(parents=True)
    advance = progress(len(photographs)) if progress else None
    faults: dict[int, LabError] = {}

    def reduce(index: int) -> str:
        try:
            write_reduced(photographs[index].path, targets[index], size, reading.dataset)
        except LabError as error:
            faults[index] = error
            return ""
        return sha256_file(targets[index])

    digests = []
    with ThreadPoolExecutor() as pool:
        for digest in pool.map(reduce, range(len(photographs))):
            digests.append(digest)
            if advance:
                advance()
    if faults:
        raise unreadable(photographs, dict(sorted(faults.items())), "copy them again, or remove their lines")
    return digests


def write_reduced(photograph: Path, target: Path, size: int, dataset: Dataset = HAM10000) -> None:
    """Write a photograph as `target` with its shorter side at most `size` pixels, in grey where its data set is.

    Raises `LabError` for one in colour there. It is decoded in full: two files with the same pixels become the same
    file, whatever format they had.
    """
    picture = open_photograph(photograph)
    scale = min(1.0, size / min(picture.size))
    if scale < 1:
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    if dataset.kind == GREY:
        check_kind(dataset, np.asarray(picture)[None], [photograph.name], photograph.parent)
        picture = picture.convert("L")
    picture.save(target, "JPEG", quality=JPEG_QUALITY)


def _make_ids(photographs: Sequence[Photograph]) -> list[str]:
    """The images' ids: as the table has them, or a digest where that cannot be the name of a file on every system."""
    plain = [strip_ending(photograph.image_id) for photograph in photographs]
    times = Counter(name.casefold() for name in plain)
    return [
        name if _SAFE_NAME.fullmatch(name) and times[name.casefold()] == 1 else _digest(photograph.image_id)[:16]
        for name, photograph in zip(plain, photographs, strict=True)
    ]


def _make_row(photograph: Photograph, image_id: str) -> dict[str, str]:
    """HAM10000's columns, its first three before; others stay with the instructor, a patient's number among them.

    `image` keeps a name that had to be changed.
    """
    named = {"lesion_id": photograph.lesion_id, "image_id": image_id, "dx": photograph.dx}
    if photograph.image_id != image_id:
        named["image"] = photograph.image_id
    return named | {column: cell for column, cell in photograph.row.items() if column.casefold() in _SHIPPED_COLUMNS}


def _place(photograph: Photograph, name: str, target: Path, folders: Sequence[str]) -> Path:
    folder = photograph.path.parent.name
    if folder not in folders:
        folder = folders[int(_digest(name.removesuffix(".jpg")), 16) % len(folders)]
    return target / folder / name


def _tell_same(
    photographs: Sequence[Photograph], same: Sequence[Sequence[int]], hidden: np.ndarray, test: Path
) -> list[str]:
    """Notes on pictures that are there more than once; all of them are listed in the hidden folder."""
    if not same:
        return []
    write_whole(
        test / DUPLICATES,
        "".join(f"{','.join(_csv_cell(photographs[index].image_id) for index in group)}\n" for group in same),
    )
    named = [" = ".join(photographs[index].image_id for index in group) for group in same]
    aside = sum(bool(hidden[group[0]]) for group in same)
    notes = [
        f"the same picture more than once: {len(same)} ({_list_some(named)}); each stays on one side of the hidden "
        f"split, with all photographs of its lesions: {aside} hidden, {len(same) - aside} in the kits"
    ]
    doubtful = [
        " = ".join(f"{photographs[index].image_id} ({photographs[index].dx})" for index in group)
        for group in same
        if len({photographs[index].dx for index in group}) > 1
    ]
    if doubtful:
        notes.append(
            f"of these with two diagnoses, one of which must be wrong: {len(doubtful)} ({_list_some(doubtful)})"
        )
    return notes


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _list_some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" … and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
