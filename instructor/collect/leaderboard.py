"""The leaderboard: one row a group, as CSV for programs and as a page that stands still."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from instructor.collect.table import write_table
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000
from lab_code.files import write_whole
from lab_code.workshop.mark import draw_mark, mark_of

_TEMPLATE = "leaderboard.html"


@dataclass(frozen=True)
class Row:
    """One group. `rank` is its place, None before it is ranked; `model_rank` is None where its model has no score."""

    rank: int | None
    group: str
    best_run: str
    run_id: str
    test_balanced_accuracy: float | None
    test_accuracy: float | None
    test_macro_auc: float | None
    validation_balanced_accuracy: float | None
    runs: int
    stages_open: int
    points: int
    wrong_answers: int
    handed_in: str
    receipt: str
    total: float | None = None  # of what can be had: of_total
    of_total: float | None = None
    model_rank: int | None = None
    model_points: float | None = None
    stage_points: float | None = None
    management_points: float | None = None
    kahoot_points: float | None = None
    relay_points: float | None = None


def write_leaderboard(
    folder: Path,
    title: str,
    rows: Sequence[Row],
    notes: Sequence[str] = (),
    numbers: Mapping[str, int] | None = None,
    dataset: Dataset = HAM10000,
) -> None:
    """Write `leaderboard.csv` and `leaderboard.html` into `folder`.

    `notes` stand below the table of the page; `numbers` are those of the groups, whose marks stand in their rows.
    """
    columns = [field.name for field in fields(Row)]
    write_table(folder / "leaderboard.csv", columns, map(asdict, rows))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    marks = {group: Markup(draw_mark(mark_of(number))) for group, number in (numbers or {}).items()}
    about = {"classes": len(dataset), "words": dataset.class_words[1], "notice": dataset.notice}
    page = environment.get_template(_TEMPLATE).render(title=title, rows=rows, notes=notes, marks=marks, **about)
    write_whole(folder / "leaderboard.html", page)
