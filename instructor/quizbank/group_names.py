"""Which group a nickname means: by a group's own name, by the number in the name, by its place in the list."""

import re
import unicodedata
from collections.abc import Sequence

IGNORED = "-"  # in place of a group: the player does not count
_SKIPPED = re.compile(r"[\s.#_\-\ufe0e\ufe0f]+")
_NUMBERED = re.compile(r"(?:group|team|g)?0*(\d{1,6})")


def spell_name(nickname: str) -> str:
    """What two spellings of a nickname have in common: case, blanks, dots and emoji's variants do not count."""
    plain = unicodedata.normalize("NFKC", nickname).strip()
    plain = re.sub(r"^(\d+)\.0+$", r"\1", plain)  # a number that went through a table of numbers
    return _SKIPPED.sub("", plain).casefold() or plain


def guess_group(nickname: str, groups: Sequence[str]) -> str | None:
    """The one group that is meant, or None: a name as it is written, then its spelling, its number, its place.

    A place counts only where no group has a number in its name: of `group-2, group-3` nobody is "team 1".
    """
    found = _NUMBERED.fullmatch(spell_name(nickname))
    number = int(found[1]) if found else None
    numbers = [_number_in(group) for group in groups]
    attempts = [
        [group for group in groups if group == nickname.strip().lower()],
        [group for group in groups if spell_name(group) == spell_name(nickname)],
        [group for group, own in zip(groups, numbers, strict=True) if own == number is not None],
        [group for place, group in enumerate(groups, 1) if place == number and not any(n is not None for n in numbers)],
    ]
    fitting = next((attempt for attempt in attempts if attempt), [])
    return fitting[0] if len(fitting) == 1 else None


def _number_in(group: str) -> int | None:
    found = re.search(r"(\d{1,6})\D*$", group)
    return int(found[1]) if found else None
