"""Photographs as rows of a table: every row is checked before any image is opened.

What the readers of folders share (`ham10000.py`, `image_table.py`). Every fault is a `LabError` that names the file and
the line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab_code.data.csv_file import Table
from lab_code.data.dataset import Dataset
from lab_code.data.image_files import spell_path, strip_ending
from lab_code.errors import LabError


@dataclass(frozen=True)
class Photograph:
    """One row of the table: `lesion_id` says which lesion it shows, `dx` its diagnosis, `row` holds all columns."""

    image_id: str
    lesion_id: str
    dx: str
    path: Path
    row: dict[str, str] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Reading:
    """What a reader found: the photographs whose files are there, the names of those whose files are missing, and what
    somebody should know about how the table was understood."""

    table: Path
    photographs: list[Photograph]
    missing: list[str]
    dataset: Dataset
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """What one row says, before its image is looked for."""

    line: int
    image: str
    lesion: str
    dx: str
    row: dict[str, str]


def check_cells(table: Table, columns: Sequence[str]) -> None:
    """Raise `LabError` for a table without rows, and for an empty cell in one of the columns."""
    if not table.rows:
        raise LabError(f"{table.path} has no rows", hint="copy the complete table")
    for line, row in table.rows:
        for column in columns:
            if not row[column]:
                raise LabError(f"{table.path} line {line}: {column} is empty", hint="fill it in or remove the line")


def make_reading(
    table: Path,
    entries: Sequence[Entry],
    find_image: Callable[[str], Path | None],
    dataset: Dataset,
    notes: Sequence[str] = (),
) -> Reading:
    """Find the image of every entry. `find_image` maps an image's name to its file, or None.

    Raises `LabError` for a group with two classes where it can have only one (a lesion has one diagnosis), and for an
    image that is named twice, in whatever spelling.
    """
    lines: dict[str, Entry] = {}
    diagnosis: dict[str, str] = {}
    photographs, missing = [], []
    for entry in entries:
        where = f"{table} line {entry.line}"
        path = find_image(entry.image)
        key = str(path or strip_ending(str(spell_path(entry.image))).casefold())
        earlier = lines.setdefault(key, entry)
        if earlier is not entry:
            spelt = "" if earlier.image == entry.image else f", named {earlier.image}"
            raise LabError(
                f"{where}: image {entry.image} is already in line {earlier.line}{spelt}", hint="remove one line"
            )
        if diagnosis.setdefault(entry.lesion, entry.dx) != entry.dx and dataset.one_class_a_group:
            group, dx = dataset.group_words[0], dataset.class_words[0]
            raise LabError(
                f"{where}: {group} {entry.lesion} is '{entry.dx}' here and '{diagnosis[entry.lesion]}' before",
                hint=f"one {group} has one {dx}; correct one of the lines",
            )
        if path is None:
            missing.append(entry.image)
        else:
            photographs.append(Photograph(entry.image, entry.lesion, entry.dx, path, entry.row))
    return Reading(table, photographs, missing, dataset, list(notes))
