"""The hand-ins of a class: every parcel read in a process of its own, and which of them count for which group.

The newest hand-in of a kit is the one whose journal goes on from the others', whatever its clock says. Two laptops of
one group have different journals, or different runs: both count. Nothing is passed over without a note.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructor.collect.isolation import Job, run_isolated
from instructor.collect.parcels import Content, find_parcels
from instructor.collect.reading import STORE, list_parcel, read_handin
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.workshop.signature import is_signed

_TAKE_UNSIGNED = "with --unsigned it is taken all the same"


@dataclass
class HandIn:
    """One hand-in that was read. `skip` holds the ids of runs in it that do not count for its group."""

    shown: str  # the file, as the instructor knows it
    store: Path  # its runs, checked
    facts: dict[str, Any] = field(repr=False)
    skip: set[str] = field(default_factory=set)

    @property
    def group(self) -> str:
        return self.facts["group"]

    @property
    def run_ids(self) -> set[str]:
        return {run["run_id"] for run in self.facts["runs"]}

    @property
    def counted(self) -> list[dict[str, Any]]:
        """Its runs, but for those that do not count."""
        return [run for run in self.facts["runs"] if run["run_id"] not in self.skip]

    def name(self) -> str:
        """For notes: the file and the receipt that was read aloud."""
        return f"{Path(self.shown).name} (receipt {self.facts['receipt']})"

    def goes_on_from(self, older: "HandIn") -> bool:
        """Whether it is a later hand-in of the same kit: its journal names the older one's receipt, or goes on from
        the older one's journal while it holds all of its runs."""
        lines = older.facts["journal"]
        follows = self.facts["journal"][: len(lines)] == lines and older.run_ids <= self.run_ids
        return follows or older.facts["receipt"] in self.facts["receipts"]


@dataclass
class HandIns:
    """Those that count, in the workshop's order of groups; `refused` maps what could not be read to the reason."""

    of_group: dict[str, list[HandIn]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def all(self) -> list[HandIn]:
        return [handin for several in self.of_group.values() for handin in several]


def read_handins(
    places: list[Path],
    workshop: Workshop,
    vault: Vault,
    scratch: Path,
    empty_store: Path,
    progress: Callable[[str, int], Callable[[], object]],
    *,
    unsigned: bool = False,
) -> HandIns:
    """Find, read and choose; unpacked things lie below `scratch`. `unsigned` takes hand-ins without a signature, too.

    Raises `LabError` for a place that is not there; whatever is wrong with a hand-in is in the result.
    """
    parcels, result = find_parcels(places), HandIns()
    jobs = [Job(list_parcel, (path, scratch / f"parcel-{n}", workshop.limits)) for n, path in enumerate(parcels)]
    contents: list[Content] = []
    for path, outcome in zip(parcels, run_isolated(jobs, workshop.limits), strict=True):
        if outcome.error:
            result.refused[str(path)] = outcome.error
        else:
            contents += [Content(Path(place), *texts) for place, *texts in outcome.value]
    result.refused |= {content.shown: content.fault for content in contents if content.fault}
    contents = [content for content in contents if not content.fault]
    folders = [scratch / f"handin-{number}" for number in range(len(contents))]
    jobs = [
        Job(read_handin, (content, folder, workshop, empty_store))
        for content, folder in zip(contents, folders, strict=True)
    ]
    outcomes = run_isolated(jobs, workshop.limits, progress("hand-ins", len(jobs)))
    found = []
    for content, folder, outcome in zip(contents, folders, outcomes, strict=True):
        reason = outcome.error or _refuse_signature(outcome.value, workshop, vault, unsigned)
        if reason:
            result.refused[content.shown] = reason
        else:
            found.append(HandIn(content.shown, folder / STORE, outcome.value))
    _choose(found, workshop, result)
    _settle_owners(result)
    return result


def _refuse_signature(facts: Mapping[str, Any], workshop: Workshop, vault: Vault, unsigned: bool) -> str | None:
    """Why a hand-in is not from the kit of the group that it names; None where it is."""
    group, digest, signature = facts["group"], facts["digest"], facts["signature"]
    if not signature:
        return None if unsigned else f"it says it is from {group}, but is not signed by any kit ({_TAKE_UNSIGNED})"
    signers = [g for g in workshop.groups if is_signed(digest, signature, vault.handin_key(workshop.id, g))]
    if group in signers:
        return None
    if signers:
        return f"it says it is from {group}, but is a copy of {signers[0]}'s kit: that kit has signed it"
    return (
        f"it says it is from {group}, but its kit has not signed it: it was changed, or its kit is from another vault"
    )


def _choose(found: list[HandIn], workshop: Workshop, result: HandIns) -> None:
    """Those of each group that count, the newest first."""
    for group in workshop.groups:
        mine = [handin for handin in found if handin.group == group]
        mine.sort(key=lambda h: (len(h.facts["journal"]), len(h.run_ids), h.facts["written"], h.shown), reverse=True)
        kept: list[HandIn] = []
        for handin in mine:
            newer = next((other for other in kept if other.goes_on_from(handin)), None)
            if newer is None:
                kept.append(handin)
            elif newer.facts["digest"] == handin.facts["digest"]:
                result.notes.append(f"{group}: {handin.shown} and {newer.shown} are the same hand-in")
            else:
                result.notes.append(f"{group}: {handin.name()} is replaced by the later {newer.name()}")
        if kept:
            result.of_group[group] = kept
        if len(kept) > 1:
            _join_laptops(group, kept, result.notes)
        for handin in kept:
            result.notes += [f"{group}: {note}" for note in (*handin.facts["notes"], *handin.facts["faults"])]
            names = handin.facts["left_out"]
            result.incomplete += [f"{group}: run {run_id[:8]} was left out: {why}" for run_id, why in names.items()]


def _join_laptops(group: str, kept: list[HandIn], notes: list[str]) -> None:
    """Of a run that several laptops of a group hand in, the version that ended last counts."""
    for handin in kept:
        for other in kept:
            for run in handin.facts["runs"] if handin is not other else []:
                theirs = next((r for r in other.counted if r["run_id"] == run["run_id"]), None)
                if theirs and run["run_id"] not in handin.skip and _order(theirs, other) > _order(run, handin):
                    handin.skip.add(run["run_id"])
    parts = ", ".join(f"{len(handin.counted)} from {handin.name()}" for handin in kept)
    notes.append(f"{group}: hand-ins of {len(kept)} laptops; the runs of all of them count: {parts}")


def _order(run: Mapping[str, Any], handin: HandIn) -> tuple[int, int, str]:
    return run["ended_ms"], len(handin.facts["journal"]), handin.shown


def _settle_owners(result: HandIns) -> None:
    """A run that several groups hand in is its owner's, whom its tag names; where they contradict, all keep it."""
    holders: dict[str, list[HandIn]] = {}
    for handin in result.all():
        for run in handin.counted:
            holders.setdefault(run["run_id"], []).append(handin)
    for run_id, handins in holders.items():
        claims = {h.group: next(r for r in h.facts["runs"] if r["run_id"] == run_id) for h in handins}
        name = next(iter(claims.values()))["name"]
        owners = {claim["owner"] or group for group, claim in claims.items()}
        if len(owners) > 1:
            result.notes.append(
                f"run {run_id[:8]} '{name}' was handed in by {' and '.join(claims)}, each as its own: ask them; it "
                f"counts for all of them, and stands in the collected store under {next(iter(claims))}"
            )
            continue
        owner = owners.pop()
        for handin in handins:
            if handin.group != owner:
                handin.skip.add(run_id)
                result.notes.append(
                    f"{handin.group}: its run {run_id[:8]} '{name}' was made by {owner}'s kit and does not count for it"
                )
