"""The commands of `instructor` when work comes back: collect, ui, review, and Kahoot's results."""

import json
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.options import BuildOption, OutOption, WorkshopOption, take
from instructor.cli.waiting import alone, show_progress
from instructor.workshop import Workshop, read_workshop
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.collect.review import MadeReviews
    from instructor.quizbank.kahoot_report import Report
    from instructor.quizbank.teams import Review

PlacesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Zips, folders that hold some, kits, addresses of MLflow servers; the kits and build/handins if left out.",
    ),
]
UnsignedOption = Annotated[
    bool, typer.Option("--unsigned", help="Take hand-ins that no kit has signed: anyone may have made them.")
]


@dataclass(frozen=True)
class CollectOptions:
    """Of `instructor collect`."""

    build: BuildOption
    places: PlacesArgument = None
    unsigned: UnsignedOption = False
    into: Annotated[
        str | None, typer.Option(help="Also into this database of MLflow: postgresql://user@host/mlflow", metavar="URI")
    ] = None
    artifacts: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the files of runs that go --into a database.", show_default="build/course-artifacts"
        ),
    ] = None
    repeat: Annotated[bool, typer.Option("--repeat", help="Make every group's best run again, and compare.")] = False
    show: Annotated[bool, typer.Option("--show", help="Print the ranking: who sees the screen knows it.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="For programs; with the ranking.")] = False
    workshop: WorkshopOption = None


@take(CollectOptions)
def collect(options: CollectOptions) -> None:
    """Merge the groups' hand-ins into one MLflow store, check and score them, write the leaderboard.

    Zips, folders, kits as they lie and MLflow servers, in any mixture. What was collected once stays, in build/inbox/.

    Example: instructor collect usb-stick/ http://127.0.0.1:5000
    """
    from instructor.cli.show_collected import explain_faults, show_collected, show_published, show_repeats, to_document
    from instructor.collect.collect import collect_handins

    described, build, final = read_workshop(options.workshop), options.build, options.build / "collected"
    with alone(build):
        places: Sequence[Path | str] = options.places or [*_usual_places(build), *_own_server(described, build)]
        collected = collect_handins(described, places, build, show_progress, unsigned=options.unsigned)
        best = {row.group: row.run_id for row in collected.rows if row.run_id}
        published, repeats = None, {}
        if options.into and collected.rows:
            from instructor.collect.publish import publish

            artifacts = options.artifacts or build / "course-artifacts"
            published = publish(final, options.into, artifacts, show_progress)
        if options.repeat and best:
            from instructor.collect.repeat import repeat_best
            from instructor.results.show import rank_again

            repeats = repeat_best(final, best, build / "data", described.limits, show_progress)
            collected.rows = rank_again(described, build, show_progress)
    if options.as_json:
        print(json.dumps(to_document(collected, published, repeats), ensure_ascii=False, indent=2))
    else:
        show_collected(collected, described.groups, ranking=options.show)
        show_published(published)
        show_repeats(repeats)
    fault = explain_faults(collected, published)
    if fault:
        raise fault
    if not collected.rows:
        raise LabError("no hand-in was found", hint="copy the groups' zips into build/handins/, then: make collect")


def ui(
    build: BuildOption,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Open MLflow's page: every run of every group, until Ctrl-C.

    Example: instructor ui
    """
    from lab_code.tracking.interrupts import hear_termination
    from lab_code.tracking.runs import DATABASE
    from lab_code.workshop.desk import open_desk, write_redirect
    from lab_code.workshop.kit import Kit

    store, notes = build / "collected", make_console(stderr=True)
    if not (store / DATABASE).is_file():
        raise LabError(f"{store} holds no runs yet", hint="make collect")
    kit, ended = Kit(store.resolve(), "", "", "", (), {}), None
    with hear_termination(), open_desk(kit, ["mlflow"], lambda root: None, notes.print) as desk:
        make_console().print(f"MLflow      {desk.servers[0].address}\nCtrl-C stops it.", markup=False)
        if browser:
            webbrowser.open(write_redirect(desk.root, desk.servers[0]).resolve().as_uri())
        with suppress(KeyboardInterrupt):
            ended = desk.watch()
    make_console().print("Stopped." if ended is None else "MLflow has ended by itself.")


def review(
    build: BuildOption,
    places: PlacesArgument = None,
    into: Annotated[
        Path | None, typer.Option(help="A folder of kits (a USB stick, build/kits): each gets its file at once.")
    ] = None,
    unsigned: UnsignedOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Give every group two runs of another one to review, without saying whose.

    Who reviews whom stands in build/vault/reviews.yaml, which you may change. A group that is missing is passed over.

    Example: instructor review --into build/kits
    """
    from instructor.cli.show_collected import explain_refused
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
        empty, from_where = scratch / "empty" / DATABASE, places or _usual_places(build)
        found = read_handins(from_where, Terms(described, vault, unsigned), scratch, empty, show_progress)
        made = make_reviews(described, found, vault, build / "reviews")
    brought = bring_reviews(made, described, into) if into is not None else {}
    _print_reviews(made, {**made.files, **brought}, found.notes)
    if not made.reviewed and not found.refused:
        raise LabError("nobody can review anybody yet", hint="copy two groups' zips into build/handins/ and try again")
    if made.reviewed and not brought:
        make_console().print("Copy each file into its group's kit; the group answers with: lab review")
    make_console().print(f"Who reviews whom: {made.plan}")
    if found.refused or found.incomplete or found.conflicts:
        others = "the other groups' reviews are written" if made.reviewed else "no review was written"
        raise explain_refused(
            found.refused, [*found.conflicts, *found.incomplete], f"{others}; fix these and run it again"
        )


def _print_reviews(made: "MadeReviews", files: Mapping[str, Path], notes: Sequence[str]) -> None:
    for group, other in made.reviewed.items():
        make_console().print(f"{group} reviews {other}: {files[group]}", markup=False)
    for note in (*notes, *made.notes):
        make_console(stderr=True).print(f"note: {note}", markup=False)


def _usual_places(build: Path) -> Sequence[Path]:
    """Where hand-ins lie if nobody says otherwise."""
    return [folder for folder in (build / "kits", build / "handins") if folder.is_dir()]


def _own_server(described: Workshop, build: Path) -> list[str]:
    """The course's own server, where kits report to it and it runs here."""
    from instructor.server.course import ADMIN, answers, open_course, read_running
    from instructor.vault import Vault

    if not described.server.report_to:
        return []
    course = open_course(described, Vault(build), build / "server")
    if read_running(course) is None or not answers(course):
        make_console(stderr=True).print("note: the course's server does not run here: instructor server up")
        return []
    return [f"http://{ADMIN}:{course.password(ADMIN)}@127.0.0.1:{described.server.port}"]


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
    workshop: WorkshopOption = None,
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
