"""The room: where every group stands now, who is stuck, who was first, what has just happened.

    room = Room(workshop, path)           # goes on with what `path` remembers
    room.hear(standing, now)              # from a kit on this machine, or a report
    room.of("group-3").silent_s(now)

Only this machine's clock counts: when a change was heard, never what time a laptop says it is. A group's record is
replaced only by one that holds at least as much (a stick with yesterday's kit does not take anything back).
"""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from instructor.classroom.handed_in import join, read_handed_in, written_at
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.kit import KIT_FILE, read_kit
from lab_code.workshop.standing import Standing, read_standing, standing_from_json

FILE = "room.json"
MANY_WRONG = 3  # lists of answers in a row
SILENCE_S = 6 * 60  # after which a group is asked how it goes
_NEWS = 30  # that are kept
BEAT = 0.5  # the balanced accuracy that someone beats first
_SURPRISE = 0.05  # how far from its bet a run must be for the room to hear of it


@dataclass(frozen=True)
class Seat:
    """One group: its number, its last record, and when that changed (seconds of this machine's clock)."""

    group: str
    number: int
    standing: Standing | None = None
    changed_at: float | None = None
    heard_at: float | None = None

    def silent_s(self, now: float) -> float | None:
        """How long nothing has happened there; None before anything has."""
        return None if self.changed_at is None else max(0.0, now - self.changed_at)

    def is_stuck(self, now: float, silence_s: float = SILENCE_S) -> bool:
        """Third wrong list in a row, or nothing happened for long though there is more to do."""
        if self.standing is None or self.standing.handed_in or self.standing.training:
            return False
        silent = self.silent_s(now) or 0.0
        return self.standing.wrong >= MANY_WRONG or (self.standing.events > 0 and silent >= silence_s)


@dataclass(frozen=True)
class News:
    """One thing that has happened, to be shown for a while."""

    at: float
    group: str
    text: str
    first: bool = False  # nobody had done it before


@dataclass
class Room:
    """All groups of a workshop."""

    workshop: Workshop
    path: Path | None = None
    collected: Path | None = None  # what `make collect` writes
    seats: dict[str, Seat] = field(default_factory=dict)
    firsts: dict[str, str] = field(default_factory=dict)  # what -> group
    news: deque[News] = field(default_factory=lambda: deque(maxlen=_NEWS))
    _collected_at: float | None = None

    def __post_init__(self) -> None:
        self.seats = {group: Seat(group, number) for number, group in enumerate(self.workshop.groups, 1)}
        self.reload()

    def hear(self, standing: Standing, now: float) -> bool:
        """Take a group's record; whether it changed anything. A group that nobody knows raises `LabError`."""
        seat = self.seats.get(standing.group)
        if seat is None:
            raise LabError(f"there is no group '{standing.group}'", hint=f"groups: {', '.join(self.seats)}")
        before, leader = seat.standing, self.most_surprising()
        if before is not None and standing.events < before.events:
            return False
        if standing == before:
            self.seats[standing.group] = replace(seat, heard_at=now)
            return False
        self.seats[standing.group] = replace(seat, standing=standing, changed_at=now, heard_at=now)
        self.news.extend(self._tell(before, standing, now))
        if (first := self.most_surprising()) != leader and first and first[0] == standing.group:
            self.news.append(News(now, standing.group, f"has the most surprising run: {describe_surprise(first[1])}"))
        self._keep()
        return True

    def most_surprising(self) -> tuple[str, float] | None:
        """The group with the run that came out farthest from its bet, and by how much above it."""
        known = [(seat.group, seat.standing.surprise) for seat in self.seats.values() if seat.standing]
        far = [(group, off) for group, off in known if off is not None and abs(off) >= _SURPRISE]
        return max(far, key=lambda entry: abs(entry[1]), default=None)

    def look_at(self, folders: Iterable[Path], now: float) -> dict[str, str]:
        """Read the kits that lie in these folders; what could not be read, with the reason."""
        faults = {}
        for folder in folders:
            try:
                standing = read_standing(read_kit(folder))
                self.hear(standing, now)
            except (LabError, OSError) as error:
                faults[str(folder)] = str(error)
        return faults

    def look_at_handins(self, since: float | None, now: float) -> None:
        """Take what was collected since this class began; what an earlier class has handed in is not its own."""
        written = written_at(self.collected) if self.collected else None
        if self.collected is None or written is None or since is None or written < since:
            return
        if written != self._collected_at:
            for standing in read_handed_in(self.collected, self.workshop.id):
                seat = self.seats.get(standing.group)
                if seat:
                    self.hear(join(seat.standing, standing), now)
            self._collected_at = written

    def reload(self) -> None:
        """Take what another program of this class has heard and kept meanwhile."""
        if self.path is None:
            return
        seats, firsts, news = _read(self.path)
        for entry in seats:
            known = self.seats.get(entry.group)
            if known and entry.standing and (known.standing is None or entry.standing.events > known.standing.events):
                self.seats[entry.group] = replace(entry, number=known.number)
        self.firsts |= firsts
        if news and (not self.news or news[-1].at > self.news[-1].at):
            self.news = deque(news, maxlen=_NEWS)

    def _tell(self, before: Standing | None, now_: Standing, at: float) -> Iterable[News]:
        """What is new since the record before, in words."""
        old = before or replace(now_, opened=0, runs=0, best=None, handed_in=0, events=0)
        for stage in range(old.opened + 1, now_.opened + 1):
            yield self._news(at, now_.group, f"stage-{stage}", f"opened stage {stage}")
        if now_.runs > old.runs:
            yield self._news(at, now_.group, "run", "finished a run")
        if now_.best is not None and now_.best > (old.best or 0) and now_.best > BEAT:
            yield self._news(at, now_.group, "beat", f"reached {now_.best:.3f}")
        if now_.duel != old.duel:
            yield self._news(at, now_.group, "duel", "answered the duel")
        if now_.handed_in > old.handed_in:
            yield self._news(at, now_.group, "handin", "handed in")

    def _news(self, at: float, group: str, what: str, text: str) -> News:
        is_first = what not in self.firsts
        self.firsts.setdefault(what, group)
        return News(at, group, text, is_first)

    def _keep(self) -> None:
        if self.path is not None:
            write_whole(self.path, to_json({
                "seats": [asdict(seat) for seat in self.seats.values()],
                "firsts": self.firsts,
                "news": [asdict(entry) for entry in self.news],
            }))  # fmt: skip


def describe_surprise(off: float) -> str:
    """`0.213 above its bet`."""
    return f"{abs(off):.3f} {'above' if off > 0 else 'below'} its bet"


def find_kits(places: Iterable[Path]) -> list[Path]:
    """The kits in these folders: each is one, or holds some."""
    found = []
    for place in places:
        if not place.is_dir():
            raise LabError(f"there is no folder {place}", hint="make provision builds build/kits")
        inside = (
            [place] if (place / KIT_FILE).is_file() else sorted(path.parent for path in place.glob(f"*/{KIT_FILE}"))
        )
        found += inside
    return found


def _read(path: Path) -> tuple[list[Seat], dict[str, str], list[News]]:
    """What was kept; nothing where there is nothing, or where it cannot be read: it is only a memory."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seats = [
            Seat(**{**entry, "standing": standing_from_json(entry["standing"]) if entry["standing"] else None})
            for entry in document["seats"]
        ]
        return seats, dict(document["firsts"]), [News(**entry) for entry in document["news"]]
    except (OSError, ValueError, TypeError, KeyError):
        return [], {}, []
