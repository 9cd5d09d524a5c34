"""Text from elsewhere, made fit to be shown: names of runs and files may come from laptops nobody here controls.

A terminal obeys what it is given: an escape character in a run's name can colour, hide, retitle or type. Nothing here
changes what is stored, only what is printed.
"""

import re

_LONGEST = 200  # characters of one line
# C0 and C1 control characters but for tab and line feed, line and paragraph separators, and what turns the direction of
# writing around.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def strip_controls(text: str) -> str:
    """The text with a visible mark in the place of everything that a terminal would obey; lines and tabs stay."""
    return _UNPRINTABLE.sub("�", text)


def one_line(value: object, longest: int = _LONGEST) -> str:
    """Any value as one short line without control characters, for notes and tables."""
    text = " ".join(strip_controls(str(value)).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
