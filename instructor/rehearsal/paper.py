"""The rehearsal as a page to look at, `rehearsal.pdf`, and as a document for programs, `rehearsal.json`."""

from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from instructor.rehearsal.behaviours import describe_behaviours
from instructor.rehearsal.player import Player
from instructor.rehearsal.rehearse import Rehearsal
from instructor.rehearsal.script import plan_sections
from instructor.rehearsal.verdict import Verdict
from instructor.typeset import set_pages
from lab_code.files import to_json, write_whole

PDF, JSON = "rehearsal.pdf", "rehearsal.json"
_TEMPLATE = Path(__file__).with_name("paper.typ")


def to_document(rehearsal: Rehearsal, verdict: Verdict) -> dict[str, Any]:
    """Everything for programs."""
    return {
        "workshop": rehearsal.workshop.id,
        "fast": rehearsal.fast,
        "fits": verdict.fits,
        "verdict": verdict.text,
        "faults": verdict.faults,
        "late": verdict.late,
        "cut": verdict.cuts,
        "notes": rehearsal.notes,
        "sections": [asdict(section) for section in plan_sections(rehearsal.workshop)],
        "groups": [
            {**asdict(times), "behaviours": list(player.behaviours), **_describe_player(player)}
            for times, player in zip(verdict.groups, rehearsal.players, strict=True)
        ],
        "parts": [asdict(part) for part in verdict.parts],
        "checks": [asdict(check) for check in rehearsal.checks],
        "ranking": rehearsal.ranking,
        "took_s": {name: round(seconds, 2) for name, seconds in rehearsal.took.items()},
        "this_machine": asdict(rehearsal.here) if rehearsal.here else None,
        "slowest_laptop": asdict(verdict.slowest) if verdict.slowest else None,
        "seconds": round(rehearsal.seconds, 1),
    }


def _describe_player(player: Player) -> dict[str, Any]:
    return {
        "handed_in": player.handed_in,
        "runs": player.trained,
        "opened": player.opened,
        "wrong": player.wrong,
        "hints": player.hints,
        "receipts": player.receipts,
        "deeds": [asdict(deed) for deed in player.deeds],
        "incidents": [asdict(incident) for incident in player.incidents],
    }


def write_papers(folder: Path, rehearsal: Rehearsal, verdict: Verdict) -> None:
    """Write both into `folder`."""
    write_whole(folder / JSON, to_json(to_document(rehearsal, verdict)))
    write_whole(folder / PDF, set_pages(_TEMPLATE, _describe_page(rehearsal, verdict)))


def _describe_page(rehearsal: Rehearsal, verdict: Verdict) -> dict[str, Any]:
    sections, start = [], 0
    for number, section in enumerate(plan_sections(rehearsal.workshop), 1):
        sections.append({"title": str(number), "start": start, "minutes": section.minutes})
        start += section.minutes
    last = max(player.clock for player in rehearsal.players)
    incidents = [one for player in rehearsal.players for one in player.incidents]
    return {
        "title": rehearsal.workshop.title,
        "paper": rehearsal.workshop.paper,
        "verdict": f"{verdict.text[:1].upper()}{verdict.text[1:]}.",
        "fits": verdict.fits,
        "lines": [*verdict.late, *verdict.cuts],
        "minutes": max(float(start), last) * 1.01,
        "sections": sections,
        "slowest": verdict.slowest.name if verdict.slowest else "",
        "groups": [_describe_row(player, verdict, n) for n, player in enumerate(rehearsal.players)],
        "incidents": [
            [one.group, f"{one.minute:.0f}", one.what, one.answer, "yes" if one.coped else "NO"] for one in incidents
        ],
        "checks": [[check.name, check.found, "yes" if check.ok else "NO"] for check in rehearsal.checks],
    }


def _describe_row(player: Player, verdict: Verdict, number: int) -> dict[str, Any]:
    times = verdict.groups[number]
    bars = []
    for kind, deeds in groupby(player.deeds, key=lambda deed: deed.kind):
        several = list(deeds)
        end = several[-1].start + several[-1].minutes
        bars.append({"start": several[0].start, "minutes": end - several[0].start, "kind": kind})
    return {
        "name": player.group,
        "does": describe_behaviours(player.behaviours),
        "done": f"{times.done:.1f} min",
        "slowest": "" if times.on_slowest is None else f"{times.on_slowest:.1f} min",
        "bars": bars,
        "marks": [{"minute": one.minute, "coped": one.coped} for one in player.incidents],
    }
