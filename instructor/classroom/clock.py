"""The clock of a class: which part it is in, how much is left, how far ahead or behind the schedule it is.

    clock = Clock.open(build / "class" / "clock.json", schedule)
    clock.start(now); clock.next(now); clock.pause(now); clock.back(now)
    clock.reading(now)          # Reading(part=1, spent_s=…, left_s=…, behind_s=…)

`now` is the time of day in seconds, given by whoever asks: so a test can be as fast as it likes, and a class that was
closed and opened again goes on where the real time is. Every change is on the disk before it counts. Several programs
may look at one clock (`instructor run` and the board): each reading looks at the file again.
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from instructor.classroom.schedule import Schedule
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole

FILE = "clock.json"


@dataclass(frozen=True)
class State:
    """What is kept: when the class and its current part began, how long both stood still, since when they do."""

    schedule: str  # fingerprint of the parts that it was started with
    part: int = 0
    class_began: float | None = None
    part_began: float | None = None
    class_paused_s: float = 0.0
    part_paused_s: float = 0.0
    paused_since: float | None = None


@dataclass(frozen=True)
class Reading:
    """The clock at one moment. `left_s` below zero: the part is over its time. `behind_s` below zero: ahead."""

    part: int
    spent_s: float
    left_s: float
    total_s: float
    behind_s: float
    running: bool
    started: bool
    over: bool  # the last part has used its time


class Clock:
    """The clock of one class, kept in a file."""

    def __init__(self, path: Path, schedule: Schedule, state: State) -> None:
        self.path, self.schedule, self._state = path, schedule, state

    @classmethod
    def open(cls, path: Path, schedule: Schedule) -> "Clock":
        """The clock as it was left; a new one where there is none. Raises `LabError` where the file is damaged."""
        return cls(path, schedule, _read_state(path, schedule) or State(_fingerprint(schedule)))

    def start(self, now: float) -> None:
        """Begin the class, or go on after a pause."""

        def change(state: State) -> State:
            if state.class_began is None or state.part_began is None:
                return replace(state, class_began=now, part_began=now)
            return _resume(state, now)

        self._change(change)

    def pause(self, now: float) -> None:
        """Let it stand still."""
        self._change(
            lambda s: s if s.class_began is None or s.paused_since is not None else replace(s, paused_since=now)
        )

    def next(self, now: float) -> None:
        """Go to the next part; the last one stays."""
        self._go(lambda part: min(part + 1, len(self.schedule.parts) - 1), now)

    def back(self, now: float) -> None:
        """Go to the part before, from its beginning; the time of the class goes on."""
        self._go(lambda part: max(part - 1, 0), now)

    def go_to(self, part: int, now: float) -> None:
        """Go to a part by its index."""
        self._go(lambda _: part, now)

    def reset(self) -> None:
        """Forget this class: the clock stands at its beginning again."""
        self._change(lambda _: State(_fingerprint(self.schedule)))

    @property
    def began(self) -> float | None:
        """When this class began; None before."""
        return self._state.class_began

    def reading(self, now: float) -> Reading:
        """Where the class is. A time of day that was set back counts as no time, never as less than none."""
        self._state = _read_state(self.path, self.schedule) or self._state
        state, parts = self._state, self.schedule.parts
        part = min(state.part, len(parts) - 1)
        length = parts[part].minutes * 60
        if state.class_began is None or state.part_began is None:
            return Reading(part, 0.0, length, 0.0, 0.0, False, False, False)
        until = state.paused_since if state.paused_since is not None else now
        spent = max(0.0, until - state.part_began - state.part_paused_s)
        total = max(0.0, until - state.class_began - state.class_paused_s)
        behind = total - (self.schedule.start_of(part) * 60 + min(spent, length))
        last = part == len(parts) - 1
        return Reading(
            part, spent, length - spent, total, behind, state.paused_since is None, True, last and spent >= length
        )

    def _go(self, choose: Callable[[int], int], now: float) -> None:
        def change(state: State) -> State:
            part = choose(state.part)
            if part == state.part:
                return state
            if state.class_began is None:
                return replace(state, part=part)
            return replace(_resume(state, now), part=part, part_began=now, part_paused_s=0.0)

        self._change(change)

    def _change(self, change: Callable[[State], State]) -> None:
        before = _read_state(self.path, self.schedule) or self._state
        self._state = change(before)
        write_whole(self.path, to_json(asdict(self._state)))


def _resume(state: State, now: float) -> State:
    """As it is after a pause, if there was one."""
    if state.paused_since is None:
        return state
    stood = max(0.0, now - state.paused_since)
    return replace(
        state,
        paused_since=None,
        class_paused_s=state.class_paused_s + stood,
        part_paused_s=state.part_paused_s + stood,
    )


def _fingerprint(schedule: Schedule) -> str:
    parts = json.dumps([(part.id, part.minutes) for part in schedule.parts])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _read_state(path: Path, schedule: Schedule) -> State | None:
    """The state on the disk; none where there is none, or where the schedule is another one now."""
    try:
        state = State(**json.loads(path.read_text(encoding="utf-8")))
        numbers = (state.class_began, state.part_began, state.class_paused_s, state.part_paused_s, state.paused_since)
        if not all(number is None or math.isfinite(number) for number in numbers) or state.part < 0:
            raise ValueError("a number in it is none")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise LabError(
            f"{path} cannot be read: {error}", hint="instructor run --again starts the clock anew"
        ) from error
    return state if state.schedule == _fingerprint(schedule) else None
