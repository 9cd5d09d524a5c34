"""Runs that part from a process which has imported PyTorch and MLflow already: each begins at once.

    with Parting(place) as parting:                       # before there are threads, and before a store is open
        process = parting.start("lab_code.cli", ["train", "seed=1"])     # None: start it as usual

What they part from does nothing else: it has no threads, no open database and no GPU. Where processes cannot part so
(Windows, macOS), and once the code has been changed, programs start as usual.
"""

import gc
import multiprocessing
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path

from lab_code.tracking.interrupts import hold_interrupts
from lab_code.tracking.provenance import code_fingerprint, read_code
from lab_code.tracking.tracker import import_quietly

_ROOT = Path(__file__).parent.parent.parent
_NEEDED = (
    "lab_code.experiment", "lab_code.frameworks.pytorch", "lab_code.plots.one_run", "matplotlib.backends.backend_agg",
    "sklearn.metrics", "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _can_part() -> bool:
    """Where a process has threads, or cannot be told from a later one of its number, nothing shall part from it."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    with suppress(OSError):  # an old kernel
        os.close(os.pidfd_open(os.getpid()))
        return True
    return False


class Parted:
    """A run that has parted: what `subprocess.Popen` is for others."""

    def __init__(self, pid: int, errors: int, told: Connection) -> None:
        self.returncode: int | None = None
        self._pid, self._errors, self._told = pid, errors, told
        self._handle: int | None = None
        with suppress(ProcessLookupError):  # it has ended already
            self._handle = os.pidfd_open(pid)  # which no other process gets, as it may get the number
            weakref.finalize(self, os.close, self._handle)

    def communicate(self) -> tuple[None, str]:
        """What it writes to stderr until it ends."""
        with open(self._errors, encoding="utf-8", errors="replace") as errors:
            said = errors.read()
        with self._told as told, suppress(EOFError, OSError):
            self.returncode = told.recv()
        if self.returncode is None:  # what it has parted from was killed, and nobody has seen its end
            self.wait()
            self.returncode = -signal.SIGKILL
        return None, said

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended; its exit code is known to whoever communicates with it."""
        if self._handle is not None and not select.select([self._handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self._pid), timeout or 0)
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Parting:
    """Has ready what runs part from, for as long as the block lasts."""

    def __init__(self, place: Path | None, *, wanted: bool = True) -> None:
        """`place` is the kit whose code they run; None: the code that runs here, from where this process is."""
        mine = place is None or place.resolve() == _ROOT.resolve()
        self._place, self._wanted = place, wanted and mine
        self._asking: Connection | None = None
        self._pid, self._code = 0, ""

    def __enter__(self) -> "Parting":
        if self._wanted and _can_part():
            self._code = code_fingerprint(read_code())
            with suppress(ImportError):  # they say themselves what is missing
                import_quietly()
                for name in _NEEDED:
                    import_module(name)
            if _can_part():
                with hold_interrupts():
                    self._begin()
        return self

    def _begin(self) -> None:
        self._asking, asked = multiprocessing.Pipe()
        ignored = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._pid = os.fork()
        if not self._pid:
            try:
                _Origin(self._place, asked, self._asking, ignored).serve()
            finally:
                os._exit(1)
        asked.close()

    def __exit__(self, *_: object) -> None:
        if self._asking is not None:
            self._asking.close()
            os.waitpid(self._pid, 0)

    def start(self, module: str, arguments: Sequence[str]) -> Parted | None:
        """Let `python -m MODULE` begin; None where it has to be started as usual."""
        if self._asking is None or code_fingerprint(read_code()) != self._code:
            return None
        errors, writes_errors = os.pipe()
        told, tells = multiprocessing.Pipe(duplex=False)
        with tells, suppress(EOFError, OSError):  # what it would part from was killed
            try:
                self._asking.send([module, *arguments])
                for handle in (writes_errors, tells.fileno()):
                    send_handle(self._asking, handle, None)
            finally:
                os.close(writes_errors)
            tells.close()
            return Parted(told.recv(), errors, told)
        told.close()
        os.close(errors)
        return None


class _Origin:
    """What runs part from: a process without threads that waits to be asked, and tells how each has ended."""

    def __init__(self, place: Path | None, asked: Connection, asking: Connection, ignored: list[int]) -> None:
        self._place, self._asked, self._asking, self._ignored = place, asked, asking, ignored
        self._running: dict[int, tuple[BaseProcess, Connection]] = {}  # by what can be waited for

    def serve(self) -> None:
        """Until nobody can ask any more. Ctrl-C is for the one who asks, which ends this."""
        os.setpgid(0, 0)
        gc.freeze()  # what is here is not looked through again in every process that parts
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._asking.close()
        with suppress(EOFError, OSError):
            while True:
                for ready in wait([self._asked, *self._running]):
                    if ready is self._asked:
                        self._part()
                    elif isinstance(ready, int):
                        self._tell_end(ready)
        os._exit(0)

    def _part(self) -> None:
        argv = self._asked.recv()
        errors, tells = recv_handle(self._asked), Connection(recv_handle(self._asked), readable=False)
        process = multiprocessing.get_context("fork").Process(target=self._become, args=(argv, errors, tells))
        try:
            process.start()
        except OSError:  # no room for another process
            tells.close()
        else:
            self._running[process.sentinel] = process, tells
            with suppress(OSError):
                tells.send(process.pid)
        os.close(errors)

    def _tell_end(self, sentinel: int) -> None:
        process, tells = self._running.pop(sentinel)
        process.join()
        with tells, suppress(OSError):
            tells.send(process.exitcode)
        process.close()

    def _become(self, argv: list[str], errors: int, tells: Connection) -> None:
        """Be `python -m …`, with Ctrl-C only from whoever asked."""
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream, target in enumerate((nothing, nothing, errors)):
            os.dup2(target, stream)
        os.close(errors)
        for other in (self._asked, tells, *(told for _, told in self._running.values())):
            other.close()
        for number in set(_SIGNALS).difference(self._ignored):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if self._place is not None:
            os.chdir(self._place)
        sys.argv = list(argv)
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
