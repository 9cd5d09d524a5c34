"""What a delivery will do to one place: pure, from what travels and from what was found there.

    plan = plan_delivery(cargo, found)
    plan.send, plan.kept, plan.needs, plan.faults

A file that is as some earlier kit shipped it gives way to the new one. Everything else that lies there is a group's
work, is never touched, and is said. A kit whose stages were begun keeps its locks, because what one stage opened is the
key to the next one, and each build has locks of its own.

Files arrive in `.delivery/files/` inside the kit and move to their places together, so a kit is the old one or the new
one; what has arrived before a break is not sent again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from instructor.deliver.cargo import Cargo
from lab_code.files import to_json
from lab_code.tracking.runs import ARTIFACTS, DATABASE
from lab_code.workshop.handin import HANDIN_FOLDER
from lab_code.workshop.handin_rules import is_clutter
from lab_code.workshop.kit import KIT_FILE, SHEET
from lab_code.workshop.progress import JOURNAL
from lab_code.workshop.quiz import QUESTIONS_FILE
from lab_code.workshop.signature import KEY_FILE

STAGING = ".delivery"
PARTIAL = ".rsync-partial"  # where rsync keeps what arrived of a file until the rest does
# What programs make for themselves: nobody's work, not looked at, and left where it is.
SKIPPED = frozenset({".venv", "__pycache__", ".cache", ".ipynb_checkpoints", PARTIAL})
ABSENT, KIT, OTHER, NO_FOLDER = "absent", "kit", "other", "no folder"
_WITH_LOCKS = (QUESTIONS_FILE, SHEET, KEY_FILE)  # belong to the locks of one build
_OVERHEAD = 65_536  # bytes: folders, and the kit's identity


@dataclass
class Found:
    """What a place holds. `documents` are its `kit.json` and those that were being put in place when it stopped."""

    state: str = ABSENT
    root: str = ""
    files: dict[str, str] = field(default_factory=dict)  # path -> SHA-256
    staged: dict[str, str] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    documents: list[dict[str, Any]] = field(default_factory=list)
    identity: bytes | None = None
    sums: dict[str, str] = field(default_factory=dict)
    unsettled: bool = False  # an earlier delivery did not end
    free: int | None = None  # bytes
    block: int = 4096
    has_rsync: bool = False
    now: str = ""  # by the clock there, where it was asked

    @property
    def group(self) -> str:
        return str(self.documents[0].get("group", "")) if self.identity is not None else ""

    @property
    def begun(self) -> bool:
        """Whether a group has worked in it."""
        return any(name in (JOURNAL, DATABASE) or name.startswith(_WORK_FOLDERS) for name in self.files)

    def shipped(self, name: str) -> set[str]:
        """The SHA-256 with which this file was shipped, now or by what is being put in place."""
        known = {document["files"].get(name) for document in self.documents}
        known |= {self.sums.get(name)}
        return {digest for digest in known if digest}

    def is_shipped(self, name: str) -> bool:
        """Whether the file lies there as it was shipped."""
        digest = self.files.get(name)
        listed = digest is not None and digest == self.sums.get(name)  # thousands of photographs are
        return name == KIT_FILE or listed or digest in self.shipped(name)

    def work(self) -> list[str]:
        """What the group has made or changed, links included."""
        mine = {name for name in self.files if not self.is_shipped(name) and not is_clutter(name)}
        return sorted(mine | self.links)


_WORK_FOLDERS = (f"{HANDIN_FOLDER}/", f"{ARTIFACTS}/")


@dataclass
class Plan:
    """For one place. Paths are those inside the kit; `needs` are bytes on its disk."""

    send: list[str] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)  # by an earlier try, and wait to be put in place
    stale: list[str] = field(default_factory=list)  # the same, of which nobody has any use now
    same: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)  # path -> why it stays as it is
    held: list[str] = field(default_factory=list)  # what belongs to locks that were begun
    obsolete: list[str] = field(default_factory=list)
    work: list[str] = field(default_factory=list)
    identity: bytes | None = None  # the new kit.json, where it changes
    unsettled: bool = False
    size: int = 0  # bytes to be sent
    needs: int = 0
    free: int | None = None
    faults: list[str] = field(default_factory=list)
    hint: str = ""  # what to do about the faults
    there: str = ""  # in words

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.send or self.arrived or self.obsolete or self.identity is not None or self.unsettled)


def plan_delivery(cargo: Cargo, found: Found) -> Plan:
    """What it takes to have `cargo` there; whatever forbids it stands in `faults`."""
    plan = Plan(work=found.work(), free=found.free, unsettled=found.unsettled, there=_describe(found))
    for fault, hint in _find_faults(cargo, found):
        plan.faults, plan.hint = [fault], hint
        return plan
    plan.held = _find_held(cargo, found)
    for name, item in cargo.files.items():
        if found.files.get(name) == item.digest:
            plan.same.append(name)
        elif name in plan.held:
            continue
        elif why := _why_kept(cargo, found, name):
            plan.kept[name] = why
        elif found.staged.get(name) == item.digest:
            plan.arrived.append(name)
        else:
            plan.send.append(name)
    plan.stale = sorted(set(found.staged) - set(plan.arrived))
    plan.obsolete = _find_obsolete(cargo, found, plan)
    plan.identity = _make_identity(cargo, found, plan)
    plan.size = sum(cargo.files[name].size for name in plan.send)
    plan.needs = _measure(cargo, found, plan)
    if found.free is not None and plan.needs > found.free:
        plan.faults.append(f"{show_bytes(plan.needs)} are needed, {show_bytes(found.free)} are free")
        plan.hint = "free some room there, then again"
    return plan


def _find_faults(cargo: Cargo, found: Found) -> Iterator[tuple[str, str]]:
    """Why nothing can be delivered there, and what helps."""
    if found.state == NO_FOLDER:
        yield f"{found.root} is a file, not a folder", "name another path"
    if found.state == OTHER:
        yield f"{found.root} holds other things and no kit", "name a folder of its own, or empty that one"
    if cargo.identity is not None and found.begun:
        there = found.documents[0] if found.documents else {}
        if (there.get("workshop"), found.group) != (cargo.document["workshop"], cargo.document["group"]):
            yield (
                f"it holds the work of {found.group or 'somebody'} ({there.get('workshop')})",
                "instructor reset, then again",
            )


def _why_kept(cargo: Cargo, found: Found, name: str) -> str:
    """Why what lies at the place of a file must stay; empty where it may be replaced."""
    parents = [parent.as_posix() for parent in PurePosixPath(name).parents]
    if any(path in found.links for path in (name, *parents)):
        return "a link leads elsewhere"
    if any(path in found.files for path in parents):
        return "a file is where its folder should be"
    there = found.files.get(name)
    if there is not None and cargo.identity is not None and there not in found.shipped(name):
        return "changed by the group"
    return ""


def _find_held(cargo: Cargo, found: Found) -> list[str]:
    """Everything that belongs to the locks, where stages were begun with others than these; else nothing."""
    if cargo.identity is None or not found.begun or not found.documents:
        return []
    stages = [stage["lock"] for stage in cargo.document["stages"]]
    others = [name for name in stages if name in found.files and found.files[name] != cargo.files[name].digest]
    return [name for name in cargo.files if name in (*_WITH_LOCKS, *stages)] if others else []


def _find_obsolete(cargo: Cargo, found: Found, plan: Plan) -> list[str]:
    """What an earlier kit had shipped, this one does not, and nobody has changed."""
    if cargo.identity is None:
        return []
    gone = [name for name in found.files if name not in cargo.files and name != KIT_FILE and found.is_shipped(name)]
    return [name for name in sorted(gone) if not (plan.held and name.startswith("locked/"))]


def _make_identity(cargo: Cargo, found: Found, plan: Plan) -> bytes | None:
    """The `kit.json` to be written; where locks are held back, it goes on naming those that are there."""
    if cargo.identity is None:
        return None
    wanted = cargo.identity
    if plan.held:
        there, new = found.documents[0], cargo.document
        kept = {name: digest for name, digest in there["files"].items() if name in plan.held or _is_lock(name)}
        files = {name: digest for name, digest in new["files"].items() if name not in plan.held and not _is_lock(name)}
        same = {key: there[key] for key in ("stages", "points", "minutes") if key in there}
        wanted = to_json({**new, **same, "files": dict(sorted({**files, **kept}.items()))}).encode()
    return None if wanted == found.identity else wanted


def _is_lock(name: str) -> bool:
    return name.startswith("locked/")


def _measure(cargo: Cargo, found: Found, plan: Plan) -> int:
    """Bytes on the disk there: what is sent lies beside what it replaces for a moment."""
    if not plan.send:
        return 0
    return _OVERHEAD + sum(-(-cargo.files[name].size // found.block) * found.block for name in plan.send)


def _describe(found: Found) -> str:
    if found.state == ABSENT:
        return "nothing"
    if found.state != KIT:
        return "something else"
    work = len(found.work())
    kit = found.group or ("half a kit" if found.unsettled else "files")
    return f"{kit}, work in {work} file{'s' * (work != 1)}" if work and found.identity is not None else kit


def describe_change(plan: Plan) -> str:
    """What a plan will change, in a few words."""
    if plan.faults:
        return "nothing: " + "; ".join(plan.faults)
    counts = {"to send": len(plan.send), "waiting there": len(plan.arrived), "to remove": len(plan.obsolete)}
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    parts += ["kit.json"] * (plan.identity is not None and not plan.send)
    parts += ["tidying up"] * (plan.unsettled and not parts)
    return ", ".join(parts) or "nothing: as it should be"


def describe_left(plan: Plan) -> list[str]:
    """What stays although it is not as the new kit has it, one sentence each."""
    lines = [f"{name} stays as it is: {why}" for name, why in plan.kept.items()]
    if plan.held:
        lines.append("its locks, questions and sheet stay: stages were begun with them")
    return lines


def show_bytes(count: int) -> str:
    """Bytes as people read them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def parse_document(text: bytes) -> dict[str, Any]:
    """A `kit.json` as far as it can be trusted to be one; an empty one where it cannot be read."""
    try:
        document = json.loads(text)
        files = {str(name): str(digest) for name, digest in document["files"].items()}
        return {**document, "files": files}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"files": {}}
