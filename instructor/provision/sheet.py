"""What is printed: instruction sheets, the instructor's key, and catch-up sheets, set as PDF by Typst.

    write_group_sheet(kit / "instructions.pdf", title=…, group="group-1", number=1, stages=[…])
    write_key(vault / "key.pdf", title=…, groups={"group-1": […]})

How a page looks is in `sheet.typ` and `key.typ` beside this file. `instructor/typeset.py` compiles
them: texts reach them as JSON, so a question may hold any character.
"""

from pathlib import Path
from typing import Any

from instructor.typeset import set_pages
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import read_dataset
from lab_code.files import write_whole

_TEMPLATES = Path(__file__).parent
_MOST_CLASSES = 16
_SHEET, _KEY, _CATCH_UP = "sheet.typ", "key.typ", "catch_up.typ"


def write_group_sheet(
    path: Path, *, title: str, group: str, number: int, stages: list[dict[str, Any]], paper: str = "a4"
) -> None:
    """Write the sheet of one group. It is given no answers, so it cannot hold any.

    The classes that it lists are those of the photographs in `data/`, beside the sheet.
    `number` counts the groups from 1 and chooses the sheet's colour and shape. A stage is
    `{"number", "title", "questions": [{"text", "options", "how", "look_in"}], "opens": [paths], "experiment": name or
    None, "by": minute or None}`;
    `how` says what to write where that is not the number of an option. Raises `LabError` where the sheet cannot be set.
    """
    data = {"title": title, "group": group, "number": number, "stages": stages, "paper": paper}
    data["classes"] = _list_classes(read_dataset(path.parent / "data"))
    data["first"] = next((stage["experiment"] for stage in stages if stage["experiment"]), "RUN")
    write_whole(path, set_pages(_TEMPLATES / _SHEET, data))


def _list_classes(dataset: Dataset) -> str:
    """`Diagnoses: melanoma (mel), …`; of many classes the first."""
    labels = [dataset.label(code) for code in dataset.codes]
    more = f" and {len(labels) - _MOST_CLASSES} more" if len(labels) > _MOST_CLASSES else ""
    words = dataset.class_words[1]
    return f"{words[0].upper()}{words[1:]}: {', '.join(labels[:_MOST_CLASSES])}{more}."


def write_key(path: Path, *, title: str, groups: dict[str, list[dict[str, Any]]], paper: str = "a4") -> None:
    """Write the instructor's key: answers and rescue codes of every group, one row a group, one column a stage.

    An entry of a group is `{"number", "title", "answers": "2,4,1", "rescue": code}`. Raises `LabError` where the key
    cannot be set.
    """
    rows = [{"number": number, "name": name, "stages": groups[name]} for number, name in enumerate(groups, 1)]
    write_whole(path, set_pages(_TEMPLATES / _KEY, {"title": title, "groups": rows, "paper": paper}))


def write_catch_up(
    path: Path, *, title: str, stage: dict[str, Any], groups: list[dict[str, Any]], paper: str = "a4"
) -> None:
    """Write the catch-up sheets of one stage, a page a group. They hold answers: they belong to the instructor.

    `stage` is `{"number", "title", "experiment": name or None}`, a group `{"name", "number", "rescue", "questions"}`, a
    question `{"text", "answer", "right", "explanation"}`. Raises `LabError` where a sheet cannot be set.
    """
    data = {"title": title, "stage": stage, "groups": groups, "paper": paper}
    write_whole(path, set_pages(_TEMPLATES / _CATCH_UP, data))
