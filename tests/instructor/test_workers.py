"""The processes beside a build: what they are told, that they make locks that open, and what is said when one dies."""

import os
from pathlib import Path

import pytest

from instructor.provision.kit_locks import KitLocks
from instructor.provision.stages import StagePlan
from instructor.vault import Vault
from instructor.workers import open_workers
from instructor.workshop import LockSettings
from lab_code.errors import LabError
from lab_code.workshop.kit import Stage
from lab_code.workshop.locks import open_with_answers, read_lock
from tests.conftest import make_small_workshop

LARGE_PAGES = "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize(
    ("set_before", "told"), [(None, LARGE_PAGES), ("glibc.malloc.check=0", "glibc.malloc.check=0")]
)
def test_they_ask_for_large_pages_and_nothing_stays_set(
    monkeypatch: pytest.MonkeyPatch, set_before: str | None, told: str
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if set_before:
        monkeypatch.setenv("GLIBC_TUNABLES", set_before)
    with open_workers() as workers:
        assert workers.submit(os.getenv, "GLIBC_TUNABLES").result() == told
    assert os.environ.get("GLIBC_TUNABLES") == set_before


def test_one_that_is_ended_from_outside_is_an_error_with_a_hint() -> None:
    with pytest.raises(LabError, match="ended from outside") as caught, open_workers() as workers:
        workers.submit(os._exit, 9).result()
    assert "make provision" in (caught.value.hint or "")


@pytest.mark.parametrize("memory_kib", [64, 65536], ids=["cheap, at once", "dear, by a worker"])
def test_a_lock_opens_and_says_what_it_took(tmp_path: Path, memory_kib: int) -> None:
    workshop = make_small_workshop(locks=LockSettings(memory_kib=memory_kib, iterations=1, lanes=1))
    stage = Stage("1-first", "First", "locked/1-first.lab", ("notebooks/inside.txt",), 0)
    plan = StagePlan(stage, [], {"notebooks/inside.txt": b"open\n"}, None, "locked/2-second.chain")
    with open_workers() as workers:
        locks = KitLocks(workshop, Vault(tmp_path), workers)
        started = locks.begin("group-1", [plan])
        (tmp_path / "1.lab").write_bytes(started.files[0].result().content)
        assert locks.guess_s() == started.files[0].result().seconds > 0
    opened = open_with_answers(read_lock(tmp_path / "1.lab", "small", "group-1", "1-first"), [], None)
    assert opened["notebooks/inside.txt"] == b"open\n"
    assert opened["locked/2-second.chain"] == started.chains[0]
