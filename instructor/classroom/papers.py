"""What is printed for giving the class: the plan as a Gantt chart, the run sheet, and everything as one file.

    write_plan(workshop, folder)            # plan.pdf and plan.png
    write_run_sheet(workshop, vault, path)  # minute by minute; codes and answers on a page of their own
    write_print_file(build, workshop, path) # sheets of all groups, run sheet, key

How the pages look is in `plan.typ` and `run_sheet.typ` beside this file.
"""

import io
from pathlib import Path
from typing import Any

from pypdf import PdfWriter

from instructor.classroom.schedule import WHENS, Schedule
from instructor.spelling import spell_make
from instructor.typeset import set_pages
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.files import write_whole

_TEMPLATES = Path(__file__).parent
_TITLES = {"week": "The week before", "evening": "The evening before", "hour": "The hour before"}


def write_plan(workshop: Workshop, folder: Path) -> list[Path]:
    """Draw the preparation and the class as `plan.pdf` and `plan.png` in `folder`."""
    schedule = workshop.schedule
    phases = [
        {"title": _TITLES[when], "minutes": sum(item.minutes for item in schedule.before(when)), "items": items}
        for when in WHENS
        if (items := _one_after_the_other(schedule, when))
    ]
    phases.append({"title": "The class", "minutes": schedule.minutes, "items": _bars_of_parts(schedule)})
    data = {"title": workshop.title, "paper": workshop.paper, "phases": phases}
    written = [folder / "plan.pdf", folder / "plan.png"]
    write_whole(written[0], set_pages(_TEMPLATES / "plan.typ", data))
    write_whole(written[1], set_pages(_TEMPLATES / "plan.typ", data, kind="png"))
    return written


def write_run_sheet(workshop: Workshop, vault: Vault, path: Path) -> None:
    """Write the run sheet; without kits it has no page of codes and answers yet."""
    schedule = workshop.schedule
    write_whole(path, set_pages(_TEMPLATES / "run_sheet.typ", {
        "title": workshop.title,
        "paper": workshop.paper,
        "minutes": schedule.minutes,
        "clock": spell_make(".venv/bin/instructor run"),
        "parts": [_describe_part(schedule, index) for index in range(len(schedule.parts))],
        "before": [_describe_phase(schedule, when) for when in WHENS if schedule.before(when)],
        "rooms": _room_codes(workshop, vault),
        "keys": _keys(workshop, vault),
    }))  # fmt: skip


def write_print_file(build: Path, workshop: Workshop, path: Path) -> int:
    """Everything that is printed as one PDF, in the order of use; how many pages it has.

    Raises `LabError` where a kit or the key is missing.
    """
    run_sheet, key = path.with_name("run-sheet.pdf"), Vault(build).folder / "key.pdf"
    sheets = [build / "kits" / group / "instructions.pdf" for group in workshop.groups]
    for part in (*sheets, key):
        if not part.is_file():
            raise LabError(f"{part} is missing", hint="make provision builds the kits, with their sheets and your key")
    write_run_sheet(workshop, Vault(build), run_sheet)
    joined = PdfWriter()
    for part in (*sheets, run_sheet, key):
        first = len(joined.pages)
        joined.append(part, outline_item=part.parent.name if part in sheets else part.stem)
        if part in sheets and (len(joined.pages) - first) % 2:
            joined.add_blank_page()  # printed on both sides, every group's sheet begins a leaf of its own
    write_whole(path, _to_bytes(joined))
    return len(joined.pages)


def _to_bytes(pages: PdfWriter) -> bytes:
    stream = io.BytesIO()
    pages.write(stream)
    return stream.getvalue()


def _one_after_the_other(schedule: Schedule, when: str) -> list[dict[str, Any]]:
    bars, start = [], 0
    for item in schedule.before(when):
        note = item.commands[0] if item.commands else ""
        bars.append({"title": item.title, "note": note, "minutes": item.minutes, "start": start, "kind": "preparation"})
        start += item.minutes
    return bars


def _bars_of_parts(schedule: Schedule) -> list[dict[str, Any]]:
    return [
        {
            "title": part.title,
            "note": part.show,
            "minutes": part.minutes,
            "start": schedule.start_of(index),
            "kind": part.kind,
        }
        for index, part in enumerate(schedule.parts)
    ]


def _describe_part(schedule: Schedule, index: int) -> dict[str, Any]:
    part, start = schedule.parts[index], schedule.start_of(index)
    return {**vars(part), "number": index + 1, "start": start, "end": start + part.minutes}


def _describe_phase(schedule: Schedule, when: str) -> dict[str, Any]:
    items = schedule.before(when)
    minutes = sum(item.minutes for item in items)
    return {"title": _TITLES[when], "minutes": minutes, "items": [vars(item) for item in items]}


def _room_codes(workshop: Workshop, vault: Vault) -> list[dict[str, Any]]:
    if not (workshop.locks.room_code and vault.is_drawn):
        return []
    return [
        {"number": number, "title": stage.title, "code": vault.room_code(workshop.id, stage.id)}
        for number, stage in enumerate(workshop.stages, 1)
    ]


def _keys(workshop: Workshop, vault: Vault) -> list[dict[str, Any]]:
    try:
        keys = vault.read_key()
    except LabError:  # there are no kits yet
        return []
    return [
        {"number": number, "name": group, "stages": keys[group]}
        for number, group in enumerate(workshop.groups, 1)
        if group in keys
    ]
