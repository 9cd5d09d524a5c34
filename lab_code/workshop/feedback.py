"""What a group thinks: three ratings and two sentences in `feedback.json`, without names and times."""

from datetime import datetime
from pathlib import Path

from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.progress import Journal

FEEDBACK = "feedback.json"
RATINGS = {
    "clear": "The steps were clear: 1 (no) to 5 (yes).",
    "learned": "We learned something: 1 (no) to 5 (yes).",
    "pace": "The pace: 1 (too slow), 3 (right), 5 (too fast).",
}
SENTENCES = {"good": "What was good, in a sentence.", "better": "What should be better, in a sentence."}
_LONGEST = 500


def write_feedback(root: Path, ratings: dict[str, int], good: str, better: str) -> Path:
    """Replace the group's feedback. Raises `LabError` for a rating outside 1 to 5 or a text beyond 500 characters."""
    for name in RATINGS:
        if ratings.get(name) not in range(1, 6):
            raise LabError(f"the rating '{name}' is {ratings.get(name)}", hint="write a number from 1 to 5")
    for text in (good, better):
        if len(text) > _LONGEST:
            raise LabError(f"a sentence has {len(text)} characters", hint=f"at most {_LONGEST}, please")
    path = root / FEEDBACK
    write_whole(path, to_json({**{name: ratings[name] for name in RATINGS}, "good": good, "better": better}))
    return path


def is_left_behind(root: Path, journal: Journal) -> bool:
    """Whether the feedback was given after the newest hand-in, so that it travels only with one more."""
    handed_in, path = journal.of("handed_in"), root / FEEDBACK
    if not handed_in or not path.is_file():
        return False
    try:
        return path.stat().st_mtime > datetime.fromisoformat(str(handed_in[-1].get("time"))).timestamp()
    except ValueError:  # a line that someone has edited
        return False
