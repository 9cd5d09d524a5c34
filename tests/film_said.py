"""Which sentences of the code a recording shows: one that `lab` says no longer makes the recording old."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from instructor.film.cast import list_shown, read_cast
from instructor.film.script import Scene
from tests.conftest import PROJECT

# Who speaks in the terminal scenes.
_SPEAKERS = ("lab_code/cli/*.py", "lab_code/jobs/*.py")
_SHORTEST = 8  # letters: less is in any text


def list_said(folder: Path, scenes: list[Scene]) -> list[str]:
    """Every literal of the speakers that is on the screen in one of the recordings."""
    text = "\n".join(read_shown(folder, scene) for scene in scenes)
    return sorted({literal for literal in read_literals() if literal in text})


def read_shown(folder: Path, scene: Scene) -> str:
    """All that one recording shows, without the breaks that the terminal's width makes."""
    return _read_wide(folder / f"{scene.name}.cast")


@cache
def _read_wide(path: Path) -> str:
    return list_shown(read_cast(path), columns=250)


@cache
def read_literals() -> frozenset[str]:
    """The sentences of the speakers, and the parts of those that hold values."""
    paths = [path for pattern in _SPEAKERS for path in sorted(PROJECT.glob(pattern))]
    return frozenset(text for path in paths for text in _find_literals(path))


def _find_literals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.strip(" \n:'")
            if len(text) >= _SHORTEST and " " in text and "\n" not in text:
                yield text
