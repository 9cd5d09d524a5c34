"""The group's desk: JupyterLab on the starter notebook and MLflow's page beside it, on this laptop only.

    with open_desk(kit, ["jupyter", "mlflow"], …) as desk:  # starts what does not run yet, waits until both answer
        desk.watch()                                       # until one of them ends or Ctrl-C

Nothing is fetched from the network: update checks, news and telemetry are off, and both listen on 127.0.0.1 only.
MLflow runs as one process without its job runners, which is a fifth of the memory. What runs is noted in
`.lab/desk.json`, so a second start finds it.

Other accounts of the computer reach 127.0.0.1 as well, so both pages ask for a token that is new at every start. It is
handed over in files that only this account reads, never on a command line or in an environment; the browser is sent to
a file that sends it on.
"""

import hashlib
import html
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from lab_code.errors import LabError
from lab_code.files import to_json
from lab_code.tracking.runs import ARTIFACTS, DATABASE, name_own_experiment, read_experiment_id, reroot_store
from lab_code.tracking.views import KEY
from lab_code.workshop.jupyter_page import write_plugin, write_settings
from lab_code.workshop.kit import Kit
from lab_code.workshop.mlflow_gate import HOST, TOKEN_FILE
from lab_code.workshop.private import is_private, make_private, restrict, write_private
from lab_code.workshop.spelling import SPELLED, spell_commands

FOLDER = ".lab"
_NOTES = "desk.json"
_FIRST_PORT, _PORTS = 20_000, 12_000  # below those that systems give to outgoing connections
_PATIENCE_S = 90  # until a server answers; a cold disk is slow
_GRACE_S = 5  # between asking a server to stop and making it
_EXTENSION = "lab_code.workshop.jupyter_extension"
_NOT_PRIVATE = (
    "note: this disk keeps no access rights (a USB stick?): other accounts of this computer could read the key to your "
    "pages; copy the kit into your home folder"
)
# Half of JupyterLab's start would go into a grammar of addresses in all the world's letters, by which its own events
# could be checked; where that library is not there, it does without.
_JUPYTER = "import sys; sys.modules['rfc3987_syntax'] = None; from {} import main; sys.exit(main())"
_TITLES = {"jupyter": "JupyterLab", "mlflow": "MLflow"}
QUIET = {
    "DO_NOT_TRACK": "true",
    "JUPYTER_PLATFORM_DIRS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONUTF8": "1",
}


@dataclass(frozen=True)
class Server:
    """A program that runs in the background. `started` tells a process from a later one with the same number."""

    name: str
    pid: int
    started: float
    port: int
    token: str
    page: str = ""  # of MLflow: the training runs; its front page shows chats and prompts instead

    @property
    def title(self) -> str:
        return _TITLES[self.name]

    @property
    def address(self) -> str:
        """What people open in the browser."""
        if self.name == "jupyter":
            return f"http://{HOST}:{self.port}/lab/tree/notebooks/starter.ipynb?token={self.token}"
        return f"http://{HOST}:{self.port}/?token={self.token}#/{self.page}"

    def answers(self) -> bool:
        """Whether its page can be fetched now; the token is sent to nobody else who listens there."""
        path = "api" if self.name == "jupyter" else "health"
        asked = urllib.request.Request(f"http://{HOST}:{self.port}/{path}")
        asked.add_unredirected_header("Authorization", f"token {self.token}")
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business here
            if not self._listens():
                return False
            with opener.open(asked, timeout=2) as page:
                return page.status == 200
        except (OSError, urllib.error.URLError, ValueError):
            return False

    def _listens(self) -> bool:
        process = self.process()
        with suppress(psutil.Error):
            family = [] if process is None else [process, *process.children(recursive=True)]
            return any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
                for member in family
                for connection in member.net_connections("tcp4")
            )
        return False

    def process(self) -> psutil.Process | None:
        """Its process, or None where it has ended."""
        try:
            process = psutil.Process(self.pid)
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.started) < 2 else None
        except psutil.Error:
            return None

    def stop(self) -> None:
        """End it and everything that it has started."""
        process = self.process()
        if process is None:
            return
        family = [*process.children(recursive=True), process]
        for member in family:
            with suppress(psutil.Error):
                member.terminate()
        for member in psutil.wait_procs(family, _GRACE_S)[1]:
            with suppress(psutil.Error):
                member.kill()


@dataclass
class Desk:
    """The servers of a kit; those of `own` were started by this process, and end at the end of `with`."""

    root: Path
    servers: list[Server] = field(default_factory=list)
    own: list[Server] = field(default_factory=list)
    handles: list[subprocess.Popen[bytes]] = field(default_factory=list)  # of those started here, to be waited for

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def watch(self) -> Server | None:
        """Wait until a server ends, and return it; Ctrl-C ends the waiting."""
        while True:
            for server in self.servers:
                if server.process() is None:
                    return server
            time.sleep(0.5)

    def stop(self, servers: list[Server] | None = None) -> None:
        """Stop servers (those started here, if none are given) and forget them."""
        stopped = self.own if servers is None else servers
        left = [server for server in read_servers(self.root) if server not in stopped]
        _write_servers(self.root, left)  # first: so the command that watches them knows that they were meant to end
        for server in stopped:
            server.stop()
            for path in (_token_file(self.root, server.name), _redirect_file(self.root, server.name)):
                path.unlink(missing_ok=True)
        for handle in self.handles if servers is None else ():
            handle.wait()


def open_desk(
    kit: Kit, names: list[str], make_store: Callable[[Path], object], tell: Callable[[str], object] = print
) -> Desk:
    """Start the servers that do not run yet and wait until all answer. `tell` is called with what is going on.

    `make_store` makes MLflow's store of a folder, where there is none yet.

    Raises `LabError` that names the log of a server that does not start; what was started is stopped again.
    """
    make_private(kit.root / FOLDER)
    running = {server.name: server for server in read_servers(kit.root) if server.process() is not None}
    desk = Desk(kit.root)
    try:
        for name in names:
            server = running.get(name)
            if server is not None and not server.token:
                server.stop()  # of an older version of the kit: its page is open to everybody
                server = None
            if server is None:
                tell(f"starting {_TITLES[name]} …")
                if name == "mlflow" and not (kit.root / DATABASE).is_file():
                    make_store(kit.root)
                server, handle = _start(kit, name)
                desk.own.append(server)
                desk.handles.append(handle)
            desk.servers.append(server)
            others = [other for other in read_servers(kit.root) if other.name != name]
            _write_servers(kit.root, [*others, server])
        if not is_private(kit.root / FOLDER / _NOTES):
            tell(_NOT_PRIVATE)
        for server in desk.servers:
            _wait(kit, server)
    except BaseException:
        desk.stop()
        raise
    return desk


def read_servers(root: Path) -> list[Server]:
    """What was noted as running; whether it still does, `process()` says."""
    try:
        return [Server(**entry) for entry in json.loads((root / FOLDER / _NOTES).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def write_redirect(root: Path, server: Server) -> Path:
    """A page that sends the browser on: addresses on a command line are read by every account, this file is not."""
    address = html.escape(server.address)
    page = (
        f'<!DOCTYPE html><meta charset="utf-8"><title>{server.title}</title>'
        '<meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={address}"><a href="{address}">Open {server.title}</a>\n'
    )
    path = _redirect_file(root, server.name)
    write_private(path, page)
    return path


def log_of(root: Path, name: str) -> Path:
    """Where a server writes what it has to say."""
    return root / FOLDER / f"{name}.log"


def _token_file(root: Path, name: str) -> Path:
    return root / FOLDER / f"{name}.token"


def _redirect_file(root: Path, name: str) -> Path:
    return root / FOLDER / f"open-{name}.html"


def _write_servers(root: Path, servers: list[Server]) -> None:
    write_private(root / FOLDER / _NOTES, to_json([asdict(server) for server in servers]))


def _start(kit: Kit, name: str) -> tuple[Server, subprocess.Popen[bytes]]:
    port, page = _choose_port(kit.root, name), ""
    token = secrets.token_hex(16)
    if name == "mlflow":
        page = mlflow_view(kit.root)
    log = log_of(kit.root, name)
    command = _jupyter_command(kit.root, port) if name == "jupyter" else _mlflow_command(kit.root, port)
    environment = {**os.environ, **QUIET, **write_settings(kit.root / FOLDER)}
    environment[SPELLED] = spell_commands("lab status").split()[0]
    environment[{"jupyter": "JUPYTER_TOKEN_FILE", "mlflow": TOKEN_FILE}[name]] = str(_token_file(kit.root, name))
    environment.pop("JUPYTER_TOKEN", None)
    # A group of its own: Ctrl-C in the terminal must reach us first, so that both are stopped in order.
    # What they write anew is for this account only, whatever it is used to, unless they say otherwise themselves.
    windows = os.name == "nt"
    write_private(_token_file(kit.root, name), token)
    with log.open("wb") as file:
        restrict(log)
        process = subprocess.Popen(
            command, cwd=kit.root, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            creationflags=0x200 if windows else 0, start_new_session=not windows, umask=-1 if windows else 0o077,
        )  # fmt: skip
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.Error:
        started = time.time()
    return Server(name, process.pid, started, port, token, page), process


def _jupyter_command(root: Path, port: int) -> list[str]:
    options = {
        "ServerApp.ip": HOST,
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        **page_options(root),
    }
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # a container; on this laptop only, as everybody else
        options["ServerApp.allow_root"] = True
    return jupyter_program("jupyterlab.labapp", options)


def jupyter_program(module: str, options: Mapping[str, object]) -> list[str]:
    """The command that runs the `main` of a module of Jupyter's."""
    return [sys.executable, "-c", _JUPYTER.format(module), *(f"--{key}={value}" for key, value in options.items())]


def page_options(root: Path) -> dict[str, object]:
    """What JupyterLab is told about the kit, here and in a hub (`hub_page.py`)."""
    return {
        f"ServerApp.jpserver_extensions={_EXTENSION}": True,
        "ServerApp.root_dir": root.as_posix(),
        "LabApp.extra_labextensions_path": write_plugin(root / FOLDER).as_posix(),
        "LabApp.check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "LabApp.news_url": "None",
        "LabApp.extension_manager": "readonly",
    }


def mlflow_view(root: Path) -> str:
    """Where MLflow's page opens: on the kit's training runs, with our view of them."""
    experiment = read_experiment_id(root, name_own_experiment(root))
    page = "experiments" if experiment is None else f"experiments/{experiment}/runs"
    return f"{page}?workflowType=machine_learning&viewStateShareKey={KEY}"


def _mlflow_command(root: Path, port: int) -> list[str]:
    return mlflow_command(root, "--port", str(port))


def mlflow_command(root: Path, *place: str) -> list[str]:
    """MLflow's page of the kit; `place` is `--port NUMBER` or `--socket PATH`."""
    reroot_store(root)
    store = f"sqlite:///{(root / DATABASE).as_posix()}"
    gate = [sys.executable, "-m", "lab_code.workshop.mlflow_gate", *place]
    return [*gate, "--store", store, "--artifacts", (root / ARTIFACTS).as_uri()]


def _wait(kit: Kit, server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not server.answers():
        ended = server.process() is None
        if ended or time.monotonic() > deadline:
            log = log_of(kit.root, server.name)
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] if log.is_file() else []
            happened = "has ended" if ended else f"does not answer after {_PATIENCE_S} s"
            raise LabError(
                f"{server.title} {happened}: {said[0] if said else 'it said nothing'}",
                hint=f"lab doctor says what is missing; all that it said is in {log.relative_to(kit.root)}",
            )
        time.sleep(0.2)


def _choose_port(root: Path, name: str) -> int:
    """The kit's own port, so that a page that is still open finds its server again; any free one where it is taken."""
    digest = hashlib.sha256(f"{root.resolve()} {name}".encode()).digest()
    own = _FIRST_PORT + int.from_bytes(digest[:4], "big") % _PORTS
    for port in (own, 0):
        with socket.socket() as probe:
            # Without this, a port whose last connections are still closing would count as taken on Linux and macOS; on
            # Windows, with it, one in use would count as free.
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return probe.getsockname()[1]
    raise LabError(f"no port of {HOST} is free", hint="close other programs, or restart the laptop")
