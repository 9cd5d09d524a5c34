"""Starts the commands of a rehearsal, each in a process of its own, at any time of the class.

    with Launcher() as launcher:
        done = launcher.run([str(kit / "lab"), "status"], cwd=kit, at=noon)     # code, out, err, seconds

A warm launcher lets them part from a process that has imported PyTorch and MLflow already (`as_if.py --serve`): the
same programs with the same files, without the seconds that each would take to start. Where processes cannot part
(Windows), all start as usual.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lab_code.errors import LabError

_AS_IF = Path(__file__).with_name("as_if.py")
_PATIENCE_S = 1800.0
_LOOK_EVERY_S = 0.01
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_CONFIGURE_LOGGING": "false"}
STOPPED = -9  # the exit code of what was killed, as on every system that has signals


@dataclass(frozen=True)
class Done:
    """What a command said, how it ended, and how long it took."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        """Its first line of error, or its last line of output."""
        errors = [line for line in self.err.splitlines() if line.startswith("error:")]
        lines = errors or self.err.splitlines() or self.out.splitlines()
        return lines[0 if errors else -1].strip() if lines else "nothing"


@dataclass
class _Command:
    """A process that somebody waits for."""

    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    code: int | None = None
    pid: int | None = None

    def end(self, code: int) -> None:
        self.code = code
        self.begun.set()
        self.ended.set()


class Launcher:
    """Starts commands, waits for them, and ends all of them when it is closed."""

    def __init__(self, *, warm: bool = False) -> None:
        self._warm = _Warm() if warm and hasattr(os, "fork") else None
        self._running: set[Any] = set()
        self._closed = False

    def __enter__(self) -> "Launcher":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End whatever still runs."""
        self._closed = True
        for process in list(self._running):
            process.kill()
        if self._warm is not None:
            self._warm.close()

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        at: float | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        kill_when: Callable[[], bool] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> Done:
        """Run a program to its end; kill it as soon as `kill_when` holds, or when it takes too long."""
        if self._closed:
            raise LabError("the rehearsal was stopped", hint="begin it again: what was made is used again")
        told = os.environ | _QUIET | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "200"} | dict(environment or {})
        with tempfile.TemporaryDirectory(prefix="lab-rehearsal-") as folder:
            said = [str(Path(folder) / name) for name in ("stdout", "stderr")]
            asked = {"argv": list(argv), "cwd": str(cwd), "at": at, "environment": told, "said": said}
            began = time.perf_counter()
            process = self._warm.start(asked) if self._warm is not None else _start_cold(asked)
            self._running.add(process)
            try:
                code = self._wait(process, kill_when, patience_s)
            finally:
                self._running.discard(process)
            seconds = time.perf_counter() - began
            out, err = (Path(path).read_text(encoding="utf-8", errors="replace") for path in said)
        return Done(code, out, err, seconds)

    def part(self, asked: dict[str, Any]) -> "_Parted":
        """Let a program begin, of which somebody else takes care: argv, cwd, environment, and where it shall write."""
        if self._warm is None:
            raise LabError("no process can part here", hint="run it as usual")
        return self._warm.start({"at": None, **asked})

    def _wait(self, process: Any, kill_when: Callable[[], bool] | None, patience_s: float) -> int:
        ends = time.monotonic() + patience_s
        while (code := process.wait(_LOOK_EVERY_S if kill_when else 0.5)) is None:
            if self._closed or time.monotonic() > ends or (kill_when is not None and kill_when()):
                process.kill()
                process.wait(_PATIENCE_S)
                return STOPPED
        return int(code)


class _Cold:
    """A process of its own interpreter."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        out, err = asked["said"]
        with Path(out).open("wb") as out_file, Path(err).open("wb") as err_file:
            self._process = subprocess.Popen(
                asked["argv"], cwd=asked["cwd"], stdin=subprocess.DEVNULL, stdout=out_file,
                stderr=err_file,
                env=asked["environment"],
            )  # fmt: skip

    def wait(self, timeout_s: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def kill(self) -> None:
        self._process.kill()


def _start_cold(asked: dict[str, Any]) -> _Cold:
    begin = [str(_AS_IF), str(asked["at"])] if asked["at"] is not None else []
    return _Cold({**asked, "argv": [sys.executable, *begin, *asked["argv"]]})


class _Warm:
    """The process that others part from, and a thread that hears who has begun and ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_AS_IF), "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            encoding="utf-8", env=os.environ | _QUIET | {"PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        self._asking = threading.Lock()
        self._commands: dict[int, _Command] = {}  # by the number of the request
        self._by_pid: dict[int, _Command] = {}
        threading.Thread(target=self._hear, daemon=True).start()

    def start(self, asked: dict[str, Any]) -> "_Parted":
        command = _Command()
        with self._asking:
            number = len(self._commands)
            self._commands[number] = command
            assert self._process.stdin is not None
            print(json.dumps({**asked, "number": number}), file=self._process.stdin, flush=True)
        return _Parted(command)

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                if "begun" in told:
                    command = self._commands[told["number"]]
                    command.pid, self._by_pid[told["begun"]] = told["begun"], command
                    command.begun.set()
                else:
                    self._by_pid.pop(told["ended"]).end(told["code"])
        for command in self._commands.values():
            if not command.ended.is_set():
                command.end(STOPPED)


class _Parted:
    """A process that has parted."""

    def __init__(self, command: _Command) -> None:
        self._command = command

    @property
    def pid(self) -> int:
        """Its number, as soon as it has one; 0 where it never began."""
        self._command.begun.wait()
        return self._command.pid or 0

    def wait(self, timeout_s: float) -> int | None:
        return self._command.code if self._command.ended.wait(timeout_s) else None

    def kill(self) -> None:
        if self._command.pid is not None and not self._command.ended.is_set():
            with suppress(OSError):
                os.kill(self._command.pid, 9)
