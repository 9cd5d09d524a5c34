"""From `make provision` to six kits, beside the key derivations that no program can avoid."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instructor.provision.workshop_kits import provision
from instructor.workshop import Workshop, read_workshop
from lab_code.workshop.locks import derive_answer_key


def measure(scratch: Path) -> Iterator[tuple]:
    workshop = read_workshop()
    derivations_s = _derive_all(workshop)
    started = time.perf_counter()
    done = provision(workshop, scratch / "build", lambda title, total: lambda: None)
    provision_s = time.perf_counter() - started
    assert len(done.built) == len(workshop.groups), done.failed
    started = time.perf_counter()
    provision(workshop, scratch / "build", lambda title, total: lambda: None)
    again_s = time.perf_counter() - started
    yield f"provision: {len(workshop.groups)} kits, everything new", provision_s, "s"
    yield "provision: its key derivations alone, all cores", derivations_s, "s"
    yield "provision: all of it over its key derivations", provision_s / derivations_s, "ratio", 3.0
    yield "provision: again, nothing to do", again_s, "s"


def _derive_all(workshop: Workshop) -> float:
    costs = workshop.locks
    header = {"kdf": {"memory_kib": costs.memory_kib, "iterations": costs.iterations, "lanes": costs.lanes}}
    count = len(workshop.groups) * len(workshop.stages)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda n: derive_answer_key([str(n)], None, os.urandom(16), header), range(count)))
    return time.perf_counter() - started
