"""Names that people give to runs, and what they become where a file or a command line needs a tame one."""

LONGEST = 100
RULE = f'1 to {LONGEST} characters in one line, without / \\ : * ? " < > | and without a blank or a dot at an end'
_FORBIDDEN = set('/\\:*?"<>|')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


def is_name(text: str) -> bool:
    """Whether a run may be called so: readable in a table, and a file may have the name on any system."""
    return (
        0 < len(text) <= LONGEST
        and text.isprintable()
        and not _FORBIDDEN & set(text)
        and text == text.strip(" .")
        and text.split(".")[0].rstrip().upper() not in _RESERVED
    )


def plain_name(text: str, longest: int = LONGEST) -> str:
    """The same with letters, digits, `-`, `_` and `.` only: it needs no quotes, and is a file on any system."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)[:longest].strip(".")
    return plain if is_name(plain) else f"run-{plain}".rstrip(".")[:longest]
