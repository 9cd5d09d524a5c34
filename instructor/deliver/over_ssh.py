"""All laptops of an inventory at once: what each would get, and bringing it there.

    rows = asyncio.run(plan_ssh(room))       # reads, and changes nothing
    rows = asyncio.run(apply_ssh(room, tell))

A laptop that cannot be reached, is full or is frozen has its reason in its row; the others are no worse for it.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from instructor.deliver.cargo import Cargo, choose_for, refuse
from instructor.deliver.inventory import WINDOWS, Inventory, Laptop
from instructor.deliver.laptop import connect, deliver, plan_for, refuse_plan
from instructor.deliver.medium import find_too_long
from instructor.deliver.plan import Plan, show_bytes
from instructor.deliver.supervise import Outcome, everywhere
from lab_code.errors import LabError


@dataclass(frozen=True)
class Room:
    """The laptops that are meant, the kits by group, and what lies beside every kit."""

    inventory: Inventory
    laptops: list[Laptop]
    kits: Mapping[str, Cargo]
    extras: Sequence[Cargo] = ()
    use_rsync: bool = True

    def cargos(self, laptop: Laptop) -> list[tuple[Cargo, str]]:
        """What a laptop gets, and where."""
        beside = laptop.path.rpartition("/")
        return [
            *((choose_for(extra, laptop.platform), f"{beside[0]}{beside[1]}{extra.name}") for extra in self.extras),
            *((self.kits[group], laptop.path) for group in [laptop.group] if group),
        ]


@dataclass
class Row:
    """A laptop: its plans by what travels, the bytes that were sent, or why it is not done and what helps."""

    laptop: Laptop
    plans: dict[str, Plan] = field(default_factory=dict)
    sent: int = 0
    error: str = ""
    hint: str = ""


Tell = Callable[[Row], object]


async def plan_ssh(room: Room, tell: Tell = lambda row: None) -> list[Row]:
    """What every laptop holds and would get; plans with faults are errors of their row."""

    async def plan_one(laptop: Laptop) -> Row:
        row = Row(laptop)
        async with connect(laptop, room.inventory, room.use_rsync) as link:
            for cargo, path in room.cargos(laptop):
                row.plans[cargo.name], _ = await plan_for(link, cargo, path)
        _refuse_too_much(row.plans.values())
        row.error = "; ".join(dict.fromkeys(fault for plan in row.plans.values() for fault in plan.faults))
        row.hint = next((plan.hint for plan in row.plans.values() if plan.hint), "")
        return row

    return await _all(room, plan_one, tell)


async def apply_ssh(room: Room, tell: Tell = lambda row: None) -> list[Row]:
    """Bring to every laptop what it lacks. Running it again goes on where it stopped."""

    async def apply_one(laptop: Laptop) -> Row:
        row = Row(laptop)
        async with connect(laptop, room.inventory, room.use_rsync) as link:
            cargos = room.cargos(laptop)
            planned = [await plan_for(link, cargo, path) for cargo, path in cargos]
            _refuse_too_much([plan for plan, _ in planned])
            for plan, _ in planned:
                refuse_plan(plan)  # of all before anything of the first is sent
            for (cargo, path), known in zip(cargos, planned, strict=True):
                row.plans[cargo.name] = await deliver(link, cargo, path, known)
        row.sent = sum(link.sent)
        return row

    return await _all(room, apply_one, tell)


def _refuse_too_much(plans: Collection[Plan]) -> None:
    """Give every plan a fault where each would fit, but not all of them: half of it would help nobody."""
    needs = sum(plan.needs for plan in plans)
    free = min((plan.free for plan in plans if plan.free is not None), default=needs)
    if needs > free and not any(plan.faults for plan in plans):
        for plan in plans:
            plan.faults = [f"{show_bytes(needs)} are needed in all, {show_bytes(free)} are free"]
            plan.hint = "free some room there, then again"


async def _all(room: Room, job: Callable[[Laptop], Awaitable[Row]], tell: Tell) -> list[Row]:
    def as_row(laptop: Laptop, outcome: Outcome[Row]) -> Row:
        return outcome.value or Row(laptop, error=outcome.error, hint=outcome.hint)

    terms = room.inventory.terms
    outcomes = await everywhere(room.laptops, job, terms, lambda laptop, outcome: tell(as_row(laptop, outcome)))
    return [as_row(laptop, outcome) for laptop, outcome in zip(room.laptops, outcomes, strict=True)]


def check_paths(room: Room) -> None:
    """Raise `LabError` for every path of the inventory below which a kit is too long for Windows, by line."""
    faults = []
    for laptop in room.laptops:
        if laptop.platform == WINDOWS and laptop.group:
            fault = find_too_long(laptop.path, room.kits[laptop.group])
            faults += [f"{room.inventory.path} line {laptop.line}: path '{laptop.path}': {fault}"] if fault else []
    refuse(faults, "write a shorter path")


def choose_laptops(inventory: Inventory, names: Sequence[str], *, spare: bool = False) -> list[Laptop]:
    """Those that are named, or all that have a group. Raises `LabError` for a name that is not there."""
    chosen = [inventory.find(name) for name in names] or inventory.laptops
    with_group = [laptop for laptop in chosen if spare or laptop.group]
    if not with_group:
        raise LabError(f"no laptop in {inventory.path} has a group", hint="write group: group-1 under a laptop")
    return with_group
