"""Where hand-ins come from, in any mixture: zips, folders, kits as they lie, MLflow servers, and what was kept.

    gathered = gather(places, terms, scratch, progress)

A place is a path or the address of an MLflow server. What the inbox holds already is read from there, so that nothing
which was collected once is lost with the stick it came on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from instructor.collect.finding import Content, Parcel, find_parcels
from instructor.collect.inbox import INBOX, Inbox, Original, copy_original, hash_original
from instructor.collect.isolation import Job, run_isolated
from instructor.collect.packing import explain_nothing, pack_folder, pack_kit
from instructor.provision.store_script import find_brought
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.tracking.empty_store import script_name
from lab_code.workshop.handin_rules import MANIFEST

Place = Path | str  # a file, a folder, or the address of an MLflow server
Progress = Callable[[str, int], Callable[[], object]]  # given a title and a total, gives what to call at every step


@dataclass(frozen=True)
class Terms:
    """What a hand-in is held against: the workshop, the vault whose kits sign, and whether unsigned ones are taken."""

    workshop: Workshop
    vault: Vault
    unsigned: bool = False

    @property
    def build(self) -> Path:
        return self.vault.folder.parent

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.build / INBOX)


@dataclass
class Gathered:
    """What to look into, and what cannot be; `unused` names kits in which no run was finished."""

    parcels: list[Parcel] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def is_server(place: Place) -> bool:
    """Whether a place is the address of an MLflow server."""
    return isinstance(place, str) and "://" in place


def gather(places: Sequence[Place], terms: Terms, scratch: Path, progress: Progress) -> Gathered:
    """Everything that may hold a hand-in, each original once. Raises `LabError` for a place that is not there."""
    servers = [place for place in places if isinstance(place, str) and is_server(place)]
    parcels, odd = find_parcels(Path(place) for place in places if not is_server(place))
    gathered = Gathered(refused=odd)
    files = [parcel for parcel in parcels if not parcel.path.is_dir()]
    advance = progress("looking", len(files))
    for parcel in files:
        _add_file(parcel, terms.inbox, gathered)
        advance()
    _add_folders([parcel for parcel in parcels if parcel.path.is_dir()], terms, scratch, gathered, progress)
    for address in servers:
        _add_server(address, terms, scratch, gathered, progress)
    there = {parcel.original for parcel in gathered.parcels}
    for kept in terms.inbox.kept():
        if kept.digest not in there:
            gathered.parcels.append(
                Parcel(kept.path, kept.shown, original=kept.digest, outermost=kept.path, kept=True, brought=False)
            )
    return gathered


def keep_originals(contents: Sequence[Content], terms: Terms) -> None:
    """Put what was read into the inbox. `contents` are those of new originals, from copies that lie in `build/`."""
    by_original: dict[str, list[Content]] = {}
    for content in contents:
        if content.parcel and content.parcel.original and not content.parcel.kept:
            by_original.setdefault(content.parcel.original, []).append(content)
    for digest, several in by_original.items():
        parcel = several[0].parcel
        assert parcel is not None and parcel.outermost is not None
        lists = [content.files for content in several]
        terms.inbox.keep(parcel.outermost, Original(parcel.outermost, digest, parcel.came_as or parcel.shown, lists))


def secure(contents: Sequence[Content], scratch: Path, refused: dict[str, str]) -> list[Content]:
    """The same, but what lies on somebody's stick is copied first: read is what will be kept."""
    copies: dict[str, Path] = {}
    safe = []
    for content in contents:
        parcel = content.parcel
        assert parcel is not None and parcel.outermost is not None
        if parcel.kept or parcel.outermost.is_relative_to(scratch):
            safe.append(content)
            continue
        copy = copies.get(parcel.original) or scratch / f"original-{parcel.original}.zip"
        try:
            if parcel.original not in copies and not copy.exists():
                copy_original(parcel.outermost, copy, parcel.original)
            copies[parcel.original] = copy
        except LabError as error:
            refused[content.shown] = error.message
            continue
        here = copy if content.path == parcel.outermost else content.path
        safe.append(replace(content, path=here, parcel=replace(parcel, outermost=copy)))
    return safe


def _add_file(parcel: Parcel, inbox: Inbox, gathered: Gathered) -> None:
    """A zip, known by its SHA-256."""
    try:
        digest = hash_original(parcel.path)
    except LabError as error:
        gathered.refused[parcel.shown] = f"{error.message} (hint: {error.hint})"
        return
    kept = inbox.find(digest)
    outermost = kept or parcel.path
    gathered.parcels.append(
        replace(parcel, path=outermost, original=digest, outermost=outermost, kept=kept is not None)
    )


def _add_folders(
    folders: Sequence[Parcel], terms: Terms, scratch: Path, gathered: Gathered, progress: Progress
) -> None:
    """Unpacked hand-ins; kits that were not handed in, or not since their last run. Each gets a zip, here."""
    if not folders:
        return
    script, limits = _find_script(terms.build, scratch), terms.workshop.limits
    jobs = []
    for number, parcel in enumerate(folders):
        at = scratch / f"folder-{number}"
        at.mkdir(parents=True)
        if (parcel.path / MANIFEST).is_file():
            jobs.append(Job(pack_folder, (parcel.path, at / "packed.zip", limits), at))
        else:
            jobs.append(Job(pack_kit, (parcel.path, at, script, limits), at))
    for parcel, outcome in zip(folders, run_isolated(jobs, limits, progress("folders", len(jobs))), strict=True):
        if outcome.error and explain_nothing(outcome.error):
            gathered.unused.append(parcel.shown)
        elif outcome.error:
            gathered.refused[parcel.shown] = outcome.error
        elif outcome.value:
            _add_made(Path(outcome.value), parcel.shown, terms.inbox, gathered)


def _add_server(address: str, terms: Terms, scratch: Path, gathered: Gathered, progress: Progress) -> None:
    from instructor.collect.server import hide_secrets, read_server

    shown = one_line(hide_secrets(address), 200)
    try:
        read = read_server(address, terms.workshop, terms.vault, scratch, progress)
    except LabError as error:
        gathered.refused[shown] = f"{error.message} (hint: {error.hint})" if error.hint else error.message
        return
    gathered.notes += [f"{shown}: {note}" for note in read.notes]
    for group, path in read.zips.items():
        _add_made(path, f"{shown} › {group}", terms.inbox, gathered)


def _add_made(path: Path, shown: str, inbox: Inbox, gathered: Gathered) -> None:
    """A zip that was made here, of what lies elsewhere."""
    digest = sha256_file(path)
    kept = inbox.find(digest)
    outermost = kept or path
    gathered.parcels.append(Parcel(outermost, shown, original=digest, outermost=outermost, kept=kept is not None))


def _find_script(build: Path, scratch: Path) -> Path:
    """The script of an empty store; MLflow writes it where neither `build/` nor the project has one for it."""
    script = build / Path(script_name()).name
    if script.is_file():
        return script
    if brought := find_brought():
        return brought
    from lab_code.tracking.tracker import describe_empty_store

    script = scratch / script.name
    script.write_text(describe_empty_store(), encoding="utf-8")
    return script
