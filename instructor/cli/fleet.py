"""The commands around laptops that have their kits: fleet (are they ready), reset (for the next class), swap."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructor.cli.deliver import (
    DryRunOption,
    JsonOption,
    OnlyOption,
    find_inventory,
    make_room,
)
from instructor.cli.options import BuildOption, WorkshopOption
from instructor.cli.waiting import alone, show_progress
from instructor.spelling import spell_make
from instructor.workshop import Workshop, find_group, find_workshop, read_workshop
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.deliver.cargo import Cargo
    from instructor.deliver.fleet import Health
    from instructor.deliver.inventory import Inventory
    from instructor.deliver.over_ssh import Room
    from instructor.deliver.plan import Plan
    from instructor.deliver.reset import Reset
    from instructor.deliver.swap import Work


def fleet(
    build: BuildOption,
    results: Annotated[
        Path | None,
        typer.Option("--from", help="A folder with files doctor*.json that a stick brought back, instead of SSH."),
    ] = None,
    only: OnlyOption = None,
    as_json: JsonOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Ask `lab doctor` on every laptop: one table of who is ready, with the fix for who is not.

    Without SSH, in each kit: ./lab doctor --json > doctor.json, and bring these files.

    Example: instructor fleet
    """
    from instructor.deliver.fleet import FAIL, examine, read_results

    described = read_workshop(workshop)
    if results is not None:
        rows = read_results(results)
    else:
        room = make_room(workshop, build, only)
        advance = show_progress("laptops", len(room.laptops))
        rows = asyncio.run(examine(room, lambda health: advance()))
    if as_json:
        print(json.dumps([{**vars(row), "state": row.state} for row in rows], ensure_ascii=False, indent=2))
    else:
        _print_fleet(rows)
    silent = [group for group in described.groups if results and group not in {row.group for row in rows}]
    for group in silent:
        make_console(stderr=True).print(f"note: nothing from {group} yet")
    failed = [row.name for row in rows if row.state == FAIL]
    if failed:
        raise LabError(f"not ready: {', '.join(failed)}", hint="do what stands under each, then: instructor fleet")


def _print_fleet(rows: Sequence["Health"]) -> None:
    table = make_table("laptop", "group", "state", "what, and the fix")
    for row in rows:
        said = [*row.failed, *row.warned]
        lines = [f"{what}\n  fix: {fix}" if fix else what for what, fix in said]
        table.add_row(escape(row.name), escape(row.group), row.state, escape("\n".join(lines)) or "–", end_section=True)
    make_console().print(table)


def reset(
    build: BuildOption,
    where: Annotated[
        str, typer.Argument(help="ssh (the laptops of the inventory), kits (build/kits), or a stick's folder.")
    ],
    only: OnlyOption = None,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Put kits back to their start; the previous class's work moves into a dated folder and is not deleted.

    Example: instructor reset ssh --dry-run
    """
    described = read_workshop(workshop)
    room = make_room(workshop, build, only) if where == "ssh" else None
    with alone(build):
        planned = _reset(described, build, where, room, dry_run=True)
        _print_resets(planned, dry_run=True)
        if not dry_run and any(one.work for one in planned) and not yes:
            typer.confirm("Move this work away and put the kits back to their start?", abort=True)
        done = planned if dry_run else _reset(described, build, where, room, dry_run=False)
    if not dry_run:
        _print_resets(done, dry_run=False)
    failed = [one for one in done if one.error]
    if failed:
        lines = [f"{one.name}: {one.error}" + (f" (fix: {one.hint})" if one.hint else "") for one in failed]
        raise LabError(f"{len(failed)} not put back:\n  " + "\n  ".join(lines), hint="the others are; then again")


def _reset(described: Workshop, build: Path, where: str, room: "Room | None", *, dry_run: bool) -> "list[Reset]":
    from instructor.deliver.cargo import read_cargos
    from instructor.deliver.reset import reset_build, reset_ssh, reset_stick

    if room is not None:
        return asyncio.run(reset_ssh(room, dry_run=dry_run))
    if where == "kits":
        return reset_build(build, described.groups, dry_run=dry_run)
    if not Path(where).is_dir():
        raise LabError(f"there is no folder {where}", hint="instructor reset ssh, kits, or the folder of a stick")
    return reset_stick(list(read_cargos(build, described.groups).values()), Path(where), dry_run=dry_run)


def _print_resets(resets: "Sequence[Reset]", *, dry_run: bool) -> None:
    table = make_table("kit", "work of")
    table.add_column("to be moved" if dry_run else "moved to", overflow="fold")
    table.add_column("files", justify="right")
    for one in resets:
        moved = one.error or one.archive or (f"{', '.join(one.work[:3])} …" if one.work else "nothing: at its start")
        table.add_row(escape(one.name), escape(one.group or "–"), escape(moved), str(len(one.work)))
    make_console().print(table)
    for one in resets:
        if one.hint and not one.error:
            make_console(stderr=True).print(spell_make(f"note: {one.name}: {one.hint}"), markup=False)


def swap(
    build: BuildOption,
    group: Annotated[str, typer.Option(help="Number or name of the group.")],
    to: Annotated[str, typer.Option("--to", help="A laptop of the inventory, or a folder such as one on a stick.")],
    handin: Annotated[
        Path | None, typer.Option("--handin", help="Its hand-in; left out: the old laptop, else its last hand-in.")
    ] = None,
    workshop: WorkshopOption = None,
) -> None:
    """Let a group go on at another machine, with its kit and its work.

    Example: instructor swap --group 3 --to laptop-7
    """
    from instructor.deliver.cargo import read_kit_cargo

    name = find_group(read_workshop(workshop), group)
    kit, is_folder = read_kit_cargo(build / "kits" / name), "/" in to or "\\" in to
    room = None if is_folder else make_room(workshop, build, [to], spare=True)
    with tempfile.TemporaryDirectory(prefix="lab-swap-") as scratch:
        work = _gather(kit, build, workshop, (handin, to), Path(scratch))
        make_console().print(f"{name}: {len(work.cargo.files)} files of work from {work.source}", markup=False)
        plans = _restore(room, to, kit, work)
    sent = sum(len(plan.send) + len(plan.arrived) for plan in plans)
    make_console().print(f"[bold green]{name} goes on at {escape(to)}[/] ({sent} files brought)")
    make_console().print("The group types: ./lab status", markup=False)
    if room is not None:
        where = f"{room.inventory.path} line {room.laptops[0].line}"
        note = f"note: write group: {name} at {to} ({where}) and remove it at the old laptop"
        make_console(stderr=True).print(note, markup=False)


def _gather(kit: "Cargo", build: Path, workshop: Path | None, chosen: tuple[Path | None, str], scratch: Path) -> "Work":
    """The group's work: from the hand-in that was named, from the old laptop, or from the last hand-in."""
    from instructor.deliver.inventory import INVENTORY
    from instructor.deliver.swap import find_last_handin, read_handin_work, usual_places
    from instructor.vault import Vault

    handin, to = chosen
    path = workshop or find_workshop()
    if handin is None and path.with_name(INVENTORY).is_file():
        work = _ask_old_laptop(kit, find_inventory(path), to, scratch / "laptop")
        if work is not None:
            return work
    path = handin or find_last_handin(usual_places(build), kit)
    return read_handin_work(path, kit, Vault(build), scratch / "handin")


def _ask_old_laptop(kit: "Cargo", known: "Inventory", to: str, scratch: Path) -> "Work | None":
    """None where it is not there, not to be reached, or has no work of the group, which is said."""
    from instructor.deliver.laptop import Link
    from instructor.deliver.supervise import everywhere
    from instructor.deliver.swap import fetch_work

    old = [one for one in known.laptops if one.group == kit.name and to not in (one.name, one.host)]
    outcomes = asyncio.run(everywhere(old, lambda one: fetch_work(Link(one, known), kit, scratch), known.terms))
    for one, outcome in zip(old, outcomes, strict=True):
        if outcome.value is not None:
            return outcome.value
        note = f"note: {one.name}: {outcome.error}; its last hand-in is taken"
        make_console(stderr=True).print(note, markup=False)
    return None


def _restore(room: "Room | None", to: str, kit: "Cargo", work: "Work") -> "list[Plan]":
    from instructor.deliver.laptop import Link
    from instructor.deliver.supervise import everywhere
    from instructor.deliver.swap import restore_in_folder, restore_on_laptop

    if room is None:
        return restore_in_folder(Path(to), kit, work)
    links = [Link(room.laptops[0].at(kit.name), room.inventory)]
    outcomes = asyncio.run(everywhere(links, lambda link: restore_on_laptop(link, kit, work), room.inventory.terms))
    if outcomes[0].value is None:
        raise LabError(f"{to}: {outcomes[0].error}", hint=outcomes[0].hint or "then again")
    return outcomes[0].value
