"""Kernels and nbval, in processes that part from one which has imported PyTorch, MLflow and IPython already.

    use_warm_kernels()          # whatever jupyter_client starts in this process from now on
    start_new_kernel(…)
    run_warm(["pytest", "--nbval-lax", "starter.ipynb"], folder)      # its kernels part as well

A kernel is ipykernel's own, with the arguments, folder and variables that it is given, interrupted and killed as ever.
This file is also the program from which they part, which has parted itself from the one of `tests/warm_launcher.py`:
one for all tests of a process. Where processes cannot part (Windows), everything starts as usual.
"""

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

PROJECT = Path(__file__).parent.parent
if __name__ != "__main__":
    from tests.warm_launcher import warm_launcher

_ADDRESS = "LAB_WARM_KERNELS"  # in the environment: a socket, where one asks for kernels
_PARENT = "JPY_PARENT_PID"
_SLOW = (
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "matplotlib_inline.backend_inline",
    "nbval.plugin",
    "ipywidgets",
    "anywidget",
)


class Parted:
    """A process that has parted, as who expects `subprocess.Popen` sees it. A connection to it says when it ends."""

    stdin = stdout = stderr = None

    def __init__(self, module: Sequence[str], cwd: Path | str, environment: dict[str, str], said: str = "") -> None:
        self.returncode: int | None = None
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(os.environ[_ADDRESS])
        asked = {"module": list(module), "cwd": str(cwd), "environment": environment, "said": said}
        self._connection.sendall(json.dumps(asked).encode() + b"\n")
        self._hears = self._connection.makefile("rb")
        self.pid = int(self._hears.readline())

    def poll(self) -> int | None:
        return self.wait() if self.returncode is not None or select.select([self._connection], [], [], 0)[0] else None

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self._hears.readline() or -9)
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class WarmProvisioner(LocalProvisioner):
    """What starts, interrupts and ends a kernel for its manager."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        environment = kwargs["env"] | {_PARENT: str(os.getpid())}  # as jupyter_client/launcher.py
        self.process = Parted(cmd[cmd.index("-m") + 1 :], kwargs["cwd"], environment)
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs["cwd"]
        return self.connection_info


def use_warm_kernels() -> None:
    """From now on the kernels that this process starts part from the warm one."""
    if serve_kernels():
        KernelProvisionerFactory.provisioners["warm"] = SimpleNamespace(load=lambda: WarmProvisioner)
        KernelProvisionerFactory.instance().default_provisioner_name = "warm"


def run_warm(module: Sequence[str], cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `python -m module …` does; what it says on both streams is its `stdout`."""
    if not serve_kernels():
        return subprocess.run(
            [sys.executable, "-m", *module], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment,
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="lab-warm-") as folder:
        said = Path(folder) / "said"
        code = Parted(module, cwd, environment, str(said)).wait()
        return subprocess.CompletedProcess(list(module), code, said.read_text(encoding="utf-8"))


@cache
def serve_kernels() -> bool:
    """Start the program from which kernels part; whether there is one."""
    if _ADDRESS in os.environ or not hasattr(os, "fork"):
        return _ADDRESS in os.environ
    folder = Path(tempfile.mkdtemp(prefix="lab-kernels-"))  # the name of a socket has to be short
    atexit.register(shutil.rmtree, folder)
    address = folder / "socket"
    program = threading.Thread(target=warm_launcher().run, args=([__file__, str(address)], PROJECT), daemon=True)
    program.start()
    while not address.exists():
        program.join(0.02)
        assert program.is_alive(), "the program from which kernels part has ended"
    os.environ[_ADDRESS] = str(address)
    return True


def serve(address: str) -> None:
    """Part with a process for everybody who asks, until killed."""
    gc.disable()
    for name in _SLOW:
        import_module(name)
    gc.enable()
    gc.freeze()
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # as in lab_code/workshop/desk.py
    os.environ[_ADDRESS] = address
    use_warm_kernels()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who asks hears of the end
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{address}.new")
        door.listen()
        os.rename(f"{address}.new", address)
        while True:
            connection, _ = door.accept()
            asked = json.loads(connection.makefile("rb").readline())
            if not os.fork():
                door.close()
                _become(asked, connection)
            connection.close()


def _become(asked: dict[str, Any], connection: socket.socket) -> None:
    """Do in this process what `python -m module …` does, and tell who has asked which it is, and its exit code."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if asked["said"]:
            said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT)
            os.dup2(said, 1), os.dup2(said, 2)
        address = os.environ[_ADDRESS]
        os.environ.clear()
        os.environ.update({**asked["environment"], _ADDRESS: address})
        os.chdir(asked["cwd"])
        sys.argv, sys.path[0] = list(asked["module"]), asked["cwd"]
        if _PARENT in os.environ:  # with which a kernel ends
            os.environ[_PARENT] = str(os.getppid())
            sys.argv.append(f"--IPKernelApp.parent_handle={os.environ[_PARENT]}")
        connection.sendall(b"%d\n" % os.getpid())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            connection.sendall(b"%d\n" % code)
        os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    serve(sys.argv[1])
