"""PostgreSQL for the course's server: a cluster of our own below `build/server`, or any other by its address.

    database = find_database(settings, folder, vault_password)
    database.start()                 # of a cluster of our own; nothing to do for another one
    database.uri                     # with the password: never on a command line, never on a screen

`initdb` and `pg_ctl` run as whoever calls, or, where that is root, as the account `postgres`: PostgreSQL refuses root.
It listens on 127.0.0.1 alone and asks for a password, as other accounts of the computer reach that, too.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from lab_code.cli.printable import one_line
from lab_code.errors import LabError

NAME, ACCOUNT = "mlflow", "lab"
_REFUSE_ROOT = ("initdb", "pg_ctl")
_PATIENCE_S = 600
_INSTALL = "install PostgreSQL (Debian: apt install postgresql), or name another one under server.database"


@dataclass(frozen=True)
class Database:
    """Where the server keeps what it knows. `folder` is that of a cluster of our own; None: somebody else's."""

    uri: str
    folder: Path | None = None
    connections: int = 100

    @property
    def shown(self) -> str:
        """Its address without the password."""
        parts = urlsplit(self.uri)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def port(self) -> int:
        return urlsplit(self.uri).port or 5432

    def start(self) -> None:
        """Make a cluster where there is none, and start it where it does not run. Raises `LabError`."""
        if self.folder is None or self.is_running():
            return
        if not (self.folder / "data" / "PG_VERSION").is_file():
            self._make()
        log = self.folder / "postgres.log"
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c max_connections={self.connections}"
        options += " -c unix_socket_directories=''"  # a path of ours may be too long for one
        place = ["-D", str(self.folder / "data"), "-l", str(log)]
        command = ["-w", "-t", str(_PATIENCE_S), *place, "-o", options, "start"]
        try:
            run_program("pg_ctl", command, self.folder)
        except LabError as error:
            said = last_words(log) or error.message
            raise LabError(f"PostgreSQL does not start: {said}", hint=_advise(log)) from error
        self._make_database()

    def stop(self) -> None:
        """Stop a cluster of our own; what it has acknowledged is on the disk."""
        if self.folder is not None and self.is_running():
            run_program("pg_ctl", ["-w", "-m", "fast", "-D", str(self.folder / "data"), "stop"], self.folder)

    def is_running(self) -> bool:
        """Whether a cluster of our own runs; of another one, nobody knows before asking it."""
        if self.folder is None or not (self.folder / "data" / "PG_VERSION").is_file():
            return False
        return run_program("pg_ctl", ["-D", str(self.folder / "data"), "status"], self.folder, check=False) == 0

    def _make(self) -> None:
        assert self.folder is not None
        own_folder(self.folder)
        secret = self.folder / "password"
        try:
            with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(urlsplit(self.uri).password or "")
            _give(secret)
            shutil.rmtree(self.folder / "data", ignore_errors=True)  # of an initdb that was cut off
            options = ["--auth=scram-sha-256", f"--pwfile={secret}", "-U", ACCOUNT, "-E", "UTF8", "--no-locale"]
            run_program("initdb", ["-D", str(self.folder / "data"), *options], self.folder)
        finally:
            secret.unlink(missing_ok=True)

    def _make_database(self) -> None:
        known = self.ask(f"SELECT 1 FROM pg_database WHERE datname = '{NAME}'", "postgres")
        if not known:
            self.ask(f'CREATE DATABASE "{NAME}"', "postgres")

    def ask(self, statement: str, name: str = "") -> list[tuple[object, ...]]:
        """What a statement brings, in autocommit. Raises `LabError` for a database that cannot be asked."""
        from sqlalchemy import create_engine, text
        from sqlalchemy.exc import SQLAlchemyError

        engine = create_engine(self.at(name or urlsplit(self.uri).path[1:]), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                found = connection.execute(text(statement))
                return [tuple(row) for row in found] if found.returns_rows else []
        except SQLAlchemyError as error:
            raise explain_database(self.shown, error) from error
        finally:
            engine.dispose()

    def at(self, name: str) -> str:
        """The address of another database beside it."""
        return urlunsplit(urlsplit(self.uri)._replace(path=f"/{name}"))


def find_database(uri: str, folder: Path, password: str, port: int, connections: int) -> Database:
    """The one of that address; where there is none, a cluster of our own in `folder`."""
    if uri:
        return Database(uri)
    return Database(f"postgresql://{ACCOUNT}:{quote(password)}@127.0.0.1:{port}/{NAME}", folder, connections)


def explain_database(shown: str, error: Exception) -> LabError:
    """What PostgreSQL and its driver say, in a sentence with what to do."""
    said = one_line(str(getattr(error, "orig", None) or error), 300)
    hints = {
        "password authentication failed": "its address holds another password: server.database in workshop.yaml",
        "No space left": "free some room on the disk of the database, then again",
        "does not exist": "make it first (createdb), or put its name right in server.database",
        "permission denied": "its account must own the database: server.database in workshop.yaml",
        "Connection refused": "start it, or put its address right in server.database",
    }
    hint = next((fix for words, fix in hints.items() if words in said), "is it running, and is its address right?")
    return LabError(f"the database {shown} cannot be used: {said}", hint=hint)


def find_program(name: str) -> str:
    """A program of PostgreSQL, which Debian does not put on the path. Raises `LabError` where it is not installed."""
    places = [path.as_posix() for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if found is None:
        raise LabError(f"there is no {name} here: PostgreSQL is not installed", hint=_INSTALL)
    return found


def run_program(
    name: str, arguments: Sequence[str], place: Path, extra: Mapping[str, str] | None = None, *, check: bool = True
) -> int:
    """Run one; its exit code. Raises `LabError` with its last words where it must succeed."""
    command = [*(_as_ordinary() if name in _REFUSE_ROOT else []), find_program(name), *arguments]
    environment = {**os.environ, "LC_ALL": "C", **(extra or {})}
    # Into a file: at the other end of a pipe one would wait for the server that pg_ctl leaves behind.
    with open(place / f"{name}.log" if check else os.devnull, "wb") as log:
        said = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        code = subprocess.run(command, cwd="/", env=environment, **said).returncode  # type: ignore[call-overload]
    if check and code:
        raise LabError(f"{name} failed: {last_words(place / f'{name}.log')}", hint=_advise(place / f"{name}.log"))
    return code


def own_folder(folder: Path) -> None:
    """A folder for the account that PostgreSQL runs as, and for nobody else."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _give(folder)


def _give(path: Path) -> None:
    if _as_ordinary():
        shutil.chown(path, "postgres", "postgres")


def _as_ordinary() -> list[str]:
    return ["runuser", "-u", "postgres", "--"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def last_words(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line for line in lines if line.strip() and not line.startswith(("Examine", "stopped waiting"))]
    telling = [line for line in said if "FATAL" in line or "ERROR" in line or "error" in line]
    return one_line((telling or said or [""])[-1], 300)


def _advise(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if "No space left" in said:
        return "free some room on this disk, then again"
    if "ermission denied" in said and _as_ordinary():
        return (
            "PostgreSQL runs as the account postgres here: call this as an ordinary user, or name a --build it reaches"
        )
    if "Address already in use" in said:
        return "another program has its port: server.database_port in workshop.yaml"
    return f"all that it said is in {log}"


def find_free_port(first: int) -> int:
    """That port, or the next one that nobody has."""
    for port in range(first, first + 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise LabError(f"no port from {first} on is free", hint="close other servers")
