"""Many laptops at once: each job within its time, and the failure of one is no matter to the others.

    outcomes = asyncio.run(everywhere(laptops, job, Terms(at_once=8, limit_s=300)))

A command that is run here ends with this process, however that ends: half-killed deliveries must not go on behind.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lab_code.errors import LabError

_PR_SET_PDEATHSIG = 1
_GRACE_S = 2  # for a killed command to be gone
_CHUNK = 1 << 16
_ENOUGH_TEXT = 4000  # bytes of what a command complains about
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

Thing = TypeVar("Thing")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Terms:
    """How many at a time, and the seconds that one may take."""

    at_once: int = 8
    limit_s: float = 600


@dataclass
class Outcome(Generic[Value]):
    """What a job has brought, or the reason why not and what to do about it."""

    value: Value | None = None
    error: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Ended:
    """A command that came to its end."""

    code: int
    out: bytes
    complaint: str


async def everywhere(
    things: Iterable[Thing],
    job: Callable[[Thing], Awaitable[Value]],
    terms: Terms,
    tell: Callable[[Thing, Outcome[Value]], object] = lambda thing, outcome: None,
) -> list[Outcome[Value]]:
    """The outcome of `job` for every thing, in their order; `tell` is called as soon as one is there."""
    slots = asyncio.Semaphore(terms.at_once)

    async def run_one(thing: Thing) -> Outcome[Value]:
        async with slots:
            outcome = await _within(job, thing, terms.limit_s)
        tell(thing, outcome)
        return outcome

    return list(await asyncio.gather(*map(run_one, things)))


async def _within(job: Callable[[Thing], Awaitable[Value]], thing: Thing, limit_s: float) -> Outcome[Value]:
    try:
        async with asyncio.timeout(limit_s):
            return Outcome(await job(thing))
    except TimeoutError:
        return Outcome(
            error=f"no end after {limit_s:g} s",
            hint="is it awake? then again; for a slow network raise limit_s in the inventory",
        )
    except LabError as error:
        return Outcome(error=error.message, hint=error.hint or "")
    except OSError as error:
        return Outcome(error=(error.strerror or str(error)).lower())


async def run(command: list[str], given: bytes | AsyncIterator[bytes] = b"", most: int | None = None) -> Ended:
    """Run a command with `given` as its input; it is killed where this is cancelled.

    Raises `LabError` where it says more than `most` bytes, of which no more are kept.
    """
    async with running(command) as process:
        assert process.stdin and process.stdout and process.stderr
        _, out, complaint = await asyncio.gather(
            _feed(process.stdin, given), _read(process.stdout, most), process.stderr.read()
        )
        code = await process.wait()
    if most is not None and len(out) > most:
        raise LabError(f"it says more than {most} bytes", hint="something else than the kit runs there")
    return Ended(code, out, complaint[-_ENOUGH_TEXT:].decode("utf-8", "replace"))


@asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that is there for a while; whatever happens, it is gone afterwards."""
    options: dict[str, Any] = {} if os.name == "nt" else {"start_new_session": True, "preexec_fn": _die_with_parent}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, **options)
    try:
        yield process
    finally:
        if process.returncode is None:
            _kill(process)
            assert process.stdout and process.stderr
            said = process.stdout.read(), process.stderr.read()  # a pipe that is full never ends
            last = asyncio.gather(*said, process.wait())
            with suppress(TimeoutError):  # its pipes may be open in what it has left behind, which is not waited for
                await asyncio.wait_for(last, _GRACE_S)


async def _read(stream: asyncio.StreamReader, most: int | None) -> bytes:
    """All that it says; once that is more than `most` bytes, the rest is forgotten."""
    said = bytearray()
    while piece := await stream.read(_CHUNK):
        if most is None or len(said) <= most:
            said += piece
    return bytes(said)


async def _feed(stdin: asyncio.StreamWriter, given: bytes | AsyncIterator[bytes]) -> None:
    """A command that ends early has its reasons, which it says itself."""
    with suppress(BrokenPipeError, ConnectionResetError):
        if isinstance(given, bytes):
            stdin.write(given)
            await stdin.drain()
        else:
            async for piece in given:
                stdin.write(piece)
                await stdin.drain()
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.close()
        await stdin.wait_closed()


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill(process: asyncio.subprocess.Process) -> None:
    """The command and what it has started (rsync starts ssh)."""
    with suppress(ProcessLookupError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
