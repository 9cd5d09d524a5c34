"""Reader for DermaMNIST: one .npz file with small square photographs, already divided.

    train_images (N, S, S, 3) uint8    train_labels (N, 1)    and the same for val and test; S is 28, 64, 128 or 224

Yang et al., MedMNIST v2, Sci. Data 10, 41 (2023), doi:10.1038/s41597-022-01721-8. The labels 0 to 6 are HAM10000's
diagnoses in alphabetical order. The file does not say which photographs show the same lesion, and its three parts are
known to share some: scores on it flatter, and are comparable only with others on the same file. The other sets of
MedMNIST have the same arrays, grey ones without channels; `pneumoniamnist.yaml` beside the file describes one.
"""

import zipfile
from pathlib import Path

import numpy as np

from lab_code.data.dataset import GREY, Dataset
from lab_code.data.ham10000 import HAM10000, is_other
from lab_code.errors import LabError

PARTS = ("train", "val", "test")
SIZES = (28, 64, 128, 224)


def read_part(path: Path, part: str, dataset: Dataset = HAM10000) -> tuple[np.ndarray, np.ndarray]:
    """Photographs (N, S, S, 3) uint8 and labels (N,) int64 of one part: train, val or test.

    Grey photographs have three equal channels, as everywhere here: every network takes them.
    Raises `LabError` for a file that is not such an archive, an array that is missing or of another shape or type, and
    labels beyond the classes. Nothing is unpickled.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            images, labels = (_read_array(path, archive, f"{part}_{kind}") for kind in ("images", "labels"))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise LabError(
            f"{path} is not a readable .npz file: {error}",
            hint="download it again: dermamnist.npz, dermamnist_64.npz …",
        ) from error
    if dataset.kind == GREY and images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    _check(path, part, images, labels, dataset)
    return images, labels.reshape(-1).astype(np.int64)


def _read_array(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    if name not in archive.files:
        raise LabError(
            f"{path} has no array '{name}' (found: {', '.join(archive.files) or 'none'})",
            hint="DermaMNIST's file holds train_images, train_labels and the same for val and test",
        )
    return archive[name]


def _check(path: Path, part: str, images: np.ndarray, labels: np.ndarray, dataset: Dataset) -> None:
    hint = f"DermaMNIST's arrays are (N, S, S, 3) uint8 with S of {', '.join(map(str, SIZES))} and (N, 1) labels"
    if images.ndim == 3:
        raise LabError(
            f"{path}: {part}_images has the shape {images.shape}: grey photographs",
            hint=f"describe the data set in {path.with_suffix('.yaml').name} beside it, with kind: grey",
        )
    if images.ndim != 4 or images.shape[3] != 3 or images.shape[1:3] not in [(size, size) for size in SIZES]:
        raise LabError(f"{path}: {part}_images has the shape {images.shape}", hint=hint)
    if images.dtype != np.uint8:
        raise LabError(f"{path}: {part}_images has the type {images.dtype}, not uint8", hint=hint)
    if labels.shape not in [(len(images), 1), (len(images),)] or not np.issubdtype(labels.dtype, np.integer):
        found = f"{labels.shape} {labels.dtype}"
        raise LabError(f"{path}: {part}_labels has {found} for {len(images)} images", hint=hint)
    if not len(images):
        raise LabError(f"{path}: {part}_images is empty", hint=hint)
    if labels.min() < 0 or labels.max() >= len(dataset):
        another = (
            "" if is_other(dataset) else f"; of another data set describe the classes in {path.stem}.yaml beside it"
        )
        raise LabError(
            f"{path}: {part}_labels go from {labels.min()} to {labels.max()}",
            hint=f"labels are 0 to {len(dataset) - 1}{another}",
        )
