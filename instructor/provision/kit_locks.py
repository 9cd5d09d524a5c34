"""The locks of all kits, begun as soon as a group's questions are known.

    with open_workers() as workers:
        locks = KitLocks(workshop, vault, workers)
        started = locks.begin("group-1", stages)        # returns at once
        started.files[0].result().content               # the bytes of the first lock, once they are there

One key derivation takes the better part of a second and a quarter of a gigabyte, so this is where the time of a build
goes. `locks.gather_secrets` says what of it all must be in no kit.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from instructor.locks.audit import time_guess
from instructor.locks.lock import LockSpec, Secrets, TimedLock, is_lock_of, write_timed_lock
from instructor.provision.leaks import SecretSearch
from instructor.provision.stages import StagePlan
from instructor.vault import Vault
from instructor.workers import Workers
from instructor.workshop import Workshop
from lab_code.workshop.doctor import TEST_ANSWERS, TEST_GROUP, TEST_STAGE
from lab_code.workshop.locks import RESCUE_BYTES

TEST_BROUGHT = Path(__file__).parents[1] / "kept" / "doctor.lab"
TEST_FILES = {"locked/tried.txt": b"open\n"}
_WORTH_A_PROCESS = 64 * 1024  # KiB of a key derivation: a cheaper one takes less than to start a process


@dataclass(frozen=True)
class StartedLocks:
    """The locks of a kit while they are made, and the chain values that were drawn for them."""

    files: list[Future[TimedLock]]
    test: Future[TimedLock]  # the one that all kits share
    chains: list[bytes]


class KitLocks:
    """Makes the locks of a workshop's kits, as many at once as there are workers."""

    def __init__(self, workshop: Workshop, vault: Vault, workers: Workers) -> None:
        self._workshop, self._vault, self._workers = workshop, vault, workers
        self._started: dict[str, StartedLocks] = {}

    def begin(self, group: str, stages: Sequence[StagePlan]) -> StartedLocks:
        """Begin to write every lock of a kit, where that was not begun before."""
        if group not in self._started:
            self._started[group] = self._start(group, stages)
        return self._started[group]

    def guess_s(self) -> float:
        """Seconds of one core that a guess takes, which is one key derivation: those of the first lock."""
        if not self._started:
            return time_guess(self._workshop.locks, repeats=1)
        return next(iter(self._started.values())).files[0].result().seconds

    def gather_secrets(self, kits: Mapping[str, Sequence[StagePlan]]) -> SecretSearch:
        """What must be in none of the kits, whichever group it belongs to."""
        secrets, vault, workshop = SecretSearch(), self._vault, self._workshop.id
        for group, stages in kits.items():
            for stage in stages:
                name = f"{group}, stage {stage.stage.id}"
                code = vault.rescue_code(workshop, group, stage.stage.id)
                secrets.add_answers(f"answers of {name}", stage.answers)
                raw = vault.rescue_secret(workshop, group, stage.stage.id)
                secrets.add_code(f"rescue code of {name}", code, raw)
                for reason in stage.reasons:
                    secrets.add_bytes(f"the reason of question {reason.question}", reason.why.encode())
        for locks in self._started.values():
            for chain in locks.chains:
                secrets.add_code("a chain value", chain.decode(), bytes.fromhex(chain.decode()))
        for stage in next(iter(kits.values())):
            room_code = vault.room_code(workshop, stage.stage.id)
            secrets.add_code(f"room code of stage {stage.stage.id}", room_code)
            for name, content in stage.files.items():
                secrets.add_source(f"locked source {name}", content)
        secrets.add_code("the vault's secret", vault.master_secret().hex(), vault.master_secret())
        secrets.add_code("the secret of the answers", vault.answer_secret(workshop))
        secrets.add_vault(vault.folder)
        return secrets

    @cached_property
    def _test(self) -> Future[TimedLock]:
        """The one lock that `lab doctor` opens: the project brings it (`keep.py`), or it is made like the others."""
        spec, secrets = describe_test_lock(self._workshop)
        if TEST_BROUGHT.is_file() and is_lock_of(TEST_BROUGHT.read_bytes(), spec, secrets):
            return _done(TimedLock(TEST_BROUGHT.read_bytes(), 0.0))
        return self._write(spec, secrets, TEST_FILES)

    def _start(self, group: str, stages: Sequence[StagePlan]) -> StartedLocks:
        workshop, vault, test = self._workshop, self._vault, self._test
        chains = {stage.gives_chain: os.urandom(32).hex().encode() for stage in stages if stage.gives_chain}
        futures = []
        for stage in stages:
            spec = LockSpec(
                workshop=workshop.id,
                group=group,
                stage=stage.stage.id,
                title=stage.stage.title,
                questions=stage.stage.questions,
                opens=stage.stage.opens,
                chain_file=stage.needs_chain,
                cost=workshop.locks,
            )
            secrets = Secrets(
                answers=stage.answers,
                rescue=vault.rescue_secret(workshop.id, group, stage.stage.id),
                chain=chains[stage.needs_chain] if stage.needs_chain else None,
                room_code=vault.room_code(workshop.id, stage.stage.id) if workshop.locks.room_code else None,
            )
            extra = {stage.gives_chain: chains[stage.gives_chain]} if stage.gives_chain else {}
            futures.append(self._write(spec, secrets, {**stage.payload, **extra}))
        return StartedLocks(futures, test, list(chains.values()))

    def _write(self, spec: LockSpec, secrets: Secrets, files: dict[str, bytes]) -> Future[TimedLock]:
        if spec.cost.memory_kib < _WORTH_A_PROCESS:
            return _done(write_timed_lock(spec, secrets, files))
        return self._workers.submit(write_timed_lock, spec, secrets, files)


def _done(lock: TimedLock) -> Future[TimedLock]:
    done: Future[TimedLock] = Future()
    done.set_result(lock)
    return done


def describe_test_lock(workshop: Workshop) -> tuple[LockSpec, Secrets]:
    """The lock that `lab doctor` tries, with answers that everybody knows and a rescue code that nobody does."""
    count = len(TEST_ANSWERS)
    spec = LockSpec(workshop.id, TEST_GROUP, TEST_STAGE, "A lock to try", count, (), None, workshop.locks)
    return spec, Secrets(TEST_ANSWERS, os.urandom(RESCUE_BYTES))
