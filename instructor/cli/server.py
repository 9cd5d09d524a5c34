"""The commands `instructor server`: one MLflow for a course, its database, accounts and backups."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.options import BuildOption, WorkshopOption
from instructor.cli.waiting import alone
from instructor.spelling import spell_make
from instructor.workshop import read_workshop
from lab_code.cli.terminal import make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.server.course import Course


def up(
    build: BuildOption,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring the tables of an older MLflow up to date; make a backup first.")
    ] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Start the course's MLflow with its database, and make an account for every group.

    It goes on in the background until `instructor server down`. A second `up` finds what runs.

    Example: instructor server up
    """
    from instructor.server.accounts import sign_in, write_passwords
    from instructor.server.course import ADMIN, start_course, upgrade_schema

    course, console, notes = _open(workshop, build), make_console(), make_console(stderr=True)
    with alone(course.folder):
        if upgrade:
            upgrade_schema(course)
        started = start_course(course, lambda text: notes.print(text, style="dim"))
        accounts = sign_in(course)
        made = {group: accounts.ensure(group, course.password(group)) for group in course.workshop.groups}
    passwords = write_passwords(course)
    state = "started" if started else "was running already"
    console.print(f"MLflow {state}: {course.address}  as {ADMIN}; all passwords: {passwords}", markup=False)
    new = [group for group, what in made.items() if what != "known"]
    console.print(f"{len(made)} groups have an account" + (f", new: {', '.join(new)}" if new else ""), markup=False)
    if not course.settings.report_to:
        note = "note: no kit reports to it: server.report_to in workshop.yaml, then make provision"
        notes.print(spell_make(note), markup=False)


def down(build: BuildOption, workshop: WorkshopOption = None) -> None:
    """Stop the server and its database. Everything stays.

    Example: instructor server down
    """
    from instructor.server.course import stop_course

    course = _open(workshop, build)
    with alone(course.folder):
        stopped = stop_course(course)
    make_console().print(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


def status(
    build: BuildOption,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Say whether the server runs, and how much is in it; the exit code is 1 where it does not answer.

    Example: instructor server status
    """
    from instructor.server.course import LEAST_FREE, describe_course

    course = _open(workshop, build)
    found = describe_course(course)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        table = make_table("", "", title=f"The server of {course.workshop.id}")
        for key, value in found.items():
            table.add_row(key.replace("_", " "), "yes" if value is True else "no" if value is False else str(value))
        make_console().print(table)
    if not found["answers"]:
        raise LabError("the server does not answer", hint="instructor server up")
    if int(str(found["free_mb"])) * 1_000_000 < LEAST_FREE:
        raise LabError(f"only {found['free_mb']} MB are free on the server's disk", hint="free some room there")


def backup(
    build: BuildOption,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write.", show_default="build/server/backups/…zip")
    ] = None,
    workshop: WorkshopOption = None,
) -> None:
    """Write everything into one file, while the server goes on: database, accounts, artifacts.

    Example: instructor server backup --to /media/usb/course.zip
    """
    from instructor.server.backup import back_up, read_counts

    course = _open(workshop, build)
    with alone(course.folder):
        path = back_up(course, to)
    counts = read_counts(path)
    make_console().print(f"{path}: {counts.get('runs', 0)} runs, {counts.get('metrics', 0)} points", markup=False)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `instructor server backup` has written.")],
    build: BuildOption,
    workshop: WorkshopOption = None,
) -> None:
    """Put a backup in the place of what is there, which is kept beside. The server must be down.

    Example: instructor server restore build/server/backups/course-20261126-101500.zip
    """
    from instructor.server.backup import restore as bring_back

    course = _open(workshop, build)
    with alone(course.folder):
        found = bring_back(course, file)
    make_console().print(f"{found.get('runs', 0)} runs are back. Go on with: instructor server up", markup=False)


def user(
    build: BuildOption,
    name: Annotated[str | None, typer.Argument(help="An account; without it, all are listed.")] = None,
    close: Annotated[bool, typer.Option("--close", help="Let nobody in by this name any more; its runs stay.")] = False,
    workshop: WorkshopOption = None,
) -> None:
    """List the accounts, or make one, or give it back the password that follows from the vault.

    A password that was right is believed for five minutes more.

    Example: instructor server user ada
    """
    from instructor.server.accounts import check_name, list_accounts, sign_in

    course, console = _open(workshop, build), make_console()
    if name is None:
        for known in list_accounts(course):
            console.print(known, markup=False)
        return
    check_name(name)
    if close:
        sign_in(course).close(name)
        console.print(f"{name}: closed", markup=False)
        return
    what = sign_in(course).ensure(name, course.password(name))
    console.print(f"{name}: {what}, password {course.password(name)}", markup=False)


def _open(workshop: Path | None, build: Path) -> "Course":
    from instructor.server.course import open_course
    from instructor.vault import Vault

    described, vault = read_workshop(workshop), Vault(build)
    if not vault.is_drawn:
        raise LabError(f"there is no vault in {build} yet", hint="make provision")
    return open_course(described, vault, build / "server")
