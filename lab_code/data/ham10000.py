"""Reader for HAM10000 as it is published: two image folders beside one metadata table.

    HAM10000_images_part_1/ISIC_0024306.jpg …
    HAM10000_images_part_2/ISIC_0029306.jpg …
    HAM10000_metadata.csv        (Kaggle; Dataverse calls it HAM10000_metadata or HAM10000_metadata.tab)

The images may also lie together in HAM10000_images/ or beside the table. Tschandl et al., The HAM10000 dataset, Sci.
Data 5, 180161 (2018), doi:10.1038/sdata.2018.161. Decoding is left to `photographs.py`.
"""

from pathlib import Path

from lab_code.data.table import Photograph, Reading, read_reading
from lab_code.errors import LabError

# The seven diagnoses, in the order of the network's outputs.
DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")

DIAGNOSIS_NAMES = {
    "akiec": "actinic keratosis or Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic naevus (mole)",
    "vasc": "vascular lesion",
}

IMAGE_FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
METADATA_NAMES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
_COLUMNS = {"image": ("image_id",), "lesion": ("lesion_id",), "dx": ("dx",)}


def read_photographs(folder: Path) -> list[Photograph]:
    """All photographs of the table, in its order.

    Raises `LabError` (naming the file, and the line where one is at fault) for a missing table or column, an unknown
    diagnosis, a repeated image, a lesion with two diagnoses, and an image file that is missing or there twice.
    """
    reading = read_ham10000(folder)
    if reading.missing:
        raise missing_images(reading, folder / IMAGE_FOLDERS[0])
    return reading.photographs


def read_ham10000(folder: Path) -> Reading:
    """The same, but images whose files are missing are listed instead of raised."""
    table = find_metadata(folder)
    return read_reading(table, _COLUMNS, DIAGNOSES, _find_images(folder).get)


def missing_images(reading: Reading, place: Path) -> LabError:
    """The error that lists missing images; `place` is where the first of them could be put."""
    names = reading.missing
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    total = len(names) + len(reading.photographs)
    return LabError(
        f"{len(names)} of {total} images named in {reading.table} are missing: {listed}",
        hint=f"put {Path(names[0]).stem}.jpg into {place}, or remove its line from the table",
    )


def find_metadata(folder: Path) -> Path:
    """The metadata table of a folder, under one of its published names."""
    for name in METADATA_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise LabError(
        f"no metadata table in {folder}",
        hint=f"the folder must hold {METADATA_NAMES[0]} beside {IMAGE_FOLDERS[0]}/ and {IMAGE_FOLDERS[1]}/",
    )


def _find_images(folder: Path) -> dict[str, Path]:
    """Image ids and files. Raises `LabError` for an image that is in two folders."""
    paths: dict[str, Path] = {}
    for part in _image_folders(folder):
        for path in sorted(part.iterdir()):
            if path.suffix.lower() not in (".jpg", ".jpeg"):
                continue
            if path.stem in paths:
                raise LabError(f"image {path.stem} is in both {paths[path.stem].parent} and {part}", hint="remove one")
            paths[path.stem] = path
    return paths


def _image_folders(folder: Path) -> list[Path]:
    """The two published folders; else one folder of that name, or the folder of the table itself.

    Kaggle's archive holds each of the two a second time in lower case: the second spelling is used only without the
    first.
    """
    there = {path.name: path for path in folder.iterdir() if path.is_dir()}
    parts = [there.get(name) or there.get(name.lower()) for name in IMAGE_FOLDERS]
    found = [part for part in parts if part is not None]
    return found or [there.get("HAM10000_images") or folder]
