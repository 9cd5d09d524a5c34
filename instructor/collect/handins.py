"""The hand-ins of a class: every parcel read in a process of its own; `choosing.py` says which of them count.

What was read is kept in the inbox. Of the same hand-in in two places the one that was kept before is read, and where
one of them is damaged, the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from instructor.collect.choosing import choose, settle_owners
from instructor.collect.finding import Content, Parcel, look_into
from instructor.collect.gather import Place as Place
from instructor.collect.gather import Progress as Progress
from instructor.collect.gather import Terms as Terms
from instructor.collect.gather import gather, keep_originals, secure
from instructor.collect.handin import HandIn as HandIn
from instructor.collect.handin import HandIns as HandIns
from instructor.collect.isolation import Job, run_isolated
from instructor.collect.reading import STORE, read_handin
from instructor.workshop import Workshop
from lab_code.workshop.signature import is_signed

_DEEPEST = 4  # a zip in a zip in a zip in a zip
_MOST_INNER = 100  # zips in one zip
_MOST_OF_A_GROUP = 12  # hand-ins; whoever hands in more often has the old ones still


def read_handins(
    places: Sequence[Place], terms: Terms, scratch: Path, empty_store: Path, progress: Progress
) -> HandIns:
    """Find, read, choose and keep; unpacked things lie below `scratch`, which is in `build/`.

    Raises `LabError` for a place that is not there; whatever is wrong with a hand-in is in the result.
    """
    gathered = gather(places, terms, scratch, progress)
    result = HandIns(refused=gathered.refused, notes=gathered.notes)
    contents = _look_into_all(gathered.parcels, scratch, terms.workshop, result)
    wanted = [content for content in contents if not _refuse(content, terms, result)]
    found = _read_all(secure(wanted, scratch, result.refused), terms, (scratch, empty_store), progress, result)
    choose(found, terms.workshop, result)
    settle_owners(result)
    keep_originals([handin.content for handin in found if handin.shown not in result.refused], terms)
    for group in terms.workshop.groups:
        unused = [shown for shown in gathered.unused if Path(shown).name == group]
        result.notes += [f"{shown}: no run in it is finished yet" for shown in unused if group not in result.of_group]
    return result


def _read_all(
    contents: list[Content], terms: Terms, places: tuple[Path, Path], progress: Progress, result: HandIns
) -> list[HandIn]:
    """Each hand-in once. Of several copies the next is read where one cannot be."""
    copies = _sort_copies(contents, terms.workshop, result)
    (scratch, empty_store), found, number = places, list[HandIn](), 0
    while copies:
        wanted = [several[0] for several in copies]
        folders = [scratch / f"handin-{number + offset}" for offset in range(len(wanted))]
        number += len(wanted)
        jobs = [
            Job(read_handin, (replace(content, parcel=None), folder, terms.workshop, empty_store), folder)
            for content, folder in zip(wanted, folders, strict=True)
        ]
        outcomes = run_isolated(jobs, terms.workshop.limits, progress("hand-ins", len(jobs)))
        failed = []
        for several, folder, outcome in zip(copies, folders, outcomes, strict=True):
            if outcome.error:
                result.refused[several[0].shown] = outcome.error
                failed += [several[1:]] if several[1:] else []
                continue
            signed = bool(several[0].signature)
            found.append(HandIn(several[0].shown, folder / STORE, outcome.value, signed, several[0]))
        copies = failed
    return found


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
            contents += [Content.from_json(document, parcel) for document in outcome.value["contents"]]
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
    """Why a hand-in is not from the kit of the group that it names; empty where it is, or where it was taken before."""
    said = f"it says it is from {content.group}, but"
    if not content.signature:
        kept = content.parcel is not None and content.parcel.kept
        return (
            ""
            if terms.unsigned or kept
            else f"{said} is not signed by any kit (with --unsigned it is taken all the same)"
        )
    workshop = terms.workshop
    keys = {group: terms.vault.handin_key(workshop.id, group) for group in workshop.groups}
    signers = [group for group, key in keys.items() if is_signed(content.digest, content.signature, key)]
    if content.group in signers:
        return ""
    if signers:
        return f"{said} is a copy of {signers[0]}'s kit: that kit has signed it"
    return f"{said} its kit has not signed it: it was changed, or its kit is from another vault"


def _sort_copies(contents: list[Content], workshop: Workshop, result: HandIns) -> list[list[Content]]:
    """Every hand-in with its copies, the best first, and of no group so many that others find no room.

    Of every group the newest comes first.
    """
    turns: list[tuple[int, list[Content]]] = []
    for group in workshop.groups:
        mine: dict[str, list[Content]] = {}
        for content in sorted((c for c in contents if c.group == group), key=lambda c: c.written, reverse=True):
            mine.setdefault(content.files, []).append(content)
        newest = [_name_copies(group, sorted(s, key=_order, reverse=True), result) for s in mine.values()]
        turns += enumerate(newest[:_MOST_OF_A_GROUP])
        if any(not _is_kept(several[0]) for several in newest[_MOST_OF_A_GROUP:]):
            result.incomplete.append(
                f"{group}: only the {_MOST_OF_A_GROUP} newest of {len(newest)} hand-ins were read; move old ones away"
            )
    return [several for _, several in sorted(turns, key=lambda turn: turn[0])]


def _order(content: Content) -> tuple[bool, bool, str]:
    """Of copies, one that was kept comes before one that is signed, and that before the others."""
    return _is_kept(content), bool(content.signature), content.written


def _is_kept(content: Content) -> bool:
    return content.parcel is not None and content.parcel.kept


def _name_copies(group: str, several: list[Content], result: HandIns) -> list[Content]:
    """The same; that one hand-in was brought twice is said, and one that was kept goes by the name it has today."""
    brought = [content for content in several if content.parcel is None or content.parcel.brought]
    result.notes += [f"{group}: {other.shown} and {brought[0].shown} are the same hand-in" for other in brought[1:]]
    if brought and several[0] not in brought:
        return [replace(several[0], shown=brought[0].shown), *brought]
    return several
