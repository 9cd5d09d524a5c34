"""The commands of `instructor` after collecting: the ceremony on the projector, and the report of the course."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.options import BuildOption, WorkshopOption
from instructor.cli.waiting import alone, show_progress
from instructor.workshop import Workshop, read_workshop
from lab_code.cli.terminal import make_console
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.results.mistakes import Mistakes
    from instructor.results.results import Results

COLLECTED = "collected"


def ceremony(
    build: BuildOption,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    workshop: WorkshopOption = None,
) -> None:
    """Open the ceremony: the ranking from the last place to the first, for the projector.

    It is made again from what was collected, so that Kahoot counts as soon as it is counted.

    Example: instructor ceremony
    """
    from instructor.results.ceremony import CEREMONY
    from instructor.results.show import rank_again

    described = read_workshop(workshop)
    with alone(build):
        rows = rank_again(described, build, show_progress)
    console, page = make_console(), build / COLLECTED / CEREMONY
    console.print(f"{page}  (→ goes on, ← back, F full screen, S all on one page)", markup=False)
    if described.scoring.kahoot and all(row.kahoot_points is None for row in rows):
        make_console(stderr=True).print("note: Kahoot is not counted yet: instructor kahoot results … --count")
    if open_page and not _open(page):
        raise LabError("no browser could be opened", hint=f"open {page} by hand")


def report(
    build: BuildOption,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: print it, write no PDF.")] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Write the report of the course as one PDF: results, what was tried, stages, questions, feedback, a page a group.

    Example: instructor report
    """
    from instructor.results.report import REPORT, make_report, report_to_json, write_report
    from instructor.results.results import load_results

    described, folder = read_workshop(workshop), build / COLLECTED
    with alone(build):
        advance = show_progress("report", 3)
        results = load_results(described, folder, build)
        advance()
        made = make_report(results, _count_mistakes(results, described, build))
        advance()
        if not as_json:
            write_report(folder / REPORT, results, made)
        advance()
    if as_json:
        print(report_to_json(made))
        return
    make_console().print(f"{folder / REPORT}  (its last pages are for the groups)", markup=False)


def _count_mistakes(results: "Results", described: Workshop, build: Path) -> list["Mistakes"]:
    """Which questions were answered wrongly; nothing, with a note, where the bank or the vault is not at hand."""
    from instructor.quizbank.bank import load_bank
    from instructor.quizbank.variants import make_variants
    from instructor.results.mistakes import count_mistakes
    from instructor.vault import Vault

    data, vault = build / "data", Vault(build)
    try:
        if not vault.is_drawn:
            raise LabError(f"{vault.folder} is not there")
        bank = load_bank(described, data=data if data.is_dir() else None, build=build)
        return count_mistakes(results.evidence, make_variants(described, bank, vault.answer_secret(described.id)))
    except LabError as error:
        make_console(stderr=True).print(f"note: which questions were wrong is left out: {error.message}", markup=False)
        return []


def _open(page: Path) -> bool:
    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False
