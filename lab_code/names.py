"""Names that people give to runs, and what they become where a file or a command line needs a tame one."""

LONGEST = 100
RULE = f'1 to {LONGEST} characters in one line, without / \\ : * ? " < > | ${{ and without a blank or a dot at an end'
_FORBIDDEN = set('/\\:*?"<>|')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


def is_name(text: str) -> bool:
    """Whether a run may be called so: readable in a table, and a file may have the name on any system."""
    return not find_fault(text)


def find_fault(text: str) -> str:
    """Which rule a name breaks, as the rest of a sentence that begins with the name; empty where it breaks none."""
    hidden = next((letter for letter in text if not letter.isprintable()), "")
    forbidden = [letter for letter in dict.fromkeys(text) if letter in _FORBIDDEN]
    device = text.split(".")[0].rstrip().upper()
    if not text:
        return "is empty"
    if len(text) > LONGEST:
        return f"has {len(text)} characters, at most {LONGEST} are allowed"
    if hidden:
        return f"holds the character U+{ord(hidden):04X}, which cannot be seen"
    if forbidden:
        return f"holds {' '.join(forbidden)} , which files cannot have in their names"
    if text != text.strip(" ."):
        return "begins or ends with a blank or a dot"
    if device in _RESERVED:
        return f"is Windows' name of a device ({device}), which no file can have there"
    return "holds ${ , which means something in a configuration" if "${" in text else ""


def plain_name(text: str, longest: int = LONGEST) -> str:
    """The same with letters, digits, `-`, `_` and `.` only: it needs no quotes, and is a file on any system."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)[:longest].strip(".")
    return plain if is_name(plain) else f"run-{plain}".rstrip(".")[:longest]
