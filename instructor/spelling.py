"""How a command is typed where somebody reads about it: `make …` in the project's folder, `instructor …` elsewhere.

Texts say `make provision`, as people type it who stand in the project. A working copy has no Makefile, and any other
folder neither: there the same is said as a command of `instructor`.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path

from instructor.workshop import PROJECT

# What the Makefile's targets run, and how it spells their options.
_TARGETS = re.compile(
    r"(?<![\w/.-])make (provision|rehearse|collect|film)\b((?: (?:FAST|DATA|LAPTOPS|FROM|SCENE)=[^\s,;)\]`]+)*)"
)
_OPTIONS = {"FAST": "--fast", "DATA": "--data {}", "LAPTOPS": "--laptops {}", "FROM": "{}", "SCENE": "--scene {}"}
_ONLY_THERE = re.compile(r"(?<![\w/.-])make (clean|film RECORD=1)(?![\w=])")  # of the project's own folder
_VENV = re.compile(r"(?<![\w/-])\.venv/bin/instructor\b")


def spell_make(text: str, folder: Path | None = None) -> str:
    """`text` with every `make …` as it must be typed in `folder` (the current one)."""
    if (folder or Path.cwd()).resolve() == PROJECT:
        return text
    return spell_instructor(text, _name_command())


def spell_instructor(text: str, command: str = "instructor") -> str:
    """`text` with every `make …` as the command of `instructor` that it runs."""

    def spell(found: re.Match[str]) -> str:
        options = (option.partition("=") for option in found[2].split())
        words = [_OPTIONS[name].format(value) for name, _, value in options]
        return " ".join([command, found[1], *words])

    def spell_there(found: re.Match[str]) -> str:
        again = " for-instructor" if found[1] == "clean" else ""  # the environment of every command
        return f"make -C {shlex.quote(str(PROJECT))} {found[1]}{again}"

    text = _ONLY_THERE.sub(spell_there, text)
    return _VENV.sub(command, _TARGETS.sub(spell, text))


def _name_command() -> str:
    """`instructor`, or for whoever has no such command on the path the one that was called."""
    called = sys.argv[0]
    is_ours = Path(called).name == "instructor" and shutil.which("instructor") is None
    return shlex.quote(called) if is_ours else "instructor"
