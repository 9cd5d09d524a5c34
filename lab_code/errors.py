"""The one error that people are meant to see.

Anything a user can cause (a typo, a missing file, a damaged archive) is raised as `LabError` with a hint that says
what to do next; `lab_code.cli.terminal` prints it in two short lines. Every other exception is a fault of the program.

`suggest` says what somebody meant who has mistyped a name; no other place looks for that.
"""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

_NEAR = 0.7  # of difflib's ratio: a letter too many, too few, or two that have changed places


class LabError(Exception):
    """Something the person at the keyboard can put right.

    `message` says what is wrong and where, in lower case and without a full stop; `hint` is the next thing to do.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython asks for it): the two lines of the command line, and no traceback."""
        return [f"error: {self.message}", *([f"hint: {self.hint}"] if self.hint else [])]


def suggest(typed: str, known: Iterable[str]) -> str:
    """`did you mean 'batch_size'? `, to begin a hint with; empty where nothing known comes near."""
    near = find_near(typed, known)
    return f"did you mean '{near}'? " if near else ""


def find_near(typed: str, known: Iterable[str]) -> str | None:
    """What of `known` somebody meant who typed this; None where nothing comes near, or it is known.

    Case, blanks, hyphens and underscores do not count, and of names with dots the last part is enough.
    """
    names = list(known)
    if typed in names:
        return None
    near = max(names, key=lambda name: _nearness(typed, name), default=None)
    return near if near is not None and max(_nearness(typed, near)) >= _NEAR else None


def _nearness(typed: str, name: str) -> tuple[float, float]:
    """How alike the last parts or the whole names are, whichever is more; and, where that is the same, the whole."""
    whole, last = (
        SequenceMatcher(None, _plain(one), _plain(other)).ratio()
        for one, other in ((typed, name), (typed.rpartition(".")[2], name.rpartition(".")[2]))
    )
    return max(whole, last), whole


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()
