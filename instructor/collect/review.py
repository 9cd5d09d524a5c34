"""Peer review: which group reads which other group's runs, what it is given, and what it said.

`build/vault/reviews.yaml` is the instructor's file: one line a group. It is written as a ring where it is missing, and
changed by hand wherever that is better. A group whose runs did not arrive is passed over: its reader gets the next one
in the ring.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from instructor.collect.readers import HandIn, describe_fault
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.compare import choose_runs, load_confusion
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.runs import read_runs
from lab_code.workshop.kit import KIT_FILE, read_kit
from lab_code.workshop.review import ANSWERS, LONGEST, QUESTIONS, REVIEW, review_from_json, review_to_json

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


def make_reviews(workshop: Workshop, handins: Mapping[str, HandIn], vault: Vault, folder: Path) -> MadeReviews:
    """Write `folder/<group>/review.json` for every group. Raises `LabError` for a plan that makes no sense."""
    made = MadeReviews(vault.folder / PLAN)
    documents = {}
    for group, handin in handins.items():
        try:
            first, second = choose_runs(read_runs(handin.folder), [])
            confusions = (load_confusion(first), load_confusion(second))
            document = review_to_json(vault.review_id(workshop.id, group), (first, second), confusions)
            review_from_json(document, handin.folder)  # what its reader could not read is not given to anybody
            documents[group] = document
        except Exception as error:  # one group's store: the others go on
            made.notes.append(f"{group} cannot be reviewed: {describe_fault(error)}")
    absent = [group for group in workshop.groups if group not in handins]
    made.notes += [f"{group} cannot be reviewed: nothing from it yet" for group in absent]
    made.reviewed = assign_reviews(workshop.groups, set(documents), read_plan(vault, workshop.groups))
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


def read_answers(workshop: Workshop, handin: HandIn, vault: Vault) -> dict[str, str] | None:
    """A row of the table: who reviewed whom, and the three answers; None where the hand-in brings none.

    Raises `LabError` for answers that cannot be read.
    """
    path = handin.folder / ANSWERS
    if not path.is_file():
        return None
    owners = {vault.review_id(workshop.id, group): group for group in workshop.groups}
    try:
        answers = json.loads(path.read_text(encoding="utf-8"))
        row = {key: str(answers[key])[:LONGEST] for key in QUESTIONS}
        return {"reviewer": handin.group, "reviewed": owners.get(str(answers["id"]), "unknown"), **row}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise LabError(f"{ANSWERS} cannot be read: {error}", hint="let the group send its review again") from error


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
