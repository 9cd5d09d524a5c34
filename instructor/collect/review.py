"""Peer review: which group reads which other group's runs, what it is given, and what it said.

`build/vault/reviews.yaml` is the instructor's file: one line a group. It is written as a ring where it is missing, and
changed by hand wherever that is better. A group whose runs did not arrive is passed over: its reader gets the next one
in the ring.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from instructor.collect.handins import HandIns
from instructor.collect.isolation import Job, run_isolated
from instructor.collect.reading import describe_for_review
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.kit import KIT_FILE, read_kit
from lab_code.workshop.review import QUESTIONS, REVIEW

PLAN, TABLE = "reviews.yaml", "reviews.csv"
COLUMNS = ("reviewer", "reviewed", *QUESTIONS)
_ABOUT = "# Which group reviews which. Change it as you like, then: instructor review\n"


@dataclass
class MadeReviews:
    """Where each group's `review.json` lies, whose runs it holds, and why a group got none."""

    plan: Path
    files: dict[str, Path] = field(default_factory=dict)
    reviewed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_reviews(workshop: Workshop, handins: HandIns, vault: Vault, folder: Path) -> MadeReviews:
    """Write `folder/<group>/review.json` for every group. Raises `LabError` for a plan that makes no sense."""
    made = MadeReviews(vault.folder / PLAN)
    plan = read_plan(vault, workshop.groups)
    sources = handins.all()
    jobs = [
        Job(describe_for_review, (one.store, sorted(one.skip), vault.review_id(workshop.id, one.group)))
        for one in sources
    ]
    documents: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for handin, outcome in zip(sources, run_isolated(jobs, workshop.limits), strict=True):
        if outcome.error:
            faults[handin.group] = outcome.error
        else:
            documents.setdefault(handin.group, outcome.value)  # of several laptops the first that has two runs
    made.notes += [f"{g} cannot be reviewed: {fault}" for g, fault in faults.items() if g not in documents]
    absent = [group for group in workshop.groups if group not in handins.of_group]
    made.notes += [f"{group} cannot be reviewed: nothing from it yet" for group in absent]
    made.reviewed = assign_reviews(workshop.groups, set(documents), plan)
    for group, other in made.reviewed.items():
        made.files[group] = folder / group / REVIEW
        write_whole(made.files[group], to_json(documents[other]))
    made.notes += [f"{group} has nobody to review" for group in workshop.groups if group not in made.reviewed]
    return made


def assign_reviews(groups: Sequence[str], present: set[str], plan: Mapping[str, str]) -> dict[str, str]:
    """Who reads whom: the plan, or the next group after it whose runs are there; never a group itself."""
    assigned = {}
    for group in groups:
        wanted = plan.get(group, group)
        start = groups.index(wanted) if wanted in groups else groups.index(group) + 1
        ring = [groups[(start + step) % len(groups)] for step in range(len(groups))]
        other = next((name for name in ring if name in present and name != group), None)
        if other is not None:
            assigned[group] = other
    return assigned


def read_plan(vault: Vault, groups: Sequence[str]) -> dict[str, str]:
    """The instructor's file; where there is none, a ring, which is then written.

    Raises `LabError` for a file that cannot be read or names an unknown group.
    """
    path = vault.folder / PLAN
    if not path.is_file():
        ring = {group: groups[(number + 1) % len(groups)] for number, group in enumerate(groups)}
        write_whole(path, _ABOUT + yaml.safe_dump(ring, sort_keys=False))
        return ring
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="one line a group: group-1: group-2") from error
    if not isinstance(plan, dict):
        raise LabError(f"{path} is no list of groups", hint="one line a group: group-1: group-2")
    unknown = [str(name) for pair in plan.items() for name in pair if name not in groups]
    if unknown:
        raise LabError(f"{path}: there is no group '{unknown[0]}'", hint=f"groups: {', '.join(groups)}")
    same = [group for group, other in plan.items() if group == other]
    if same:
        raise LabError(f"{path}: {same[0]} would review itself", hint="name another group")
    return plan


def name_reviewed(workshop: Workshop, group: str, answers: Mapping[str, str], vault: Vault) -> dict[str, str]:
    """A row of the table: who reviewed whom, and the three answers."""
    owners = {vault.review_id(workshop.id, other): other for other in workshop.groups}
    row = {key: answers[key] for key in QUESTIONS}
    return {"reviewer": group, "reviewed": owners.get(answers["id"], "unknown"), **row}


def bring_reviews(made: MadeReviews, workshop: Workshop, place: Path) -> dict[str, Path]:
    """Copy each group's file into its kit, for kits in the folder `place` or one folder deeper; returns the copies.

    Kits that are damaged or of another workshop are left alone, with a note.
    """
    brought = {}
    for path in sorted([*place.glob(KIT_FILE), *place.glob(f"*/{KIT_FILE}")]):
        try:
            kit = read_kit(path.parent)
        except LabError as error:
            made.notes.append(error.message)
            continue
        if kit.workshop != workshop.id:
            made.notes.append(f"{path.parent} is a kit of the workshop '{kit.workshop}'")
        elif kit.group in made.files:
            brought[kit.group] = kit.root / REVIEW
            write_whole(brought[kit.group], made.files[kit.group].read_bytes())
    return brought
