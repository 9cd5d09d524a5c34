"""The hand-ins of a class: every parcel read in a process of its own, and which of them count for which group.

The newest hand-in of a kit is the one whose journal goes on from the others', whatever its clock says. Two laptops of
one group have different journals, or different runs: both count. Nothing is passed over without a note.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from instructor.collect.finding import Content, Parcel, find_parcels, look_into
from instructor.collect.isolation import Job, run_isolated
from instructor.collect.reading import STORE, read_handin
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.workshop.signature import is_signed

Progress = Callable[[str, int], Callable[[], object]]  # given a title and a total, gives what to call at every step
_DEEPEST = 4  # a zip in a zip in a zip in a zip
_MOST_INNER = 100  # zips in one zip
_MOST_OF_A_GROUP = 12  # hand-ins; whoever hands in more often has the old ones still
_LISTED = 5  # runs that a note names


@dataclass
class HandIn:
    """One hand-in that was read. `skip` holds the ids of runs in it that do not count for its group, `unstored` those
    that do, but of which the collected store shows another group's version."""

    shown: str  # the file, as the instructor knows it
    store: Path  # its runs, checked
    facts: dict[str, Any] = field(repr=False)
    signed: bool = True
    skip: set[str] = field(default_factory=set)
    unstored: set[str] = field(default_factory=set)

    @cached_property
    def runs(self) -> dict[str, dict[str, Any]]:
        """What is known of its runs, by their ids."""
        return {run["run_id"]: run for run in self.facts["runs"]}

    @property
    def group(self) -> str:
        return self.facts["group"]

    @property
    def run_ids(self) -> set[str]:
        return set(self.runs)

    @property
    def counted(self) -> list[str]:
        """The ids of its runs, but for those that do not count."""
        return [run_id for run_id in self.runs if run_id not in self.skip]

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


@dataclass(frozen=True)
class Terms:
    """What a hand-in is held against: the workshop, the vault whose kits sign, and whether unsigned ones are taken."""

    workshop: Workshop
    vault: Vault
    unsigned: bool = False


def read_handins(places: list[Path], terms: Terms, scratch: Path, empty_store: Path, progress: Progress) -> HandIns:
    """Find, read and choose; unpacked things lie below `scratch`.

    Raises `LabError` for a place that is not there; whatever is wrong with a hand-in is in the result.
    """
    parcels, odd = find_parcels(places)
    result = HandIns(refused=odd)
    contents = _look_into_all(parcels, scratch, terms.workshop, result)
    wanted = [content for content in contents if not _refuse(content, terms, result)]
    wanted = _limit_each_group(wanted, terms.workshop, result)
    folders = [scratch / f"handin-{number}" for number in range(len(wanted))]
    jobs = [
        Job(read_handin, (content, folder, terms.workshop, empty_store), folder)
        for content, folder in zip(wanted, folders, strict=True)
    ]
    outcomes = run_isolated(jobs, terms.workshop.limits, progress("hand-ins", len(jobs)))
    found = []
    for content, folder, outcome in zip(wanted, folders, outcomes, strict=True):
        if outcome.error:
            result.refused[content.shown] = outcome.error
        else:
            found.append(HandIn(content.shown, folder / STORE, outcome.value, bool(content.signature)))
    _choose(found, terms.workshop, result)
    _settle_owners(result)
    return result


def _look_into_all(parcels: list[Parcel], scratch: Path, workshop: Workshop, result: HandIns) -> list[Content]:
    """The hand-ins in all parcels, each opened in a process of its own, and the zips in them likewise."""
    contents: list[Content] = []
    limit, opened = workshop.limits.unpacked_mb * 1_000_000, 0
    for _ in range(_DEEPEST):
        targets = [scratch / f"inner-{opened + number}.zip" for number in range(len(parcels))]
        jobs = [Job(look_into, (parcel, target, limit)) for parcel, target in zip(parcels, targets, strict=True)]
        opened += len(jobs)
        inner: list[Parcel] = []
        for parcel, outcome in zip(parcels, run_isolated(jobs, workshop.limits), strict=True):
            if outcome.error:
                result.refused[parcel.shown] = outcome.error
                continue
            contents += [Content.from_json(document) for document in outcome.value["contents"]]
            names = outcome.value["inner"]
            inner += [parcel.inner(Path(outcome.value["path"]), name) for name in names[:_MOST_INNER]]
            if len(names) > _MOST_INNER:
                result.refused[f"{parcel.shown} › …"] = f"it holds {len(names)} zips, at most {_MOST_INNER} are read"
        parcels = inner
    result.refused |= {parcel.shown: "it holds zips in zips without end" for parcel in parcels}
    return contents


def _refuse(content: Content, terms: Terms, result: HandIns) -> bool:
    """Note why a hand-in is not to be read; True where it is not."""
    group, fault, workshop = content.group, content.fault, terms.workshop
    if not fault and content.workshop != workshop.id:
        fault = f"it belongs to the workshop '{content.workshop}', not to '{workshop.id}' (hint: move it elsewhere)"
    elif not fault and group not in workshop.groups:
        fault = f"its group '{group}' is not one of this workshop (hint: move it elsewhere)"
    elif not fault:
        fault = _refuse_signature(content, terms)
    if fault:
        result.refused[content.shown] = fault
    return bool(fault)


def _refuse_signature(content: Content, terms: Terms) -> str:
    """Why a hand-in is not from the kit of the group that it names; empty where it is."""
    said = f"it says it is from {content.group}, but"
    if not content.signature:
        return "" if terms.unsigned else f"{said} is not signed by any kit (with --unsigned it is taken all the same)"
    workshop = terms.workshop
    keys = {group: terms.vault.handin_key(workshop.id, group) for group in workshop.groups}
    signers = [group for group, key in keys.items() if is_signed(content.digest, content.signature, key)]
    if content.group in signers:
        return ""
    if signers:
        return f"{said} is a copy of {signers[0]}'s kit: that kit has signed it"
    return f"{said} its kit has not signed it: it was changed, or its kit is from another vault"


def _limit_each_group(contents: list[Content], workshop: Workshop, result: HandIns) -> list[Content]:
    """Each hand-in once, and of no group so many that others find no room; of every group the newest comes first."""
    turns: list[tuple[int, Content]] = []
    for group in workshop.groups:
        mine: dict[str, Content] = {}
        for content in sorted((c for c in contents if c.group == group), key=lambda c: c.written, reverse=True):
            first = mine.setdefault(content.digest, content)
            if first is not content:
                result.notes.append(f"{group}: {content.shown} and {first.shown} are the same hand-in")
        newest = list(mine.values())
        turns += enumerate(newest[:_MOST_OF_A_GROUP])
        if len(newest) > _MOST_OF_A_GROUP:
            result.incomplete.append(
                f"{group}: only the {_MOST_OF_A_GROUP} newest of {len(newest)} hand-ins were read; move old ones away"
            )
    return [content for _, content in sorted(turns, key=lambda turn: turn[0])]


def _choose(found: list[HandIn], workshop: Workshop, result: HandIns) -> None:
    """Those of each group that count, the newest first. One that nobody has signed never stands beside a signed one."""
    for group in workshop.groups:
        mine = [handin for handin in found if handin.group == group]
        signed = [handin for handin in mine if handin.signed]
        for handin in mine if signed else []:
            if not handin.signed:
                result.refused[handin.shown] = f"it is not signed, and {group} has handed in one that is"
        mine = signed or mine
        mine.sort(key=lambda h: (len(h.facts["journal"]), len(h.run_ids), h.facts["written"], h.shown), reverse=True)
        kept: list[HandIn] = []
        for handin in mine:
            newer = next((other for other in kept if other.goes_on_from(handin)), None)
            if newer is None:
                kept.append(handin)
            else:
                counts = f"{len(handin.run_ids)} and {len(newer.run_ids)} runs"
                result.notes.append(f"{group}: {handin.name()} is replaced by the later {newer.name()}: {counts}")
        if kept:
            result.of_group[group] = kept
        if len(kept) > 1:
            _join_laptops(group, kept, result.notes)
        for handin in kept:
            result.notes += [f"{group}: {note}" for note in (*handin.facts["notes"], *handin.facts["faults"])]
            result.incomplete += [f"{group}: {line}" for line in handin.facts["left_out"]]


def _join_laptops(group: str, kept: list[HandIn], notes: list[str]) -> None:
    """Of a run that several laptops of a group hand in, the version that ended last counts."""
    best: dict[str, tuple[Any, HandIn]] = {}
    for handin in kept:
        for run_id, run in handin.runs.items():
            order = (run["ended_ms"], run["evidence"], len(handin.facts["journal"]), handin.shown)
            if run_id in best and best[run_id][0] > order:
                handin.skip.add(run_id)
                continue
            if run_id in best:
                best[run_id][1].skip.add(run_id)
            best[run_id] = (order, handin)
    parts = ", ".join(f"{len(handin.counted)} from {handin.name()}" for handin in kept)
    notes.append(f"{group}: hand-ins of {len(kept)} laptops; the runs of all of them count: {parts}")


def _settle_owners(result: HandIns) -> None:
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
    result.incomplete.append(
        f"run {run_id[:8]} '{fullest.runs[run_id]['name']}' was handed in by {groups}, each as its own: ask them; it "
        f"counts for all of them, and the collected store shows that of {fullest.group}"
    )
