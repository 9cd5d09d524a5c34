"""Tables of photographs: one row an image, checked before any image is opened.

What the readers of folders share (`ham10000.py`, `image_table.py`). Every fault is a `LabError` that names the file and
the line.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
    """What a reader found: the photographs whose files are there, and the names of those whose files are missing."""

    table: Path
    photographs: list[Photograph]
    missing: list[str]


def read_reading(
    table: Path,
    columns: Mapping[str, Sequence[str]],
    known: Sequence[str],
    find_image: Callable[[str], Path | None],
    lesion_optional: bool = False,
) -> Reading:
    """Read a table whose columns `image`, `dx` and `lesion` may have the names in `columns`.

    Where the lesion is optional and not there, every image counts as a lesion of its own. `known` lists the diagnoses;
    `find_image` maps an image's name to its file, or None. Raises `LabError` for a column that is missing, an empty
    cell, an unknown diagnosis, an image that is named twice and a lesion with two diagnoses.
    """
    found, rows = _read_rows(table)
    image, dx = (_choose_column(table, found, columns[key]) for key in ("image", "dx"))
    no_lesion = lesion_optional and not set(columns["lesion"]) & set(found)
    lesion = image if no_lesion else _choose_column(table, found, columns["lesion"])
    if not rows:
        raise LabError(f"{table} has no rows", hint="copy the complete table")
    _check_rows(table, rows, image, lesion, dx, known)
    photographs, missing = [], []
    for _, row in rows:
        path = find_image(row[image])
        if path is None:
            missing.append(row[image])
        else:
            photographs.append(Photograph(row[image], row[lesion], row[dx], path, row))
    return Reading(table, photographs, missing)


def _read_rows(table: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns, and line numbers with rows. Commas or tabs, with or without a byte order mark."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabError(f"{table} is not UTF-8 text: {error}", hint="save the table again as CSV (UTF-8)") from error
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    try:
        rows = [
            (reader.line_num, {column: (value or "").strip() for column, value in row.items() if column is not None})
            for row in reader
        ]
    except csv.Error as error:
        raise LabError(f"{table} line {reader.line_num}: {error}", hint="save the table again as CSV") from error
    return columns, rows


def _choose_column(table: Path, found: list[str], names: Sequence[str]) -> str:
    for name in names:
        if name in found:
            return name
    raise LabError(
        f"{table} has no column '{names[0]}' (found: {', '.join(found) or 'an empty file'})",
        hint=f"the first line must name a column {' or '.join(names)}",
    )


def _check_rows(
    table: Path, rows: list[tuple[int, dict[str, str]]], image: str, lesion: str, dx: str, known: Sequence[str]
) -> None:
    """No empty cell, only known diagnoses, every image once, every lesion with one diagnosis."""
    seen: dict[str, int] = {}
    diagnosis: dict[str, str] = {}
    for line, row in rows:
        for column in (image, lesion, dx):
            if not row[column]:
                raise LabError(f"{table} line {line}: {column} is empty", hint="fill it in or remove the line")
        if row[dx] not in known:
            raise LabError(f"{table} line {line}: unknown diagnosis '{row[dx]}'", hint=f"known: {', '.join(known)}")
        if row[image] in seen:
            raise LabError(
                f"{table} line {line}: image {row[image]} is already in line {seen[row[image]]}", hint="remove one line"
            )
        if diagnosis.setdefault(row[lesion], row[dx]) != row[dx]:
            raise LabError(
                f"{table} line {line}: lesion {row[lesion]} is '{row[dx]}' here and '{diagnosis[row[lesion]]}' before",
                hint="one lesion has one diagnosis; correct one of the lines",
            )
        seen[row[image]] = line
