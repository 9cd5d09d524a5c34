"""Text from anywhere, for fonts that do not have every sign: what DejaVu Sans Mono lacks is named in brackets.

Nothing is lost or silently changed: an emoji becomes `[grinning face]`. DejaVu comes with Matplotlib and lies inside
Typst as well, so what passes here can be printed by both.
"""

import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font

_FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")


def name_missing(text: str) -> str:
    """The text with the name of every sign in the place of those that the font does not have."""
    return "".join(sign if ord(sign) in _known_signs() or sign in "\n " else _name(sign) for sign in text)


@cache
def _known_signs() -> frozenset[int]:
    return frozenset(FT2Font(str(_FONT)).get_charmap())


def _name(sign: str) -> str:
    """Its name in brackets; nothing for what cannot be seen anyway."""
    if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Mn", "Me"):
        return ""
    return f"[{unicodedata.name(sign, f'U+{ord(sign):04X}').lower()}]"
