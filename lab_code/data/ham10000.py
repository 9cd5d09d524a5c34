"""Reader for the layout of HAM10000: two image folders beside one metadata table.

    HAM10000_images_part_1/ISIC_0024306.jpg …
    HAM10000_images_part_2/ISIC_0029306.jpg …
    HAM10000_metadata.csv        (Dataverse calls it HAM10000_metadata)

`read_photographs(folder)` returns one `Photograph` a row of the table, with the path of its image. Tschandl et al.,
The HAM10000 dataset, Sci. Data 5, 180161 (2018), doi:10.1038/sdata.2018.161. Decoding is left to `lesions.py`.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

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
METADATA_NAMES = ("HAM10000_metadata.csv", "HAM10000_metadata")
_COLUMNS = ("lesion_id", "image_id", "dx")


@dataclass(frozen=True)
class Photograph:
    """One row of the table: `lesion_id` says which lesion it shows, `dx` its diagnosis, `row` holds all columns."""

    image_id: str
    lesion_id: str
    dx: str
    path: Path
    row: dict[str, str] = field(repr=False, compare=False)


def read_photographs(folder: Path) -> list[Photograph]:
    """All photographs of the table, in its order.

    Raises `LabError` (naming the file, and the line where one is at fault) for a missing table or column, an unknown
    diagnosis, a repeated image, a lesion with two diagnoses, and an image file that is missing or there twice.
    """
    table = find_metadata(folder)
    rows = _read_rows(table)
    _check_lesions(table, rows)
    paths = _find_images(folder)
    missing = [row["image_id"] for _, row in rows if row["image_id"] not in paths]
    if missing:
        listed = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise LabError(
            f"{len(missing)} of {len(rows)} images named in {table} are missing: {listed}",
            hint=f"put {missing[0]}.jpg into {folder / IMAGE_FOLDERS[0]}, or remove its line from the table",
        )
    return [Photograph(row["image_id"], row["lesion_id"], row["dx"], paths[row["image_id"]], row) for _, row in rows]


def find_metadata(folder: Path) -> Path:
    """The metadata table of a folder, under either of its published names."""
    for name in METADATA_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise LabError(
        f"no metadata table in {folder}",
        hint=f"the folder must hold {METADATA_NAMES[0]} beside {IMAGE_FOLDERS[0]}/ and {IMAGE_FOLDERS[1]}/",
    )


def _read_rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows, with the columns and the diagnoses checked."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabError(f"{table} is not UTF-8 text: {error}", hint="save the table again as CSV (UTF-8)") from error
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    found = reader.fieldnames or []
    for column in _COLUMNS:
        if column not in found:
            raise LabError(
                f"{table} has no column '{column}' (found: {', '.join(found) or 'an empty file'})",
                hint=f"the first line must name at least {', '.join(_COLUMNS)}",
            )
    rows: list[tuple[int, dict[str, str]]] = []
    for row in reader:
        values = {column: (value or "").strip() for column, value in row.items() if column is not None}
        _check_row(table, reader.line_num, values)
        rows.append((reader.line_num, values))
    if not rows:
        raise LabError(f"{table} has no rows", hint="copy the complete table")
    return rows


def _check_row(table: Path, line: int, values: dict[str, str]) -> None:
    for column in _COLUMNS:
        if not values[column]:
            raise LabError(f"{table} line {line}: {column} is empty", hint="fill it in or remove the line")
    if values["dx"] not in DIAGNOSES:
        raise LabError(
            f"{table} line {line}: unknown diagnosis '{values['dx']}'", hint=f"known: {', '.join(DIAGNOSES)}"
        )


def _check_lesions(table: Path, rows: list[tuple[int, dict[str, str]]]) -> None:
    """Every image once; every lesion with one diagnosis."""
    seen: dict[str, int] = {}
    diagnosis: dict[str, str] = {}
    for line, row in rows:
        image, lesion = row["image_id"], row["lesion_id"]
        if image in seen:
            raise LabError(
                f"{table} line {line}: image {image} is already in line {seen[image]}", hint="remove one line"
            )
        if diagnosis.setdefault(lesion, row["dx"]) != row["dx"]:
            raise LabError(
                f"{table} line {line}: lesion {lesion} is '{row['dx']}' here and '{diagnosis[lesion]}' before",
                hint="one lesion has one diagnosis; correct one of the lines",
            )
        seen[image] = line


def _find_images(folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for name in IMAGE_FOLDERS:
        for path in sorted((folder / name).glob("*.jpg")):
            if path.stem in paths:
                raise LabError(
                    f"image {path.stem} is in both {paths[path.stem].parent} and {path.parent}", hint="remove one"
                )
            paths[path.stem] = path
    return paths
