"""The files that people look at, written into the collected folder: leaderboard, ceremony, figures.

rows = write_results(results, folder, progress)      while collecting
rows = rank_again(workshop, build, progress)         later, when Kahoot has been counted
"""

from collections.abc import Callable
from pathlib import Path

from instructor.collect.leaderboard import Row, write_leaderboard
from instructor.results.ceremony import write_ceremony
from instructor.results.figures import write_figures
from instructor.results.points import Standing
from instructor.results.results import Results, load_results
from instructor.workshop import Workshop

Progress = Callable[[str, int], Callable[[], object]]


def write_results(results: Results, folder: Path, progress: Progress, *, figures: bool = True) -> list[Row]:
    """Write everything (`figures=False`: but for the figures, which take longest); returns the leaderboard's rows."""
    advance = progress("ranking", 2 + figures)
    rows = [_make_row(results, standing) for standing in results.standings.groups]
    numbers = {standing.group: standing.number for standing in results.standings.groups}
    chances, dataset = results.standings.models.chances(), results.evidence.dataset
    write_leaderboard(folder, results.workshop.title, rows, chances, numbers, dataset)
    advance()
    write_ceremony(results, folder)
    advance()
    if figures:
        write_figures(results, folder)
        advance()
    return rows


def rank_again(workshop: Workshop, build: Path, progress: Progress) -> list[Row]:
    """Rank what was collected with what has been counted or repeated since; the figures stay."""
    folder = build / "collected"
    return write_results(load_results(workshop, folder, build), folder, progress, figures=False)


def _make_row(results: Results, standing: Standing) -> Row:
    entry = next(entry for entry in results.evidence.groups if entry.group == standing.group)
    tested = entry.tested.get(entry.run_id, {})
    points = {part.name: part.points for part in standing.parts}
    return Row(
        rank=standing.place,
        group=standing.group,
        best_run=entry.best_run,
        run_id=entry.run_id,
        test_balanced_accuracy=tested.get("balanced_accuracy"),
        test_accuracy=tested.get("accuracy"),
        test_macro_auc=tested.get("macro_auc"),
        validation_balanced_accuracy=entry.validation,
        runs=entry.runs,
        stages_open=sum(bool(stage["opened"]) for stage in entry.stages),
        points=entry.points,
        wrong_answers=sum(stage["wrong"] for stage in entry.stages),
        handed_in=entry.handed_in,
        receipt=entry.receipt,
        total=standing.total,
        of_total=standing.of,
        model_rank=standing.model_rank,
        model_points=points.get("model"),
        stage_points=points.get("stages"),
        management_points=points.get("management"),
        kahoot_points=points.get("kahoot"),
        relay_points=points.get("relay"),
    )
