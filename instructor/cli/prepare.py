"""The commands of `instructor` before the class: check and export the quiz, judge locks, measure experiments."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from instructor.cli.options import BuildOption, OutOption, WorkshopOption, default_build
from instructor.vault import Vault
from instructor.workshop import PROJECT, Workshop, find_stage, read_workshop
from lab_code.cli.terminal import make_console
from lab_code.errors import LabError
from lab_code.files import write_whole

if TYPE_CHECKING:
    from instructor.locks.audit import StageAudit
    from instructor.quizbank.bank import BankQuestion

# What `quiz export` writes; `instructor/quizbank/exports.py` and `kahoot.py` hold how.
FORMATS = {
    "kahoot": "the Kahoot round as .xlsx in the layout of Kahoot's template, and as .csv",
    "gift": "GIFT, a text format of Moodle",
    "moodle": "Moodle XML, which keeps hints, tags and explanations",
    "aiken": "Aiken, the plainest text format: choices only",
    "canvas": "a QTI package for Canvas",
    "jupyterquiz": "JSON for the package jupyterquiz (whoever opens the file can read the answers)",
    "page": "one page for the projector that needs no internet: count-down, keys, the answer shown at the end",
}
_ROUND = ("kahoot", "page")  # what these are made for: the Kahoot round


def _check_format(text: str) -> str:
    if text not in FORMATS:
        raise typer.BadParameter(f"there is no format '{text}', but {', '.join(FORMATS)}")
    return text


def check(workshop: WorkshopOption = None) -> None:
    """Resolve every answer from the code and check every question.

    Example: instructor quiz check
    """
    from instructor.quizbank.bank import KAHOOT, load_bank_with_notes, stage_questions
    from instructor.quizbank.kahoot import check_questions

    described = read_workshop(workshop)
    prepared = described.home / "build" / "data"
    questions, notes = load_bank_with_notes(
        described, data=prepared if prepared.is_dir() else None, build=default_build()
    )
    for note in notes:
        make_console(stderr=True).print(f"note: {note}", markup=False)
    if last := stage_questions(questions, KAHOOT):  # a workshop may do without
        check_questions(last)
    counts = [f"{stage.id} {len(stage_questions(questions, stage.id))}" for stage in described.stages]
    counts.append(f"kahoot {len(stage_questions(questions, KAHOOT))}")
    make_console().print(f"{len(questions)} questions, all answers resolved: {', '.join(counts)}")


def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            callback=_check_format,
            help="\n\n".join(f"{known}: {what}" for known, what in FORMATS.items()),
        ),
    ],
    out: OutOption,
    questions: Annotated[
        str | None,
        typer.Option(
            help="kahoot, the number or id of a stage, locks (all stages), or all.",
            show_default="all; of page: kahoot",
        ),
    ] = None,
    workshop: WorkshopOption = None,
) -> None:
    """Write the quiz for other programs.

    Example: instructor quiz export gift --questions 2
    """
    from instructor.quizbank.bank import load_bank_with_notes
    from instructor.quizbank.exports import EXPORTS, Export, export_page
    from instructor.quizbank.kahoot import export_kahoot

    if name == "kahoot" and questions is not None:
        raise typer.BadParameter("format kahoot is always the Kahoot round: leave this out", param_hint="--questions")
    described = read_workshop(workshop)
    bank, aside = load_bank_with_notes(described, build=default_build())
    chosen = _choose(bank, described, questions or ("kahoot" if name in _ROUND else "all"))
    page: Export = partial(export_page, groups=described.groups, title=described.title)
    exports: dict[str, Export] = {"kahoot": export_kahoot, **EXPORTS, "page": page}
    paths, notes = exports[name](chosen, out, described.seed)
    for note in [*aside, *notes]:
        make_console(stderr=True).print(f"note: {note}", markup=False)
    for path in paths:
        make_console().print(f"{path}  ({len(chosen) - sum('left out' in note for note in notes)} questions)")


def _choose(questions: list["BankQuestion"], described: Workshop, which: str) -> list["BankQuestion"]:
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


def audit(
    build: BuildOption,
    workshop: WorkshopOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell for every stage how long guessing takes, on this machine and on larger ones, and what would help.

    Example: instructor locks audit
    """
    from instructor.locks.audit import audit_locks, audits_to_json, time_guess
    from instructor.quizbank.bank import load_bank
    from instructor.quizbank.variants import make_variants

    described, vault = read_workshop(workshop), Vault(build)
    data = build / "data" if (build / "data").is_dir() else None
    secret = vault.answer_secret(described.id) if vault.is_drawn else "an example"
    kept_in = build if vault.is_drawn else None  # where nothing was built, nothing is written
    variants = make_variants(described, load_bank(described, data=data, build=kept_in), secret)
    audits = audit_locks(described, variants, time_guess(described.locks), data=data)
    if as_json:
        print(audits_to_json(audits))
        return
    _print_audits(audits, described)
    if not vault.is_drawn:
        make_console().print(f"({vault.folder} is not made yet: these are the figures of an example)", style="dim")


def _print_audits(audits: list["StageAudit"], described: Workshop) -> None:
    from instructor.locks.audit import CORES, describe_seconds

    table = Table("", title="Guessing lists of answers by program, stage by stage", title_justify="left")
    table.add_column("tried", no_wrap=True)
    for name in ("lists", "by hand", *(f"{cores} cores" if cores > 1 else "1 core" for cores in CORES)):
        table.add_column(name, justify="right", no_wrap=True)
    for number, stage in enumerate(audits, 1):
        for who, lists in (
            ("every list", stage.combinations),
            ("lazily: most", max(stage.lazy)),
            ("lazily: median", stage.median),
            ("lazily: fewest", stage.quickest),
        ):
            seconds = [stage.seconds_by_hand(lists), *(stage.seconds(cores, lists) for cores in CORES)]
            shown = f"{lists:,}" + (" × room code" if stage.room_code else "")
            first = str(number) if who == "every list" else ""
            table.add_row(first, who, shown, *map(describe_seconds, seconds), end_section=who == "lazily: fewest")
    console = make_console()
    console.print(table)
    memory = described.locks.memory_kib / 1024
    console.print(
        f"One guess takes {audits[0].guess_s:.2f} s and {memory:.0f} MiB on one core of this machine; the activity "
        f"lasts {described.activity_minutes} min. By hand counts the waiting after wrong lists. Lazily: what "
        "lies at hand first, options by their looks, numbers and names from the files that the question names; over "
        "the groups. Every stage after the first can be guessed only once the one before it is open."
    )
    for number, stage in enumerate(audits, 1):
        fix = f"; cheapest fix: {stage.fix}" if stage.fix else ""
        console.print(f"  stage {number}: {stage.verdict}{fix}")
        if stage.rest is not None and not stage.room_code:
            console.print(f"    whoever types the command that shows its number has {stage.rest:,} lists left to try")


def experiments(
    out: Annotated[Path, typer.Option(help="The page to write.")] = PROJECT / "docs" / "experiments.md",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, counted from 0.")] = 5,
    real: Annotated[
        Path | None, typer.Option(help="A folder of real photographs, to be asked about after synthetic training.")
    ] = None,
    *,
    workshop: WorkshopOption = None,
    build: BuildOption,
) -> None:
    """Train baseline and balanced with several seeds, and write down what the pair shows (about ten minutes).

    Example: instructor experiments --real path/to/ham10000
    """
    from instructor.experiments import measure_experiments, score_on_real, write_page

    group = read_workshop(workshop).groups[0]
    pairs = measure_experiments(build, group, range(seeds), build / "experiments")
    notes = make_console(stderr=True)
    if real is not None:
        notes.print("training on synthetic photographs alone, to be asked about real ones …", style="dim")
    scores = score_on_real(real, range(3)) if real is not None else None
    write_whole(out, write_page(pairs, scores))
    gains = [pair.gain("balanced_accuracy") for pair in pairs]
    make_console().print(f"[bold green]{out.name}[/] is written: balanced accuracy rises by {min(gains):.3f} or more")
