"""PostgreSQL, really started, on a port of its own: for tests and benchmarks. It never runs as root."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_program(name: str) -> str | None:
    """A program of PostgreSQL, which Debian does not put on the path."""
    places = [path.as_posix() for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))


@contextmanager
def start_postgres() -> Iterator[str]:
    """The address of an empty database. Raises FileNotFoundError where PostgreSQL is not installed."""
    initdb, pg_ctl = find_program("initdb"), find_program("pg_ctl")
    if not initdb or not pg_ctl:
        raise FileNotFoundError("PostgreSQL is not installed; .ci/run installs it")
    folder = Path(tempfile.mkdtemp(prefix="lab-postgres-", dir="/tmp"))  # its account must reach it
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        _run(initdb, "-D", f"{folder}/data", "--auth=trust", "-U", "course", "--no-sync", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        _run(pg_ctl, "-w", "-D", f"{folder}/data", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://course@127.0.0.1:{port}/postgres"
        finally:
            _run(pg_ctl, "-m", "immediate", "-D", f"{folder}/data", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str) -> None:
    account = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*account, *command], check=True, capture_output=True, cwd="/")
