"""A kit onto a folder, and over SSH to laptops that are really there: time, and bytes beside those that changed.

The laptops are played by this machine, whose cores do the work of both ends: what six of them need of the processor is
already more than one delivery's seconds on two cores, in whatever order they are served. So six are compared with the
longer of the two: what one takes, and what the cores need for the work of all, both ends.
"""

import asyncio
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from instructor.deliver import folder
from instructor.deliver.cargo import SUMS, Cargo, parse_sums, read_cargos, read_kit_cargo
from instructor.deliver.inventory import read_inventory
from instructor.deliver.over_ssh import Room, apply_ssh
from instructor.workshop import read_workshop
from lab_code.files import sha256_file, to_json, write_whole
from lab_code.workshop.kit import KIT_FILE
from tests.instructor.deliver import laptops

_REPEATS, _CHANGED = 3, 200  # photographs that a new build has drawn anew


def measure(scratch: Path) -> Iterator[tuple]:
    """The kits are those that the benchmark of provisioning has built."""
    groups = read_workshop().groups
    cargos = read_cargos(scratch / "build", groups)
    group, cargo = next(iter(cargos.items()))
    ratios = [_to_folder(cargo, scratch / f"stick-{n}") / _copy(cargo, scratch / f"copy-{n}") for n in range(_REPEATS)]
    yield f"deliver: the kit of {group} onto a folder, over cp -r", statistics.median(ratios), "ratio"
    if why := laptops.why_not():
        print(f"not measured: laptops over SSH ({why})")
        return
    played = laptops.make_room(len(groups))
    try:
        inventory = read_inventory(played.write(dict(enumerate(groups, 1))), groups)
        yield from _over_ssh(Room(inventory, inventory.laptops, cargos), played, scratch)
    finally:
        for laptop in played.laptops:
            with suppress(FileNotFoundError):
                laptop.kit().rename(scratch / f"of-{laptop.user}")  # `tidy` would delete thousands of files
        played.tidy()


def _to_folder(cargo: Cargo, root: Path) -> float:
    started = time.perf_counter()
    folder.deliver(cargo, root)
    return time.perf_counter() - started


def _copy(cargo: Cargo, root: Path) -> float:
    started = time.perf_counter()
    subprocess.run(["cp", "-r", cargo.folder, root], check=True)
    return time.perf_counter() - started


def _over_ssh(room: Room, played: laptops.Room, scratch: Path) -> Iterator[tuple]:
    """One kit for all laptops: what it is called makes no difference to its bytes."""
    cargo = next(iter(room.kits.values()))
    first = replace(room, laptops=room.laptops[:1])
    _, sent = _deliver(first, cargo)
    yield "deliver: bytes sent over SSH, over those of a new kit", sent / cargo.size, "ratio", 1.1
    _deliver(room, cargo)
    beside = (scratch / "build").resolve().parent  # where hard links to the kits can be
    shares, times, over = [], [], []
    for number in range(_REPEATS):
        changed, size = _change(cargo, beside / f"one-{number}", number)
        one, sent = _deliver(first, changed)
        changed, _ = _change(cargo, beside / f"six-{number}", 100 + number)
        before = _processor_s(played)
        six, _ = _deliver(room, changed)
        shares.append(sent / size)
        times.append((one, six))
        over.append(six / max(one, (_processor_s(played) - before) / (os.cpu_count() or 1)))
    yield f"deliver: the same, over those of {_CHANGED} changed photographs", statistics.median(shares), "ratio", 1.1
    yield f"deliver: {_CHANGED} changed photographs to one laptop", statistics.median(one for one, _ in times), "s"
    yield "deliver: six laptops over one, these cores at both ends", statistics.median(b / a for a, b in times), "ratio"
    yield "deliver: six laptops over one, or over the work of both ends", statistics.median(over), "ratio", 2.0


def _processor_s(played: laptops.Room) -> float:
    """Of this process and of those it has waited for, and of all that has ended on the laptops."""
    servers = [psutil.Process(laptop.process.pid) for laptop in played.laptops if laptop.process]
    psutil.wait_procs([child for server in servers for child in server.children(recursive=True)], timeout=5)
    return sum(os.times()[:4]) + sum(sum(server.cpu_times()[:4]) for server in servers)


def _change(cargo: Cargo, into: Path, seed: int) -> tuple[Cargo, int]:
    """The kit with some other photographs, as if it were built anew, and the bytes of these and of their lines."""
    shutil.copytree(cargo.folder, into, copy_function=os.link)
    random_bytes, size = random.Random(seed), 0
    sums = parse_sums((into / SUMS).read_text(encoding="utf-8"))
    for name in [name for name in sums if name.endswith(".jpg")][:_CHANGED]:
        content = random_bytes.randbytes((into / "data" / name).stat().st_size)
        write_whole(into / "data" / name, content)
        sums[name], size = hashlib.sha256(content).hexdigest(), size + len(content) + len(f"{sums[name]}  {name}\n")
    write_whole(into / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    document = cargo.document
    document["files"][SUMS] = sha256_file(into / SUMS)
    write_whole(into / KIT_FILE, to_json(document))
    return read_kit_cargo(into), size


def _deliver(room: Room, cargo: Cargo) -> tuple[float, int]:
    """Seconds, and bytes sent before they are encrypted."""
    room = replace(room, kits=dict.fromkeys(room.kits, cargo))
    started = time.perf_counter()
    rows = asyncio.run(apply_ssh(room))
    assert not [row.error for row in rows if row.error]
    return time.perf_counter() - started, sum(row.sent for row in rows)
