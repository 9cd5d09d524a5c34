"""From `make provision` to the kits, beside what no program can avoid: the key derivations, and writing the files.

Kits are built in memory where the system has a folder there with room for them (Linux): 200,000 files are made, and a
disk may be ten times as slow as usual at that for minutes after others have deleted many (ext4 without a journal is).
With `FULL=1` in the environment the many groups are 60, and everything else is measured three times instead of twice.
"""

import atexit
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instructor.dataset.prepare import PreparedData
from instructor.provision.kit import KitPlan, plan_kit
from instructor.provision.kit_locks import KitLocks
from instructor.provision.workshop_kits import provision
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import make_variants
from instructor.vault import Vault
from instructor.workers import open_workers
from instructor.workshop import PROJECT, Workshop, read_workshop
from lab_code.workshop.locks import derive_answer_key

_REPEATS = 3 if os.environ.get("FULL") else 2
_MANY = 60 if os.environ.get("FULL") else 24
_MEMORY, _KIT_BYTES = Path("/dev/shm"), 40_000_000  # a kit takes 23 million
# A process of its own: the system (Linux) says what it has held at most, it says when each lock was written.
_MANY_KITS = """
import json, sys, time
from pathlib import Path
from instructor.provision.workshop_kits import provision
from instructor.workshop import LockSettings, read_workshop

workshop = read_workshop()
workshop.groups = [f"group-{number}" for number in range(1, int(sys.argv[2]) + 1)]
workshop.locks = LockSettings(memory_kib=64, iterations=1)
times = []
done = provision(workshop, Path(sys.argv[1]), lambda title, total: lambda: times.append((title, time.perf_counter())))
assert not done.failed, done.failed
locks = [moment for title, moment in times if title == "locks"][:: len(workshop.stages)]
held = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"kits_s": [after - before for before, after in zip(locks, locks[1:])], "held_mb": int(held) / 1024}))
"""


def measure(scratch: Path) -> Iterator[tuple]:
    """The build stays for other benchmarks, as `scratch / "build"`."""
    place = _choose_place(scratch)
    workshop, build = read_workshop(), place / "build"
    plans = _plan_all(workshop, scratch)
    taken: dict[str, list[float]] = {way: [] for way in ("new", "kits", "copy", "locks", "derive")}
    for number in range(_REPEATS):
        folder = place / f"build-{number}" if number else build
        taken["new"].append(_time(_provision_as_typed, folder))
        taken["derive"].append(_time(_derive_all, workshop))
        taken["locks"].append(_time(_make_locks, workshop, plans, scratch / f"vault-{number}"))
        os.rename(folder / "kits", folder / "kits-before")  # the photographs stay
        taken["kits"].append(_time(_build_kits, workshop, folder))
        taken["derive"].append(_time(_derive_all, workshop))
        taken["copy"].append(_time(_run, "cp", "-r", folder / "kits", folder / "kits-copied"))
    again_s = _time(_provision_as_typed, build)
    yield from _compare({way: statistics.median(seconds) for way, seconds in taken.items()}, len(plans), again_s)
    yield from _measure_many(place / "many")


def _compare(taken: dict[str, float], count: int, again_s: float) -> Iterator[tuple]:
    yield f"provision: {count} kits, everything new", taken["new"], "s"
    yield "provision: its key derivations alone, all cores", taken["derive"], "s"
    yield "provision: all of it over its key derivations", taken["new"] / taken["derive"], "ratio", 2.0
    yield "provision: again, nothing to do", again_s, "s"
    yield f"provision: cp -r of {count} kits", taken["copy"], "s"
    over = taken["kits"] / (taken["copy"] + taken["derive"])
    yield f"provision: {count} kits over cp -r and key derivations", over, "ratio", 1.3
    yield "provision: all locks over their key derivations alone", taken["locks"] / taken["derive"], "ratio", 1.15


def _time(do: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    do(*arguments)
    return time.perf_counter() - started


def _choose_place(scratch: Path) -> Path:
    """A folder in memory where there is room, which goes when this program ends; else `scratch`."""
    kits = _MANY + 3 * _REPEATS * len(read_workshop().groups)
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < kits * _KIT_BYTES:
        return scratch
    place = Path(tempfile.mkdtemp(dir=_MEMORY))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (scratch / "build").symlink_to(place / "build")
    return place


def _measure_many(build: Path) -> Iterator[tuple]:
    """Many groups: the locks cost nothing, so that only what grows with the groups is seen."""
    started = time.perf_counter()
    command = [sys.executable, "-c", _MANY_KITS, str(build), str(_MANY)]
    said = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True).stdout
    yield f"provision: {_MANY} groups with cheap locks", time.perf_counter() - started, "s", 1.5 * _MANY
    found = json.loads(said)
    yield f"provision: memory for {_MANY} groups", found["held_mb"], "MB", 400
    third = len(found["kits_s"]) // 3
    first, last = statistics.median(found["kits_s"][:third]), statistics.median(found["kits_s"][-third:])
    yield "provision: the last kits of many over the first", last / first, "ratio", 1.2


def _provision_as_typed(build: Path) -> None:
    """What `make provision` runs: a program of its own, with everything that it has to import."""
    _run(sys.executable, "-m", "instructor.cli", "provision", "--build", build)


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], cwd=PROJECT, check=True, capture_output=True)


def _build_kits(workshop: Workshop, build: Path) -> None:
    done = provision(workshop, build, lambda title, total: lambda: None)
    assert done.built == workshop.groups, done.failed


def _plan_all(workshop: Workshop, scratch: Path) -> list[KitPlan]:
    variants = make_variants(workshop, load_bank(workshop), "secret")
    data = PreparedData(scratch, scratch, changed=False)
    return [plan_kit(workshop, group, variants[group], data) for group in workshop.groups]


def _make_locks(workshop: Workshop, plans: list[KitPlan], scratch: Path) -> None:
    """Every lock of every group, by as many workers as there are cores."""
    (scratch / "vault").mkdir(parents=True)
    with open_workers() as workers:
        making = KitLocks(workshop, Vault(scratch), workers)
        for locks in [making.begin(plan.group, plan.stages) for plan in plans]:
            for file in locks.files:
                file.result()


def _derive_all(workshop: Workshop) -> None:
    costs = workshop.locks
    header = {"kdf": {"memory_kib": costs.memory_kib, "iterations": costs.iterations, "lanes": costs.lanes}}
    count = len(workshop.groups) * len(workshop.stages)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda n: derive_answer_key([str(n)], None, None, os.urandom(16), header), range(count)))
