"""What a stage tells once it is open: the right answer to each of its questions, and why it is right.

It lies inside the stage's lock, so nobody can read it before: `locked/<stage>.reasons.json` appears with the unlock.
"""

import json
from dataclasses import asdict, dataclass

from lab_code.files import to_json
from lab_code.workshop.kit import Kit, Stage


@dataclass(frozen=True)
class Reason:
    """Of one question: `answer` as it is typed, `right` in words, and `why`."""

    question: str
    answer: str
    right: str
    why: str


def reasons_file(stage: str) -> str:
    """Where the reasons of a stage lie, once it is open."""
    return f"locked/{stage}.reasons.json"


def reasons_to_json(reasons: list[Reason]) -> str:
    """The document of that file."""
    return to_json([asdict(reason) for reason in reasons])


def read_reasons(kit: Kit, stage: Stage) -> list[Reason]:
    """The reasons of an open stage; none where it is locked, or was opened by a kit that brought none."""
    try:
        document = json.loads((kit.root / reasons_file(stage.id)).read_text(encoding="utf-8"))
        return [Reason(**{key: str(value) for key, value in entry.items()}) for entry in document]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
