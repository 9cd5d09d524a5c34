"""The class in the pictures: six simulated groups, played once by the rehearsal's own commands, and kept.

    played = play_class(build / "screenshots", tell, progress)
    played.seen_by(minute=21)       # where every group stood then

Its master secret and its day are fixed, so that another machine gives the same groups, questions and photographs. It is
played again where anything changes that a kit holds or that a class is made of.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from instructor.rehearsal.cast import Cast
from instructor.rehearsal.launcher import Launcher
from instructor.rehearsal.paper import write_papers
from instructor.rehearsal.player import Player
from instructor.rehearsal.rehearse import Options, Progress, Stage
from instructor.rehearsal.verdict import judge
from instructor.vault import Vault
from instructor.workshop import PROJECT, WORKSHOP_FILE, Workshop, read_workshop
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.kit import read_kit
from lab_code.workshop.standing import Standing, read_standing, standing_from_json, standing_to_json

ZONE = "Europe/Zurich"
BEGINS = datetime(2026, 9, 14, 10, 5, tzinfo=ZoneInfo(ZONE)).timestamp()  # the groups' half hour
_MASTER = hashlib.sha256(b"of the class in the pictures, and of no other").hexdigest()
_IMAGES, _TEST, _SIZE = 1000, 500, 48  # photographs: enough for runs that differ
_DIFFICULTY = 0.25  # easy photographs
_TRAINING_S = 55.0  # what a training takes in class
_SLOW = 1.2  # how long a slow reader takes: the class fits its half hour
_CAST = {
    "group-1": ["slow-reader"],
    "group-2": ["closes-lid"],
    "group-3": ["perfect"],
    "group-4": ["guesses-wrong"],
    "group-5": ["slow-reader"],
    "group-6": ["edits-badly"],
}
_RECORD = "class.json"
# What a kit holds, and what a class is made of.
_MADE_OF = (
    "lab_code/**/*", "locked/**/*", "notebooks/*", "quiz/*", "instructor/workshop.yaml", "instructor/dataset/*.py",
    "instructor/locks/*.py", "instructor/provision/**/*", "instructor/quizbank/*.py", "instructor/collect/*.py",
    "instructor/rehearsal/*.py", "instructor/screenshots/played.py",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """Where a group stood at a minute of its half hour."""

    minute: float
    standing: Standing


@dataclass(frozen=True)
class Played:
    """A class that was given. `laptops` and `build` are as its groups and its instructor left them."""

    folder: Path
    workshop: Workshop
    seen: Sequence[Seen]

    @property
    def build(self) -> Path:
        return self.folder / "build"

    def laptop(self, group: str) -> Path:
        """The kit that a group has worked in."""
        return self.folder / "laptops" / group

    def seen_by(self, minute: float) -> Iterator[Seen]:
        """What the board has heard until then, in order."""
        return (seen for seen in self.seen if seen.minute <= minute)


@dataclass
class _Watch:
    """Notes after every step where a group stands: as the board hears it in class."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, player: Player) -> None:
        standing = standing_to_json(read_standing(read_kit(player.root)))
        with self.lock:
            self.seen.append({"minute": player.clock, "standing": standing})


def play_class(folder: Path, tell: Callable[[str], object], progress: Progress) -> Played:
    """The class that was played, or a new one. Raises `LabError` where it cannot be played."""
    folder, workshop, made_of = folder.resolve(), make_workshop(), fingerprint(PROJECT)
    kept = _read_kept(folder / _RECORD, made_of)
    if kept is None:
        (folder / _RECORD).unlink(missing_ok=True)
        kept = _play(folder, workshop, tell, progress)
        write_whole(folder / _RECORD, to_json({"made_of": made_of, "seen": kept}))
    seen = [Seen(entry["minute"], standing_from_json(entry["standing"])) for entry in kept]
    return Played(folder, workshop, sorted(seen, key=lambda one: one.minute))


def make_workshop() -> Workshop:
    """The workshop as it is shipped, with fewer photographs."""
    shipped = read_workshop(WORKSHOP_FILE)
    data = replace(shipped.data, images=_IMAGES, test_images=_TEST, image_size=_SIZE, difficulty=_DIFFICULTY)
    rehearsal = replace(shipped.rehearsal, slow=_SLOW)
    return replace(shipped, data=data, rehearsal=rehearsal, groups=list(_CAST))


def fingerprint(project: Path) -> str:
    """Of all files that the class is made of."""
    found = sorted({path for pattern in _MADE_OF for path in project.glob(pattern) if path.is_file()})
    digest = hashlib.sha256()
    for path in found:
        if "__pycache__" not in path.parts:
            digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _read_kept(record: Path, made_of: str) -> list[dict[str, Any]] | None:
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
        return list(document["seen"]) if document["made_of"] == made_of else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _play(folder: Path, workshop: Workshop, tell: Callable[[str], object], progress: Progress) -> list[dict[str, Any]]:
    vault, watch = Vault(folder / "build").folder, _Watch()
    vault.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(vault / "master.key", _MASTER + "\n", mode=0o600)
    with Launcher(warm=True) as launcher:
        options = Options(fast=False, doctor=False, pace_s=_TRAINING_S, threads=1)
        stage = Stage(workshop, Cast(_CAST), launcher, options, tell, progress, now=lambda: BEGINS, watch=watch)
        made = stage.rehearse(folder)
    write_papers(folder, made, judge(made, []))
    wrong = [check for check in made.checks if not check.ok]
    if wrong:
        raise LabError(
            f"the class in the pictures did not end well: {wrong[0].name}: {wrong[0].found}",
            hint=f"make rehearse FAST=1 says more; what every command said is in {folder / 'log.txt'}",
        )
    return watch.seen
