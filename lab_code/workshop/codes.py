"""Codes that are read aloud and typed: rescue codes, receipts, and the words of a room code.

Crockford's base 32 leaves out I, L, O and U; whoever types O or I by mistake means 0 or 1. A last character checks
the others: they are the coefficients of a polynomial over the field of 32 elements, evaluated at a generator. Any one
wrong character and any two swapped ones are noticed in codes of up to 31 characters (a Reed-Solomon code with one
check symbol: Reed and Solomon 1960).
"""

import re

from lab_code.errors import LabError

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def make_code(data: bytes, *, group: int = 4) -> str:
    """Bytes as a code in groups, with a check character: `make_code(ten_bytes)` is `K7QM-2XRT-9VDA-P10E-5`.

    The number of bytes must be a multiple of 5 (eight characters each).
    """
    number, length = int.from_bytes(data, "big"), len(data) * 8 // 5
    characters = [_ALPHABET[(number >> (5 * (length - 1 - i))) & 31] for i in range(length)]
    parts = ["".join(characters[i : i + group]) for i in range(0, length, group)]
    return "-".join([*parts, _check_character(characters)])


def read_code(text: str, size: int) -> bytes:
    """The `size` bytes of a typed code; blanks, dashes and case do not matter. Raises `LabError` for a typing error."""
    typed = "".join(text.split()).replace("-", "").upper().translate(_MISREAD)
    length = size * 8 // 5
    unknown = sorted(set(typed) - set(_ALPHABET))
    if unknown:
        raise LabError(f"the code holds '{unknown[0]}', which no code does", hint="type the code again")
    if len(typed) != length + 1:
        raise LabError(f"the code has {len(typed)} characters, but needs {length + 1}", hint="type the code again")
    if typed[-1] != _check_character(list(typed[:-1])):
        raise LabError("the code has a typing error", hint="compare it character by character and type it again")
    number = 0
    for character in typed[:-1]:
        number = number << 5 | _ALPHABET.index(character)
    return number.to_bytes(size, "big")


def canonical_words(text: str) -> str:
    """Words in their one spelling: `" Acorn, lemon TIGER "` and `acorn-lemon-tiger` are the same."""
    return "-".join(re.findall(r"[a-z]+", text.lower()))


def _check_character(characters: list[str]) -> str:
    total = 0
    for character in characters:
        total = _times_generator(total) ^ _ALPHABET.index(character)
    return _ALPHABET[_times_generator(total)]


def _times_generator(value: int) -> int:
    """Multiply by x modulo x^5 + x^2 + 1, which is primitive."""
    return (value << 1) ^ (0b100101 if value & 0b10000 else 0)
