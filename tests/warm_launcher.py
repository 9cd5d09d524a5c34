"""The launcher of a kit, in a process that parts from one which has imported PyTorch and MLflow already.

    run_launcher(root, ["train", "trainer.epochs=1"], environment, timeout_s=300)

Importing them takes longer than the tiny runs of tests. The kit's own code is imported anew each time, from the kit, so
nothing of `lab_code` may be imported here. Where processes cannot part (Windows) the launcher is started as usual.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path

SLOW = (
    "torch._dynamo", "matplotlib.backends.backend_agg", "sklearn.metrics", "hydra", "rich.table",
    "mlflow.artifacts", "mlflow.genai", "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_CONFIGURE_LOGGING": "false"}
_LOCK = threading.Lock()


def run_launcher(
    root: Path, argv: list[str], environment: dict[str, str], timeout_s: int
) -> subprocess.CompletedProcess[str]:
    """What the command said, and its exit code; one that takes too long is ended by a signal."""
    command = [str(root / "lab"), *argv]
    if not hasattr(os, "fork"):
        return subprocess.run(
            [sys.executable, *command], cwd=root, capture_output=True, text=True, timeout=timeout_s,
            encoding="utf-8", env=environment,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, _LOCK:
        said = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        asked = {"argv": command, "cwd": str(root), "environment": environment, "said": said, "timeout_s": timeout_s}
        warm = _start_warm_process()
        assert warm.stdin and warm.stdout
        print(json.dumps(asked), file=warm.stdin, flush=True)
        code = int(warm.stdout.readline())
        out, err = (Path(path).read_text(encoding="utf-8") for path in said)
    return subprocess.CompletedProcess([sys.executable, *command], code, out, err)


@cache
def _start_warm_process() -> subprocess.Popen[str]:
    warm = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        env=os.environ | QUIET | {"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    atexit.register(warm.communicate)
    return warm


def _serve() -> None:
    """Answer every line, a request, by the exit code of the process that did what it asks."""
    sys.path.pop(0)  # the folder of this file
    gc.disable()
    for name in SLOW:
        import_module(name)
    gc.enable()
    gc.freeze()  # what is here is not looked through again in every process that parts
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = _become(**json.loads(line))
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # taking PyTorch apart takes seconds
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(argv: list[str], cwd: str, environment: dict[str, str], said: list[str], timeout_s: int) -> int:
    """Do in this process what `python …/lab …` would have done."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in zip((1, 2), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    signal.alarm(timeout_s)
    sys.argv = argv
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _serve()
