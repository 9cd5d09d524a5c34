"""Reader for any folder of images with one table (.csv or .tsv) that gives every image its diagnosis.

    image,dx,lesion_id
    clinic/001.jpg,mel,patient-7-back
    clinic/002.png,nv,patient-9-arm

`image` is a path inside the folder, its ending may be left out; `lesion_id` may be left out where every lesion was
photographed once. Diagnoses are those of HAM10000.
"""

from pathlib import Path

from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.table import Reading, read_reading
from lab_code.errors import LabError

_COLUMNS = {
    "image": ("image", "image_id", "file", "filename", "path"),
    "lesion": ("lesion_id", "lesion"),
    "dx": ("dx", "diagnosis", "label"),
}
_ENDINGS = ("", ".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


def read_image_table(folder: Path) -> Reading:
    """Read the one table of `folder`. Raises `LabError` where there is none or several, and for faults inside it."""
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".tsv"))
    if len(tables) != 1:
        found = ", ".join(path.name for path in tables) or "none"
        raise LabError(
            f"{folder} must hold exactly one table of photographs, but holds {found}",
            hint="a .csv with the columns image, dx and lesion_id; or HAM10000_metadata.csv beside its image folders",
        )
    root = folder.resolve()

    def find_image(name: str) -> Path | None:
        for ending in _ENDINGS:
            path = folder / (name + ending)
            if path.is_file():
                if not path.resolve().is_relative_to(root):
                    raise LabError(f"{tables[0]}: image '{name}' is outside {folder}", hint="copy it into the folder")
                return path
        return None

    return read_reading(tables[0], _COLUMNS, DIAGNOSES, find_image, lesion_optional=True)
