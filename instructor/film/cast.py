"""A recorded terminal, played again: what stands on the screen at every moment of its scene.

    cast = read_cast(folder / "login.cast")
    screens = play(cast, scene, fps=25)      # [(frame, Screen), …], each until the next one

Recordings are asciicast v2 with a marker where each step was begun. A step begins again when the script says; waiting
between two outputs is cut until what was shown fits into the time until the next step. pyte is the terminal.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pyte

from instructor.film.script import Mark, Scene
from lab_code.errors import LabError

ENDING = ".cast"
_AGAIN = "make film RECORD=1 records it anew"
_LONGEST_WAIT_S = 1.2  # between two outputs
_SHORTEST_WAIT_S = 0.002
_MOST_ROWS = 150
_BEAT_S = 0.12  # a bar that moves need not be drawn more often

Event = tuple[float, str]
Span = tuple[str, str]


@dataclass(frozen=True)
class Stretch:
    """What was shown from the beginning of one step; times count from there."""

    label: str
    events: list[Event]


@dataclass(frozen=True)
class Cast:
    """A recording: the size of the terminal, what stood there before the first step, and the steps."""

    path: Path
    columns: int
    rows: int
    before: list[Event]
    steps: list[Stretch]


@dataclass(frozen=True)
class Screen:
    """Rows of (text, style) pieces, and where the cursor is; a style is the name of a colour, or names with blanks."""

    rows: tuple[tuple[Span, ...], ...]
    cursor: tuple[int, int]

    def text(self) -> list[str]:
        return ["".join(text for text, _ in row).rstrip() for row in self.rows]


@cache
def read_cast(path: Path) -> Cast:
    """Raises `LabError` for a file that is missing, empty or no recording."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing: this scene was never recorded", hint=_AGAIN) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint=_AGAIN) from error
    entries = [_read_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not entries or not isinstance(entries[0], dict) or entries[0].get("version") != 2:
        raise LabError(f"{path} is empty, or no recording of asciinema (version 2)", hint=_AGAIN)
    before, steps = _split(entries[1:])
    if not steps or not any(step.events for step in steps):
        raise LabError(f"{path} is empty: nothing is shown in it", hint=_AGAIN)
    return Cast(path, int(entries[0]["width"]), int(entries[0]["height"]), before, steps)


def _read_line(path: Path, number: int, line: str) -> Any:
    try:
        entry = json.loads(line)
        if isinstance(entry, dict):
            return {**entry, "width": int(entry["width"]), "height": int(entry["height"])}
        at, kind, said = entry
        return float(at), str(kind), str(said)
    except (ValueError, TypeError, KeyError) as error:
        raise LabError(f"{path} line {number}: this is no line of a recording", hint=_AGAIN) from error


def _split(entries: Sequence[tuple[float, str, str]]) -> tuple[list[Event], list[Stretch]]:
    before: list[Event] = []
    steps: list[Stretch] = []
    begun = 0.0
    for at, kind, said in entries:
        if kind == "m":
            steps.append(Stretch(said, []))
            begun = at
        elif kind == "o":
            (steps[-1].events if steps else before).append((max(0.0, at - begun), said))
    return before, steps


def play(cast: Cast, scene: Scene, fps: int) -> list[tuple[int, Screen]]:
    """Every screen with the frame at which it begins. Raises `LabError` where script and recording do not agree."""
    typed = [step.type or step.press for step in scene.steps]
    for number, (label, said) in enumerate(zip([step.label for step in cast.steps], typed, strict=False)):
        if label != said:
            raise LabError(f"{cast.path} shows '{label}' where step {number + 1} of scene '{scene.name}' is '{said}'",
                           hint=_AGAIN)  # fmt: skip
    if len(cast.steps) != len(typed):
        raise LabError(f"{cast.path} has {len(cast.steps)} steps, scene '{scene.name}' has {len(typed)}", hint=_AGAIN)
    terminal = pyte.Screen(cast.columns, cast.rows)
    stream = pyte.Stream(terminal)
    for _, said in cast.before:
        stream.feed(said)
    screens = [(0, _look(terminal))]
    for frame, outputs in groupby(_place(cast, scene), key=lambda event: int(event[0] * fps)):
        for _, output in outputs:
            stream.feed(output)
        if screens[-1][0] == frame:
            screens.pop()
        screen = _look(terminal)
        if not screens or screens[-1][1] != screen:
            screens.append((frame, screen))
    return screens


def list_shown(cast: Cast, columns: int | None = None) -> str:
    """All that a recording shows, from top to bottom: what a very high terminal, perhaps a wider one, would show."""
    terminal = pyte.Screen(columns or cast.columns, _MOST_ROWS)
    stream = pyte.Stream(terminal)
    for events in (cast.before, *(step.events for step in cast.steps)):
        for _, said in events:
            stream.feed(said)
    return "\n".join(line.rstrip() for line in terminal.display).strip()


def _place(cast: Cast, scene: Scene) -> Iterator[Event]:
    """Every output with its second in the scene: what is typed at its own pace, what follows as there is room."""
    begins = [step.at for step in scene.steps]
    steps = zip(cast.steps, scene.steps, pairwise([*begins, scene.seconds]), strict=True)
    for stretch, step, (begin, end) in steps:
        typed, brought = stretch.events[: len(step.type)], stretch.events[len(step.type) :]
        for when, said in typed:
            yield begin + when, said
        before = typed[-1][0] if typed else 0.0
        at = begin + before
        most = _choose_wait([before, *(when for when, _ in brought)], end - at - step.rest)
        for when, said in brought:
            at += min(when - before, most)
            before = when
            yield ceil(at / _BEAT_S) * _BEAT_S, said


def _choose_wait(times: Sequence[float], room: float) -> float:
    """The longest wait between two outputs with which all of them fit into so many seconds."""
    gaps = [max(0.0, after - before) for before, after in pairwise(times)]
    low, high = _SHORTEST_WAIT_S, _LONGEST_WAIT_S
    if sum(min(gap, high) for gap in gaps) <= room:
        return high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(min(gap, middle) for gap in gaps) <= room else (low, middle)
    return low


def _look(terminal: pyte.Screen) -> Screen:
    rows = tuple(tuple(_read_row(terminal, row)) for row in range(terminal.lines))
    return Screen(rows, (terminal.cursor.y, terminal.cursor.x))


def _read_row(terminal: pyte.Screen, row: int) -> Iterator[Span]:
    """Its letters, those of one style together."""
    text, style = "", ""
    for column in range(terminal.columns):
        char = terminal.buffer[row][column]
        names = [char.fg] * (char.fg != "default") + ["bold"] * char.bold + ["reverse"] * char.reverse
        if " ".join(names) != style and text:
            yield text, style
            text = ""
        style = " ".join(names)
        text += char.data
    yield text.rstrip() if not style else text, style


def find_rows(screen: Screen, mark: Mark) -> list[int]:
    """The rows that hold what a mark points at."""
    return [number for number, text in enumerate(screen.text()) if mark.text in text]


def place_marks(screens: Sequence[tuple[int, Screen]], scene: Scene, fps: int) -> list[int | None]:
    """The frame from which each mark points: its own, or the first later one at which its text stands there."""
    placed: list[int | None] = []
    for mark in scene.marks:
        begin = round(mark.at * fps)
        shown = [frame for frame, screen in screens if frame <= begin][-1:]
        later = (frame for frame, screen in screens if frame >= shown[0] and find_rows(screen, mark))
        first = next(later, None)
        placed.append(None if first is None else max(first, begin))
    return placed
