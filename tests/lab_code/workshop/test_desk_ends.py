"""However a command ends that has started servers, they end with it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from instructor.cli.app import main as instructor
from lab_code.cli.app import main as lab
from lab_code.workshop import desk as desk_module
from lab_code.workshop.desk import Desk, Server
from tests.conftest import hear_interrupts

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
WAITS = (  # a program that says when it waits, and which signal it has heard
    "import signal, sys, threading; signal.signal({number}, lambda *_: sys.exit(7)); "
    "print('here', flush=True); threading.Event().wait(60)"
)
COMMANDS = {
    "lab start": (lab, ["start", "--no-browser"]),
    "lab ui": (lab, ["ui", "--no-browser"]),
    "instructor ui": (instructor, ["ui", "--no-browser", "--build", "build"]),
}


@pytest.fixture
def started(tmp_path: Path, make_kit, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Where a kit and a collected store are, with a desk whose server is a program that does nothing else than wait."""
    processes: list[subprocess.Popen[bytes]] = []

    def open_desk(kit, names, make_store, tell=print) -> Desk:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        processes.append(process)
        server = Server("mlflow", process.pid, psutil.Process(process.pid).create_time(), 1, "token")
        return Desk(kit.root, [server], [server], [process])

    monkeypatch.chdir(make_kit().root)
    monkeypatch.setenv("LAB_HANDED_OVER", "1")  # to nobody else
    (Path("build") / "collected" / ".lab").mkdir(parents=True)
    (Path("build") / "collected" / "mlflow.db").touch()
    monkeypatch.setattr(desk_module, "open_desk", open_desk)
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_ends_the_servers(started, monkeypatch: pytest.MonkeyPatch, command: str, number: int) -> None:
    monkeypatch.setattr(Desk, "watch", lambda desk: signal.raise_signal(number))
    main, argv = COMMANDS[command]
    assert main(argv) == 0
    (process,) = started
    assert process.poll() is not None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")
@pytest.mark.parametrize("number", SIGNALS[1:], ids=lambda number: number.name)
def test_a_launcher_that_has_handed_over_passes_it_on(tmp_path: Path, number: int) -> None:
    code = (
        "import sys; from lab_code.cli.app import _hand_over\n"
        f"sys.exit(_hand_over([sys.executable, '-c', {WAITS.format(number=int(number))!r}]))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts) as outer:
        assert outer.stdout is not None and outer.stdout.readline() == "here\n"
        outer.send_signal(number)
        assert outer.wait() == 7


@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_ends_the_servers(started, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def fail(desk: Desk) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Desk, "watch", fail)
    main, argv = COMMANDS[command]
    assert main(argv) == 1
    (process,) = started
    assert process.poll() is not None
