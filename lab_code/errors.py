"""The one error that people are meant to see.

Anything a user can cause (a typo, a missing file, a damaged archive) is raised as `LabError` with a hint that says
what to do next; `lab_code.cli.terminal` prints it in two short lines. Every other exception is a fault of the program.

`suggest` finds what somebody meant who has mistyped a name, and is the one place that does.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

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
    """`did you mean 'batch_size'? `, to begin a hint with; empty where nothing known comes near, or it is known.

    Case, blanks, hyphens and underscores do not count: of a name with dots, its last part is enough.
    """
    names = list(known)
    if typed in names:
        return ""
    spelt = {_plain(name): name for name in reversed(names)}
    tails = {_plain(name.rpartition(".")[2]): name for name in reversed(names)}
    for table in (spelt, tails):
        near = get_close_matches(_plain(typed), table, n=1, cutoff=_NEAR)
        if near:
            return f"did you mean '{table[near[0]]}'? "
    return ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()
