"""From `make provision` to six kits, beside the key derivations that no program can avoid."""

import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instructor.dataset.prepare import PreparedData
from instructor.provision.kit import plan_kit, start_locks, start_test_lock
from instructor.provision.workshop_kits import provision
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import make_variants
from instructor.vault import Vault
from instructor.workshop import Workshop, read_workshop
from lab_code.workshop.locks import derive_answer_key

_REPEATS = 3


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
    ratios = [_make_locks(workshop, scratch / f"vault-{n}") / _derive_all(workshop) for n in range(_REPEATS)]
    yield "provision: all locks over their key derivations alone", statistics.median(ratios), "ratio", 1.15


def _make_locks(workshop: Workshop, scratch: Path) -> float:
    """Seconds to write every lock of every group, with as many threads as there are cores."""
    variants = make_variants(workshop, load_bank(workshop), "secret")
    data = PreparedData(scratch, scratch, changed=False)
    (scratch / "vault").mkdir(parents=True)
    plans = [plan_kit(workshop, group, variants[group], data) for group in workshop.groups]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        test = start_test_lock(workshop, pool)
        for locks in [start_locks(plan, Vault(scratch), pool, test) for plan in plans]:
            for file in locks.files:
                file.result()
    return time.perf_counter() - started


def _derive_all(workshop: Workshop) -> float:
    costs = workshop.locks
    header = {"kdf": {"memory_kib": costs.memory_kib, "iterations": costs.iterations, "lanes": costs.lanes}}
    count = len(workshop.groups) * len(workshop.stages)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda n: derive_answer_key([str(n)], None, None, os.urandom(16), header), range(count)))
    return time.perf_counter() - started
