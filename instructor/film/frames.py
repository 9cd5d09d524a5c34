"""What a scene shows in each of its frames, as plain values: equal values are the same picture, and drawn once.

    for frame, state in make_states(script, scene, fps): …      # only those at which something changes

Nothing here depends on a clock: a frame's picture follows from its number. `stage.html` draws what is described here.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from instructor.film.cast import ENDING, find_rows, place_marks, play, read_cast
from instructor.film.script import Item, Look, Scene, Script

Spots = dict[str, dict[str, list[float]]]  # of every picture: name -> left, top, width, height, in parts of it
State = dict[str, Any]

WHOLE = [0.0, 0.0, 1.0, 1.0]
_FADE_S = 0.36  # in which something appears
_CLOSEST = 0.42  # of a picture: what is nearer has blurred letters
_MOVE_S = 1.0  # in which a picture is gone closer to
_PROMPT = re.compile(r"^(\w+)\$( |$)")


def make_states(script: Script, scene: Scene, fps: int) -> list[tuple[int, State]]:
    """Each state with the frame at which it begins."""
    states: list[tuple[int, State]] = []
    draw = {"card": _draw_card, "terminal": _draw_terminal, "browser": _draw_browser}[scene.kind]
    before = ""
    for frame, state in enumerate(draw(script, scene, fps)):
        at = frame / fps
        said = [caption.say for caption in scene.captions if caption.at <= at]
        whole = {"caption": said[-1] if said else "", "fade": _ease(at / _FADE_S), **state}
        if (text := json.dumps(whole)) != before:
            states.append((frame, whole))
            before = text
    return states


def count_frames(scene: Scene, fps: int) -> int:
    """How many frames the scene has."""
    return round(scene.seconds * fps)


def _ease(share: float) -> float:
    """From 0 to 1, slowly at both ends."""
    share = min(1.0, max(0.0, share))
    return round(share * share * (3 - 2 * share), 4)


def _draw_card(script: Script, scene: Scene, fps: int) -> Iterator[State]:
    items = [_describe_item(item) for item in scene.items]
    for frame in range(count_frames(scene, fps)):
        shown = [_ease((frame / fps - item.at) / _FADE_S) for item in scene.items]
        yield {"kind": "card", "dark": scene.dark, "heading": scene.heading, "items": items, "shown": shown}


def _describe_item(item: Item) -> dict[str, str]:
    return {key: getattr(item, key) for key in ("point", "text", "code", "figure", "says") if getattr(item, key)}


def _draw_terminal(script: Script, scene: Scene, fps: int) -> Iterator[State]:
    screens = play(read_cast(script.recordings / f"{scene.name}{ENDING}"), scene, fps)
    begins = place_marks(screens, scene, fps)
    number, where = 0, ""
    for frame in range(count_frames(scene, fps)):
        while number + 1 < len(screens) and screens[number + 1][0] <= frame:
            number += 1
        screen = screens[number][1]
        prompts = [found[1] for text in screen.text() if (found := _PROMPT.match(text))]
        where = prompts[-1] if prompts else where
        pointing = [
            mark
            for mark, begin in zip(scene.marks, begins, strict=True)
            if begin is not None and begin <= frame < begin + mark.seconds * fps
        ]
        marked = {row for mark in pointing for row in find_rows(screen, mark)}
        yield {
            "kind": "terminal", "title": scene.title, "where": where, "rows": screen.rows, "cursor": screen.cursor,
            "marked": sorted(marked),
        }  # fmt: skip


def _draw_browser(script: Script, scene: Scene, fps: int) -> Iterator[State]:
    spots: Spots = script.facts["spots"]
    for frame in range(count_frames(scene, fps)):
        at = frame / fps
        past = [look for look in scene.looks if look.at <= at] or scene.looks[:1]
        look, before = past[-1], past[-2] if len(past) > 1 else None
        moved = _ease((at - look.at) / _MOVE_S)
        target = find_box(spots, look)
        stays = before is not None and before.picture == look.picture
        begin = find_box(spots, before) if before and stays else WHOLE
        yield {
            "kind": "browser", "title": scene.title, "picture": look.picture,
            "box": [round(a + (b - a) * moved, 5) for a, b in zip(begin, target, strict=True)],
            "before": before.picture if before and not stays and moved < 1 else "",
            "before_box": find_box(spots, before) if before and not stays and moved < 1 else WHOLE,
            "moved": 1.0 if stays or before is None else moved,
            "spot": spots[look.picture][look.spot] if look.spot and moved == 1 else None,
        }  # fmt: skip


def find_box(spots: Spots, look: Look) -> list[float]:
    """The part of the picture that is shown: all of it, or its spot with some room, in the picture's own shape."""
    if not look.spot:
        return WHOLE
    left, top, width, height = spots[look.picture][look.spot]
    size = min(1.0, max(width, height, _CLOSEST) * 1.12)
    x = min(max(0.0, left + width / 2 - size / 2), 1 - size)
    y = min(max(0.0, top + height / 2 - size / 2), 1 - size)
    return [x, y, size, size]
