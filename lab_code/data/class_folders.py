"""Reader for images without a table: one folder for each diagnosis, named after it.

    mel/001.jpg        names as in HAM10000, or those of other collections (see diagnoses.py): Melanoma/, nevi/
    nv/002.png

Which photographs show the same lesion is not known then: each counts as one.
"""

from pathlib import Path

from lab_code.data.dataset import Dataset
from lab_code.data.diagnoses import ELSEWHERE, describe_names, recognise, suggest
from lab_code.data.image_files import ImageFiles, is_visible, list_files
from lab_code.data.table import Entry, Reading, make_reading
from lab_code.errors import LabError

_NOTE = "no table, {classes} are the names of the folders: every photograph counts as a {group} of its own"


def has_class_folders(folder: Path, dataset: Dataset) -> bool:
    """Whether two or more folders in it are named after diagnoses."""
    return sum(recognise(inner.name, dataset) is not None for inner in _inner_folders(folder)) > 1


def read_class_folders(folder: Path, dataset: Dataset) -> Reading:
    """Read a folder of folders. Raises `LabError` for an image that lies in none that is named after a diagnosis."""
    counts: dict[str, int] = {}
    entries = []
    for path in list_files(folder):
        name = path.relative_to(folder).as_posix()
        kind = name.partition("/")[0]
        dx = recognise(kind, dataset) if "/" in name else None
        if dx is None:
            what = dataset.class_words[0]
            place = f"{folder / kind} is no {what}" if "/" in name else f"{path} lies in no folder of a {what}"
            raise LabError(place, hint=f"rename or move it ({suggest(kind, dataset)})")
        counts[kind] = counts.get(kind, 0) + 1
        if dx != ELSEWHERE:
            entries.append(Entry(0, name, name, dx, {"image": name}))
    if not entries:
        raise LabError(f"there is no image in the folders of {folder}", hint="copy the complete folder")
    note = _NOTE.format(classes=dataset.class_words[1], group=dataset.group_words[0])
    return make_reading(folder, entries, ImageFiles(folder).find, dataset, [note, *describe_names(counts, dataset)])


def _inner_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and is_visible(path.name)]
