"""Kits back at their start for the next class, after the work of the previous one was moved into a dated folder.

    rows = reset_ssh(room)                 # on laptops: .earlier-classes/<group>-<date>/ beside the kit
    reset_stick(cargos, root)              # on a stick or share: the same there
    reset_build(build, groups)             # kits under build/kits that somebody tried: build/replaced/

Nothing is deleted: work is moved on the disk where it lies. What a group had changed of the kit moves as well, and is
delivered anew.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from instructor.deliver import folder, laptop
from instructor.deliver.cargo import Cargo
from instructor.deliver.inventory import Laptop
from instructor.deliver.over_ssh import Room
from instructor.deliver.plan import KIT, Found
from instructor.deliver.supervise import everywhere
from lab_code.errors import LabError


@dataclass
class Reset:
    """One kit: the group that had it, what of theirs moves, and where to; or why it could not be done."""

    name: str
    group: str = ""
    work: list[str] = field(default_factory=list)
    archive: str = ""
    error: str = ""
    hint: str = ""


def plan_reset(name: str, found: Found) -> Reset:
    """What would move; empty where there is no kit, or nobody has worked in it. Raises `LabError` for no kit."""
    if found.state not in (KIT, "absent"):
        raise LabError(f"{found.root} holds no kit", hint="check path in the inventory")
    return Reset(name, found.group, found.work())


def reset_stick(cargos: Sequence[Cargo], root: Path, *, dry_run: bool = False) -> list[Reset]:
    """The kits of a stick; those that are not there are passed over."""
    return [_reset_folder(cargo, root, dry_run) for cargo in cargos if (root / cargo.name).is_dir()]


def _reset_folder(cargo: Cargo, root: Path, dry_run: bool) -> Reset:
    kit = root / cargo.name
    try:
        found = folder.look(kit)
        reset = plan_reset(cargo.name, found)
        if reset.work and not dry_run:
            into = root / folder.EARLIER / folder.dated(found.group or cargo.name)
            folder.archive(kit, found, into)
            reset.archive = str(into)
        if not dry_run:
            folder.deliver(cargo, kit)
    except LabError as error:
        return Reset(cargo.name, error=error.message, hint=error.hint or "")
    except OSError as error:
        return Reset(cargo.name, error=f"{error.strerror or error}: {error.filename or kit}".lower())
    return reset


async def reset_ssh(room: Room, *, dry_run: bool = False) -> list[Reset]:
    """The kits of all laptops at once."""

    async def reset_one(one: Laptop) -> Reset:
        async with laptop.connect(one, room.inventory, room.use_rsync) as link:
            found = await laptop.look(link)
            reset = plan_reset(one.name, found)
            if reset.work and not dry_run:
                reset.archive = await laptop.archive(link, found, folder.dated(found.group or one.name))
            if not dry_run and one.group:
                await laptop.deliver(link, room.kits[one.group])
            return reset

    outcomes = await everywhere(room.laptops, reset_one, room.inventory.terms)
    pairs = zip(room.laptops, outcomes, strict=True)
    return [out.value or Reset(one.name, error=out.error, hint=out.hint) for one, out in pairs]


def reset_build(build: Path, groups: Sequence[str], *, dry_run: bool = False) -> list[Reset]:
    """Kits that somebody tried where they were built. One of which a shipped file was changed moves away as a whole."""
    resets = []
    for group in groups:
        kit = build / "kits" / group
        if not kit.is_dir():
            continue
        found = folder.look(kit)
        reset = plan_reset(group, found)
        into = build / "replaced" / f"{group}-{datetime.now():%Y%m%d-%H%M%S}"
        if reset.work and not dry_run:
            _move_work(kit, found, into, reset)
        resets.append(reset)
    return resets


def _move_work(kit: Path, found: Found, into: Path, reset: Reset) -> None:
    shipped = found.documents[0]["files"] if found.documents else {}
    into.parent.mkdir(parents=True, exist_ok=True)
    if all(found.files.get(name) == digest for name, digest in shipped.items()):
        folder.archive(kit, found, into)
    else:
        os.replace(kit, into)
        reset.hint = "make provision builds it anew: files of the kit itself were changed in it"
    reset.archive = str(into)
