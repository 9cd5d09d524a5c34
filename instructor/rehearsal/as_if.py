"""Run a program as if it were another time: its clock shows what it is told, and goes on from there.

    python as_if.py 1790000000 /path/to/kit/lab status      # a script
    python as_if.py 1790000000 -m instructor.cli collect    # a module
    python as_if.py --serve                                 # many: each in a process that parts from this one

The last has imported already what takes longest (PyTorch, MLflow), and nothing of this project: `lab_code` is imported
anew each time, from wherever the program lies. What a program starts by `multiprocessing` parts from that program. It
reads requests from stdin, a JSON object a line, and says on stdout which process has begun and which has ended.
`launcher.py` speaks to it. The file is run by its path, never imported.
"""

import atexit
import gc
import json
import multiprocessing.util
import os
import runpy
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import time_machine

SLOW = (
    "torch", "matplotlib.backends.backend_agg", "matplotlib.figure", "sklearn.metrics", "hydra", "rich.table",
    "mlflow.artifacts", "mlflow.genai", "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip

_start_anew = multiprocessing.util.spawnv_passfds


def run(at: float | None, argv: Sequence[str]) -> None:
    """Do what `python ARGV` does, from this moment on the clock; None: from now."""
    if at is not None:
        time_machine.travel(at, tick=True).start()
    if argv[0] == "-m":
        sys.argv = list(argv[1:])
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    elif argv[0] == "-c":
        sys.argv = ["-c", *argv[2:]]
        sys.path.insert(0, os.getcwd())
        exec(compile(argv[1], "<rehearsal>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = list(argv)
        runpy.run_path(argv[0], run_name="__main__")


def serve() -> None:
    """Answer requests until stdin ends."""
    gc.disable()
    for name in SLOW:
        import_module(name)
    gc.enable()
    gc.freeze()  # what is here is not looked through again in every process that parts
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks; that one ends this
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    waiting = b""
    while True:
        ready, _, _ = select.select([0, heard], [], [])
        if heard in ready:
            os.read(heard, 4096)
            _tell_ended()
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                _begin(json.loads(line), (heard, told))


def _tell_ended() -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _begin(asked: dict[str, Any], pipes: tuple[int, int]) -> None:
    pid = os.fork()
    if pid:
        _say({"begun": pid, "number": asked["number"]})
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for pipe in pipes:
        os.close(pipe)
    code = _become(asked)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking PyTorch apart takes seconds


def _become(asked: dict[str, Any]) -> int:
    """Do in this process what the request asks for; its exit code."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in zip((1, 2), asked["said"], strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["cwd"])
    sys.path[:0] = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    multiprocessing.util.spawnv_passfds = _part
    return _find_code(lambda: run(asked["at"], asked["argv"]))


def _find_code(program: Callable[[], object]) -> int:
    """Let a program run to its end; its exit code."""
    try:
        program()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _part(path: Any, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """What `python -c CODE …` does, without importing everything again; returns its process. Threads cannot part."""
    pid = _start_anew(path, args, passfds) if threading.active_count() > 1 else os.fork()
    if pid:
        return int(pid)
    try:
        for pipe in map(int, os.listdir("/dev/fd")):
            if pipe > 2 and pipe not in passfds:  # it is the program's, and somebody waits for its end
                with suppress(OSError):
                    os.close(pipe)
        place = args.index("-c")
        sys.argv = [args[place], *args[place + 2 :]]
        os._exit(_find_code(lambda: exec(args[place + 1], {"__name__": "__main__"})))
    finally:
        os._exit(1)


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file: its names are nobody's business
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        run(float(sys.argv[1]), sys.argv[2:])
