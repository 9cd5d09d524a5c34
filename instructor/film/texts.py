"""What the film says in writing: captions as WebVTT, chapters, the page that plays it, and the same as a text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from instructor.film.cast import ENDING, list_shown, read_cast
from instructor.film.script import Scene, Script
from lab_code.files import write_whole

_PAGE = Path(__file__).with_name("film.html")
_TEXT = Path(__file__).with_name("text.html")
_GAP_S = 0.08  # between two captions, so that a reader sees that they change


def list_cues(scenes: Sequence[Scene]) -> list[tuple[float, float, str]]:
    """Every caption with its begin and end in the film."""
    cues, begin = [], 0.0
    for scene in scenes:
        for caption, end in zip(scene.captions, scene.caption_ends(), strict=True):
            cues.append((begin + caption.at, begin + end - _GAP_S, caption.say))
        begin += scene.seconds
    return cues


def write_vtt(scenes: Sequence[Scene]) -> str:
    """The captions as WebVTT."""
    parts = ["WEBVTT"]
    for number, (begin, end, text) in enumerate(list_cues(scenes), 1):
        plain = text.replace("&", "&amp;").replace("<", "&lt;")
        parts.append(f"{number}\n{_clock(begin)} --> {_clock(end)}\n{plain}")
    return "\n\n".join(parts) + "\n"


def _clock(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def write_chapters(scenes: Sequence[Scene]) -> str:
    """One chapter a scene, as ffmpeg reads them."""
    lines, begin = [";FFMETADATA1"], 0
    for scene in scenes:
        end = begin + round(scene.seconds * 1000)
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={begin}", f"END={end}", f"title={scene.title}"]
        begin = end
    return "\n".join(lines) + "\n"


def write_pages(script: Script, folder: Path) -> list[Path]:
    """`film.html` plays film.mp4, which lies beside it, offline; `text.html` is all that it says and shows."""
    pages = []
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    scenes = [_describe(script, scene, begin) for scene, begin in zip(script.scenes, script.begins(), strict=True)]
    cues = json.dumps(list_cues(script.scenes), ensure_ascii=False).replace("<", "\\u003c")
    for source, name in ((_PAGE, "film.html"), (_TEXT, "text.html")):
        template = environment.from_string(source.read_text(encoding="utf-8"))
        write_whole(folder / name, template.render(title=script.title, scenes=scenes, cues=cues))
        pages.append(folder / name)
    return pages


def _describe(script: Script, scene: Scene, begin: float) -> dict[str, Any]:
    minutes, seconds = divmod(round(begin), 60)
    return {
        "title": scene.title, "name": scene.name, "about": scene.about,
        "begin": begin, "clock": f"{minutes}:{seconds:02}",
        "says": [caption.say for caption in scene.captions], "shown": _list_shown(script, scene),
        "items": [item.point or item.text or item.code or f"{item.figure} {item.says}" for item in scene.items],
    }  # fmt: skip


def _list_shown(script: Script, scene: Scene) -> str:
    """All that a terminal has shown, from top to bottom."""
    if scene.kind != "terminal":
        return ""
    return list_shown(read_cast(script.recordings / f"{scene.name}{ENDING}"))
