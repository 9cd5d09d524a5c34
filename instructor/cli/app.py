"""The command `instructor`: which commands there are, in the order of the work, and how it ends.

A command is a small function that parses, calls and prints. It lies in the file of its phase: `adapt.py` (a workshop of
your own, its photographs), `prepare.py` (quiz, locks, experiments), `provision.py`, `wheels.py`, `deliver.py` and
`fleet.py` (laptops), `rehearse.py`, `classroom.py` (plan, run sheet, slides, clock, board), `in_class.py` (key, rescue,
room code, duel), `collect.py` (hand-ins, reviews, Kahoot's results), `results.py` (ceremony, report), `server.py` (one
MLflow for a course). What takes long to import (MLflow, torch) is imported only inside the commands that need it.
"""

from collections.abc import Sequence
from pathlib import Path

import typer

from instructor.cli import (
    adapt,
    classroom,
    collect,
    deliver,
    film,
    fleet,
    in_class,
    prepare,
    provision,
    rehearse,
    results,
    server,
    wheels,
)
from instructor.spelling import spell_make
from lab_code.cli.terminal import run_app


def main(argv: Sequence[str] | None = None) -> int:
    """Run `instructor` and return its exit code: 0 done, 1 failed, 2 misuse."""
    return run_app(app, argv, Path.cwd(), spell_make)


def _make_app(help_text: str) -> typer.Typer:
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _make_app(spell_make("Build the kits, look up the key, collect and rank. Begin with: make provision"))
for command in (
    adapt.new,
    provision.provision,
    wheels.wheels,
    fleet.fleet,
    fleet.reset,
    fleet.swap,
    rehearse.rehearse,
    classroom.plan,
    classroom.run_sheet,
    classroom.slides,
    classroom.run,
    classroom.board,
    in_class.key,
    in_class.rescue,
    in_class.room_code,
    in_class.duel,
    collect.collect,
    collect.ui,
    collect.review,
    results.ceremony,
    results.report,
    film.film,
    prepare.experiments,
):
    app.command()(command)

app.command("print")(classroom.print_all)

data = _make_app("Real photographs.")
app.add_typer(data, name="data")
data.command(no_args_is_help=True)(adapt.fetch)

quiz = _make_app("The quiz bank.")
app.add_typer(quiz, name="quiz")
quiz.command()(prepare.check)
quiz.command(no_args_is_help=True)(prepare.export)

kahoot = _make_app("Kahoot's results.")
app.add_typer(kahoot, name="kahoot")
kahoot.command()(collect.results)

locks = _make_app("The locks.")
app.add_typer(locks, name="locks")
locks.command()(prepare.audit)

delivery = _make_app("Bring the kits to the laptops.")
app.add_typer(delivery, name="deliver")
delivery.command(no_args_is_help=True)(deliver.stick)
delivery.command()(deliver.archives)
delivery.command()(deliver.ssh)
delivery.command()(deliver.hub)
delivery.command()(deliver.pin)

course = _make_app("One MLflow for a course: server, database, accounts, backups.")
app.add_typer(course, name="server")
for command in (server.up, server.down, server.status, server.backup, server.user):
    course.command()(command)
course.command(no_args_is_help=True)(server.restore)
