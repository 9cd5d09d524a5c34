"""A PATH on which `python3` is a process that has imported PyTorch and MLflow already: for lines typed into a shell.

    with warm_python() as folder:
        subprocess.run(["sh", "-c", "cd kit && ./lab status"], env={"PATH": f"{folder}:/usr/bin", …})

The `python3` there passes its arguments, its folder and its variables on to `tests/warm_launcher.py`, and says and ends
as the program did. It reads nothing from its terminal, and Ctrl-C ends it alone.
"""

import json
import shutil
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.warm_launcher import warm_launcher

_CLIENT = """#!{python} -IS
import json, os, socket, sys
asked = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as there:
    there.connect({address!r})
    there.sendall(json.dumps(asked).encode() + b"\\n")
    done = json.loads(there.makefile("rb").readline())
sys.stdout.write(done["out"])
sys.stderr.write(done["err"])
sys.exit(done["code"])
"""
# `python -m` looks for modules in its own folder first, as `python -c` does; what it starts begins as it has itself.
_MODULE = """
import runpy, shutil, sys
sys.executable = shutil.which("python3")
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class _Answer(socketserver.StreamRequestHandler):
    """Runs what one `python3` was asked to."""

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        argv = ["-c", _MODULE, *asked["argv"][1:]] if asked["argv"][0] == "-m" else asked["argv"]
        done = warm_launcher().run(argv, Path(asked["cwd"]), environment=asked["environment"])
        told = {"code": done.code % 256, "out": done.out, "err": done.err}
        self.wfile.write(json.dumps(told).encode() + b"\n")


@contextmanager
def warm_python() -> Iterator[Path]:
    """The folder in which that `python3` lies."""
    folder = Path(tempfile.mkdtemp(prefix="lab-warm-"))  # the name of a socket has to be short
    address = str(folder / "socket")
    (folder / "python3").write_text(_CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    (folder / "python3").chmod(0o755)
    try:
        with socketserver.ThreadingUnixStreamServer(address, _Answer) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield folder
            server.shutdown()
    finally:
        shutil.rmtree(folder)
