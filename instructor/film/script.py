"""The film's script: scenes, what is said in each, what is typed, and what is looked at.

    script = read_script(PROJECT / "docs" / "film")       # film.yaml, and figures of the recorded runs
    script.scenes[0].captions[0].say

Every sentence may name a figure of the recording, `{run_s}`: it is filled in here, so nothing that is said is older
than what was recorded. Everything that can be wrong in the file is said by file and scene before anything is drawn.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from instructor.schema import find_line, read_yaml
from lab_code.errors import LabError, suggest

SCRIPT = "film.yaml"
RECORDINGS = "recordings"
FACTS = "facts.json"
FASTEST = 19.0  # letters a second: nobody reads faster from the back of a room
FIGURE = re.compile(r"\{(\w+)\}")

# Which keys only one kind of scene has.
_OWN = {
    "card": ("dark", "heading", "items"),
    "terminal": ("where", "steps", "marks"),
    "browser": ("looks",),
}


@dataclass(frozen=True)
class Caption:
    """One sentence, from `at` (seconds of its scene) until the next one."""

    at: float
    say: str


@dataclass(frozen=True)
class Step:
    """What is typed, or which key is pressed, at a second of the scene.

    `until` is what a recording waits for (a pattern); `rest` are the seconds that its last output stands there, before
    the next step begins.
    """

    at: float
    type: str = ""
    press: str = ""
    until: str = ""
    rest: float = 0.6


@dataclass(frozen=True)
class Mark:
    """Rows of the terminal that hold this text are pointed at for some seconds, as soon as they stand there."""

    at: float
    text: str
    seconds: float = 5.0


@dataclass(frozen=True)
class Item:
    """A part of a card that appears at a second: `point`, `text`, `code`, or a `figure` with what it says."""

    at: float
    point: str = ""
    text: str = ""
    code: str = ""
    figure: str = ""
    says: str = ""


@dataclass(frozen=True)
class Look:
    """From this second on a picture is shown, or one named spot of it, larger."""

    at: float
    picture: str
    spot: str = ""


@dataclass(frozen=True)
class Scene:
    """A part of the film with a beginning and an end; `about` says what is to be seen, for those who cannot see it."""

    name: str
    kind: str
    title: str
    seconds: float
    about: str
    captions: list[Caption]
    dark: bool = False
    heading: str = ""
    items: list[Item] = field(default_factory=list)
    where: str = ""
    steps: list[Step] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def caption_ends(self) -> list[float]:
        """When each caption gives way to the next one."""
        return [*(caption.at for caption in self.captions[1:]), self.seconds]


@dataclass(frozen=True)
class Film:
    """What film.yaml says."""

    title: str
    scenes: list[Scene]


@dataclass(frozen=True)
class Script:
    """The film, its folder, and what the recordings say of their runs."""

    folder: Path
    title: str
    scenes: list[Scene]
    facts: dict[str, Any]

    @property
    def seconds(self) -> float:
        return sum(scene.seconds for scene in self.scenes)

    @property
    def recordings(self) -> Path:
        return self.folder / RECORDINGS

    def begins(self) -> list[float]:
        """When every scene begins in the film."""
        return [sum(scene.seconds for scene in self.scenes[:number]) for number in range(len(self.scenes))]


def read_script(folder: Path) -> Script:
    """The script with its figures filled in. Raises `LabError` that names file, line and scene."""
    path = folder / SCRIPT
    film = read_yaml(path, Film)
    facts = read_facts(folder / RECORDINGS)
    if not film.scenes:
        raise LabError(f"{path}: there is no scene", hint="scenes is a list of them")
    names = [scene.name for scene in film.scenes]
    for number, scene in enumerate(film.scenes):
        key = f"scenes[{number}]"
        if scene.name in names[:number] or not re.fullmatch(r"[a-z][a-z0-9-]*", scene.name):
            _fail(path, f"{key}.name", scene, f"the name '{scene.name}' is taken, or not of a-z, 0-9 and -")
        _check_scene(path, key, scene)
    scenes = [_fill(path, f"scenes[{number}]", scene, facts) for number, scene in enumerate(film.scenes)]
    for number, scene in enumerate(scenes):
        _check_captions(path, f"scenes[{number}]", scene)
    return Script(folder, film.title, scenes, facts)


def read_facts(recordings: Path) -> dict[str, Any]:
    """What was measured while recording. Raises `LabError` where nothing was recorded yet."""
    path = recordings / FACTS
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing", hint="make film RECORD=1 records every scene anew") from error
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="git checkout it, or: make film RECORD=1") from error


def find_scene(script: Script, name: str) -> Scene:
    """The scene of this name. Raises `LabError` where there is none."""
    for scene in script.scenes:
        if scene.name == name:
            return scene
    names = [scene.name for scene in script.scenes]
    raise LabError(f"there is no scene '{name}'", hint=f"{suggest(name, names)}scenes: {', '.join(names)}")


def _check_scene(path: Path, key: str, scene: Scene) -> None:
    """Its kind is one that exists, it has the keys of this kind, and all that happens happens while it lasts."""
    if scene.kind not in _OWN:
        _fail(path, f"{key}.kind", scene, f"there is no kind '{scene.kind}'", f"kinds: {', '.join(_OWN)}")
    empty = Scene("", "", "", 0, "", [])
    for kind, names in _OWN.items():
        for name in names:
            if kind != scene.kind and getattr(scene, name) != getattr(empty, name):
                _fail(path, f"{key}.{name}", scene, f"a scene of kind {scene.kind} has no '{name}'")
    if scene.kind != "card" and not getattr(scene, {"terminal": "steps", "browser": "looks"}[scene.kind]):
        _fail(path, key, scene, "nothing happens in it", f"keys of its kind: {', '.join(_OWN[scene.kind])}")
    if scene.seconds <= 0:
        _fail(path, f"{key}.seconds", scene, f"{scene.seconds:g} seconds are no length")
    for name in ("captions", "items", "steps", "marks", "looks"):
        _check_order(path, f"{key}.{name}", scene, [entry.at for entry in getattr(scene, name)])
    if not scene.captions:
        _fail(path, key, scene, "nothing is said in it", "captions: a list of {at, say}")


def _check_order(path: Path, key: str, scene: Scene, times: Sequence[float]) -> None:
    for number, at in enumerate(times):
        where = f"{key}[{number}].at"
        if not 0 <= at < scene.seconds:
            _fail(path, where, scene, f"{at:g} s is outside of the scene, which takes {scene.seconds:g} s")
        if number and at < times[number - 1]:
            _fail(path, where, scene, f"{at:g} s comes before the entry above it")


def _check_captions(path: Path, key: str, scene: Scene) -> None:
    """Each can be read while it stands there."""
    for number, (caption, end) in enumerate(zip(scene.captions, scene.caption_ends(), strict=True)):
        needs, has = len(caption.say) / FASTEST, end - caption.at
        if needs > has:
            text = f"the caption '{caption.say[:30]}…' takes {needs:.1f} s to read, and stands for {has:.1f} s"
            _fail(path, f"{key}.captions[{number}].at", scene, text, "shorten it, or make the scene longer")


def _fill(path: Path, key: str, scene: Scene, facts: dict[str, Any]) -> Scene:
    """The scene with every figure in its sentences."""

    def fill(where: str, text: str) -> str:
        for name in FIGURE.findall(text):
            if name not in facts:
                known = ", ".join(sorted(name for name, value in facts.items() if not isinstance(value, dict | list)))
                _fail(path, where, scene, f"nothing called '{name}' was measured", f"measured: {known}")
        return FIGURE.sub(lambda found: str(facts[found[1]]), text)

    captions = [
        replace(caption, say=fill(f"{key}.captions[{number}].say", caption.say))
        for number, caption in enumerate(scene.captions)
    ]
    items = [
        Item(item.at, **{name: fill(f"{key}.items[{number}].{name}", text) for name, text in texts_of(item)})
        for number, item in enumerate(scene.items)
    ]
    about = fill(f"{key}.about", scene.about)
    return replace(scene, about=about, captions=captions, items=items, heading=fill(f"{key}.heading", scene.heading))


def texts_of(item: Item) -> Iterator[tuple[str, str]]:
    """Every text of an item, by its key."""
    return ((one.name, getattr(item, one.name)) for one in fields(item) if one.name != "at")


def _fail(path: Path, key: str, scene: Scene, text: str, hint: str | None = None) -> None:
    raise LabError(f"{path}{find_line(path, key)}: scene '{scene.name}': {text}", hint=hint or f"the key is {key}")
