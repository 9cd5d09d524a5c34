"""Processes with limits: what runs too long, takes too much or dies is named, and the others go on. All real."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from instructor.collect.isolation import Job, run_isolated
from instructor.workshop import HandinLimits
from lab_code.errors import LabError

LIMITS = HandinLimits(seconds=60, memory_mb=600, unpacked_mb=5)
SHORT = HandinLimits(seconds=3, memory_mb=600, unpacked_mb=5)  # for what would never end


def double(number: int) -> int:
    return 2 * number


def spin() -> None:
    while True:
        pass


def sleep_deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def eat() -> int:
    return len([bytearray(10_000_000) for _ in range(10_000)])


def eat_at_once() -> int:
    return len(bytearray(200_000_000_000))


def fill_disk(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(1000):
            file.write(bytes(1_000_000))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(7)


def crash() -> None:
    import ctypes

    ctypes.string_at(0)


def refuse() -> None:
    raise LabError("it is a \x1b[2Jtrap", hint="do not use it")


def stumble() -> None:
    raise KeyError("some\nthing")


def recurse() -> None:
    recurse()


def give_no_json() -> object:
    return object()


def print_much() -> str:
    print("\x1b]0;owned\x07" * 10)
    print("to stderr", file=sys.stderr)
    return "said"


BAD: dict[str, tuple[Callable[..., object], str]] = {
    "without end": (spin, "took longer than 3 seconds"),
    "deaf to signals": (sleep_deaf, "took longer than 3 seconds"),
    "hungry": (eat, "memory"),
    "hungry at once": (eat_at_once, "memory"),
    "killed": (die, "ended without a word (exit code -9)"),
    "gone": (leave, "ended without a word (exit code 7)"),
    "crashed": (crash, "ended without a word (exit code -11)"),
    "a known fault": (refuse, "it is a �[2Jtrap (hint: do not use it)"),
    "an unknown fault": (stumble, "unexpected KeyError: 'some\\nthing'"),
    "too deep": (recurse, "unexpected RecursionError"),
    "no JSON": (give_no_json, "unexpected TypeError"),
}


@pytest.mark.parametrize("fault", BAD)
def test_one_that_ends_badly_is_named_and_the_others_are_complete(fault: str) -> None:
    function, reason = BAD[fault]
    jobs = [Job(double, (1,)), Job(function, ()), Job(double, (3,)), Job(double, (4,))]
    advanced = []
    limits = SHORT if "3 seconds" in reason else LIMITS  # a busy machine needs its time for all others
    outcomes = run_isolated(jobs, limits, lambda: advanced.append(1))
    assert [outcomes[n].value for n in (0, 2, 3)] == [2, 6, 8] and len(advanced) == 4
    assert outcomes[1].value is None and reason in (outcomes[1].error or "")


def test_a_file_beyond_the_limit_is_not_written(tmp_path: Path) -> None:
    (outcome,) = run_isolated([Job(fill_disk, (tmp_path / "big",))], LIMITS)
    assert outcome.error and (tmp_path / "big").stat().st_size <= 2 * LIMITS.unpacked_mb * 1_000_000


def test_what_a_job_prints_reaches_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_isolated([Job(print_much, ())], LIMITS)[0].value == "said"
    assert capfd.readouterr() == ("", "")


def test_no_jobs_are_no_work() -> None:
    assert run_isolated([], LIMITS) == []


INTERRUPTED = """
import sys, time
from instructor.collect import isolation
from instructor.collect.isolation import Job, run_isolated
from instructor.workshop import HandinLimits
from tests.instructor.collect.test_isolation import double, sleep_deaf
isolation._WARM.clear()  # PyTorch is nobody's business here
run_isolated([Job(double, (1,))], HandinLimits())
print("begun", flush=True)
run_isolated([Job(sleep_deaf, ()), Job(sleep_deaf, ())], HandinLimits(seconds=600))
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent to a process group, which Windows does not have")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_waiting_process_ends_all_of_them(project: Path, how: signal.Signals) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip
    assert waiting.stdout and waiting.stdout.readline() == b"begun\n"
    started = psutil.Process(waiting.pid).children(recursive=True)
    while len(started) < 3:  # the server of processes, and the two
        started = psutil.Process(waiting.pid).children(recursive=True)
    os.killpg(waiting.pid, how) if how == signal.SIGINT else os.kill(waiting.pid, how)
    assert waiting.wait(30) != 0
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    waiting.stdout.close()
