"""Peer review: which group reads which other group's runs, what it is given, and what it said.

Only groups that have handed in review and are reviewed, each of them by another one. `build/vault/reviews.yaml` is the
instructor's file: one line a group. It is written as a ring where it is missing, and changed by hand wherever that is
better. Where the group that it names did not hand in, the reader gets one that nobody reads yet. Of a group with a
single run the reader sees that run beside its own newest one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from instructor.collect.handins import HandIn, HandIns
from instructor.collect.isolation import Job, run_isolated
from instructor.collect.reading import describe_for_review
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.kit import KIT_FILE, read_kit
from lab_code.workshop.review import QUESTIONS, REVIEW

PLAN, TABLE = "reviews.yaml", "reviews.csv"
COLUMNS = ("reviewer", "reviewed", *QUESTIONS, "stars")
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
            known = documents.setdefault(handin.group, outcome.value)
            if len(known["runs"]) < len(outcome.value["runs"]):  # of several laptops the first that has two runs
                documents[handin.group] = outcome.value
    made.notes += [f"{g} cannot be reviewed: {fault}" for g, fault in faults.items() if g not in documents]
    here = [group for group in workshop.groups if group in handins.of_group]
    made.notes += [f"{group} takes no part: nothing from it yet" for group in workshop.groups if group not in here]
    made.reviewed = assign_reviews(here, set(documents), plan)
    for group, other in list(made.reviewed.items()):
        document = _complete(documents[other], documents.get(group))
        sentence = next((said for one in handins.of_group[other] if (said := _sentence_of(one))), "")
        if document is None:
            made.notes.append(f"{group} has no run to compare the only one of {other} with")
            del made.reviewed[group]
            continue
        made.files[group] = folder / group / REVIEW
        write_whole(made.files[group], to_json(document | ({"sentence": sentence} if sentence else {})))
    made.notes += [f"{group} has nobody to review" for group in here if group not in made.reviewed]
    return made


def _sentence_of(handin: HandIn) -> str:
    return str((handin.facts.get("statements") or {}).get("sentence", ""))


def assign_reviews(groups: Sequence[str], readable: set[str], plan: Mapping[str, str]) -> dict[str, str]:
    """Who of `groups` (all that are here) reads whom of `readable`: the plan where it can be kept.

    Everybody else reads whoever is read least, the next in the ring first; never a group itself. Nobody is left out
    while another one is read twice.
    """
    assigned = {group: plan[group] for group in groups if plan.get(group) in readable}
    free = [group for group in groups if group not in assigned]
    for group in free:
        count = Counter(assigned.values())
        start = groups.index(group) + 1
        ring = [name for name in [*groups[start:], *groups[:start]] if name in readable and name != group]
        if ring:
            assigned[group] = min(ring, key=lambda name: count[name])
    for unread in sorted(readable - set(assigned.values())):
        _find_reader(unread, assigned, [group for group in free if group in assigned], set())
    return {group: assigned[group] for group in groups if group in assigned}


def _find_reader(unread: str, assigned: dict[str, str], free: Sequence[str], asked: set[str]) -> bool:
    """Give `unread` a reader of those that are free to choose, who may hand on whom it read so far (an augmenting path
    of bipartite matching); nobody is asked twice."""
    for reader in free:
        before = assigned[reader]
        if reader in asked or unread in (reader, before):
            continue
        asked.add(reader)
        if Counter(assigned.values())[before] > 1 or _find_reader(before, assigned, free, asked):
            assigned[reader] = unread
            return True
    return False


def _complete(document: dict[str, Any], own: dict[str, Any] | None) -> dict[str, Any] | None:
    """A document of two runs: where it has only one, the reader's own newest comes second; None where there is none."""
    if len(document["runs"]) > 1:
        return document
    if own is None:
        return None
    about = "A is a run of another group, B is your own newest one, to be reviewed: lab review"
    return document | {"about": about, "runs": [*document["runs"], own["runs"][-1]]}


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
    row = {key: answers[key] for key in QUESTIONS} | {"stars": answers.get("stars", "")}
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
