"""The pictures: the name of each, and the files that it is older than when they change.

How the picture `board` is taken is `show_board` in `scenes.py`.

`shows` names what draws the picture (a page, its template, the module of a figure), not everything that it depends on:
an edit that changes nothing to be seen should not ask for a new picture. Every place that shows one says in words what
is to be seen.
"""

from collections.abc import Sequence

from instructor.screenshots.record import Shown
from lab_code.errors import LabError, suggest

_FORM = ("lab_code/notebook/command_form.css", "lab_code/notebook/command_form.js", "lab_code/notebook/quiz_widget.py")
_TABLE = ("lab_code/notebook/live_table.py", "lab_code/plots/live_run.py")


PICTURES: tuple[Shown, ...] = (
    Shown("unlock", (*_FORM, "lab_code/notebook/progress_strip.py")),
    Shown("form", _FORM),
    Shown("training", _TABLE),
    Shown("comparison", ("lab_code/analysis/compare.py",)),
    Shown("confusions", ("lab_code/plots/one_run.py",)),
    Shown("runs", ("lab_code/tracking/views.py", "lab_code/tracking/names.py")),
    Shown("board", ("instructor/classroom/board.html",)),
    Shown("winner", ("instructor/results/ceremony.html", "instructor/results/curve.py")),
    Shown("ranking", ("instructor/results/ceremony.html",)),
    Shown("duel", ("instructor/classroom/duel.html",)),
    Shown("sheet", ("instructor/provision/sheet.typ",)),
    Shown("rehearsal", ("instructor/rehearsal/paper.typ",)),
)


def choose(names: Sequence[str]) -> list[Shown]:
    """The pictures of these names; all of them where none is given. Raises `LabError` for one that is not there."""
    known = {picture.name: picture for picture in PICTURES}
    for name in names:
        if name not in known:
            raise LabError(f"there is no picture '{name}'", hint=f"{suggest(name, known)}pictures: {', '.join(known)}")
    return [known[name] for name in names] or list(PICTURES)
