"""What is printed: instruction sheets, the instructor's key, and catch-up sheets, set as PDF by Typst.

    write_group_sheet(kit / "instructions.pdf", title=…, group="group-1", number=1, stages=[…])
    write_key(vault / "key.pdf", title=…, groups={"group-1": […]})

How a page looks is in `sheet.typ` and `key.typ` beside this file. They get their texts as JSON, never as Typst source,
so a question may hold any character. The same input gives the same bytes on every machine: only the fonts inside Typst
are used, and the document carries no date.
"""

import json
from pathlib import Path
from typing import Any, Final

import typst

from lab_code.errors import LabError
from lab_code.files import write_whole

_TEMPLATES = Path(__file__).parent
_SHEET, _KEY, _CATCH_UP = "sheet.typ", "key.typ", "catch_up.typ"
# Accessible PDF: tagged text to be read aloud. Typst then also refuses text that none of its fonts can show, which it
# would otherwise print as empty boxes.
_STANDARD: Final = "ua-1"
_REMEMBERED = 10  # documents: Typst forgets what it has set when so many others came later; a sheet fills 20 MB


def write_group_sheet(
    path: Path, *, title: str, group: str, number: int, stages: list[dict[str, Any]], paper: str = "a4"
) -> None:
    """Write the sheet of one group. It is given no answers, so it cannot hold any.

    `number` counts the groups from 1 and chooses the sheet's colour and shape. A stage is
    `{"number", "title", "questions": [{"text", "options", "how", "look_in"}], "opens": [paths], "experiment": name or
    None}`;
    `how` says what to write where that is not the number of an option. Raises `LabError` where the sheet cannot be set.
    """
    data = {"title": title, "group": group, "number": number, "stages": stages, "paper": paper}
    write_whole(path, _set_pdf(_SHEET, data))


def write_key(path: Path, *, title: str, groups: dict[str, list[dict[str, Any]]], paper: str = "a4") -> None:
    """Write the instructor's key: answers and rescue codes of every group, one row a group, one column a stage.

    An entry of a group is `{"number", "title", "answers": "2,4,1", "rescue": code}`. Raises `LabError` where the key
    cannot be set.
    """
    rows = [{"number": number, "name": name, "stages": groups[name]} for number, name in enumerate(groups, 1)]
    write_whole(path, _set_pdf(_KEY, {"title": title, "groups": rows, "paper": paper}))


def write_catch_up(
    path: Path, *, title: str, stage: dict[str, Any], groups: list[dict[str, Any]], paper: str = "a4"
) -> None:
    """Write the catch-up sheets of one stage, a page a group. They hold answers: they belong to the instructor.

    `stage` is `{"number", "title", "experiment": name or None}`, a group `{"name", "number", "rescue", "questions"}`, a
    question `{"text", "answer", "right", "explanation"}`. Raises `LabError` where a sheet cannot be set.
    """
    data = {"title": title, "stage": stage, "groups": groups, "paper": paper}
    write_whole(path, _set_pdf(_CATCH_UP, data))


def _set_pdf(template: str, data: dict[str, Any]) -> bytes:
    source = _TEMPLATES / template
    try:
        return typst.compile(
            source,
            root=_TEMPLATES,
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
            format="pdf",
            pdf_standards=_STANDARD,
        )
    except typst.TypstError as error:
        raise LabError(
            f"{source} cannot be set: {error}",
            hint="change the text it names in quiz/bank.yaml or workshop.yaml; if it names none, mend the template",
        ) from error
    finally:
        for _ in range(_REMEMBERED):
            typst.compile(b"", ignore_system_fonts=True)
