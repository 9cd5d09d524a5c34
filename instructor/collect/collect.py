"""Everything that comes back, at once: read, score, merge, rank. One bad hand-in spoils nothing.

The result is written beside `build/collected/` and takes its place when it is whole, so it can be run again while
hand-ins still arrive.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructor.collect.counting import Counts, check_counts, count_rows, known_runs
from instructor.collect.disk import explain_full_disk, is_disk_full
from instructor.collect.handin import Found
from instructor.collect.handins import HandIn, HandIns, Place, Progress, Terms, read_handins
from instructor.collect.isolation import Job, Outcome, run_isolated
from instructor.collect.leaderboard import Row
from instructor.collect.merge import add_store, settle_points
from instructor.collect.review import COLUMNS, TABLE, name_reviewed
from instructor.collect.scoring import score_best, score_others
from instructor.collect.statements import write_statements
from instructor.collect.stores import make_store as make_store
from instructor.collect.stores import replace_collected
from instructor.collect.stores import stage as stage
from instructor.collect.table import write_table
from instructor.dataset.prepare import CHECKSUMS
from instructor.results.duel import settle_duel
from instructor.results.evidence import GroupEvidence, gather_group
from instructor.results.results import load_results, record_class
from instructor.results.show import write_results
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.tracking.runs import DATABASE


@dataclass
class Collected:
    """The ranking and what could not be used. `refused` maps a zip to the reason; of others a part is missing."""

    html: Path
    store_uri: str
    rows: list[Row] = field(default_factory=list)
    reviews: int = 0  # how many groups have reviewed another one
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)  # runs that came with two contents
    mismatches: list[str] = field(default_factory=list)  # claims that do not follow from the logged predictions
    found: list[Found] = field(default_factory=list)  # every hand-in that was read, taken or not
    counts: dict[str, Counts] = field(default_factory=dict)  # of every group: what went in, and what came out


def collect_handins(
    workshop: Workshop, places: Sequence[Place], build: Path, progress: Progress, *, unsigned: bool = False
) -> Collected:
    """Collect every hand-in under `places` into `build/collected/`.

    Raises `LabError` where nothing can be collected at all (no test set); faults of single hand-ins are in the result.
    """
    test_set, final = build / "vault" / "test", build / "collected"
    if not test_set.is_dir():
        raise LabError(f"the hidden test set {test_set} is missing", hint="make provision")
    collected = Collected(final / "leaderboard.html", f"sqlite:///{(final / DATABASE).as_posix()}")
    with explain_full_disk(build), stage(build) as scratch:
        store = scratch / "collected"
        make_store(store, final, build)
        empty = Path(shutil.copyfile(store / DATABASE, scratch / "empty.db"))
        handins = read_handins(places, Terms(workshop, Vault(build), unsigned), scratch, empty, progress)
        collected.refused, collected.incomplete = handins.refused, handins.incomplete
        collected.notes, collected.conflicts, collected.found = handins.notes, handins.conflicts, handins.found
        if not handins.of_group:
            collected.missing = list(workshop.groups)
            return collected
        scores = _score_all(handins, workshop, test_set, progress)
        advance = progress("merging", len(handins.of_group))
        merged = []
        for group in handins.of_group:
            merged.append(_collect_group(group, handins, scores, store, final, collected))
            advance()
        settle_points(store)
        check_counts(store, collected.counts, collected.incomplete)
        _note_other_photographs(handins, build, collected)
        collected.reviews = _collect_reviews(handins, workshop, build, store, collected)
        collected.notes += write_statements([(each.group, each.facts["statements"]) for each in handins.all()], store)
        collected.notes += settle_duel(build / "vault", store, workshop.groups)
        record_class(store, workshop, test_set, [evidence for evidence in merged if evidence])
        collected.rows = write_results(load_results(workshop, store, build), store, progress)
        replace_collected(store, build)
    collected.missing = [group for group in workshop.groups if group not in {row.group for row in collected.rows}]
    return collected


def _score_all(handins: HandIns, workshop: Workshop, test_set: Path, progress: Progress) -> dict[str, Outcome]:
    """What came out of scoring, by the store of each hand-in; `others` are the runs after the best one."""
    chosen = handins.all()
    arguments = [(handin.store, sorted(handin.skip), test_set) for handin in chosen]
    jobs = [Job(function, given) for function in (score_best, score_others) for given in arguments]
    outcomes = run_isolated(jobs, workshop.limits, progress("scoring", len(jobs)))
    best, others = outcomes[: len(chosen)], outcomes[len(chosen) :]
    for outcome, other in zip(best, others, strict=True):
        if outcome.value:
            outcome.value["others"] = other.value or {}
    return {str(handin.store): outcome for handin, outcome in zip(chosen, best, strict=True)}


def _collect_group(
    group: str, handins: HandIns, scores: dict[str, Outcome], store: Path, final: Path, collected: Collected
) -> GroupEvidence | None:
    """Merge what a group handed in, and say what is known of it; None where nothing could be merged."""
    merged = _merge_group(group, handins, store, final, collected)
    if not merged:
        return None
    scored = _sort_scores(merged, scores, collected)
    runs = len({run_id for handin in merged for run_id in handin.counted})
    return gather_group(group, runs, [handin.facts for handin in merged], scored)


def _merge_group(group: str, handins: HandIns, store: Path, final: Path, collected: Collected) -> list[HandIn]:
    """The hand-ins of a group that arrived in the collected store, each counted before it goes."""
    merged, counts = [], collected.counts.setdefault(group, Counts())
    for handin in handins.of_group[group]:
        skip = handin.skip | handin.unstored
        run_ids = known_runs(handin.store) - skip - known_runs(store)
        counted = count_rows(handin.store, run_ids)
        try:
            add_store(handin.store, store, final, group, skip)
        except LabError as error:
            if is_disk_full(error):
                raise
            collected.refused[handin.shown] = error.message
            continue
        merged.append(handin)
        counts.add(run_ids, counted)
        collected.mismatches += [f"{group}: {line}" for line in handin.facts["mismatches"]]
    return merged


def _sort_scores(merged: list[HandIn], scores: dict[str, Outcome], collected: Collected) -> list[dict[str, Any]]:
    """What a group's laptops scored, the best by its own validation first; what could not be scored is noted."""
    found: list[dict[str, Any]] = []
    for handin in merged:
        outcome = scores[str(handin.store)]
        if outcome.error:
            collected.incomplete.append(f"{handin.group}: its best run cannot be scored: {outcome.error}")
            continue
        found.append(outcome.value)
        collected.incomplete += [f"{handin.group}: {fault}" for fault in outcome.value["faults"]]
    return sorted(found, key=lambda score: score["validation"] or -1, reverse=True)


def _note_other_photographs(handins: HandIns, build: Path, collected: Collected) -> None:
    ours = sha256_file(build / "data" / CHECKSUMS)
    for group, several in handins.of_group.items():
        if any(handin.facts["photographs"] != ours for handin in several):
            collected.notes.append(f"{group}: its photographs are not those that the hidden test set goes with")


def _collect_reviews(handins: HandIns, workshop: Workshop, build: Path, store: Path, collected: Collected) -> int:
    """Write what the groups say of each other's runs, and return how many did."""
    rows = []
    for handin in handins.all():
        answers = handin.facts["review"] or {}
        if "fault" in answers:
            collected.notes.append(f"{handin.group}: {answers['fault']}")
        elif answers:
            rows.append(name_reviewed(workshop, handin.group, answers, Vault(build)))
    if rows:
        write_table(store / TABLE, COLUMNS, rows)
    return len({row["reviewer"] for row in rows})
