"""The leaderboard: one row a group, as CSV for programs and as a page for the projector."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from instructor.collect.table import write_table
from lab_code.files import write_whole

_TEMPLATE = "leaderboard.html"


@dataclass(frozen=True)
class Row:
    """One group. `rank` is None where its model could not be scored on the hidden test set."""

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


def rank_rows(rows: list[Row]) -> list[Row]:
    """Rows by balanced accuracy on the hidden test set; equal scores share a rank, groups without one come last."""
    scores = [row.test_balanced_accuracy for row in rows if row.test_balanced_accuracy is not None]
    ordered = sorted(rows, key=lambda row: (-(row.test_balanced_accuracy or -1.0), row.group))
    ranked = []
    for row in ordered:
        mine = row.test_balanced_accuracy
        ranked.append(replace(row, rank=None if mine is None else 1 + sum(score > mine for score in scores)))
    return ranked


def write_leaderboard(folder: Path, title: str, rows: list[Row]) -> None:
    """Write `leaderboard.csv` and `leaderboard.html` into `folder`."""
    columns = [field.name for field in fields(Row)]
    write_table(folder / "leaderboard.csv", columns, map(asdict, rows))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    write_whole(folder / "leaderboard.html", environment.get_template(_TEMPLATE).render(title=title, rows=rows))
