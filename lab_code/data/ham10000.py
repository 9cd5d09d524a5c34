"""HAM10000 as it is published: two image folders beside one metadata table.

    HAM10000_images_part_1/ISIC_0024306.jpg …
    HAM10000_images_part_2/ISIC_0029306.jpg …
    HAM10000_metadata.csv        (Kaggle; Dataverse calls it HAM10000_metadata or HAM10000_metadata.tab)

Every kit has this layout, and `read_photographs` demands it. The images may also lie together, or beside the table.
Tschandl et al., The HAM10000 dataset, Sci. Data 5, 180161 (2018), doi:10.1038/sdata.2018.161. Other layouts are read
by `image_table.py`; decoding is left to `photographs.py`.
"""

from pathlib import Path

from lab_code.data.csv_file import read_table
from lab_code.data.image_files import ImageFiles, strip_ending
from lab_code.data.table import Entry, Photograph, Reading, check_cells, make_reading
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

# One, and several of them, as a sentence says it.
DIAGNOSIS_WORDS = {
    "akiec": ("an actinic keratosis", "actinic keratoses"),
    "bcc": ("a basal cell carcinoma", "basal cell carcinomas"),
    "bkl": ("a benign keratosis", "benign keratoses"),
    "df": ("a dermatofibroma", "dermatofibromas"),
    "mel": ("a melanoma", "melanomas"),
    "nv": ("a mole", "moles"),
    "vasc": ("a vascular lesion", "vascular lesions"),
}

IMAGE_FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
METADATA_NAMES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")


def read_photographs(folder: Path) -> list[Photograph]:
    """All photographs of the table, in its order.

    Raises `LabError` (naming the file, and the line where one is at fault) for a missing table or column, an unknown
    diagnosis, a repeated image, a lesion with two diagnoses, and an image file that is missing or there twice.
    """
    table = read_table(find_metadata(folder))
    image, lesion, dx = (table.choose([name]) for name in ("image_id", "lesion_id", "dx"))
    check_cells(table, (image, lesion, dx))
    for line, row in table.rows:
        if row[dx] not in DIAGNOSES:
            raise LabError(
                f"{table.path} line {line}: unknown diagnosis '{row[dx]}'", hint=f"known: {', '.join(DIAGNOSES)}"
            )
    files = find_images(folder)
    entries = [Entry(line, row[image], row[lesion], row[dx], row) for line, row in table.rows]
    reading = make_reading(table.path, entries, files.find)
    if reading.missing:
        raise missing_images(reading, files)
    return reading.photographs


def label_dx(dx: str) -> str:
    """The diagnosis with its name, for a label: `melanoma (mel)`."""
    return f"{DIAGNOSIS_WORDS[dx][0].split(' ', 1)[1]} ({dx})"


def find_metadata(folder: Path) -> Path:
    """The metadata table of a folder, under one of its published names."""
    for name in METADATA_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise LabError(
        f"no metadata table in {folder}",
        hint=f"the folder must hold {METADATA_NAMES[0]} beside {IMAGE_FOLDERS[0]}/ and {IMAGE_FOLDERS[1]}/",
    )


def find_images(folder: Path) -> ImageFiles:
    """The images of the two published folders; where there is neither, all images below `folder`.

    Kaggle's archive holds each of the two a second time in lower case: the second spelling is used only without the
    first.
    """
    there = {path.name: path for path in folder.iterdir() if path.is_dir()}
    parts = [there.get(name) or there.get(name.lower()) for name in IMAGE_FOLDERS]
    return ImageFiles(folder, [part for part in parts if part is not None])


def missing_images(reading: Reading, files: ImageFiles) -> LabError:
    """The error that lists missing images, and says what comes nearest to them."""
    names = reading.missing
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    total = len(names) + len(reading.photographs)
    return LabError(
        f"{len(names)} of {total} images named in {reading.table} are missing: {listed}",
        hint=_nearest_image(names[0], bool(reading.photographs), files),
    )


def _nearest_image(name: str, some_were_found: bool, files: ImageFiles) -> str:
    other = files.find_unreadable(name)
    if other:
        return f"{other.name} is there: save it as .jpg or .png"
    if files.paths and not some_were_found:
        nearest = files.paths[0].relative_to(files.folder).as_posix()
        return f"the table says '{name}', but the images are named like '{nearest}': only the ending may differ"
    place = files.paths[0].parent if files.paths else files.folder
    file = name if strip_ending(name) != name else f"{name}.jpg"
    return f"put {file} into {place}, or remove its line from the table"
