"""HAM10000 as it is published: two image folders beside one metadata table.

    HAM10000_images_part_1/ISIC_0024306.jpg …
    HAM10000_images_part_2/ISIC_0029306.jpg …
    HAM10000_metadata.csv        (Kaggle; Dataverse calls it HAM10000_metadata or HAM10000_metadata.tab)

Every kit has this layout, or for another subject `images/` and `metadata.csv`; `read_photographs` demands it. The
images may also lie together, or beside the table. `read_dataset` says what the photographs of a folder are about.
Tschandl et al., The HAM10000 dataset, Sci. Data 5, 180161 (2018), doi:10.1038/sdata.2018.161. Other layouts are read
by `image_table.py`; decoding is left to `photographs.py`.
"""

from dataclasses import replace
from pathlib import Path

from lab_code.data.csv_file import read_table
from lab_code.data.dataset import DESCRIPTION, ClassNames, Dataset, parse_dataset
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

# The same as a data set among others: what a folder without a description holds.
HAM10000 = Dataset(
    name="HAM10000",
    kind="colour",
    classes=tuple(ClassNames(dx, DIAGNOSIS_NAMES[dx], *DIAGNOSIS_WORDS[dx]) for dx in DIAGNOSES),
    class_words=("diagnosis", "diagnoses"),
    group_words=("lesion", "lesions"),
    one_class_a_group=True,
    source="Tschandl, P., Rosendahl, C. & Kittler, H. Sci. Data 5, 180161 (2018), doi:10.1038/sdata.2018.161",
    licence="CC BY-NC 4.0",
    notice="Models for teaching only, never for clinical use.",
    spotlight="mel",
    mean=(0.75, 0.55, 0.56),  # of dermatoscopic photographs, roughly
    spread=(0.15, 0.15, 0.16),
    subject="skin lesions",
)

# Where the photographs of another subject lie in a kit.
OTHER_FOLDER, OTHER_METADATA = "images", "metadata.csv"


def read_dataset(place: Path) -> Dataset:
    """What the photographs at `place` are about: its `dataset.yaml`, or HAM10000 where there is none.

    Beside a file of arrays, `pneumoniamnist.npz`, the description is `pneumoniamnist.yaml`. Raises `LabError`.
    """
    path = place.with_suffix(".yaml") if place.suffix.lower() == ".npz" else place / DESCRIPTION
    try:
        found = parse_dataset(path.read_text(encoding="utf-8"), path)
    except (FileNotFoundError, NotADirectoryError):
        return HAM10000
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="save it as text, in UTF-8") from error
    # Descriptions of HAM10000 that were written before there was a subject say none.
    return found if found.subject or is_other(found) else replace(found, subject=HAM10000.subject)


def is_other(dataset: Dataset) -> bool:
    """Whether it is about something else than HAM10000's seven diagnoses."""
    return dataset.codes != DIAGNOSES


def is_described(folder: Path) -> bool:
    """Whether a folder says itself what it is about."""
    return (folder / DESCRIPTION).is_file()


def read_photographs(folder: Path) -> list[Photograph]:
    """All photographs of the table, in its order.

    Raises `LabError` (naming the file, and the line where one is at fault) for a missing table or column, an unknown
    diagnosis, a repeated image, a lesion with two diagnoses, and an image file that is missing or there twice.
    """
    dataset, table = read_dataset(folder), read_table(find_metadata(folder))
    image, lesion, dx = (table.choose([name]) for name in ("image_id", "lesion_id", "dx"))
    check_cells(table, (image, lesion, dx))
    for line, row in table.rows:
        if row[dx] not in dataset.codes:
            raise LabError(
                f"{table.path} line {line}: unknown {dataset.class_words[0]} '{row[dx]}'",
                hint=f"known: {', '.join(dataset.codes)}",
            )
    files = find_images(folder)
    entries = [Entry(line, row[image], row[lesion], row[dx], row) for line, row in table.rows]
    reading = make_reading(table.path, entries, files.find, dataset)
    if reading.missing:
        raise missing_images(reading, files)
    return reading.photographs


def find_metadata(folder: Path) -> Path:
    """The metadata table of a folder, under one of its published names."""
    for name in (*METADATA_NAMES, *([OTHER_METADATA] if is_described(folder) else [])):
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
