"""Laptops that are asked over SSH where their groups stand: each for itself, and one that is off is known as that."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from instructor.classroom.laptops import Call, Laptops
from instructor.classroom.room import Room
from instructor.deliver import laptop as module
from instructor.deliver.inventory import Inventory, read_inventory
from instructor.workshop import Workshop, read_workshop
from lab_code.workshop.standing import standing_to_json
from tests.instructor.classroom.test_clock import standing
from tests.instructor.deliver import laptops as lap
from tests.instructor.deliver.conftest import write_kit

pytestmark = pytest.mark.skipif(bool(lap.why_not()), reason=lap.why_not() or "laptops can be played here")
GROUPS = ["group-1", "group-2"]


def says(laptop: lap.Laptop, text: str) -> None:
    """Let the kit's `lab` answer this to `status --json`, and nothing to anything else."""
    program = f"import sys\nassert sys.argv[1:] == ['status', '--json']\nprint({text!r})\n"
    (laptop.kit() / "lab").write_text(program, encoding="utf-8")


def record(group: str, **changes: object) -> str:
    return json.dumps(standing_to_json(standing(group, **changes)))


@pytest.fixture
def inventory(laptops: lap.Room, tmp_path: Path) -> Iterator[Inventory]:
    """Two laptops with the kits of their groups."""
    for laptop, group in zip(laptops.laptops, GROUPS, strict=False):
        shutil.rmtree(laptop.home / "kits", ignore_errors=True)
        shutil.copytree(write_kit(tmp_path / "build", group), laptop.kit())
        says(laptop, record(group, opened=1, events=4, runs=2, best=0.4))
        laptop.give(laptop.home / "kits")
    yield read_inventory(laptops.write(dict(enumerate(GROUPS, 1))), GROUPS)
    laptops.pin()


@pytest.fixture(scope="module")
def described() -> Workshop:
    return read_workshop()


def ask(inventory: Inventory, room: Room, laptops: Laptops) -> Call:
    """Ask the first laptop once."""
    asyncio.run(laptops.ask(inventory.laptops[0], room.hear))
    return laptops.calls["group-1"]


def mend(laptops: lap.Room) -> None:
    """Whatever was done to the first laptop is put right."""
    first = laptops.laptops[0]
    if first.process:
        first.wake()
    else:
        first.start()
    first.kit().mkdir(exist_ok=True)
    laptops.pin()


FAULTS: dict[str, tuple[Callable[[lap.Room], object], str]] = {
    "it is off": (lambda room: room.laptops[0].stop(), "nobody listens"),
    "its lid is closed": (lambda room: room.laptops[0].freeze(), "no end after 1 s"),
    "it is another machine": (lambda room: room.laptops[0].new_host_key(), "not the one that was pinned"),
    "it has no kit": (lambda room: shutil.rmtree(room.laptops[0].kit()), "there is no kit at"),
    "its kit is another group's": (lambda room: says(room.laptops[0], record("group-2")), "holds the kit of group-2"),
    "it answers something else": (lambda room: says(room.laptops[0], "{}"), "does not run there"),
    "it answers a list": (lambda room: says(room.laptops[0], "[" * 2000), "does not run there"),
    "it answers a number that cannot be": (
        lambda room: says(room.laptops[0], record("group-1", opened=99)), "does not run there"
    ),
    "it answers without end": (lambda room: says(room.laptops[0], "x" * 30_000), "says more than 20000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_laptop_that_does_not_answer_is_named_and_found_again(
    laptops: lap.Room, inventory: Inventory, described: Workshop, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST", 20_000)
    room, asked = Room(described), Laptops(inventory, now=lambda: 43_200.0)
    change, reason = FAULTS[fault]
    change(laptops)
    try:
        call = ask(inventory, room, Laptops(inventory, limit_s=1) if "lid" in fault else asked)
        assert reason in call.fault and call.describe() == "not heard yet" and room.seats["group-1"].standing is None
    finally:
        mend(laptops)
    first = laptops.laptops[0]
    says(first, record("group-1", events=2))
    first.give(first.kit())
    assert ask(inventory, room, asked) == Call(43_200.0)
    assert room.seats["group-1"].standing == standing("group-1", events=2)


def test_all_are_followed_while_one_is_off_and_nothing_goes_on_behind(
    laptops: lap.Room, inventory: Inventory, described: Workshop
) -> None:
    room, asked = Room(described), Laptops(inventory, every_s=0.01)

    async def walk() -> None:
        changed = asyncio.Event()

        def hear(heard: object, now: float) -> None:
            room.hear(heard, now)  # type: ignore[arg-type]
            changed.set()

        async def until(reached: Callable[[], bool]) -> None:
            while not reached():
                changed.clear()
                await changed.wait()

        following = asyncio.create_task(asked.follow(hear))
        await until(lambda: all(room.seats[group].standing for group in GROUPS))
        laptops.laptops[0].stop()
        says(laptops.laptops[1], record("group-2", opened=2, events=9))
        await until(lambda: room.seats["group-2"].standing == standing("group-2", opened=2, events=9))
        await until(lambda: bool(asked.calls["group-1"].fault))
        laptops.laptops[0].start()
        await until(lambda: not asked.calls["group-1"].fault)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(asyncio.wait_for(walk(), 120))
    assert asked.calls["group-1"].describe() == "" and asked.calls["group-1"].heard_at
    assert not [child for child in psutil.Process().children(recursive=True) if child.name() == "ssh"]
