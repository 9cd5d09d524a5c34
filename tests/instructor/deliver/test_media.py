"""Sticks, shares and archives: what they can hold, what they hold already, and that a broken try is completed."""

import os
import shutil
import stat
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from instructor.deliver import archives, folder, medium
from instructor.deliver.archives import apply_archives, plan_archives
from instructor.deliver.cargo import Cargo, read_cargos, read_extras
from instructor.deliver.medium import find_unfit, find_windows_fault
from instructor.deliver.stick import apply_stick, plan_stick
from lab_code.errors import LabError
from tests.instructor.deliver.conftest import bigger, edit_kit, killed_at, times, tree

GROUPS = ["group-1", "group-2"]


def kits(build: Path) -> list[Cargo]:
    return list(read_cargos(build, GROUPS).values())


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    root = tmp_path / "USB STICK für alle"
    root.mkdir()
    return root


def test_a_stick_holds_every_kit_as_it_was_built_and_is_left_alone_the_second_time(tiny: Path, stick: Path) -> None:
    assert not apply_stick(plan_stick(kits(tiny), stick, tiny))
    assert {group: tree(stick / group) for group in GROUPS} == {g: tree(tiny / "kits" / g) for g in GROUPS}
    before = times(stick)
    again = plan_stick(kits(tiny), stick, tiny)
    assert not any(plan.changes for plan in again.plans.values()) and not apply_stick(again) and times(stick) == before


def test_on_a_stick_a_changed_file_travels_alone_beside_a_groups_work(tiny: Path, stick: Path) -> None:
    apply_stick(plan_stick(kits(tiny), stick, tiny))
    (stick / "group-1" / "progress.jsonl").write_bytes(b"{}\n")
    before = times(stick)
    edit_kit(tiny, **{"README.md": b"New.\n"})
    apply_stick(plan_stick(kits(tiny), stick, tiny))
    changed = {Path(name).relative_to(stick).as_posix() for name, when in times(stick).items() if before[name] != when}
    assert changed == {"group-1/README.md", "group-1/kit.json"}


def test_folders_that_all_kits_share_lie_beside_them(tiny: Path, stick: Path) -> None:
    (tiny / "wheels" / "linux").mkdir(parents=True)
    (tiny / "wheels" / "linux" / "a-1.whl").write_bytes(b"wheel")
    (stick / "wheels").mkdir()
    (stick / "wheels" / "of-mine.whl").write_bytes(b"mine")
    apply_stick(plan_stick([*read_extras(tiny), *kits(tiny)], stick, tiny))
    assert (stick / "wheels/linux/a-1.whl").read_bytes() == b"wheel" and (stick / "wheels/of-mine.whl").exists()
    (tiny / "wheels" / "linux" / "a-1.whl").write_bytes(b"another")
    plan = plan_stick([*read_extras(tiny), *kits(tiny)], stick, tiny)
    assert plan.plans["wheels"].send == ["linux/a-1.whl"] and not plan.plans["group-1"].changes


def test_a_stick_that_is_not_there_is_no_new_folder(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no folder"):
        plan_stick(kits(tiny), tmp_path / "usb", tiny)
    assert not (tmp_path / "usb").exists()


@pytest.mark.parametrize(
    ("cargo_change", "kind", "said"),
    [
        ({"size": 5 * 10**9}, "vfat", "takes 4 GB a file"),
        ({"size": 5 * 10**9}, "exfat", ""),
        ({"name": "readme.MD"}, "ext4", "are one name on Windows"),
        ({"name": "lab_code/aux.py"}, "ext4", "the name of a device"),
        ({"name": "lab_code/what?.py"}, "ext4", "Windows takes no name such as"),
        ({"name": "lab_code/" + "long/" * 50 + "a.py"}, "ext4", "too long for Windows"),
        ({}, "vfat", ""),
    ],
)
def test_what_a_medium_or_a_system_cannot_hold_is_said(cargo: Cargo, cargo_change: dict, kind: str, said: str) -> None:
    changed = bigger(cargo, cargo_change.get("name", "data/big.bin"), cargo_change.get("size", 1))
    found = list(find_unfit([changed if cargo_change else cargo], kind))
    assert bool(found) == bool(said) and said in "".join(found)


@pytest.mark.parametrize("path", ["lab-kit/group-1", "Users/lab/kit.d", "aux-1/com", "console"])
def test_paths_that_windows_takes(path: str) -> None:
    assert not find_windows_fault(path)


@pytest.mark.parametrize("kind", ["vfat", "msdos", "exfat", "ext4"])
def test_a_medium_without_run_bits_is_a_note(tiny: Path, stick: Path, kind: str, monkeypatch) -> None:
    here = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(stick), fstype=kind.upper())]
    monkeypatch.setattr(medium.psutil, "disk_partitions", lambda all: here)
    plan = plan_stick(kits(tiny), stick, tiny)
    assert any("run bit" in note for note in plan.notes) == (kind != "ext4") and not plan.faults


def test_a_stick_on_which_only_one_kit_fits_gets_none(tiny: Path, stick: Path, monkeypatch) -> None:
    needs = plan_stick(kits(tiny), stick, tiny).plans["group-1"].needs
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda place: SimpleNamespace(free=needs + 1000))
    plan = plan_stick(kits(tiny), stick, tiny)
    with pytest.raises(LabError, match="needed for all kits"):
        apply_stick(plan)
    assert not list(stick.iterdir())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can make a disk that is full")
def test_a_disk_that_fills_while_it_is_written_to_is_said_and_completed_later(
    tiny: Path, stick: Path, monkeypatch
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", stick], check=True)
    try:
        plan = plan_stick(kits(tiny), stick, tiny)
        (stick / "filler").write_bytes(b"x" * 200_000)
        with monkeypatch.context() as patched:
            patched.setattr(folder.shutil, "disk_usage", lambda place: SimpleNamespace(free=10**9))
            failed = apply_stick(replace(plan, is_medium=False))
        assert "no space left" in failed["group-2"]
        (stick / "filler").unlink()
        assert not apply_stick(replace(plan_stick(kits(tiny), stick, tiny), is_medium=False))
        assert tree(stick / "group-2") == tree(tiny / "kits" / "group-2")
    finally:
        subprocess.run(["umount", "-l", stick], check=True)


@pytest.fixture
def forks() -> Iterator[None]:
    """A process of tests may have threads; the child does nothing that they hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that is killed at a given step is a fork")
@pytest.mark.parametrize("step", [0, 1, 5, 9, 12, 13, 14, 17, 20, 23, 25, 26, 27, 28])
def test_a_delivery_that_is_killed_at_any_step_is_completed_by_the_next(
    tiny: Path, stick: Path, forks: None, step: int
) -> None:
    apply_stick(plan_stick([kits(tiny)[0]], stick, tiny))
    (stick / "group-1" / "lab_code" / "mine.py").write_bytes(b"mine\n")
    changes = {f"lab_code/part_{n}.py": b"part\n" for n in range(12)} | {"README.md": b"New.\n"}
    cargo = edit_kit(tiny, **changes, **{"lab_code/data/lesions.py": None})

    def count(tick) -> None:
        copyfile, replace_file = shutil.copyfile, os.replace
        folder.shutil.copyfile = lambda *paths: (tick(), copyfile(*paths))[1]
        folder.os.replace = lambda *paths: (tick(), replace_file(*paths))[1]

    killed = killed_at(step, lambda: folder.deliver(cargo, stick / "group-1"), count)
    assert killed == (step < 28)  # 13 files are copied, kit.json is written whole, and all take their places
    folder.deliver(cargo, stick / "group-1")
    found = tree(stick / "group-1")
    assert found.pop("lab_code/mine.py")[0] == b"mine\n" and found == tree(cargo.folder)


def unpack(path: Path, into: Path) -> Path:
    """As a laptop's own program does, with the run bits."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            target = Path(archive.extract(info, into))
            target.chmod(stat.S_IMODE(info.external_attr >> 16))
    return into


def test_an_archive_unpacks_to_the_kit_and_its_sheet_lies_beside_it(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "archives"
    apply_archives(plan_archives(kits(tiny), out))
    assert sorted(path.name for path in out.iterdir()) == [
        "SHA256SUMS", "group-1.pdf", "group-1.zip", "group-2.pdf", "group-2.zip",
    ]  # fmt: skip
    assert tree(unpack(out / "group-1.zip", tmp_path / "a") / "group-1") == tree(tiny / "kits/group-1")
    assert (out / "group-1.pdf").read_bytes() == b"a sheet"
    assert all(archives.sha256_file(out / name) == d for name, d in archives._read_sums(out).items())


def test_the_same_kits_give_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    apply_archives(plan_archives(kits(tiny), tmp_path / "a"))
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny, copy, copy_function=shutil.copyfile)  # other times
    for group in GROUPS:
        (copy / "kits" / group / "lab").chmod(0o755)
        (copy / "kits" / group / ".lab/handin.key").chmod(0o600)
    apply_archives(plan_archives(list(reversed(kits(copy))), tmp_path / "b"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize("damage", ["nothing", "cut", "gone", "sheet", "sums"])
def test_only_what_is_missing_or_damaged_is_packed_again(tiny: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "archives"
    apply_archives(plan_archives(kits(tiny), out))
    whole = tree(out)
    if damage == "cut":
        (out / "group-1.zip").write_bytes((out / "group-1.zip").read_bytes()[:-100])
    elif damage != "nothing":
        (out / {"gone": "group-1.zip", "sheet": "group-1.pdf", "sums": "SHA256SUMS"}[damage]).unlink()
    plan = plan_archives(kits(tiny), out)
    expected = {"nothing": [], "sheet": [], "sums": ["group-1.zip", "group-2.zip"]}.get(damage, ["group-1.zip"])
    assert plan.write == expected and plan.changes == (damage != "nothing")
    apply_archives(plan)
    assert tree(out) == whole


def test_a_changed_kit_is_packed_alone(tiny: Path, tmp_path: Path) -> None:
    apply_archives(plan_archives(kits(tiny), tmp_path / "a"))
    edit_kit(tiny, "group-2", **{"README.md": b"New.\n"})
    assert plan_archives(kits(tiny), tmp_path / "a").write == ["group-2.zip"]


def test_archives_that_do_not_fit_are_not_begun(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(LabError, match=r"needed for all archives, 1\.0 kB are free"):
        apply_archives(plan_archives(kits(tiny), tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_a_kit_on_a_stick_that_cannot_be_replaced_is_no_matter_to_the_others(tiny: Path, stick: Path) -> None:
    folder.deliver(kits(tiny)[1], stick / "group-1")  # somebody has renamed a folder
    (stick / "group-1" / "progress.jsonl").write_bytes(b"{}\n")
    before = tree(stick / "group-1")
    failed = apply_stick(plan_stick(kits(tiny), stick, tiny))
    assert list(failed) == ["group-1"] and "holds the work of group-2" in failed["group-1"]
    assert tree(stick / "group-1") == before and tree(stick / "group-2") == tree(tiny / "kits" / "group-2")
