"""A group goes on at another machine: its kit, and its work from the old laptop or from its last hand-in.

    work = await fetch_work(old_link, cargo, scratch)            # over SSH: everything
    work = read_handin_work(path, cargo, vault, scratch)         # from a hand-in, and its stages are opened again
    await restore_on_laptop(new_link, cargo, work)

The journal goes on where it was, byte for byte, and the kit signs with the group's own key: for `instructor collect`
the new laptop's hand-in is the later one of the same kit.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructor.collect.finding import Content, Parcel, find_parcels, look_into
from instructor.collect.parcels import Budget, copy_limited, open_members
from instructor.deliver import folder, laptop
from instructor.deliver.cargo import Cargo, Item
from instructor.deliver.laptop import Link
from instructor.deliver.plan import Found, Plan
from instructor.vault import Vault
from lab_code.errors import LabError
from lab_code.files import sha256_file, write_whole
from lab_code.workshop.handin import HANDIN_FOLDER
from lab_code.workshop.handin_rules import MANIFEST, MAX_BYTES, is_allowed
from lab_code.workshop.kit import KIT_FILE
from lab_code.workshop.locks import open_with_rescue, read_lock
from lab_code.workshop.progress import JOURNAL, read_journal
from lab_code.workshop.signature import KEY_FILE, is_signed

_OF_THE_DESK = (".lab/jupyter", ".lab/desk", ".lab/open-", ".lab/mlflow.", "doctor")  # belongs to the machine


@dataclass(frozen=True)
class Work:
    """What a group had: files by their path in the kit, and where they come from, in words."""

    cargo: Cargo
    source: str


async def fetch_work(link: Link, kit: Cargo, scratch: Path) -> Work:
    """Everything on the old laptop that is not as `kit` has it. Raises `LabError` where nothing of the group is."""
    found = await laptop.look(link)
    if found.group != kit.document["group"]:
        raise LabError(
            f"{link.laptop.name} holds no kit of {kit.document['group']}", hint="name a hand-in: --handin ZIP"
        )
    names = [name for name, digest in found.files.items() if _travels(name, digest, kit)]
    if not found.begun:
        raise LabError(f"nobody has worked on {link.laptop.name} yet", hint="instructor deliver ssh is enough")
    await laptop.fetch(link, found, names, scratch)
    return _make_work(kit, scratch, link.laptop.name)


def _travels(name: str, digest: str, kit: Cargo) -> bool:
    here = kit.files.get(name)
    return not name.startswith(_OF_THE_DESK) and not name.endswith(".lock") and not (here and here.digest == digest)


def _make_work(kit: Cargo, scratch: Path, source: str) -> Work:
    files = {}
    for path in sorted(scratch.rglob("*")):
        if path.is_file():
            name = path.relative_to(scratch).as_posix()
            mode = kit.files[name].mode if name in kit.files else 0o644
            files[name] = Item(path, path.stat().st_size, sha256_file(path), mode)
    return Work(Cargo(f"the work of {kit.name}", scratch, files), source)


def find_last_handin(places: Iterable[Path], kit: Cargo) -> Path:
    """The group's hand-in with the longest journal. Raises `LabError` where there is none that its kit has signed."""
    parcels, _ = find_parcels([place for place in places if place.exists()])
    best: list[tuple[int, str, Path]] = []
    for parcel in parcels:
        for content in _contents(parcel.path, kit):
            with open_members(content.path, content.prefix) as members:
                lines = members.read(JOURNAL, MAX_BYTES).count(b"\n") if JOURNAL in members.names() else 0
            best.append((lines, content.written, parcel.path))
    if not best:
        raise LabError(
            f"there is no hand-in of {kit.document['group']}",
            hint="copy its newest zip into build/handins/, or name it: --handin ZIP",
        )
    return max(best)[2]


def _contents(path: Path, kit: Cargo) -> Iterator[Content]:
    """The hand-ins of this kit in a parcel; what is none, or another group's, is passed over."""
    try:
        found = look_into(Parcel(path, path.name), path, MAX_BYTES)["contents"]
    except LabError:
        return
    key = bytes.fromhex(kit.files[KEY_FILE].source.read_text(encoding="ascii"))
    for content in map(Content.from_json, found):
        if not content.fault and content.group == kit.document["group"] and is_signed(
            content.digest, content.signature, key
        ):  # fmt: skip
            yield content


def read_handin_work(path: Path, kit: Cargo, vault: Vault, scratch: Path) -> Work:
    """What a hand-in holds, and the files of the stages that were open. Raises `LabError` for another group's."""
    contents = list(_contents(path, kit))
    if not contents:
        raise LabError(f"{path} is no hand-in that the kit of {kit.document['group']} has signed", hint="name another")
    budget = Budget(MAX_BYTES)
    with open_members(contents[0].path, contents[0].prefix) as members:
        digests = json.loads(members.read(MANIFEST, MAX_BYTES))["files"]
        for name in digests:
            if is_allowed(name) and name != KIT_FILE:
                copy_limited(members, name, scratch / name, budget)
                if sha256_file(scratch / name) != digests[name]:
                    raise LabError(f"{path} is damaged at {name}", hint="name another hand-in")
    if path.is_file():
        write_whole(scratch / HANDIN_FOLDER / path.name, path.read_bytes())
    _open_stages(kit, vault, scratch)
    return _make_work(kit, scratch, path.name)


def _open_stages(kit: Cargo, vault: Vault, scratch: Path) -> None:
    """The files of every stage that the journal says was open: a hand-in does not hold them."""
    journal, document = read_journal(scratch), kit.document
    for stage in document["stages"]:
        if journal.unlocked(stage["id"]):
            lock = read_lock(kit.files[stage["lock"]].source, document["workshop"], document["group"], stage["id"])
            secret = vault.rescue_secret(document["workshop"], document["group"], stage["id"])
            for name, content in open_with_rescue(lock, secret).items():
                write_whole(scratch / name, content)


def refuse_other_work(found: Found, kit: Cargo, work: Work) -> None:
    """Raise `LabError` where the new machine holds work that this would cover."""
    if not found.begun:
        return
    items = work.cargo.files
    same = {name for name in found.work() if name in items and items[name].digest == found.files.get(name)}
    if found.group != kit.document["group"] or set(found.work()) - same:
        raise LabError(
            f"it holds the work of {found.group or 'somebody'}: {len(found.work())} files",
            hint="instructor reset first",
        )


async def restore_on_laptop(link: Link, kit: Cargo, work: Work) -> list[Plan]:
    """Kit and work onto a laptop; run again, it goes on."""
    refuse_other_work(await laptop.look(link), kit, work)
    return [await laptop.deliver(link, kit), await laptop.deliver(link, work.cargo)]


def restore_in_folder(root: Path, kit: Cargo, work: Work) -> list[Plan]:
    """The same into a folder of this machine, such as one on a stick."""
    refuse_other_work(folder.look(root), kit, work)
    return [folder.deliver(kit, root), folder.deliver(work.cargo, root)]


def usual_places(build: Path) -> Sequence[Path]:
    """Where hand-ins lie: those that were copied here, and those that were collected."""
    return [build / "handins", build / "inbox"]
