"""Tiny kits: the form of real ones, a dozen files each, and a room of real laptops that all these tests share."""

import asyncio
import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instructor.deliver import supervise
from instructor.deliver.cargo import Cargo, read_kit_cargo
from lab_code.files import to_json
from lab_code.workshop.kit import Kit, Stage, kit_to_json
from tests.instructor.deliver.laptops import Room, make_room

STAGES = tuple(Stage(f"{n}-x", "A stage", f"locked/{n}-x.lab", (f"lab_code/opened_{n}.py",), 2) for n in (1, 2))
PLAIN = {
    "lab": b"#!/usr/bin/env python3\n",
    "README.md": b"Read me.\n",
    "lab_code/config.py": b"lr = 0.1\n",
    "lab_code/data/lesions.py": b"lesions = 7\n",
    "instructions.pdf": b"a sheet",
    "questions.json": b"[]\n",
    ".lab/handin.key": b"00ff\n",
    "data/images/a photograph ü.jpg": b"\xff\xd8\xff" * 99,
    "data/images/b.jpg": b"\xff\xd8\xff" * 50,
}


def write_kit(build: Path, group: str = "group-1", workshop: str = "tiny", **changes: bytes | None) -> Path:
    """A kit under `build/kits` of these files; `changes` are by path, with None for a file that is left out."""
    folder = build / "kits" / group
    locks = {stage.lock: f"{group} {stage.id}".encode() for stage in STAGES}
    files = {name: text for name, text in {**PLAIN, **locks, **changes}.items() if text is not None}
    photographs = {name[5:]: text for name, text in files.items() if name.startswith("data/")}
    sums = "".join(f"{digest(text)}  {name}\n" for name, text in sorted(photographs.items()))
    files["data/SHA256SUMS"] = sums.encode()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    (folder / "lab").chmod(0o755)
    (folder / ".lab/handin.key").chmod(0o600)
    named = {name: digest(text) for name, text in files.items() if name[5:] not in photographs}
    kit = Kit(folder, workshop, "Tiny", group, STAGES, named)
    (folder / "kit.json").write_text(to_json(kit_to_json(kit)), encoding="utf-8")
    return folder


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def edit_kit(build: Path, group: str = "group-1", **changes: bytes | None) -> Cargo:
    """The kit once more with other files, as provisioning builds it anew."""
    shutil.rmtree(build / "kits" / group, ignore_errors=True)
    return read_kit_cargo(write_kit(build, group, **changes))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A build folder with two tiny kits."""
    for group in ("group-1", "group-2"):
        write_kit(tmp_path / "build", group)
    return tmp_path / "build"


@pytest.fixture
def cargo(tiny: Path) -> Cargo:
    return read_kit_cargo(tiny / "kits" / "group-1")


@pytest.fixture(scope="session")
def laptops() -> Iterator[Room]:
    """Six laptops that are switched on; whoever harms one puts it right."""
    room = make_room(6)
    yield room
    room.tidy()


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and mode, to compare before and after."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def times(root: Path) -> dict[str, int]:
    """When each file was last put there: what is not touched keeps this and its number on the disk."""
    return {path.as_posix(): path.stat().st_ctime_ns for path in sorted(root.rglob("*")) if path.is_file()}


def killed_at(step: int, work: Callable[[], object], count: Callable[[Callable[[], None]], None]) -> bool:
    """Run `work` in a process that is killed at its `step`-th call of what `count` has wired; False where it ended."""
    child = os.fork()
    if child == 0:
        left = [step]

        def tick() -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), 9)

        try:
            count(tick)
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9


def killed_at_command(step: int, work: Callable[[], object]) -> bool:
    """The same, killed as soon as its `step`-th command over SSH has started."""

    def count(tick: Callable[[], None]) -> None:
        start = asyncio.create_subprocess_exec

        async def start_and_tick(*command: str, **options: Any) -> asyncio.subprocess.Process:
            process = await start(*command, **options)
            tick()
            return process

        supervise.asyncio.create_subprocess_exec = start_and_tick

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it parts while threads run
        return killed_at(step, work, count)


def bigger(cargo: Cargo, name: str, size: int) -> Cargo:
    """The same kit in which one file claims to be so large."""
    return replace(cargo, files={**cargo.files, name: replace(cargo.files["README.md"], size=size)})
