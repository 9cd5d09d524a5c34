"""Reader for folders of images as people have them: with a table that gives every image its diagnosis, or without.

    image,dx,lesion_id                      or one column a diagnosis, as ISIC 2018 and 2019 have it:
    clinic/001.jpg,mel,patient-7-back           image,MEL,NV,BCC,AKIEC,BKL,DF,VASC
    clinic/002.png,nv,patient-9-arm             ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0

The images may lie anywhere below the folder; how they are found is in `image_files.py`. Without `lesion_id`, or where
it is empty, NA, nan or the like, an image counts as a lesion of its own. Without a table, each folder is taken for the
diagnosis that it is named after (`class_folders.py`). What was understood, left out and not known stands in the notes
of the `Reading`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lab_code.data.class_folders import has_class_folders, read_class_folders
from lab_code.data.csv_file import TABLE_ENDINGS, Table, fold_name, read_table
from lab_code.data.dataset import Dataset
from lab_code.data.diagnoses import ELSEWHERE, describe_names, list_codes, recognise, suggest
from lab_code.data.ham10000 import (
    IMAGE_FOLDERS,
    METADATA_NAMES,
    OTHER_METADATA,
    find_images,
    find_metadata,
    is_other,
    read_dataset,
)
from lab_code.data.image_files import OTHER_ENDINGS, is_visible, list_files, spell_path, strip_ending
from lab_code.data.table import Entry, Reading, check_cells, make_reading
from lab_code.errors import LabError

# Names of columns, the most telling first: this kit's and HAM10000's, ISIC's, PAD-UFES-20's, BCN20000's.
_IMAGE = (
    *("image", "image_id", "isic_id", "image_name", "img_id", "bcn_filename", "file", "filename", "file_name", "path"),
    *("filepath", "file_path", "image_path"),
)
_LESION = ("lesion_id", "lesion")
_PATIENT = re.compile("patient|subject|person|case(id|no|nr|num)")
_ZERO = re.compile(r"(|0+([.,]0*)?(e[+-]?\d+)?|false|no)", re.IGNORECASE)
_ONE = re.compile(r"(1([.,]0*)?(e[+-]?0+)?|true|yes)", re.IGNORECASE)
_UNKNOWN = ("", "na", "n/a", "#n/a", "<na>", "nan", "none", "null", "nil", "-", "--", "?")
_PACKED = (".zip", ".gz", ".bz2", ".xz", ".tar", ".tgz", ".7z", ".rar")
_DX = ("dx", "diagnosis", "diagnostic", "label", "class", "diagnosis_3")


def read_image_table(folder: Path) -> Reading:
    """Read a folder. Raises `LabError` where there is no layout that is known, and for faults inside a table."""
    if inner := _unpacked_inside(folder):
        return read_image_table(inner)
    dataset = read_dataset(folder)
    tables = _find_tables(folder)
    is_complete = any(_is_complete(table, dataset) for table in tables)
    if not is_complete and not _table_paths(folder) and has_class_folders(folder, dataset):
        return read_class_folders(folder, dataset)
    if not tables:
        raise _no_table(folder, dataset)
    if not is_complete:
        _check_beside(folder, dataset)
    return _read_table(folder, tables, dataset)


def _read_table(folder: Path, tables: list[Table], dataset: Dataset) -> Reading:
    """The photographs of the one table that names them."""
    table = _choose_table(folder, tables, dataset)
    image = _choose_image_column(folder, table)
    lesions, note = _read_lesions(table, image, [other for other in tables if other.path != table.path], dataset)
    names, dx_note = _read_diagnoses(table, dataset)
    taken = set(lesions.values())
    entries = []
    for line, row in table.rows:
        if line not in names:
            continue
        name, dx = row[image], recognise(names[line], dataset)
        if spell_path(name).parts[:1] == ("..",):
            raise LabError(f"{table.path}: image '{name}' is outside {folder}", hint="copy it into the folder")
        if dx is None:
            raise LabError(
                f"{table.path} line {line}: unknown {dataset.class_words[0]} '{names[line]}'",
                hint=suggest(names[line], dataset),
            )
        if dx != ELSEWHERE:
            own = f"image {name}" if name in taken else name
            entries.append(Entry(line, name, lesions.get(line, own), dx, row))
    if not entries:
        raise LabError(
            f"{table.path} gives no image one of the {len(dataset)} {dataset.class_words[1]}",
            hint=f"known: {list_codes(dataset)}",
        )
    notes = [*note, *dx_note, *_tell_chosen(table, dataset), *describe_names(Counter(names.values()), dataset)]
    return make_reading(table.path, entries, find_images(folder).find, dataset, notes)


def _find_tables(folder: Path) -> list[Table]:
    """The tables of a folder, and of the folders in it, as ISIC's archives unpack."""
    if _published_table(folder):
        return [read_table(find_metadata(folder))]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and is_visible(path.name)]
    return [read_table(path) for place in [folder, *inner] for path in _table_paths(place)]


def _table_paths(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if is_visible(path.name) and path.is_file()]
    return sorted(path for path in paths if path.suffix.lower() in TABLE_ENDINGS)


def _choose_table(folder: Path, tables: list[Table], dataset: Dataset) -> Table:
    """The one table that names images and diagnoses; one beside the folders comes before those inside."""
    chosen = [table for table in tables if _is_complete(table, dataset)] or tables
    chosen = [table for table in chosen if table.path.parent == folder] or chosen
    if len(chosen) == 1:
        return chosen[0]
    found = ", ".join(table.path.relative_to(folder).as_posix() for table in chosen)
    raise LabError(
        f"{folder} must hold exactly one table of photographs, but holds {found}",
        hint="keep the one that gives every image its diagnosis (image, dx, lesion_id), move the others away",
    )


def _is_complete(table: Table, dataset: Dataset) -> bool:
    return bool(table.find(_IMAGE) and (table.find(_dx_names(dataset)) or _one_hot_columns(table, dataset)))


def _dx_names(dataset: Dataset) -> tuple[str, ...]:
    """Columns that may hold the class: what the description calls it counts as well."""
    return tuple(dict.fromkeys([*_DX, dataset.class_words[0]]))


def _lesion_names(dataset: Dataset) -> tuple[str, ...]:
    """Columns that may hold the group: what the description calls it before the words of skin lesions."""
    if not is_other(dataset):
        return _LESION
    word = dataset.group_words[0]
    return tuple(dict.fromkeys([f"{word}_id", word, *_LESION, "group_id", "group"]))


def _choose_image_column(folder: Path, table: Table) -> str:
    """Of several columns that may name the image, the one whose names are those of files."""
    columns = table.find(_IMAGE)
    if table.path.name in METADATA_NAMES and "image_id" in columns:
        return "image_id"
    if len(columns) < 2:
        return table.choose(_IMAGE)
    files = find_images(folder)
    return max(columns, key=lambda column: sum(files.find(row[column]) is not None for _, row in table.rows[:50]))


def _read_diagnoses(table: Table, dataset: Dataset) -> tuple[dict[int, str], list[str]]:
    """The diagnosis of every line that has one, in the table's own words, and notes."""
    columns = _one_hot_columns(table, dataset)
    if not table.find(_dx_names(dataset)) and columns:
        return {line: _read_one_hot(table, columns, line, row) for line, row in table.rows}, []
    dx = table.choose(_dx_names(dataset))
    names = {line: row[dx] for line, row in table.rows if not _is_unknown(row[dx])}
    unknown = len(table.rows) - len(names)
    notes = [f"left out, since {dx} is empty there: {unknown}"] if unknown else []
    if columns:
        _check_agreement(table, dx, columns, dataset)
        notes.append(f"of the columns {', '.join([dx, *columns])}, {dx} counts")
    return names, notes


def _read_one_hot(table: Table, columns: Sequence[str], line: int, row: dict[str, str]) -> str:
    """The one column that is 1; a blank counts as 0."""
    chosen = [column for column in columns if not _ZERO.fullmatch(row[column])]
    if len(chosen) != 1 or not _ONE.fullmatch(row[chosen[0]]):
        found = ", ".join(f"{column} {row[column]}" for column in chosen) or "none"
        raise LabError(
            f"{table.path} line {line}: not exactly one diagnosis is 1 (found: {found})",
            hint="one column is 1 and the others are 0; correct the line or remove it",
        )
    return chosen[0]


def _check_agreement(table: Table, dx: str, columns: Sequence[str], dataset: Dataset) -> None:
    """Raise `LabError` where one column a diagnosis says something else than the column of diagnoses."""
    try:
        chosen = {line: _read_one_hot(table, columns, line, row) for line, row in table.rows}
    except LabError:  # probabilities, or how many moles somebody has
        return
    for line, row in table.rows:
        if recognise(row[dx], dataset) not in (recognise(chosen[line], dataset), None):
            raise LabError(
                f"{table.path} line {line}: {dx} is '{row[dx]}', but the column that is 1 is {chosen[line]}",
                hint=f"correct the line, or remove the column {dx} or the other ones",
            )


def _is_unknown(cell: str) -> bool:
    return cell.casefold() in _UNKNOWN


def _tell_chosen(table: Table, dataset: Dataset) -> list[str]:
    """Which of several columns that may mean the same was used; the table of a kit keeps the columns of its source."""
    kinds = (_lesion_names(dataset), _dx_names(dataset))
    several = [table.find(names) for names in kinds if table.path.name not in (*METADATA_NAMES, OTHER_METADATA)]
    return [f"of the columns {', '.join(columns)}, {columns[0]} counts" for columns in several if len(columns) > 1]


def _one_hot_columns(table: Table, dataset: Dataset) -> list[str]:
    """The columns that are named after diagnoses, where there are several."""
    columns = [column for column in table.columns if recognise(column, dataset)]
    return columns if len(columns) > 1 else []


def _read_lesions(
    table: Table, image: str, others: Sequence[Table], dataset: Dataset
) -> tuple[dict[int, str], list[str]]:
    """The lesion of every line where it is known, and notes. ISIC keeps them in a table of their own."""
    check_cells(table, [image])
    names, group = _lesion_names(dataset), dataset.group_words
    if columns := table.find(names):
        known = {line: row[columns[0]] for line, row in table.rows if not _is_unknown(row[columns[0]])}
        unknown = len(table.rows) - len(known)
        notes = [f"{columns[0]} is unknown for {unknown} photographs: each counts as a {group[0]} of its own"]
        return known, (notes if unknown else []) + _tell_unused(table, _PATIENT, names)
    for other in others:
        if other.find(names) and other.find(_IMAGE):
            key, lesion = other.find(_IMAGE)[0], other.find(names)[0]
            ids = {strip_ending(row[key]): row[lesion] for _, row in other.rows if not _is_unknown(row[lesion])}
            lesions = {line: ids.get(strip_ending(row[image]), "") for line, row in table.rows}
            found = {line: lesion for line, lesion in lesions.items() if lesion}
            return found, [
                f"{group[1]} are those of {other.path.name}: known for {len(found)} of {len(lesions)} images"
            ]
    own = f"no column {names[0]}: every photograph counts as a {group[0]} of its own"
    return {}, [own, *_tell_unused(table, re.compile(f"lesion|{_PATIENT.pattern}"), names)]


def _tell_unused(table: Table, like: re.Pattern[str], names: Sequence[str]) -> list[str]:
    """Which columns might say what belongs together, and are not used."""
    columns = [column for column in table.columns if column not in table.find(names)]
    unused = [column for column in columns if like.search(fold_name(column))]
    if not unused:
        return []
    return [
        f"not used: {', '.join(unused)}; photographs that share it may be on both sides of a split, unless its column "
        + (
            f"is named {names[0]}"
            if names[0] != "lesion_id"
            else "is named lesion_id (one lesion_id has one diagnosis)"
        )
    ]


def _check_beside(folder: Path, dataset: Dataset) -> None:
    """Raise `LabError` for folders of diagnoses beside tables that do not name images and diagnoses."""
    one, several = dataset.class_words
    tables = ", ".join(path.name for path in _table_paths(folder)) or "a table"
    if has_class_folders(folder, dataset):
        raise LabError(
            f"{folder} holds folders named after {several}, and {tables}, which does not name images and {several}",
            hint=f"move {tables} away, and each folder is read as the {one} it is named after",
        )
    if inside := [path for path in _find_layouts(folder, dataset) if has_class_folders(path, dataset)]:
        raise LabError(
            f"{folder} holds {tables}, which does not name images and {several}",
            hint=f"name the folder inside it, where folders are named after {several}: {_largest(inside)}",
        )


def _no_table(folder: Path, dataset: Dataset) -> LabError:
    """The error for a folder of no known layout, with what comes nearest to one."""
    visible = [path for path in sorted(folder.iterdir()) if is_visible(path.name)]
    endings = {path.suffix.lower(): path.name for path in reversed(visible) if path.is_file()}
    inside = _find_layouts(folder, dataset)
    sheet = next((endings[ending] for ending in (".xlsx", ".xls", ".ods", ".numbers") if ending in endings), None)
    packed = next((endings[ending] for ending in _PACKED if ending in endings), None)
    text = next((path for path in visible if path.suffix.lower() == ".txt" and _is_readable(path, dataset)), None)
    images = len(list_files(folder))
    if len(inside) > 1 and all(map(_is_part, inside)):
        hint = (
            f"put the folders of one diagnosis in {', '.join(path.name for path in inside)} together, since the kit "
            f"divides by itself; or name one of them: {_largest(inside)}"
        )
    elif inside:
        hint = f"name the folder inside it: {_largest(inside)}"
    elif ".npz" in endings:
        hint = f"name the file itself: {folder / endings['.npz']}"
    elif text:
        hint = f"rename {text.name} to {text.stem}.csv"
    elif sheet:
        hint = f"save {sheet} as CSV (UTF-8) into the same folder; it needs the columns image, dx and lesion_id"
    elif packed:
        hint = f"unpack {packed} there first"
    elif any((folder / name).is_dir() for name in IMAGE_FOLDERS):
        hint = f"the folder must hold {METADATA_NAMES[0]} beside {IMAGE_FOLDERS[0]}/ and {IMAGE_FOLDERS[1]}/"
    elif not images and list_files(folder, OTHER_ENDINGS):
        hint = f"{list_files(folder, OTHER_ENDINGS)[0].name} cannot be read: save the images as .jpg or .png"
    else:
        hint = (
            f"put a .csv with the columns image, dx and lesion_id there, or one folder for each "
            f"{dataset.class_words[0]}: {_some_folders(dataset)}"
        )
    return LabError(f"no metadata table in {folder} ({images} images)", hint=hint)


def _some_folders(dataset: Dataset) -> str:
    return "mel/, nv/ …" if not is_other(dataset) else f"{dataset.codes[0]}/, {dataset.codes[1]}/ …"


def _find_layouts(folder: Path, dataset: Dataset, depth: int = 3) -> list[Path]:
    """The nearest folders below that have a layout that is read."""
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and is_visible(path.name)]
    found = [path for path in inner if _has_layout(path, dataset)]
    if found or depth == 1:
        return found
    return [below for path in inner for below in _find_layouts(path, dataset, depth - 1)]


def _has_layout(folder: Path, dataset: Dataset) -> bool:
    return bool(_published_table(folder) or _table_paths(folder) or has_class_folders(folder, dataset))


def _is_part(folder: Path) -> bool:
    """Whether it holds folders of diagnoses, and is a part of a data set that somebody has divided."""
    return bool(re.match("train|test|val", folder.name.casefold())) and not _table_paths(folder)


def _largest(folders: Sequence[Path]) -> Path:
    return max(folders, key=lambda path: len(list_files(path)))


def _is_readable(path: Path, dataset: Dataset) -> bool:
    try:
        return _is_complete(read_table(path), dataset)
    except LabError:
        return False


def _published_table(folder: Path) -> bool:
    return any((folder / name).is_file() for name in METADATA_NAMES)


def _unpacked_inside(folder: Path) -> Path | None:
    """HAM10000 in a folder of its own inside this one, as an archive unpacks; None where this one has a table."""
    if _published_table(folder) or _table_paths(folder):
        return None
    inside = [path for path in folder.iterdir() if path.is_dir() and is_visible(path.name) and _published_table(path)]
    return inside[0] if len(inside) == 1 else None
