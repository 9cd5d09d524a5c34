"""Room codes: a few words that the instructor shows when a stage begins, so that nobody can guess before class.

The words are those of five to nine letters in the EFF's second short list (Bonneau 2016), which the package xkcdpass
brings: more than a thousand English words with different first three letters, at least three edits apart, hence hard to
mishear.
"""

import math
from functools import cache

import pyfiglet
from xkcdpass.xkcd_password import generate_wordlist

WORDS = 3
_LIST = "eff-special"


def make_room_code(secret: bytes) -> str:
    """Three words chosen by `secret` (32 random bytes): `acorn-lemon-tiger`."""
    words, number, chosen = _read_words(), int.from_bytes(secret, "big"), []
    for _ in range(WORDS):
        number, index = divmod(number, len(words))
        chosen.append(words[index])
    return "-".join(chosen)


def room_code_bits() -> float:
    """How many bits a room code adds to every guess."""
    return WORDS * math.log2(len(_read_words()))


def draw_room_code(code: str, width: int) -> str:
    """The words in letters as large as a terminal of `width` columns can show."""
    return "\n".join(pyfiglet.figlet_format(word.upper(), font="big", width=width).rstrip() for word in code.split("-"))


@cache
def _read_words() -> list[str]:
    return sorted(word for word in generate_wordlist(wordfile=_LIST) if word.isascii() and word.isalpha())
