"""The public way of merging MLflow stores, mlflow-export-import 1.2, as its documentation uses it; and what arrives.

It cannot read an MLflow store's files elsewhere than where they were made, and it imports through a server only: so one
is started. Its package forgets to ask for `tabulate`. It runs in an environment of its own.
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_WANTED = ["mlflow==3.17.2", "mlflow-export-import==1.2.0", "tabulate"]
_PATIENCE_S = 600
_FACTS = (
    ("runs", "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'"),
    ("run ids", "SELECT group_concat(run_uuid) FROM (SELECT run_uuid FROM runs ORDER BY run_uuid)"),
    ("names", "SELECT group_concat(name) FROM (SELECT name FROM runs ORDER BY name)"),
    (
        "start and end times",
        "SELECT group_concat(t) FROM (SELECT start_time || ':' || end_time t FROM runs ORDER BY t)",
    ),
    ("status", "SELECT group_concat(status) FROM (SELECT status FROM runs ORDER BY status)"),
    ("parameters", "SELECT count(*) FROM params"),
    ("points of metrics", "SELECT count(*) FROM metrics"),
    ("times of points", "SELECT sum(timestamp + step) FROM metrics"),
    ("tags", "SELECT count(*) FROM tags WHERE key = 'note'"),
    ("uses of datasets", "SELECT count(*) FROM inputs WHERE source_type = 'DATASET'"),
    ("models", "SELECT count(*) FROM logged_models"),
    ("experiments", "SELECT count(*) FROM experiments WHERE name <> 'Default'"),
)


@dataclass(frozen=True)
class Other:
    """How long it took, and the store that it filled."""

    seconds: float
    store: Path


def export_and_import(folder: Path, between: Callable[[], object] = lambda: None) -> Other | None:
    """Export each of `folder/stores` and import it into one server; None where it cannot be installed.

    `between` is called before each step, while the clock stands.
    """
    tools = _install(folder)
    if tools is None:
        print("mlflow-export-import could not be installed: only our own figures are given", file=sys.stderr)
        return None
    seconds, target = 0.0, folder / "other"
    target.mkdir()
    for store in sorted((folder / "stores").iterdir()):
        between()
        seconds += _call(
            tools / "export-all", f"sqlite:///{store}/mlflow.db", "--output-dir", folder / "exported" / store.name
        )
    with _start_server(tools, target) as address:
        for store in sorted((folder / "exported").iterdir()):
            between()
            seconds += _call(tools / "import-all", address, "--input-dir", store)
    return Other(seconds, target)


def compare_fidelity(stores: Path, merged: Path, other: Other | None) -> Iterator[str]:
    """A table: what was there, what arrived by ours, and by theirs."""
    yield f"{'':22}{'in the six stores':>20}{'ours':>20}{'mlflow-export-import':>24}"
    databases = [path / "mlflow.db" for path in sorted(stores.iterdir())]
    for name, query in _FACTS:
        sent = [_ask(path, query) for path in databases]
        counts = [value for value in sent if isinstance(value, int | float)]
        total: object
        if name == "experiments":
            total = sent[0]  # the same two in each
        elif len(counts) == len(sent):
            total = sum(counts)
        else:
            total = ",".join(sorted(",".join(map(str, sent)).split(",")))
        arrived = [_sorted(_ask(merged / "mlflow.db", query))]
        arrived += [_sorted(_ask(other.store / "mlflow.db", query))] if other else []
        plain = isinstance(total, int | float)
        said = [str(value) if plain else ("all" if value == total else "lost") for value in arrived]
        yield f"{name:22}{str(total) if plain else '':>20}{said[0]:>20}{said[1] if other else 'not measured':>24}"
    files = [sum(path.is_file() for path in place.rglob("artifacts/**/*")) for place in (stores, merged)]
    theirs = str(sum(path.is_file() for path in other.store.rglob("artifacts/**/*"))) if other else "not measured"
    yield f"{'files':22}{files[0]:>20}{files[1]:>20}{theirs:>24}"


def _ask(database: Path, query: str) -> object:
    with closing(sqlite3.connect(database)) as store, suppress(sqlite3.Error):
        return store.execute(query).fetchone()[0]
    return None


def _sorted(value: object) -> object:
    return ",".join(sorted(value.split(","))) if isinstance(value, str) else value


def _install(folder: Path) -> Path | None:
    venv = folder / "other-venv"
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    try:
        if uv:
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True, capture_output=True)
            install = [uv, "pip", "install", "-q", "--python", str(venv / "bin" / "python"), *_WANTED]
        else:
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
            install = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", *_WANTED]
        subprocess.run(install, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(getattr(error, "stderr", b"") or error, file=sys.stderr)
        return None
    return venv / "bin"


def _call(program: Path, address: str, *arguments: object) -> float:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": address, "MLFLOW_DISABLE_TELEMETRY": "true"}
    started = time.perf_counter()
    subprocess.run([str(program), *map(str, arguments)], env=environment, capture_output=True, timeout=_PATIENCE_S)
    return time.perf_counter() - started  # it ends with 0 whatever it has lost


@contextmanager
def _start_server(tools: Path, folder: Path) -> Iterator[str]:
    """MLflow's server on a store of its own; its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(tools / "mlflow"), "server", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"),
    ]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = {**os.environ, **quiet, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    silent = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=silent, stderr=silent, start_new_session=True)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _answers(f"http://127.0.0.1:{port}/health"):
            if time.monotonic() > deadline:
                raise TimeoutError("MLflow's server does not answer")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=2):
        return True
    return False
