"""The command `instructor provision`: every group's kit, the key, and what the instructor should know of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.options import BuildOption, WorkshopOption
from instructor.cli.waiting import alone, show_progress
from instructor.workshop import Workshop, read_workshop
from lab_code.cli.terminal import escape, make_console
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.locks.audit import StageAudit
    from instructor.provision.workshop_kits import Provisioned, Variants

_FEW_PHOTOGRAPHS = 500


def provision(
    build: BuildOption,
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of photographs (HAM10000, ISIC, your own with a table) or a DermaMNIST .npz file."),
    ] = None,
    workshop: WorkshopOption = None,
) -> None:
    """Build every group's kit under build/kits/, and the key under build/vault/.

    Example: instructor provision --data ../ham10000
    """
    from instructor.locks.audit import audit_locks
    from instructor.provision.workshop_kits import provision as build_kits

    described = read_workshop(workshop)
    if data is not None:
        if not data.exists():
            raise LabError(f"the data folder {data} does not exist", hint="make provision DATA=path/to/ham10000")
        described.data.source = str(data)
    audits: list[StageAudit] = []

    def audit(variants: "Variants", guess_s: float) -> None:
        audits.extend(audit_locks(described, variants, guess_s))

    with alone(build):
        done = build_kits(described, build, show_progress, meanwhile=audit)
    shipped, hidden = done.data.count()
    console = make_console()
    console.print(f"  {shipped} photographs ({described.data.source}) for every kit, {hidden} hidden for the ranking")
    _print_kits(done, described, build)
    if done.failed:
        reasons = "; ".join(f"{group}: {reason}" for group, reason in done.failed.items())
        raise LabError(
            f"{len(done.failed)} of {len(described.groups)} kits failed: {reasons}",
            hint="; ".join(dict.fromkeys(done.hints)),
        )
    _print_weaknesses(audits, shipped)
    console.print(f"[bold green]{len(described.groups)} kits are ready.[/] The key: {build / 'vault' / 'key.pdf'}")
    console.print(f"Try one:  cd {build / 'kits' / described.groups[0]} && ./lab status")


def _print_kits(done: "Provisioned", described: Workshop, build: Path) -> None:
    """Each group's kit, and whatever was noticed while they were built."""
    console = make_console()
    for note in done.data.notes:
        console.print(f"  note: {note}", markup=False)
    for group in described.groups:
        state = "built" if group in done.built else "up to date" if group in done.current else "FAILED"
        console.print(f"  {build / 'kits' / group}  {state}")
    for group, place in done.moved.items():
        console.print(f"  note: {group} had been worked in; that kit is now {place}")
    for note in done.notes:
        console.print(f"  note: {escape(note)}")


def _print_weaknesses(audits: "list[StageAudit]", shipped: int) -> None:
    """Locks that a program could open in class, and photographs that are too few to learn from."""
    console, weak = make_console(), _describe_weak_locks(audits)
    for line in weak:
        console.print(f"  note: {line}")
    if weak:
        console.print("  (all about it: instructor locks audit)")
    if shipped < _FEW_PHOTOGRAPHS:
        console.print(f"  note: {shipped} photographs are enough to try the kits, but not to learn from")


def _describe_weak_locks(audits: "list[StageAudit]") -> list[str]:
    """One line for every stage that a lazy program could open in class."""
    from instructor.locks.audit import describe_seconds

    return [
        f"stage {number}: a program that tries what lies at hand first needs {stage.quickest:,} lists of "
        f"{stage.combinations:,}, {describe_seconds(stage.seconds(1))} on one core; fix: {stage.fix}"
        for number, stage in enumerate(audits, 1)
        if not stage.holds
    ]
