"""Are the laptops ready: what `lab doctor --json` says on each, and whether the kit there is the one to be used.

rows = asyncio.run(examine(room, tell))             # over SSH
rows = read_results(Path("/media/usb"))             # files doctor*.json that a stick brought back
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructor.deliver.cargo import walk_files
from instructor.deliver.inventory import Laptop
from instructor.deliver.laptop import Link, connect, plan_for
from instructor.deliver.over_ssh import Room
from instructor.deliver.plan import SKIPPED
from instructor.deliver.supervise import everywhere
from lab_code.errors import LabError

READY, WARN, FAIL = "ready", "warn", "fail"
_LARGEST = 1_000_000  # bytes of a doctor's answer
_ENCODINGS = ("utf-8-sig", "utf-16")  # the latter is what PowerShell's > writes


@dataclass
class Health:
    """A laptop, or a file from one: what is wrong, each with its fix; `state` follows from that."""

    name: str
    group: str = ""
    failed: list[tuple[str, str]] = field(default_factory=list)
    warned: list[tuple[str, str]] = field(default_factory=list)

    @property
    def state(self) -> str:
        return FAIL if self.failed else WARN if self.warned else READY


async def examine(room: Room, tell: Callable[[Health], object] = lambda health: None) -> list[Health]:
    """Every laptop at once; one that cannot be reached has failed."""

    async def examine_one(laptop: Laptop) -> Health:
        health = Health(laptop.name, laptop.group or "")
        async with connect(laptop, room.inventory) as link:
            health.warned += await _compare(link, room)
            out = await link.run_script("lab", {"root": laptop.path, "words": "doctor --json"})
        read_doctor(out.rpartition("}")[0] + "}", health)
        return health

    def finish(laptop: Laptop, outcome: Any) -> Health:
        failed = Health(laptop.name, laptop.group or "", failed=[(outcome.error, outcome.hint)])
        return outcome.value or failed

    outcomes = await everywhere(
        room.laptops, examine_one, room.inventory.terms, lambda one, out: tell(finish(one, out))
    )
    return [finish(laptop, outcome) for laptop, outcome in zip(room.laptops, outcomes, strict=True)]


async def _compare(link: Link, room: Room) -> list[tuple[str, str]]:
    """What is to be known of the kit there beside what its doctor says."""
    group = link.laptop.group
    if not group:
        return []
    plan, found = await plan_for(link, room.kits[group])
    notes = []
    if found.begun:
        notes.append((f"there is work in it: {len(plan.work)} files", "of an earlier class? instructor reset ssh"))
    if plan.changes or plan.held:
        notes.append(("its kit is not the newest one", "instructor deliver ssh"))
    return notes


def read_doctor(text: str, health: Health) -> None:
    """Take in what `lab doctor --json` has printed. Raises `LabError` where it is something else."""
    try:
        said = json.loads(text)
        group, checks = str(said["group"]), list(said["checks"])
        failed = [(f"{one['name']}: {one['found']}", str(one["fix"])) for one in checks if not one["ok"]]
        ready = bool(said["ready"])
    except (ValueError, TypeError, KeyError) as error:
        raise LabError("lab doctor does not run there", hint="./lab setup in the kit, then: ./lab doctor") from error
    if health.group and group != health.group:
        health.failed.append((f"it holds the kit of {group}", "instructor deliver ssh, or change the inventory"))
    health.group = group
    health.failed += failed or ([] if ready else [("lab doctor is not content", "./lab doctor")])


def read_results(folder: Path) -> list[Health]:
    """Every `doctor*.json` below a folder. Raises `LabError` where there is none."""
    if not folder.is_dir():
        raise LabError(f"there is no folder {folder}", hint="name the stick, or the folder the files were copied to")
    rows = [_read_result(folder, name) for name in sorted(_find_results(folder))]
    if not rows:
        raise LabError(
            f"{folder} holds no doctor*.json",
            hint="in each kit: ./lab doctor --json > doctor.json, then bring the file",
        )
    return rows


def _find_results(folder: Path) -> Iterator[str]:
    for name, entry in walk_files(folder, SKIPPED):
        if entry.name.startswith("doctor") and entry.name.endswith(".json") and entry.is_file(follow_symlinks=False):
            yield name


def _read_result(folder: Path, name: str) -> Health:
    health, path = Health(name), folder / name
    content = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    for encoding in _ENCODINGS:
        try:
            read_doctor(content.decode(encoding), health)
        except UnicodeDecodeError:
            continue
        except LabError:
            health.failed.append(("this is not what lab doctor --json prints", "./lab doctor --json > doctor.json"))
        return health
    health.failed.append(("this file cannot be read", "./lab doctor --json > doctor.json"))
    return health
