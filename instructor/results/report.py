"""After class: everything that is known of a course in one document, as PDF to print and as JSON for programs.

    report = make_report(results, mistakes)
    write_report(folder / "report.pdf", results, report)

`report.typ` says how it looks. First what the instructor wants to know, then a page a group to hand back. Feedback is
summed up, with every sentence as it was written and without saying whose; a group finds the review of its runs on its
own page, and not who wrote it.
"""

import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

from instructor.results.ceremony import describe_place
from instructor.results.figures import PLAIN, draw_figures
from instructor.results.glyphs import name_missing
from instructor.results.mistakes import Mistakes
from instructor.results.opinions import list_sentences, summarise_ratings
from instructor.results.points import Standing, plan_stages
from instructor.results.prizes import give_prizes, honour_groups
from instructor.results.results import Results, find_idea
from instructor.typeset import set_pages
from lab_code.files import write_whole
from lab_code.workshop.review import QUESTIONS

REPORT = "report.pdf"
_MOST_RUNS = 25  # of a group that its page lists
_TEMPLATE = Path(__file__).parent / "report.typ"
_ALTERNATIVES = {
    "runs": "Parallel coordinates: every run through the settings that differ, to its balanced accuracy.",
    "tried": "A table of groups and settings: how many runs of each group had each value.",
    "curves": "Balanced accuracy of every group's best run over epochs.",
}


def make_report(results: Results, mistakes: Sequence[Mistakes]) -> dict[str, Any]:
    """The whole report as plain values, the way `--json` prints it."""
    honours, prizes = honour_groups(results), give_prizes(results)
    return {
        "workshop": results.workshop.id,
        "title": results.workshop.title,
        "groups": [
            _describe_group(results, standing, asdict(honours[standing.group]))
            | {"prizes": [asdict(prize) for prize in prizes if prize.group == standing.group]}
            for standing in results.standings.groups
        ],
        "relays": [asdict(relay) for relay in results.relays],
        "duel": None if results.duel is None else asdict(results.duel),
        "absent": results.standings.absent,
        "chances": results.standings.models.chances(),
        "stages": _describe_stages(results),
        "questions": [asdict(row) for row in mistakes],
        "feedback": _describe_feedback(results),
        "reviews": [{key: row.get(key, "") for key in QUESTIONS} for row in results.opinions.reviews or []],
        "sentences": sorted(row["sentence"] for row in results.opinions.sentences or [] if row["sentence"].strip()),
    }


def report_to_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)


def write_report(path: Path, results: Results, report: dict[str, Any]) -> None:
    """Set the report as PDF. Raises `LabError` where it cannot be set."""
    groups = [{**group, "runs": group["runs"][:_MOST_RUNS], "count": len(group["runs"])} for group in report["groups"]]
    data = {
        "report": {**report, "groups": groups},
        "title": results.workshop.title,
        "hidden": results.evidence.dataset.group_words[1],
        "paper": results.workshop.paper,
        "review_questions": QUESTIONS,
        "figures": _draw(results),
    }
    write_whole(path, set_pages(_TEMPLATE, _printable(data)))


def _describe_group(results: Results, standing: Standing, honour: dict[str, str]) -> dict[str, Any]:
    group = standing.group
    idea = find_idea(results.runs_of(group))
    parts = [
        {
            "name": part.name,
            "title": part.title,
            "points": part.points,
            "of": part.of,
            "lines": [asdict(line) for line in part.lines],
        }
        for part in standing.parts
    ]
    return {
        "group": group,
        "number": standing.number,
        "place": standing.place,
        "place_in_words": describe_place(results, standing),
        "total": standing.total,
        "of": standing.of,
        "model_rank": standing.model_rank,
        "parts": parts,
        "honour": honour,
        "idea": None if idea is None else asdict(idea) | {"scores": list(idea.scores)},
        "runs": [_describe_run(row) for row in results.runs_of(group).to_dict("records")],
        "reviews": [{key: row.get(key, "") for key in QUESTIONS} for row in results.opinions.reviews_of(group)],
        "sentences": results.opinions.written_by(group),
        "bets": [{key: row.get(key, "") for key in ("run", "bet", "why")} for row in results.opinions.bets_of(group)],
    }


def _describe_run(row: dict[str, Any]) -> dict[str, Any]:
    number = {
        name: None if pd.isna(row[name]) else round(float(row[name]), 4)
        for name in ("validation_balanced_accuracy", "test_balanced_accuracy", "seconds", "gain")
    }
    return {
        "run": row["run"],
        "run_id": row["run_id"],
        "status": row["status"],
        "changed": row["changed"],
        "changes": int(row["changes"]),
        "counts": bool(row["counts"]),
        **number,
    }


def _describe_stages(results: Results) -> list[dict[str, Any]]:
    """Minutes against the plan, wrong lists and hints of every stage, over all groups."""
    planned, described = plan_stages(results.workshop), []
    for number, spec in enumerate(results.workshop.stages, 1):
        of_group = {
            entry.group: stage
            for entry in results.evidence.groups
            for stage in entry.stages
            if stage["stage"] == spec.id
        }
        minutes = [stage["minutes"] for stage in of_group.values() if stage["minutes"] is not None]
        described.append(
            {
                "number": number,
                "title": spec.title,
                "planned": round(planned[spec.id], 1),
                "median": round(statistics.median(minutes), 1) if minutes else None,
                "minutes": {group: stage["minutes"] for group, stage in of_group.items()},
                "opened": {group: stage["opened"] for group, stage in of_group.items()},
                "wrong": {group: stage["wrong"] for group, stage in of_group.items()},
                "hints": {group: len(stage["hints"]) for group, stage in of_group.items()},
            }
        )
    return described


def _describe_feedback(results: Results) -> dict[str, Any]:
    answers = [answer for entry in results.evidence.groups for answer in entry.feedback]
    ratings = [
        {
            "question": rating.question,
            "counts": [rating.counts[value] for value in range(1, 6)],
            "mean": None if rating.mean is None else round(rating.mean, 2),
            "spread": rating.spread,
        }
        for rating in summarise_ratings(answers)
    ]
    return {"answers": len(answers), "ratings": ratings, "sentences": list_sentences(answers)}


def _draw(results: Results) -> list[dict[str, str]]:
    """The figures of the class as SVG, each with its text alternative."""
    drawn = []
    with matplotlib.rc_context(PLAIN | {"svg.fonttype": "path", "svg.hashsalt": results.workshop.id}):
        for name, figure in draw_figures(results):
            content = io.StringIO()
            figure.savefig(content, format="svg", metadata={"Date": None})
            said = _ALTERNATIVES.get(name, f"Confusion matrix on the hidden photographs: {name}.")
            drawn.append({"name": name, "svg": content.getvalue(), "alt": said})
    return drawn


def _printable(value: Any) -> Any:
    """Everything that is text with the signs that the fonts lack named; all else as it is."""
    if isinstance(value, str):
        return value if value.startswith("<?xml") else name_missing(value)
    if isinstance(value, dict):
        return {name_missing(str(key)): _printable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(entry) for entry in value]
    return value
