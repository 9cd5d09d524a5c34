"""Which of the hand-ins count for which group, and of a run that came twice, which version.

The newest hand-in of a kit is the one whose journal goes on from the others', whatever its clock says. Two laptops of
one group have different journals, or different runs: both count. Nothing is passed over without a word, and a run that
came with two contents is a conflict that is shown.
"""

from typing import Any

from instructor.collect.handin import Found, HandIn, HandIns
from instructor.workshop import Workshop

_LISTED = 5  # runs that a note names


def choose(found: list[HandIn], workshop: Workshop, result: HandIns) -> None:
    """Those of each group that count, the newest first. One that nobody has signed never stands beside a signed one."""
    for group in workshop.groups:
        mine = _only_signed([handin for handin in found if handin.group == group], result)
        mine.sort(key=_order, reverse=True)
        kept: list[HandIn] = []
        for handin in mine:
            newer = next((other for other in kept if other.goes_on_from(handin)), None)
            if newer is None:
                kept.append(handin)
                result.found.append(_describe(handin, taken=True))
            else:
                _replace(handin, newer, result)
        if kept:
            result.of_group[group] = kept
        if len(kept) > 1:
            _join_laptops(group, kept, result)
        for handin in kept:
            facts = handin.facts
            result.notes += [f"{group}: {n}" for n in (*facts["notes"], *facts["faults"], *facts["unchecked"])]
            result.incomplete += [f"{group}: {line}" for line in handin.facts["left_out"]]


def _order(handin: HandIn) -> tuple[int, int, str, bool, str]:
    """The newest is the one with the longest journal; what was brought this time is newer than what only was kept."""
    facts = handin.facts
    return len(facts["journal"]), len(handin.run_ids), facts["written"], handin.brought, handin.shown


def _only_signed(mine: list[HandIn], result: HandIns) -> list[HandIn]:
    signed = [handin for handin in mine if handin.signed]
    for handin in mine if signed else []:
        if not handin.signed:
            result.refused[handin.shown] = f"it is not signed, and {handin.group} has handed in one that is"
    return signed or mine


def _describe(handin: HandIn, *, taken: bool, remark: str = "") -> Found:
    facts = handin.facts
    return Found(
        handin.group, handin.shown, facts["receipt"], facts["written"], len(handin.run_ids), handin.known, taken, remark
    )


def _replace(older: HandIn, newer: HandIn, result: HandIns) -> None:
    """A later hand-in of the same kit counts alone. A finished run that has changed since is a conflict."""
    counts = f"{len(older.run_ids)} and {len(newer.run_ids)} runs"
    result.found.append(_describe(older, taken=False, remark=f"replaced by {newer.name()}"))
    if not (older.known and newer.known):
        result.notes.append(f"{older.group}: {older.name()} is replaced by the later {newer.name()}: {counts}")
    for run_id in older.runs.keys() & newer.runs.keys():
        if older.runs[run_id]["status"] == "FINISHED" and _differ(older, newer, run_id):
            _note_conflict(run_id, newer, older, result)


def _differ(one: HandIn, other: HandIn, run_id: str) -> str:
    """What of a run has two contents; empty where it has one. A new name or a note on a run is no other content."""
    mine, theirs = one.runs[run_id], other.runs[run_id]
    if mine["rows"] != theirs["rows"]:
        return "parameters or metrics"
    both = mine["files"] and theirs["files"]  # a server may not have given any
    return "files" if both and mine["files"] != theirs["files"] else ""


def _note_conflict(run_id: str, counts: HandIn, other: HandIn, result: HandIns) -> None:
    settle = (
        f"; to settle it, move the other one out of the inbox: {other.original[:12]}….zip" if other.original else ""
    )
    result.conflicts.append(
        f"{counts.group}: run {run_id[:8]} '{counts.runs[run_id]['name']}' came with two contents: its "
        f"{_differ(counts, other, run_id)} differ in {counts.name()} and {other.name()}; ask the group. The former "
        f"counts until then{settle}"
    )


def _join_laptops(group: str, kept: list[HandIn], result: HandIns) -> None:
    """Of a run that several laptops of a group hand in, the version that ended last counts."""
    best: dict[str, tuple[Any, HandIn]] = {}
    for handin in kept:
        for run_id, run in handin.runs.items():
            order = (run["ended_ms"], run["evidence"], len(handin.facts["journal"]), handin.shown)
            if run_id not in best:
                best[run_id] = (order, handin)
                continue
            before = best[run_id]
            winner, loser = (before[1], handin) if before[0] > order else (handin, before[1])
            loser.skip.add(run_id)
            best[run_id] = max(before, (order, handin), key=lambda version: version[0])
            if loser.runs[run_id]["status"] == "FINISHED" and _differ(winner, loser, run_id):
                _note_conflict(run_id, winner, loser, result)
    if not all(handin.known for handin in kept):
        parts = ", ".join(f"{len(handin.counted)} from {handin.name()}" for handin in kept)
        result.notes.append(f"{group}: hand-ins of {len(kept)} laptops; the runs of all of them count: {parts}")


def settle_owners(result: HandIns) -> None:
    """A run that several groups hand in is its owner's, whom its tag names; where they contradict, all keep it."""
    holders: dict[str, list[HandIn]] = {}
    for handin in result.all():
        for run_id in handin.counted:
            holders.setdefault(run_id, []).append(handin)
    foreign: dict[tuple[str, str], list[str]] = {}  # (holder, owner) -> what they are called
    for run_id, handins in holders.items():
        owners = {handin.runs[run_id]["owner"] or handin.group for handin in handins}
        if len(owners) > 1:
            _note_claims(run_id, handins, result)
            continue
        owner = owners.pop()
        for handin in handins:
            if handin.group != owner:
                handin.skip.add(run_id)
                names = foreign.setdefault((handin.group, owner), [])
                names.append(f"{run_id[:8]} '{handin.runs[run_id]['name']}'")
    for (holder, owner), names in foreign.items():
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        result.notes.append(f"{holder}: made by {owner}'s kit, and not counted for it: {listed}")


def _note_claims(run_id: str, handins: list[HandIn], result: HandIns) -> None:
    """A run that several groups call their own: the collected store takes the version with the most to show for it."""
    fullest = max(handins, key=lambda handin: handin.runs[run_id]["evidence"])
    for handin in handins:
        if handin is not fullest:
            handin.unstored.add(run_id)
    groups = " and ".join(dict.fromkeys(handin.group for handin in handins))
    result.conflicts.append(
        f"run {run_id[:8]} '{fullest.runs[run_id]['name']}' was handed in by {groups}, each as its own: ask them; it "
        f"counts for all of them, and the collected store shows that of {fullest.group}"
    )
