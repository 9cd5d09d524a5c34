"""What `instructor collect` says: who is in, what is wrong, and only where asked to, who has won."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from instructor.spelling import spell_make
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.collect.collect import Collected
    from instructor.collect.leaderboard import Row
    from instructor.collect.publish import Published
    from instructor.collect.repeat import Repeat

_MOST_LINES = 60  # of what is wrong with hand-ins


def show_collected(collected: "Collected", groups: Sequence[str], *, ranking: bool) -> None:
    """Who is in, where everything lies, and what the instructor should know; the ranking only where it is asked for."""
    console, notes = make_console(), make_console(stderr=True)
    if collected.rows:
        console.print(_make_found_table(collected, groups))
        if ranking:
            console.print(_make_leaderboard(collected.rows))
        if collected.reviews:
            reviewers = "1 group" if collected.reviews == 1 else f"{collected.reviews} groups"
            console.print(f"Reviews: {collected.html.with_name('reviews.csv')}   ({reviewers})")
        console.print(f"Leaderboard: {collected.html}   All runs: instructor ui")
        if not ranking:
            console.print("Who has won is not said here: instructor ceremony shows it, --show prints it.")
    for group in collected.missing:
        notes.print(f"note: nothing from {group} yet")
    for fault in collected.notes:
        notes.print(f"note: {spell_make(fault)}", markup=False)


def _make_found_table(collected: "Collected", groups: Sequence[str]) -> Table:
    """One line a group: what was taken, what of it is new, and what went into the store."""
    table = make_table("group", "taken", "new", title="Collected", right=["runs", "points", "files"])
    table.add_column("receipt", no_wrap=True)
    there = {row.group: row for row in collected.rows}
    for group in groups:
        mine = [found for found in collected.found if found.group == group]
        taken = [found for found in mine if found.taken]
        if group not in there:
            table.add_row(group, "–", "", "–", "–", "–", "")
            continue
        new = sum(not found.known for found in taken)
        state = "new" if new == len(taken) else f"{new} new" if new else "known"
        older = len(mine) - len(taken)
        names = ", ".join(_short(found.shown) for found in taken) + (f" (and {older} older)" if older else "")
        arrived = collected.counts[group].arrived
        numbers = [str(there[group].runs), f"{arrived.get('metrics', 0):,}", f"{arrived.get('files', 0):,}"]
        table.add_row(group, escape(names), state, *numbers, ", ".join(found.receipt for found in taken))
    return table


def _short(shown: str) -> str:
    """The end of a name that may be a long path."""
    name = Path(shown.split(" › ")[0]).name
    return name if " › " not in shown else f"{name} › {Path(shown.split(' › ')[-1]).name}"


def _make_leaderboard(rows: Sequence["Row"]) -> Table:
    right = ["points", "hidden test", "validation", "runs"]
    table = make_table("place", "group", "best run", title="Leaderboard: points, and balanced accuracy", right=right)
    for row in rows:
        scores = [row.test_balanced_accuracy, row.validation_balanced_accuracy]
        cells = ["–" if score is None else f"{score:.3f}" for score in scores]
        points = "–" if row.total is None else f"{row.total:.1f}"
        table.add_row(str(row.rank or "–"), row.group, escape(row.best_run), points, *cells, str(row.runs))
    return table


def show_published(published: "Published | None") -> None:
    """What went into the database of the course, where one was named."""
    if published is None:
        return
    counts = f"{published.added} runs added, {published.replaced} replaced by longer ones, {published.known} known"
    make_console().print(f"Into {published.uri}: {counts}", markup=False)


def show_repeats(repeats: Mapping[str, "Repeat"]) -> None:
    """Which best runs came out the same when they were made again."""
    console = make_console()
    for group, repeat in repeats.items():
        if repeat.error:
            said = f"could not be made again: {repeat.error}"
        elif repeat.same:
            said = f"is the same to the last digit: {repeat.compared} scores"
        else:
            name, then, now = max(repeat.scores, key=lambda score: abs(score[1] - score[2]))
            said = (
                f"differs in {len(repeat.scores)} of {repeat.compared} scores, {name}: {then:.4f} then, {now:.4f} now"
            )
        console.print(f"{group}: '{repeat.run}' {said}", markup=False)
        for key, then, now in repeat.reasons:
            console.print(f"    {key}: {then} then, {now} now", markup=False)


def to_document(
    collected: "Collected", published: "Published | None", repeats: Mapping[str, "Repeat"]
) -> dict[str, Any]:
    """Everything for programs, the ranking too."""
    return {
        "store": collected.store_uri,
        "leaderboard": str(collected.html),
        "groups": [asdict(row) for row in collected.rows],
        "missing": collected.missing,
        "found": [asdict(found) for found in collected.found],
        "counts": {
            group: {"went_in": counts.sent, "came_out": counts.arrived} for group, counts in collected.counts.items()
        },
        "refused": collected.refused,
        "incomplete": collected.incomplete,
        "conflicts": collected.conflicts,
        "mismatches": collected.mismatches,
        "notes": collected.notes,
        "into": asdict(published) if published else None,
        "repeats": {group: asdict(repeat) | {"same": repeat.same} for group, repeat in repeats.items()},
    }


def explain_faults(collected: "Collected", published: "Published | None") -> LabError | None:
    """What is wrong, as the error that the command ends with; None where nothing is."""
    into = published.faults if published else []
    conflicts = [*collected.conflicts, *(published.conflicts if published else [])]
    partly = [*collected.incomplete, *into]
    if not any((collected.refused, partly, conflicts, collected.mismatches)):
        return None
    others = "the others are collected" if collected.rows else "nothing was collected, what was there before stays"
    counts = {
        f"{len(conflicts)} run{'s' * (len(conflicts) != 1)} came with two contents": len(conflicts),
        f"{len(collected.mismatches)} claimed scores do not follow from the predictions": len(collected.mismatches),
    }
    said = [*conflicts, *collected.mismatches, *partly]
    return explain_refused(
        collected.refused, said, f"{others}; fix these and run make collect again", counts, len(partly)
    )


def explain_refused(
    refused: Mapping[str, str],
    said: Sequence[str],
    advice: str,
    more_counts: Mapping[str, int] | None = None,
    partly: int | None = None,
) -> LabError:
    """Hand-ins that could not be used, or only in part."""
    lines = [f"{path}: {reason}" for path, reason in refused.items()]
    partly = len(said) if partly is None else partly
    counts = [f"{len(refused)} hand-in{'s' * (len(refused) != 1)} could not be read"] * bool(refused)
    counts += [f"{partly} could be read in part"] * bool(partly)
    counts += [text for text, number in (more_counts or {}).items() if number]
    both = [*said, *lines]
    more = [f"… and {len(both) - _MOST_LINES} more"] if len(both) > _MOST_LINES else []
    return LabError(f"{', '.join(counts)}:\n  " + "\n  ".join([*both[:_MOST_LINES], *more]), hint=advice)
