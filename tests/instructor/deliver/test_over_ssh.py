"""Kits over SSH to laptops that are really there: OpenSSH and rsync, accounts, homes and host keys of their own."""

import asyncio
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instructor.deliver import laptop, ssh, supervise
from instructor.deliver.cargo import read_cargos
from instructor.deliver.inventory import read_inventory
from instructor.deliver.laptop import Link, look, parse_look, send
from instructor.deliver.over_ssh import Room, Row, apply_ssh, plan_ssh
from instructor.deliver.plan import Found
from tests.instructor.deliver import laptops as lap
from tests.instructor.deliver.conftest import edit_kit, killed_at_command, tree, write_kit

GROUPS = [f"group-{number}" for number in range(1, 7)]
pytestmark = pytest.mark.skipif(bool(lap.why_not()), reason=lap.why_not() or "laptops can be played here")


@pytest.fixture
def room(laptops: lap.Room, tmp_path: Path) -> Iterator[Room]:
    """Six groups with tiny kits, and laptops on which nothing lies."""
    for one in laptops.laptops:
        shutil.rmtree(one.home / "kits", ignore_errors=True)
    yield make_room(laptops, tmp_path / "build", dict(enumerate(GROUPS, 1)))


def make_room(laptops: lap.Room, build: Path, groups: dict[int, str], **more: str) -> Room:
    for group in groups.values():
        write_kit(build, group)
    inventory = read_inventory(laptops.write(groups, **more), GROUPS)
    return Room(inventory, [one for one in inventory.laptops if one.group], read_cargos(build, groups.values()))


def only(room: Room, *numbers: int) -> Room:
    return replace(room, laptops=[room.laptops[number - 1] for number in numbers])


def deliver(room: Room) -> list[Row]:
    return asyncio.run(apply_ssh(room))


def kit_of(laptops: lap.Room, number: int) -> Path:
    return laptops.laptops[number - 1].kit()


def test_laptops_get_their_kits_and_a_second_time_nothing(laptops: lap.Room, room: Room) -> None:
    planned = asyncio.run(plan_ssh(only(room, 1, 2)))
    assert [row.plans[row.laptop.group or ""].there for row in planned] == ["nothing"] * 2
    assert not kit_of(laptops, 1).parent.exists(), "a dry run writes nothing"
    rows = deliver(only(room, 1, 2))
    assert not [row.error for row in rows if row.error]
    for number, group in ((1, "group-1"), (2, "group-2")):
        kit = kit_of(laptops, number)
        assert tree(kit) == tree(room.kits[group].folder)
        assert {path.owner() for path in kit.rglob("*")} == {laptops.laptops[number - 1].user}
    again = deliver(only(room, 1, 2))
    assert not any(row.plans[row.laptop.group or ""].changes for row in again)


@pytest.mark.parametrize("use_rsync", [True, False], ids=["rsync", "tar"])
def test_over_ssh_a_changed_file_travels_alone_beside_a_groups_work(
    laptops: lap.Room, room: Room, tmp_path: Path, use_rsync: bool
) -> None:
    room = replace(only(room, 1), use_rsync=use_rsync)
    deliver(room)
    kit, mine = kit_of(laptops, 1), {"progress.jsonl": b"{}\n", "README.md": b"mine\n", "a 'b' $c \\n/ü": b"mine\n"}
    for name, text in mine.items():
        (kit / name).parent.mkdir(exist_ok=True)
        (kit / name).write_bytes(text)
    large = random.Random(1).randbytes(200_000)
    cargo = edit_kit(
        tmp_path / "build", **{"lab_code/config.py": large, "README.md": b"New.\n", "questions.json": b"[1]\n"}
    )
    (row,) = deliver(replace(room, kits={"group-1": cargo}))
    plan = row.plans["group-1"]
    assert plan.send == ["lab_code/config.py", "questions.json"] and list(plan.kept) == ["README.md"]
    assert row.sent < 1.1 * len(large) + 10_000, "the scripts are what is more"
    assert {name: (kit / name).read_bytes() for name in mine} == mine
    assert (kit / "lab_code/config.py").read_bytes() == large


def test_tar_carries_what_rsync_carries_and_goes_on_after_the_last_whole_file(laptops: lap.Room, room: Room) -> None:
    cargo, link = room.kits["group-1"], Link(room.laptops[0], room.inventory, use_rsync=False)

    async def try_half() -> Found:
        await send(link, cargo, await look(link), sorted(cargo.files)[:5])
        return await look(link)

    found = asyncio.run(try_half())
    assert sorted(found.staged) == sorted(cargo.files)[:5]
    (row,) = deliver(replace(only(room, 1), use_rsync=False))
    assert sorted(row.plans["group-1"].arrived) == sorted(cargo.files)[:5]
    assert tree(kit_of(laptops, 1)) == tree(cargo.folder)


def test_a_file_that_has_changed_a_little_is_not_sent_whole(laptops: lap.Room, room: Room, tmp_path: Path) -> None:
    large = bytearray(random.Random(2).randbytes(400_000))
    deliver(replace(only(room, 1), kits={"group-1": edit_kit(tmp_path / "build", **{"data/all.npz": bytes(large)})}))
    large[200_000:200_003] = b"new"
    cargo = edit_kit(tmp_path / "build", **{"data/all.npz": bytes(large)})
    (row,) = deliver(replace(only(room, 1), kits={"group-1": cargo}))
    assert row.sent < 40_000 and tree(kit_of(laptops, 1)) == tree(cargo.folder)


def test_what_a_group_changes_while_its_kit_is_delivered_stays(
    laptops: lap.Room, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(only(room, 1))
    cargo = edit_kit(tmp_path / "build", **{"README.md": b"New.\n", "lab_code/config.py": b"lr = 2\n"})

    async def send_slowly(link: Link, *more) -> None:
        await send(link, *more)
        (kit_of(laptops, 1) / "README.md").write_bytes(b"mine\n")

    monkeypatch.setattr(laptop, "send", send_slowly)
    (row,) = deliver(replace(only(room, 1), kits={"group-1": cargo}))
    assert row.plans["group-1"].kept == {"README.md": "changed by the group"}
    assert (kit_of(laptops, 1) / "README.md").read_bytes() == b"mine\n"
    assert (kit_of(laptops, 1) / "lab_code/config.py").read_bytes() == b"lr = 2\n"


TROUBLE = {  # laptop -> what its row says
    1: "",
    2: "nobody listens at",
    3: "kB are needed",
    4: "the connection was cut",
    5: "it does not answer",
    6: "its host key is not the one that was pinned",
}


def test_a_room_full_of_trouble_is_told_laptop_by_laptop_and_completed_later(
    laptops: lap.Room, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT_S", 2)
    big = {"zz/last.bin": random.Random(3).randbytes(24_000_000)}
    room = replace(room, kits={**room.kits, "group-4": edit_kit(tmp_path / "build", "group-4", **big)})
    deliver(replace(only(room, 1), kits={"group-1": room.kits["group-1"]}))
    newer = edit_kit(tmp_path / "build", "group-1", **{"README.md": b"New.\n"})  # laptop 1 has an older kit
    room = replace(room, kits={**room.kits, "group-1": newer})
    _, off, full, _, frozen, changed = laptops.laptops
    off.stop()
    full.fill()
    frozen.freeze()
    changed.new_host_key()
    try:
        with cut_in_the_middle(laptops.laptops[3]):
            rows = deliver(room)
        for row, said in zip(rows, TROUBLE.values(), strict=True):
            assert said in row.error and bool(said) == bool(row.error) == bool(row.hint), row
        assert tree(kit_of(laptops, 1)) == tree(newer.folder)
        assert not (full.home / "kits").exists(), "nothing is begun where it does not fit"
    finally:
        off.start()
        full.empty()
        frozen.wake()
        laptops.pin()
    (waiting,) = [row.plans["group-4"] for row in asyncio.run(plan_ssh(only(room, 4)))]
    assert len(waiting.arrived) == len(room.kits["group-4"].files) - 1 and waiting.send == ["zz/last.bin"]
    rows = deliver(room)
    assert not [row.error for row in rows if row.error]
    assert not rows[0].plans["group-1"].changes and rows[3].plans["group-4"].send == waiting.send
    assert rows[3].sent < 23_000_000, "half a file that has arrived is not sent twice"
    for number, group in enumerate(GROUPS, 1):
        assert tree(kit_of(laptops, number)) == tree(room.kits[group].folder)
    full.unmount()


class cut_in_the_middle:  # noqa: N801
    """Pull a laptop's cable once a few megabytes of a kit have arrived there."""

    def __init__(self, laptop: lap.Laptop) -> None:
        self._laptop, self._end = laptop, threading.Event()
        self._watch = threading.Thread(target=self._cut)

    def __enter__(self) -> None:
        self._watch.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._watch.join()

    def _cut(self) -> None:
        waiting = self._laptop.kit() / ".delivery" / "files" / "zz"
        while not self._end.wait(0.002):
            sizes = [path.stat().st_size for path in waiting.glob(".last.bin.*")] if waiting.is_dir() else []
            if max(sizes, default=0) > 2_000_000:
                self._laptop.cut()
                return


def test_a_laptop_that_never_ends_is_given_up_in_its_time(laptops: lap.Room, room: Room, tmp_path: Path) -> None:
    """Its connection stands, so that only the limit of the whole job helps."""
    room = make_room(laptops, tmp_path / "build", {1: "group-1", 2: "group-2"})
    room = replace(room, inventory=replace(room.inventory, terms=supervise.Terms(limit_s=3)))
    laptops.laptops[0].stop()
    laptops.laptops[0].start(extra="ForceCommand sleep 60\n")
    try:
        slow, quick = deliver(room)
    finally:
        laptops.laptops[0].stop()
        laptops.laptops[0].start()
    assert "no end after 3 s" in slow.error and not quick.error


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("user", "does not let 'nobody-here' in"),
        ("key", "does not let"),
        ("pins", "its host key is not pinned yet"),
        ("host", "nobody knows the name no-such-host.invalid"),
        ("path", "holds other things"),
        ("file", "is a file, not a folder"),
        ("rights", "cannot be written to"),
    ],
)
def test_what_is_wrong_with_a_laptop_is_said_with_its_fix(
    laptops: lap.Room, room: Room, tmp_path: Path, fault: str, said: str
) -> None:
    one, place = room.laptops[0], laptops.laptops[0]
    changes = {
        "user": {"user": "nobody-here"}, "host": {"host": "no-such-host.invalid"}, "rights": {"path": "/proc/kit"},
    }.get(fault, {})  # fmt: skip
    if fault == "key":
        lap.make_key(tmp_path / "another")
        changes = {"key": tmp_path / "another"}
    if fault == "pins":
        room.inventory.known_hosts.write_text("", encoding="utf-8")
    if fault in ("path", "file"):
        mine = place.kit() / "letter.txt" if fault == "path" else place.kit()
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        place.give(place.home / "kits")
    (row,) = asyncio.run(plan_ssh(replace(room, laptops=[replace(one, **changes)])))
    assert said in row.error


@pytest.mark.parametrize("seed", range(6))
def test_a_delivery_over_ssh_that_is_killed_at_any_command_is_completed_by_the_next(
    laptops: lap.Room, room: Room, seed: int
) -> None:
    """Connect, look, rsync, look and settle are five commands; it is killed as soon as one of them has started."""

    step = random.Random(seed).randrange(5)
    assert killed_at_command(step, lambda: deliver(only(room, 1)))
    (row,) = deliver(only(room, 1))
    assert not row.error and tree(kit_of(laptops, 1)) == tree(room.kits["group-1"].folder)


def test_a_place_with_odd_letters_is_found_again(laptops: lap.Room, tmp_path: Path) -> None:
    home = laptops.laptops[0].home
    shutil.rmtree(home / "kits", ignore_errors=True)
    room = make_room(laptops, tmp_path / "build", {1: "group-1"}, path="'kits/für {group}'")
    assert "blanks or umlauts" in room.inventory.notes[0]
    assert not deliver(room)[0].error
    assert tree(home / "kits" / "für group-1") == tree(room.kits["group-1"].folder)


def test_the_answer_of_a_look_is_read_whatever_files_are_called() -> None:
    kit = '{"group": "g", "files": {}}'
    found = parse_look(
        f"root /home/ü/k\nrsync yes\nfree 12\nstate kit\ntext {len(kit)} kit.json\n{kit}\nfiles\n"
        "aa  ./links\nbb  ./text 3 x\n\\cc  ./a\\nb\\\\c\ndd  ./.delivery/files/README.md\nee  ./.delivery/kits/part\n"
        "links\n./l\nlab-done\n"
    )
    assert found.files == {"links": "aa", "text 3 x": "bb", "a\nb\\c": "cc"} and found.staged == {"README.md": "dd"}
    assert (found.root, found.free, found.group, found.links) == ("/home/ü/k", 12 * 1024, "g", {"l"})
