"""An environment whose `bin/python` parts from a process that has imported PyTorch and MLflow: for jobs on a server.

    with warm_environment() as folder:
        subprocess.run([folder / "bin" / "python", "-m", "lab_code.jobs.worker", …])

That `python` stands in for the program: it hands over its arguments, folder, variables and where to write, passes on
the signals that it gets, and ends as the program does. Where it is killed, so is the program.
"""

import json
import select
import shutil
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.warm_launcher import warm_launcher

_LOOK_EVERY_S = 0.2
_CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
said = ["/proc/%d/fd/%d" % (os.getpid(), stream) for stream in (1, 2)]
asked = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ), "said": said}}
passed_on = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)  # they wait until there is somebody to pass them on to
there = socket.socket(socket.AF_UNIX)
there.connect({address!r})
there.sendall(json.dumps(asked).encode() + b"\\n")
told = there.makefile("rb")
pid = json.loads(told.readline())
for number in passed_on:
    signal.signal(number, lambda number, frame: os.kill(pid, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
code = json.loads(told.readline())
if code < 0:
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
# `python -m` looks for modules in its own folder first, as `python -c` does; what it starts begins as it has itself.
_MODULE = """
import runpy, sys
sys.executable = {python!r}
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class _Answer(socketserver.StreamRequestHandler):
    """Runs what one `python` was asked to."""

    def handle(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.readline())
        if asked["argv"][0] == "-u":  # how torchrun begins programs
            del asked["argv"][0]
        if asked["argv"][0] == "-m":
            asked["argv"] = ["-c", _MODULE.format(python=str(self.server.python)), *asked["argv"][1:]]  # type: ignore[attr-defined]
        parted = warm_launcher().part(asked)
        self.wfile.write(b"%d\n" % parted.pid)
        while (code := parted.wait(_LOOK_EVERY_S)) is None:
            if select.select([self.connection], [], [], 0)[0]:  # it says nothing more: it has gone
                parted.kill()
        with suppress(OSError):
            self.wfile.write(b"%d\n" % code)


@contextmanager
def warm_environment() -> Iterator[Path]:
    """The folder of that environment."""
    folder = Path(tempfile.mkdtemp(prefix="lab-warm-"))  # the name of a socket has to be short
    address, python = str(folder / "socket"), folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(_CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    python.chmod(0o755)
    try:
        with socketserver.ThreadingUnixStreamServer(address, _Answer) as server:
            server.daemon_threads, server.python = True, python  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield folder
            server.shutdown()
    finally:
        shutil.rmtree(folder)
