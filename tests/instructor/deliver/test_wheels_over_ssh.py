"""A wheelhouse beside the kits, over SSH to laptops that are really there: once each, and a changed wheel alone."""

import asyncio
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instructor.deliver.cargo import Cargo, choose_for, read_extras
from instructor.deliver.laptop import Link, look, send
from instructor.deliver.over_ssh import Room, Row, apply_ssh, plan_ssh
from instructor.deliver.wheel_files import make_listing
from tests.instructor.deliver import laptops as lap
from tests.instructor.deliver.conftest import edit_kit, killed_at_command, tree
from tests.instructor.deliver.test_over_ssh import kit_of, make_room, only
from tests.wheel_files import write_wheel

pytestmark = pytest.mark.skipif(bool(lap.why_not()), reason=lap.why_not() or "laptops can be played here")
FOR_MAC = "three-1.0-py3-none-macosx_11_0_arm64.whl"


def write_wheelhouse(build: Path, needs: str = "nothing", filling: int = 0) -> Cargo:
    """Two wheels for any system, the second with as many bytes more as one likes, and one for a Mac."""
    folder = build / "wheels"
    one, two = write_wheel(folder, "one", needs=[needs]).name, "two-1.0-py3-none-any.whl"
    if not (folder / FOR_MAC).exists():  # the same wheel made again is another one: it has another time
        write_wheel(folder, "two")
        write_wheel(folder, "three", tag="py3-none-macosx_11_0_arm64")
    content = (folder / two).read_bytes()
    (folder / two).write_bytes(random.Random(4).randbytes(filling) + content)  # a zip is read from its end
    parts = {("linux-x86_64", "3.11"): ([one, two], None), ("macos-arm64", "3.11"): ([one, two, FOR_MAC], None)}
    (folder / "wheelhouse.json").write_text(json.dumps(make_listing(folder, parts)), encoding="utf-8")
    (cargo,) = read_extras(build)
    return cargo


@pytest.fixture
def room(laptops: lap.Room, tmp_path: Path) -> Iterator[Room]:
    """Two groups with tiny kits and one wheelhouse, and laptops on which nothing lies."""
    for one in laptops.laptops:
        shutil.rmtree(one.home / "kits", ignore_errors=True)
    room = make_room(laptops, tmp_path / "build", {1: "group-1", 2: "group-2", 3: "group-3"})
    yield replace(room, extras=[write_wheelhouse(tmp_path / "build")])


def deliver(room: Room) -> list[Row]:
    return asyncio.run(apply_ssh(room))


def wheels_of(laptops: lap.Room, number: int) -> Path:
    return kit_of(laptops, number).with_name("wheels")


def wanted(room: Room) -> dict[str, bytes]:
    """What a laptop with Linux gets of the wheelhouse."""
    return {name: item.source.read_bytes() for name, item in choose_for(room.extras[0], "linux").files.items()}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: content for name, (content, _) in tree(folder).items()}


def test_wheels_arrive_once_and_a_changed_wheel_travels_alone(laptops: lap.Room, room: Room, tmp_path: Path) -> None:
    planned = asyncio.run(plan_ssh(only(room, 1)))[0].plans["wheels"]
    assert planned.there == "nothing" and FOR_MAC not in planned.send and not wheels_of(laptops, 1).parent.exists()
    assert not [row.error for row in deliver(only(room, 1, 2)) if row.error]
    for number, group in ((1, "group-1"), (2, "group-2")):
        assert contents(wheels_of(laptops, number)) == wanted(room)
        assert tree(kit_of(laptops, number)) == tree(room.kits[group].folder)
    (again,) = deliver(only(room, 1))
    assert not any(plan.changes for plan in again.plans.values())
    changed = replace(room, extras=[write_wheelhouse(tmp_path / "build", needs="another")])
    (row,) = deliver(only(changed, 1))
    assert sorted(row.plans["wheels"].send) == ["one-1.0-py3-none-any.whl", "wheelhouse.json"]
    assert not row.plans["group-1"].changes and contents(wheels_of(laptops, 1)) == wanted(changed)


def test_wheels_whose_transfer_was_stopped_are_not_sent_twice(laptops: lap.Room, room: Room) -> None:
    link, wheels = Link(room.laptops[0], room.inventory), choose_for(room.extras[0], "linux")
    path = "kits/wheels"

    async def try_half() -> None:
        await send(link, wheels, await look(link, is_kit=False, path=path), ["two-1.0-py3-none-any.whl"])

    asyncio.run(try_half())
    (row,) = deliver(only(room, 1))
    assert row.plans["wheels"].arrived == ["two-1.0-py3-none-any.whl"]
    assert "two-1.0-py3-none-any.whl" not in row.plans["wheels"].send
    assert contents(wheels_of(laptops, 1)) == wanted(room)


@pytest.mark.parametrize("step", [3, 7])
def test_wheels_and_kit_are_completed_after_a_kill(laptops: lap.Room, room: Room, step: int) -> None:
    assert killed_at_command(step, lambda: deliver(only(room, 1)))
    (row,) = deliver(only(room, 1))
    assert not row.error and contents(wheels_of(laptops, 1)) == wanted(room)
    assert tree(kit_of(laptops, 1)) == tree(room.kits["group-1"].folder)


def test_where_kit_and_wheels_do_not_fit_together_nothing_is_begun(
    laptops: lap.Room, room: Room, tmp_path: Path
) -> None:
    kits = {"group-3": edit_kit(tmp_path / "build", "group-3", **{"zz.bin": random.Random(5).randbytes(700_000)})}
    room = replace(room, kits=kits, extras=[write_wheelhouse(tmp_path / "build", filling=700_000)])
    full = laptops.laptops[2]
    full.fill()
    try:
        (full.home / "film.mp4").write_bytes(b"x" * 900_000)  # 1.2 MB are left: either fits
        for rows in (asyncio.run(plan_ssh(only(room, 3))), deliver(only(room, 3))):
            assert "are needed in all" in rows[0].error and rows[0].hint
        assert not (full.home / "kits").exists()
        assert not deliver(only(replace(room, extras=[]), 3))[0].error
    finally:
        full.unmount()
