"""The commands `instructor deliver`: kits onto a stick, into archives, over SSH to the laptops of the inventory."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructor.cli.options import BuildOption, WorkshopOption, default_build
from instructor.cli.waiting import alone, show_progress
from instructor.spelling import spell_make
from instructor.workshop import Workshop, find_workshop, read_workshop
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError

if TYPE_CHECKING:
    from instructor.deliver.cargo import Cargo
    from instructor.deliver.inventory import Inventory
    from instructor.deliver.over_ssh import Room, Row
    from instructor.deliver.plan import Plan

_AGAIN = "see to these, then the same command again: what has arrived is not sent twice"

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="A laptop by its name or host; several times for several.")
]


def stick(
    folder: Annotated[Path, typer.Argument(help="Where the stick, or the share, is shown: /media/usb, E:\\")],
    build: BuildOption,
    dry_run: DryRunOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Put every group's kit onto a USB stick or a network share.

    Example: instructor deliver stick /media/usb --dry-run
    """
    from instructor.deliver.stick import apply_stick, plan_stick

    described = read_workshop(workshop)
    with alone(build):
        plan = plan_stick(_read_all(described, build), folder, build)
        _note(plan.notes)
        if dry_run:
            _print_plans([(name, "", mine, "") for name, mine in plan.plans.items()], "kit")
        files = sum(len(mine.send) for mine in plan.plans.values())
        failed = {name: "; ".join(mine.faults) for name, mine in plan.plans.items() if mine.faults}
        failed = failed if dry_run and not plan.faults else apply_stick(plan, show_progress("files", files))
    if not dry_run:
        _print_done([(name, "", mine, failed.get(name, "")) for name, mine in plan.plans.items()], "kit")
        make_console().print(f"{folder}: take it out only after you have ejected it", markup=False)
    _fail(failed, {})


def archives(
    build: BuildOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            default_factory=lambda: default_build() / "archives",
            show_default="build/archives",
            help="The folder to write into.",
        ),
    ],
    dry_run: DryRunOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Pack a zip for every group, with its sheet and checksums beside it, for a learning platform or mail.

    Example: instructor deliver archives
    """
    from instructor.deliver.archives import apply_archives, plan_archives
    from instructor.deliver.plan import show_bytes

    cargos = _read_all(read_workshop(workshop), build)
    plan = plan_archives(cargos, out)
    table = make_table("archive", "dry run" if dry_run else "done", right=["files", "bytes unpacked"])
    for name, cargo in plan.cargos.items():
        state = "up to date" if name in plan.current else "would be written" if dry_run else "written"
        table.add_row(name, state, str(len(cargo.files)), show_bytes(cargo.size))
    if not dry_run or plan.faults:
        with alone(build):
            apply_archives(plan, show_progress("files", sum(len(plan.cargos[name].files) for name in plan.write)))
    make_console().print(table)
    make_console().print(f"{out}: {show_bytes(plan.free)} are free; each zip has its sheet beside it", markup=False)


def ssh(
    build: BuildOption,
    only: OnlyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Bring the kits to all laptops of inventory.yaml at once, or what has changed of them.

    The inventory lies beside the workshop's description; inventory.example.yaml shows what stands in it.

    Example: instructor deliver ssh --dry-run
    """
    from instructor.deliver.over_ssh import apply_ssh, plan_ssh

    room = make_room(workshop, build, only)
    with alone(build):
        rows = _run_with_bar(room, plan_ssh if dry_run else apply_ssh)
    if as_json:
        print(json.dumps([_row_to_json(row) for row in rows], ensure_ascii=False, indent=2))
    else:
        listed = [(row.laptop.name, row.laptop.group or "", plan, row.error) for row in rows for plan in _plans_of(row)]
        (_print_plans if dry_run else _print_done)(listed, "laptop", {row.laptop.name: row.sent for row in rows})
    _fail({row.laptop.name: row.error for row in rows if row.error}, {row.laptop.name: row.hint for row in rows})


def hub(
    build: BuildOption,
    folder: Annotated[
        Path | None, typer.Argument(help="The hub's folder.", show_default="build/hub", metavar="[FOLDER]")
    ] = None,
    dry_run: DryRunOption = False,
    workshop: WorkshopOption = None,
) -> None:
    """Make a JupyterHub's folder: its configuration, and the kits that users are given when they first sign in.

    What stands under `hub` in the workshop's description decides; docs/hub.md leads through it.

    Example: instructor deliver hub --dry-run
    """
    from instructor.deliver.cargo import read_cargos
    from instructor.deliver.hub import apply_hub, plan_hub, write_passwords
    from instructor.vault import Vault

    described, place, vault = read_workshop(workshop), folder or build / "hub", Vault(build)
    with alone(build):
        plan = plan_hub(described, vault, list(read_cargos(build, described.groups).values()), place)
        if not dry_run:
            apply_hub(plan, show_progress("files", sum(len(mine.send) for mine in plan.plans.values())))
            passwords = write_passwords(plan, vault)
    (_print_plans if dry_run else _print_done)([(name, "", mine, "") for name, mine in plan.plans.items()], "kit")
    console, verb = make_console(), "would be written" if dry_run else "written"
    own = ", ".join(sorted(plan.write)) if len(plan.write) <= 3 else f"{len(plan.write)} files of the hub's own"
    console.print(f"{place}: {own or 'nothing'} {verb}", markup=False)
    if dry_run:
        _fail({str(place): "; ".join(plan.faults)} if plan.faults else {}, {})
        return
    console.print(f"Accounts and passwords: {passwords}", markup=False)
    console.print(f"Start it: .venv/bin/jupyterhub -f {place / 'jupyterhub_config.py'}", markup=False)


def pin(
    replace: Annotated[
        list[str] | None, typer.Option("--replace", help="A laptop whose host key has changed for a reason you know.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workshop: WorkshopOption = None,
) -> None:
    """Fetch the laptops' host keys once and pin them; from then on nothing else is believed.

    Example: instructor deliver pin
    """
    from instructor.deliver.ssh import apply_pins, check_programs, plan_pins

    known = find_inventory(workshop)
    check_programs()
    replaced = {known.find(name).name for name in replace or []}
    pins = asyncio.run(plan_pins(known.laptops, known))
    for name in pins.known:
        make_console().print(f"{name}: pinned already", markup=False)
    wanted = {**pins.new, **{name: lines for name, lines in pins.changed.items() if name in replaced}}
    if wanted:
        _confirm_pins(wanted, yes)
        apply_pins(known.known_hosts, {known.find(name).address: lines for name, lines in wanted.items()})
        make_console().print(f"{len(wanted)} pinned in {known.known_hosts}", markup=False)
    failed = {name: "its host key has changed" for name in pins.changed if name not in replaced}
    hints = {name: f"if you know why: instructor deliver pin --replace {name}" for name in failed}
    failed |= {name: outcome.error for name, outcome in pins.failed.items()}
    _fail(failed, hints | {name: outcome.hint for name, outcome in pins.failed.items()})


def _confirm_pins(wanted: Mapping[str, Sequence[str]], yes: bool) -> None:
    from instructor.deliver.ssh import fingerprint

    for name, lines in wanted.items():
        for line in lines:
            make_console().print(f"{name}: {line.split()[1]} {fingerprint(line)}", markup=False)
    make_console().print("Compare them with what each laptop says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    if not yes and not typer.confirm("Are these the laptops' own keys?"):
        raise LabError("nothing was pinned", hint="ask whoever looks after the laptops")


def find_inventory(workshop: Path | None) -> "Inventory":
    """The inventory beside a workshop's description."""
    from instructor.deliver.inventory import INVENTORY, read_inventory

    path = workshop or find_workshop()
    return read_inventory(path.with_name(INVENTORY), read_workshop(path).groups)


def find_pinned(workshop: Path | None) -> "Inventory":
    """The inventory, whose laptops can be called: this machine has OpenSSH, and their host keys are pinned."""
    from instructor.deliver.ssh import check_programs

    check_programs()
    known = find_inventory(workshop)
    _note(known.notes)
    if not known.known_hosts.is_file():
        raise LabError(f"no host key is pinned yet: {known.known_hosts} is missing", hint="instructor deliver pin")
    return known


def make_room(workshop: Path | None, build: Path, only: Sequence[str] | None, *, spare: bool = False) -> "Room":
    """The laptops that are meant and the kits for them, everything checked before anybody is called."""
    from instructor.deliver.cargo import read_cargos, read_extras
    from instructor.deliver.over_ssh import Room, check_paths, choose_laptops

    known = find_pinned(workshop)
    laptops = choose_laptops(known, only or [], spare=spare)
    groups = dict.fromkeys(laptop.group for laptop in laptops if laptop.group)
    room = Room(known, laptops, read_cargos(build, groups), read_extras(build))
    check_paths(room)
    return room


def _run_with_bar(room: "Room", work: Callable[..., Any]) -> "list[Row]":
    """Do something with all laptops; a bar shows how many are done."""
    advance = show_progress("laptops", len(room.laptops))
    return asyncio.run(work(room, lambda row: advance()))


def _read_all(described: Workshop, build: Path) -> "list[Cargo]":
    from instructor.deliver.cargo import read_cargos, read_extras

    return [*read_extras(build), *read_cargos(build, described.groups).values()]


Line = tuple[str, str, "Plan | None", str]  # name, group, plan, why not


def _print_plans(lines: Sequence[Line], what: str, sent: Mapping[str, int] | None = None) -> None:
    """The dry run: what is there, what would change, how much of it travels, and whether it fits."""
    from instructor.deliver.plan import describe_change, show_bytes

    table = make_table(what, "there", "would change", title="Dry run: nothing is changed", right=["bytes", "free"])
    for name, group, plan, error in lines:
        shown = f"{name}: {group}" if group else name
        if plan is None:
            table.add_row(escape(shown), "?", escape(error), "", "")
            continue
        free = "?" if plan.free is None else show_bytes(plan.free)
        table.add_row(escape(shown), escape(plan.there), escape(describe_change(plan)), show_bytes(plan.size), free)
    make_console().print(table)
    _print_left(lines)


def _print_done(lines: Sequence[Line], what: str, sent: Mapping[str, int] | None = None) -> None:
    from instructor.deliver.plan import show_bytes

    table = make_table(what, "done", right=["files", "bytes"])
    for name, group, plan, error in lines:
        shown = f"{name}: {group}" if group else name
        if error or plan is None:
            table.add_row(escape(shown), escape(f"NOT DONE: {error}"), "", "")
            continue
        bytes_sent = (sent or {}).get(name, plan.size) if plan.changes else 0
        state = "delivered" if plan.changes else "up to date"
        table.add_row(escape(shown), state, str(len(plan.send) + len(plan.arrived)), show_bytes(bytes_sent))
    make_console().print(table)
    _print_left(lines)


def _print_left(lines: Sequence[Line]) -> None:
    from instructor.deliver.plan import describe_left

    _note([f"{name}: {left}" for name, _, plan, _ in lines if plan for left in describe_left(plan)])


def _plans_of(row: "Row") -> "list[Plan | None]":
    return [*row.plans.values()] or [None]


def _row_to_json(row: "Row") -> dict[str, Any]:
    plans = {name: asdict(plan) | {"identity": plan.identity is not None} for name, plan in row.plans.items()}
    names = {"laptop": row.laptop.name, "host": row.laptop.host, "group": row.laptop.group}
    return {
        **names,
        "done": not row.error,
        "error": row.error,
        "fix": spell_make(row.hint),
        "sent": row.sent,
        "plans": plans,
    }


def _note(notes: Sequence[str]) -> None:
    for note in notes:
        make_console(stderr=True).print(f"note: {note}", markup=False)


def _fail(failed: Mapping[str, str], hints: Mapping[str, str]) -> None:
    """Raise `LabError` that names everything that is not done, each with its fix."""
    if not failed:
        return
    lines = [f"{name}: {why}" + (f" (fix: {hints[name]})" if hints.get(name) else "") for name, why in failed.items()]
    count = "1 is not done" if len(failed) == 1 else f"{len(failed)} are not done"
    raise LabError(f"{count}:\n  " + "\n  ".join(lines), hint=_AGAIN)
