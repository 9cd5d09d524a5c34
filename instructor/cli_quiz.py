"""The commands `instructor quiz …` and `instructor kahoot …`: check the bank, export it, read Kahoot's results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from instructor.options import WORKSHOP_FILE, WorkshopOption, default_build
from instructor.workshop import Workshop, find_stage, read_workshop
from lab_code.errors import LabError
from lab_code.terminal import make_console

if TYPE_CHECKING:
    from instructor.quizbank.kahoot_report import Report
    from instructor.quizbank.teams import Review

OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        default_factory=lambda: default_build() / "quiz",
        show_default="build/quiz",
        help="The folder to write into.",
    ),
]
FromOption = Annotated[
    str, typer.Option("--questions", help="kahoot, the number or id of a stage, locks (all stages), or all.")
]


def add_commands(quiz: typer.Typer, export: typer.Typer, kahoot_app: typer.Typer) -> None:
    """Register the commands."""
    quiz.command()(check)
    for command in (kahoot, gift, moodle, aiken, canvas, jupyterquiz, page):
        export.command()(command)
    kahoot_app.command()(results)


def check(workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Resolve every answer from the code and check every question.

    Example: instructor quiz check
    """
    from instructor.quizbank.bank import KAHOOT, load_bank_with_notes, stage_questions
    from instructor.quizbank.kahoot import check_questions

    described = read_workshop(workshop)
    questions, notes = load_bank_with_notes(described)
    for note in notes:
        make_console(stderr=True).print(f"note: {note}", markup=False)
    check_questions(stage_questions(questions, KAHOOT))
    counts = [f"{stage.id} {len(stage_questions(questions, stage.id))}" for stage in described.stages]
    counts.append(f"kahoot {len(stage_questions(questions, KAHOOT))}")
    make_console().print(f"{len(questions)} questions, all answers resolved: {', '.join(counts)}")


def kahoot(out: OutOption, workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write the Kahoot round as .xlsx in the layout of Kahoot's template, and as .csv.

    Example: instructor quiz export kahoot --out build/quiz
    """
    _export("kahoot", out, "kahoot", workshop)


def gift(out: OutOption, questions: FromOption = "all", workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write GIFT, a text format of Moodle.

    Example: instructor quiz export gift --questions 2
    """
    _export("gift", out, questions, workshop)


def moodle(out: OutOption, questions: FromOption = "all", workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write Moodle XML, which keeps hints, tags and explanations.

    Example: instructor quiz export moodle
    """
    _export("moodle", out, questions, workshop)


def aiken(out: OutOption, questions: FromOption = "all", workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write Aiken, the plainest text format: choices only.

    Example: instructor quiz export aiken --questions kahoot
    """
    _export("aiken", out, questions, workshop)


def canvas(out: OutOption, questions: FromOption = "all", workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write a QTI package for Canvas.

    Example: instructor quiz export canvas
    """
    _export("canvas", out, questions, workshop)


def jupyterquiz(out: OutOption, questions: FromOption = "all", workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write JSON for the package jupyterquiz (whoever opens the file can read the answers).

    Example: instructor quiz export jupyterquiz --questions 1
    """
    _export("jupyterquiz", out, questions, workshop)


def page(out: OutOption, questions: FromOption = "kahoot", workshop: WorkshopOption = WORKSHOP_FILE) -> None:
    """Write one page for the projector that needs no internet: count-down, keys, the answer shown at the end.

    Example: instructor quiz export page
    """
    _export("page", out, questions, workshop)


def _export(name: str, out: Path, which: str, workshop: Path) -> None:
    from instructor.quizbank.bank import load_bank_with_notes
    from instructor.quizbank.exports import EXPORTS
    from instructor.quizbank.kahoot import export_kahoot

    described = read_workshop(workshop)
    bank, aside = load_bank_with_notes(described)
    questions = _choose(bank, described, which)
    paths, notes = {"kahoot": export_kahoot, **EXPORTS}[name](questions, out, described.seed)
    for note in [*aside, *notes]:
        make_console(stderr=True).print(f"note: {note}", markup=False)
    for path in paths:
        make_console().print(f"{path}  ({len(questions) - sum('left out' in note for note in notes)} questions)")


def _choose(questions: list, described: Workshop, which: str) -> list:
    from instructor.quizbank.bank import KAHOOT, stage_questions

    if which == "all":
        return questions
    if which == "locks":
        return [question for question in questions if question.stage != KAHOOT]
    if which == KAHOOT:
        return stage_questions(questions, KAHOOT)
    try:
        return stage_questions(questions, find_stage(described, which).id)
    except LabError as error:
        raise LabError(error.message, hint=f"{error.hint}; or kahoot, locks, all") from error


def results(
    report: Annotated[Path, typer.Argument(help="The report that Kahoot lets you download: .xlsx, or a sheet as .csv")],
    count: Annotated[
        bool, typer.Option("--count", help="Write the ranking, after you have looked at the review.")
    ] = False,
    aliases: Annotated[
        Path | None, typer.Option(help="The table nickname,group; written beside the ranking where it is missing.")
    ] = None,
    out: OutOption = ...,  # type: ignore[assignment]
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Read Kahoot's results: who belongs to which group, for you to look at; then, with --count, the groups' ranking.

    Example: instructor kahoot results report.xlsx
    """
    from instructor.quizbank.kahoot_report import read_report
    from instructor.quizbank.players_table import read_players, update_players
    from instructor.quizbank.teams import review_players

    described = read_workshop(workshop)
    found = read_report(report)
    table = read_players(aliases or out / "kahoot-players.csv", described.groups)
    review = review_players(found, table.aliases, described.groups)
    update_players(table, review.table())
    _show_review(found, review, described)
    if not count:
        last = f"Nothing is counted yet. Put players right in {table.path}, then the same with --count"
        make_console().print(last, markup=False)
        return
    waiting = [player.nickname for player in review.unmatched]
    if waiting:
        who = "1 player belongs" if len(waiting) == 1 else f"{len(waiting)} players belong"
        raise LabError(
            f"{who} to no group: {', '.join(waiting[:5])}",
            hint=f"write their group into {table.path}, or - where they do not count",
        )
    _write_ranking(out / "kahoot-ranking.csv", found, review, described)


def _show_review(found: "Report", review: "Review", described: Workshop) -> None:
    """Who is in which group with which score, and everything that an instructor should look at."""
    from instructor.quizbank.teams import score_group
    from lab_code.terminal import make_table

    notes = make_console(stderr=True)
    shown = make_table("group", "players", title=escape(f"Review: {found.path.name}"), right=[found.counts])
    for group in described.groups:
        names = ", ".join(player.nickname for player in review.groups.get(group, [])) or "nobody"
        shown.add_row(group, escape(names), str(score_group(review, group, described.kahoot_teams)))
    make_console().print(shown)
    for note in [*found.notes, *review.notes(described.kahoot_teams)]:
        notes.print(f"note: {note}", markup=False)
    for player in review.unmatched:
        notes.print(f"note: '{player.nickname}' belongs to no group ({player.score} {found.counts})", markup=False)


def _write_ranking(path: Path, found: "Report", review: "Review", described: Workshop) -> None:
    from instructor.collect.table import write_table
    from instructor.quizbank.teams import rank_groups
    from lab_code.terminal import make_table

    ranking = rank_groups(review, described.groups, described.kahoot_teams)
    column = found.counts.replace(" ", "_")
    rows = [{"rank": entry.rank, "group": entry.group, column: entry.score} for entry in ranking]
    write_table(path, ["rank", "group", column], rows)
    ranked = make_table("rank", "group", title="Kahoot: groups", right=[found.counts])
    for entry in ranking:
        ranked.add_row(str(entry.rank), entry.group, str(entry.score))
    make_console().print(ranked)
    make_console().print(f"{path}  (groups only, no nicknames)", markup=False)
