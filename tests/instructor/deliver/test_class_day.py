"""Between classes and in the middle of one: who is ready, back to the start, and another machine for a group."""

import asyncio
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instructor.deliver import folder, swap
from instructor.deliver.cargo import Cargo, read_cargos, read_kit_cargo
from instructor.deliver.fleet import FAIL, READY, WARN, examine, read_results
from instructor.deliver.inventory import read_inventory
from instructor.deliver.laptop import Link
from instructor.deliver.over_ssh import Room, apply_ssh
from instructor.deliver.reset import reset_build, reset_ssh, reset_stick
from instructor.vault import Vault
from lab_code.errors import LabError
from lab_code.files import to_json
from lab_code.workshop.kit import find_kit, missing_stage_files, read_kit
from lab_code.workshop.progress import append_event, read_journal
from lab_code.workshop.signature import KEY_FILE, read_key, sign
from lab_code.workshop.unlock import next_stage, unlock_with_rescue
from tests.instructor.deliver import laptops as lap
from tests.instructor.deliver.conftest import digest, edit_kit, tree, write_kit

GROUPS = ["group-1", "group-2", "group-3"]
needs_laptops = pytest.mark.skipif(bool(lap.why_not()), reason=lap.why_not() or "laptops can be played here")
WORK = {
    "progress.jsonl": b"{}\n",
    "mlflow.db": b"SQLite",
    "mlartifacts/a b/'c'.json": b"{}",
    "lab_code/config.py": b"lr = 9\n",
    "lab_code/opened_1.py": b"opened\n",
    "handin/group-1-1.zip": b"PK",
    ".lab/desk.json": b"[]",
    "a\nb/x": b"odd\n",
}


def work_in(kit: Path) -> None:
    for name, text in WORK.items():
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        (kit / name).write_bytes(text)


def archived(root: Path) -> dict[str, bytes]:
    """What lies in the one dated folder."""
    (dated,) = root.iterdir()
    assert dated.name.startswith("group-1-20")
    return {path.relative_to(dated).as_posix(): path.read_bytes() for path in dated.rglob("*") if path.is_file()}


@pytest.fixture
def room(laptops: lap.Room, tmp_path: Path) -> Iterator[Room]:
    """Three laptops with kits whose `lab` is content, whatever it is asked."""
    for laptop in laptops.laptops:
        shutil.rmtree(laptop.home / "kits", ignore_errors=True)
    for group in GROUPS:
        said = json.dumps({"group": group, "ready": True, "checks": []})
        write_kit(
            tmp_path / "build", group, lab=f"import os\nprint('''{said}''' * bool(os.environ['DISPLAY']))\n".encode()
        )
    inventory = read_inventory(laptops.write(dict(enumerate(GROUPS, 1))), GROUPS)
    room = Room(inventory, inventory.laptops[:3], read_cargos(tmp_path / "build", GROUPS))
    assert not [row.error for row in asyncio.run(apply_ssh(room)) if row.error]
    yield room


@needs_laptops
def test_laptops_go_back_to_their_start_and_the_work_into_a_dated_folder(laptops: lap.Room, room: Room) -> None:
    one = laptops.laptops[0]
    work_in(one.kit())
    (one.kit() / ".venv/bin").mkdir(parents=True)
    one.give(one.kit())
    room = replace(room, laptops=room.laptops[:2])
    planned = asyncio.run(reset_ssh(room, dry_run=True))
    assert len(planned[0].work) == len(WORK) and not planned[1].work and (one.kit() / "mlflow.db").exists()
    done = asyncio.run(reset_ssh(room))
    assert not [reset.error for reset in done if reset.error] and done[0].group == "group-1"
    assert tree(one.kit()) == tree(room.kits["group-1"].folder) and (one.kit() / ".venv").is_dir()
    assert archived(one.home / "kits" / folder.EARLIER) == WORK and not done[1].archive
    assert not any(reset.work for reset in asyncio.run(reset_ssh(room)))


def test_a_stick_goes_back_to_its_start(tiny: Path, cargo: Cargo, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    folder.deliver(cargo, stick / "group-1")
    work_in(stick / "group-1")
    assert len(reset_stick([cargo], stick, dry_run=True)[0].work) == len(WORK)
    assert not reset_stick([cargo], stick)[0].error
    assert tree(stick / "group-1") == tree(cargo.folder) and archived(stick / folder.EARLIER) == WORK
    assert not reset_stick([cargo], stick)[0].work


def test_a_kit_that_was_tried_here_goes_back_to_its_start(tiny: Path, cargo: Cargo) -> None:
    before = tree(cargo.folder)
    work = {name: text for name, text in WORK.items() if name != "lab_code/config.py"}
    work_in(cargo.folder)
    (cargo.folder / "lab_code/config.py").write_bytes(before["lab_code/config.py"][0])
    done = reset_build(tiny, ["group-1", "group-2", "group-9"])
    assert tree(cargo.folder) == before and archived(tiny / "replaced") == work
    assert [len(reset.work) for reset in done] == [len(work), 0]


def test_a_kit_of_which_a_file_was_changed_here_moves_away_whole(tiny: Path, cargo: Cargo) -> None:
    work_in(cargo.folder)
    (reset,) = reset_build(tiny, ["group-1"])
    assert not cargo.folder.exists() and "make provision" in reset.hint
    assert WORK.items() <= archived(tiny / "replaced").items()


@needs_laptops
def test_the_fleet_is_told_who_is_ready_who_almost_and_who_is_not(
    laptops: lap.Room, room: Room, tmp_path: Path
) -> None:
    laptops.laptops[1].stop()
    (laptops.laptops[2].kit() / "lab").write_text("raise SystemExit('no module')\n", encoding="utf-8")
    newer = edit_kit(
        tmp_path / "build", **{"README.md": b"New.\n", "lab": (room.kits["group-1"].folder / "lab").read_bytes()}
    )
    try:
        rows = asyncio.run(examine(room)), asyncio.run(examine(replace(room, kits={**room.kits, "group-1": newer})))
    finally:
        laptops.laptops[1].start()
    assert [row.state for row in rows[0]] == [READY, FAIL, FAIL] and rows[1][0].state == WARN
    assert "not the newest" in rows[1][0].warned[0][0] and "nobody listens" in rows[0][1].failed[0][0]
    assert rows[0][2].failed == [("lab doctor does not run there", "./lab setup in the kit, then: ./lab doctor")]


def test_results_that_a_stick_brought_back_are_read_however_they_were_written(tmp_path: Path) -> None:
    said = {"group": "group-1", "ready": True, "checks": [{"name": "disk", "ok": True, "found": "5 GB", "fix": ""}]}
    bad = {
        "group": "group-2",
        "ready": False,
        "checks": [{"name": "disk", "ok": False, "found": "0 GB", "fix": "free"}],
    }
    (tmp_path / "kit" / ".venv").mkdir(parents=True)
    (tmp_path / "kit" / "doctor.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "kit" / ".venv" / "doctor.json").write_text("{", encoding="utf-8")
    (tmp_path / "doctor-2.json").write_text(json.dumps(bad), encoding="utf-16")  # PowerShell's >
    (tmp_path / "doctor-3.json").write_text(json.dumps(said), encoding="utf-8-sig")
    (tmp_path / "doctor-4.json").write_bytes(b"\xff\xfe\x00\xd8")
    (tmp_path / "doctor-5.json").write_text('{"group": 1}', encoding="utf-8")
    rows = {row.name: row for row in read_results(tmp_path)}
    assert [rows[name].state for name in sorted(rows)] == [FAIL, READY, FAIL, FAIL, READY]
    assert rows["doctor-2.json"].failed == [("disk: 0 GB", "free")] and len(rows) == 5


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_results_that_are_not_there_are_asked_for(tmp_path: Path, place: str) -> None:
    with pytest.raises(LabError) as error:
        read_results(tmp_path / place)
    assert error.value.hint


@pytest.fixture
def real(build: Path, tmp_path: Path) -> Cargo:
    """A real kit of group-3, with real locks."""
    return read_kit_cargo(build / "kits" / "group-3")


def begin(root: Path, build: Path, cargo: Cargo) -> None:
    """A group that has opened its first stage, changed a file, and tried the second stage."""
    unlock_with_rescue(find_kit(root), None, Vault(build).rescue_code("small", "group-3", "1-configuration"))
    append_event(root, "unlock_failed", stage="2-imbalance")
    with (root / "lab_code/conf/train.yaml").open("a", encoding="utf-8") as file:
        file.write("# ours\n")


def write_signed(root: Path, path: Path) -> Path:
    """A hand-in of this kit without runs: manifest, identity, journal, signature."""
    files = {name: (root / name).read_bytes() for name in ("kit.json", "progress.jsonl", ".progress.head")}
    digests = {name: digest(text) for name, text in files.items()}
    manifest = to_json({"workshop": "small", "group": "group-3", "written": "2026-11-26", "files": digests}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, "manifest.json": manifest}.items():
            archive.writestr(name, text)
        archive.writestr("signature.txt", sign(manifest, read_key(root) or b""))
    return path


def assert_goes_on(new: Path, old: Path, cargo: Cargo) -> None:
    """One group on two machines: one journal that goes on, one key, the next stage where the old one was."""
    assert (new / "progress.jsonl").read_bytes() == (old / "progress.jsonl").read_bytes()
    assert read_key(new) == read_key(cargo.folder) and not read_journal(new).faults
    stage = next_stage(read_kit(new))
    assert stage is not None and stage.id == "2-imbalance"
    append_event(new, "unlock_failed", stage="2-imbalance")
    assert not read_journal(new).faults
    old_events, new_events = read_journal(old).events, read_journal(new).events
    assert new_events[: len(old_events)] == old_events and len(new_events) == len(old_events) + 1


@needs_laptops
def test_a_group_goes_on_at_another_laptop_over_ssh(
    laptops: lap.Room, build: Path, real: Cargo, tmp_path: Path
) -> None:
    for laptop in laptops.laptops:
        shutil.rmtree(laptop.home / "kits", ignore_errors=True)
    inventory = read_inventory(laptops.write({1: "group-3", 2: "group-1"}), GROUPS)
    links = [Link(inventory.laptops[0], inventory), Link(inventory.laptops[2].at("group-3"), inventory)]
    asyncio.run(apply_ssh(Room(inventory, inventory.laptops[:1], {"group-3": real})))
    old, new = laptops.laptops[0].kit(), laptops.laptops[2].kit()
    begin(old, build, real)

    async def swap_once(scratch: Path) -> None:
        await swap.restore_on_laptop(links[1], real, await swap.fetch_work(links[0], real, scratch))

    asyncio.run(swap_once(tmp_path / "a"))
    asyncio.run(swap_once(tmp_path / "b"))  # again, as after a break
    assert "# ours" in (new / "lab_code/conf/train.yaml").read_text(encoding="utf-8")
    ignored = {".progress.lock", ".unlock.lock", ".files.lock"}
    assert tree(new) == {name: what for name, what in tree(old).items() if name not in ignored}
    laptops.laptops[2].give(new)
    assert_goes_on(new, old, real)
    with pytest.raises(LabError, match="holds the work of group-3"):
        asyncio.run(swap_once(tmp_path / "c"))  # the new one has gone on: it is not put back to where it was


def test_a_group_goes_on_from_its_last_hand_in_with_its_stages_open(build: Path, real: Cargo, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "stick" / "group-3"
    folder.deliver(real, old)
    begin(old, build, real)
    early = write_signed(old, tmp_path / "handins" / "z-early.zip")
    append_event(old, "unlock_failed", stage="2-imbalance")
    last = write_signed(old, tmp_path / "handins" / "a-last.zip")
    assert swap.find_last_handin([tmp_path / "handins", tmp_path / "none"], real) == last
    swap.restore_in_folder(new, real, swap.read_handin_work(last, real, Vault(build), tmp_path / "scratch"))
    kit = read_kit(new)
    assert not missing_stage_files(kit, kit.stages[0]) and (new / "locked/2-imbalance.chain").is_file()
    assert (new / "handin/a-last.zip").read_bytes() == last.read_bytes() != early.read_bytes()
    assert_goes_on(new, old, real)


@pytest.mark.parametrize("fault", ["unsigned", "another", "damaged", "no zip"])
def test_a_hand_in_that_is_not_the_groups_own_restores_nothing(
    build: Path, real: Cargo, tmp_path: Path, fault: str
) -> None:
    old = tmp_path / "old"
    folder.deliver(real, old)
    begin(old, build, real)
    if fault == "unsigned":
        (old / KEY_FILE).write_text("00", encoding="ascii")
    path = write_signed(old, tmp_path / "handins" / "a.zip")
    if fault == "no zip":
        path.write_bytes(b"no zip")
    if fault == "damaged":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text + b" " * (name == "progress.jsonl"))
    kit = read_kit_cargo(build / "kits" / "group-1") if fault == "another" else real
    with pytest.raises(LabError, match=r"signed|damaged"):
        swap.read_handin_work(path, kit, Vault(build), tmp_path / "scratch")
    if fault != "damaged":
        with pytest.raises(LabError, match="there is no hand-in"):
            swap.find_last_handin([tmp_path / "handins"], kit)


def test_a_machine_that_another_group_works_on_is_not_taken_from_it(build: Path, real: Cargo, tmp_path: Path) -> None:
    place = tmp_path / "place"
    folder.deliver(read_kit_cargo(build / "kits" / "group-1"), place)
    append_event(place, "unlock_failed", stage="1-configuration")
    (tmp_path / "work").mkdir()
    work = swap.Work(Cargo("work", tmp_path / "work", {}), "nowhere")
    with pytest.raises(LabError, match="holds the work of group-1"):
        swap.restore_in_folder(place, real, work)
