"""The commands of `instructor` when work comes back: collect, review, and Kahoot's results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from instructor.cli.options import WORKSHOP_FILE, BuildOption, OutOption, WorkshopOption
from instructor.cli.waiting import alone, show_progress
from instructor.workshop import Workshop, read_workshop
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.collect.collect import Collected
    from instructor.collect.leaderboard import Row
    from instructor.collect.review import MadeReviews
    from instructor.quizbank.kahoot_report import Report
    from instructor.quizbank.teams import Review

_MOST_LINES = 60  # of what is wrong with hand-ins

UnsignedOption = Annotated[
    bool, typer.Option("--unsigned", help="Take hand-ins that no kit has signed: anyone may have made them.")
]


def collect(
    build: BuildOption,
    handins: Annotated[
        list[Path] | None,
        typer.Argument(help="Zips, or folders that hold some; the kits and build/handins if left out."),
    ] = None,
    unsigned: UnsignedOption = False,
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Merge the groups' hand-ins into one MLflow store, score them on the hidden test set, write the leaderboard.

    Example: instructor collect usb-stick/
    """
    from instructor.collect.collect import collect_handins

    described, places = read_workshop(workshop), handins or _usual_places(build)
    with alone(build):
        collected = collect_handins(described, places, build, show_progress, unsigned=unsigned)
    _print_collected(collected)
    if collected.refused or collected.incomplete:
        others = (
            "the others are collected; " if collected.rows else "nothing was collected, what was there before stays; "
        )
        raise _explain_refused(collected.refused, collected.incomplete, f"{others}fix these and run make collect again")
    if not collected.rows:
        raise LabError("no hand-in was found", hint="copy the groups' zips into build/handins/, then: make collect")


def _print_collected(collected: "Collected") -> None:
    """The ranking, where everything lies, and what the instructor should know."""
    from instructor.collect.statements import BETS, SENTENCES

    console, notes = make_console(), make_console(stderr=True)
    if collected.rows:
        console.print(_make_leaderboard(collected.rows))
        if collected.reviews:
            groups = "1 group" if collected.reviews == 1 else f"{collected.reviews} groups"
            console.print(f"Reviews: {collected.html.with_name('reviews.csv')}   ({groups})")
        for name in filter(Path.is_file, map(collected.html.with_name, (BETS, SENTENCES))):
            console.print(f"What the groups said: {name}")
        console.print(f"Leaderboard: {collected.html}   All runs: mlflow ui --backend-store-uri {collected.store_uri}")
    for group in collected.missing:
        notes.print(f"note: nothing from {group} yet")
    for fault in collected.notes:
        notes.print(f"note: {fault}", markup=False)


def _make_leaderboard(rows: Sequence["Row"]) -> Table:
    right = ["hidden test", "validation", "runs"]
    table = make_table("rank", "group", "best run", title="Leaderboard: balanced accuracy", right=right)
    table.add_column("receipt", no_wrap=True)
    for row in rows:
        scores = [row.test_balanced_accuracy, row.validation_balanced_accuracy]
        cells = ["–" if score is None else f"{score:.3f}" for score in scores]
        table.add_row(str(row.rank or "–"), row.group, escape(row.best_run), *cells, str(row.runs), row.receipt)
    return table


def review(
    build: BuildOption,
    handins: Annotated[
        list[Path] | None,
        typer.Argument(help="Zips, or folders that hold some; the kits and build/handins if left out."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="A folder of kits (a USB stick, build/kits): each gets its file at once.")
    ] = None,
    unsigned: UnsignedOption = False,
    workshop: WorkshopOption = WORKSHOP_FILE,
) -> None:
    """Give every group two runs of another one to review, without saying whose.

    Who reviews whom stands in build/vault/reviews.yaml, which you may change. A group that is missing is passed over.

    Example: instructor review --into build/kits
    """
    from instructor.collect.collect import make_store, stage
    from instructor.collect.handins import Terms, read_handins
    from instructor.collect.review import bring_reviews, make_reviews
    from instructor.vault import Vault
    from lab_code.tracking.runs import DATABASE

    described, vault = read_workshop(workshop), Vault(build)
    if into is not None and not into.is_dir():
        raise LabError(f"there is no folder {into}", hint="instructor review --into build/kits")
    with alone(build), stage(build) as scratch:
        make_store(scratch / "empty", scratch / "empty", build)
        empty, places = scratch / "empty" / DATABASE, handins or _usual_places(build)
        found = read_handins(places, Terms(described, vault, unsigned), scratch, empty, show_progress)
        made = make_reviews(described, found, vault, build / "reviews")
    brought = bring_reviews(made, described, into) if into is not None else {}
    _print_reviews(made, {**made.files, **brought}, found.notes)
    if not made.reviewed and not found.refused:
        raise LabError("nobody can review anybody yet", hint="copy two groups' zips into build/handins/ and try again")
    if made.reviewed and not brought:
        make_console().print("Copy each file into its group's kit; the group answers with: lab review")
    make_console().print(f"Who reviews whom: {made.plan}")
    if found.refused or found.incomplete:
        others = "the other groups' reviews are written" if made.reviewed else "no review was written"
        raise _explain_refused(found.refused, found.incomplete, f"{others}; fix these and run it again")


def _print_reviews(made: "MadeReviews", files: Mapping[str, Path], notes: Sequence[str]) -> None:
    for group, other in made.reviewed.items():
        make_console().print(f"{group} reviews {other}: {files[group]}", markup=False)
    for note in (*notes, *made.notes):
        make_console(stderr=True).print(f"note: {note}", markup=False)


def _explain_refused(refused: Mapping[str, str], incomplete: Sequence[str], advice: str) -> LabError:
    lines = [f"{path}: {reason}" for path, reason in refused.items()]
    counts = [f"{len(refused)} hand-in{'s' * (len(refused) != 1)} could not be read"] * bool(refused)
    counts += [f"{len(incomplete)} could be read in part"] * bool(incomplete)
    said = [*incomplete, *lines]
    more = [f"… and {len(said) - _MOST_LINES} more"] if len(said) > _MOST_LINES else []
    return LabError(f"{', '.join(counts)}:\n  " + "\n  ".join([*said[:_MOST_LINES], *more]), hint=advice)


def _usual_places(build: Path) -> list[Path]:
    """Where hand-ins lie if nobody says otherwise."""
    return [folder for folder in (build / "kits", build / "handins") if folder.is_dir()]


def results(
    report: Annotated[Path, typer.Argument(help="The report that Kahoot lets you download: .xlsx, or a sheet as .csv")],
    count: Annotated[
        bool, typer.Option("--count", help="Write the ranking, after you have looked at the review.")
    ] = False,
    aliases: Annotated[
        Path | None, typer.Option(help="The table nickname,group; written beside the ranking where it is missing.")
    ] = None,
    *,
    out: OutOption,
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

    ranking = rank_groups(review, described.groups, described.kahoot_teams)
    column = found.counts.replace(" ", "_")
    rows = [{"rank": entry.rank, "group": entry.group, column: entry.score} for entry in ranking]
    write_table(path, ["rank", "group", column], rows)
    ranked = make_table("rank", "group", title="Kahoot: groups", right=[found.counts])
    for entry in ranking:
        ranked.add_row(str(entry.rank), entry.group, str(entry.score))
    make_console().print(ranked)
    make_console().print(f"{path}  (groups only, no nicknames)", markup=False)
