"""Everything that comes back, at once: read, merge, score, rank. One bad hand-in spoils nothing.

The result is written beside `build/collected/` and takes its place when it is whole, so it can be run again while
hand-ins still arrive.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instructor.collect.evaluate import HiddenTestSet
from instructor.collect.leaderboard import Row, rank_rows, write_leaderboard
from instructor.collect.merge import merge_handin
from instructor.collect.readers import HandIn, describe_fault, find_handins, read_handins
from instructor.collect.review import COLUMNS, TABLE, read_answers
from instructor.collect.table import write_table
from instructor.dataset.prepare import CHECKSUMS
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.compare import best_runs
from lab_code.files import sha256_file
from lab_code.runs import ARTIFACTS, DATABASE, EXPERIMENT, read_runs
from lab_code.tracking import create_store
from lab_code.workshop.points import count_points


@dataclass
class Collected:
    """The ranking and what could not be used. `refused` maps a zip to the reason."""

    html: Path
    store_uri: str
    rows: list[Row] = field(default_factory=list)
    reviews: int = 0  # how many groups have reviewed another one
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: dict[Path, str] = field(default_factory=dict)
    advice: str = "the other groups are collected; fix these and run make collect again"


def collect_handins(
    workshop: Workshop, places: list[Path], build: Path, progress: Callable[[str, int], Callable[[], object]]
) -> Collected:
    """Collect every hand-in under `places` into `build/collected/`.

    Raises `LabError` where nothing can be collected at all (no test set); faults of single hand-ins are in the result.
    """
    test_set = HiddenTestSet(build / "vault" / "test")
    final = build / "collected"
    collected = Collected(final / "leaderboard.html", f"sqlite:///{(final / DATABASE).as_posix()}")
    paths = find_handins(places)
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix=".staging-collect-") as scratch:
        advance = progress("hand-ins", len(paths))
        handins = read_handins(paths, workshop, Path(scratch), collected.refused, advance)
        if not handins:
            return collected
        store = Path(scratch) / "collected"
        experiment_id = create_store(store, EXPERIMENT, artifacts=final / ARTIFACTS / EXPERIMENT)
        advance = progress("scoring", len(handins))
        rows = []
        for handin in handins.values():
            row = _collect_one(handin, workshop, store, final, experiment_id, test_set, build, collected)
            if row:
                rows.append(row)
            advance()
        collected.rows = rank_rows(rows)
        write_leaderboard(store, workshop.title, collected.rows)
        collected.reviews = _collect_reviews(handins, workshop, build, store, collected)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(store, final)
    collected.missing = [group for group in workshop.groups if group not in {row.group for row in collected.rows}]
    return collected


def _collect_reviews(
    handins: Mapping[str, HandIn], workshop: Workshop, build: Path, store: Path, collected: Collected
) -> int:
    """Write what the groups say of each other's runs, and return how many did."""
    rows = []
    for handin in handins.values():
        try:
            row = read_answers(workshop, handin, Vault(build))
        except Exception as error:  # as below: the others go on
            collected.notes.append(f"{handin.group}: {describe_fault(error)}")
            continue
        rows += [row] if row else []
    if rows:
        write_table(store / TABLE, COLUMNS, rows)
    return len(rows)


def _collect_one(
    handin: HandIn,
    workshop: Workshop,
    store: Path,
    final: Path,
    experiment_id: int,
    test_set: HiddenTestSet,
    build: Path,
    collected: Collected,
) -> Row | None:
    """Merge and score one hand-in; its faults go to `collected`."""
    try:
        merged = merge_handin(handin, store, final, experiment_id, EXPERIMENT)
        runs = read_runs(handin.folder)
        best = next(iter(best_runs(runs)), None)
    except Exception as error:  # as above: the others go on
        collected.refused[handin.path] = describe_fault(error)
        return None
    collected.notes += [f"{handin.group}: {note}" for note in (*merged.notes, *handin.journal.faults)]
    checksums = f"data/{CHECKSUMS}"
    if handin.kit.files.get(checksums) != sha256_file(build / checksums):
        collected.notes.append(f"{handin.group}: its photographs are not those that the hidden test set goes with")
    metrics: dict[str, float] = {}
    if best is not None:
        try:
            metrics = test_set.score(best).metrics
        except Exception as error:  # as above
            collected.notes.append(f"{handin.group}: run '{best.name}' cannot be scored: {describe_fault(error)}")
    journal = handin.journal
    return Row(
        rank=None,
        group=handin.group,
        best_run=best.name if best else "",
        run_id=best.run_id if best else "",
        test_balanced_accuracy=metrics.get("balanced_accuracy"),
        test_accuracy=metrics.get("accuracy"),
        test_macro_auc=metrics.get("macro_auc"),
        validation_balanced_accuracy=best.metrics["best_balanced_accuracy"] if best else None,
        runs=len(runs),
        stages_open=sum(journal.unlocked(stage.id) for stage in handin.kit.stages),
        points=count_points(journal, [stage.id for stage in workshop.stages], workshop.points.rules()),
        wrong_answers=len(journal.of("unlock_failed")),
        handed_in=handin.written,
        receipt=handin.receipt,
    )
