"""What other accounts of the same computer, and web pages in the same browser, get of the desk: nothing."""

import asyncio
import html
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from traitlets.config import Config

from lab_code.cli import app as cli
from lab_code.errors import LabError
from lab_code.notebook import mlflow_page
from lab_code.workshop import desk as desk_module
from lab_code.workshop.desk import Desk, Server, open_desk, read_servers
from lab_code.workshop.kit import read_kit
from lab_code.workshop.mlflow_gate import Gate
from lab_code.workshop.private import is_private, make_private, write_private
from tests.conftest import hear_interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="access rights and accounts as Linux and macOS have them")
_NOBODY = 65_534
_TOKEN, _PORT = "0123456789abcdef", 20_123
_OURS = f"127.0.0.1:{_PORT}"


def ask(gate: Gate, path: str, headers: dict[str, str], method: str = "GET", kind: str = "http") -> tuple[int, dict]:
    """The status that a request gets, and the headers of the answer; 299 is MLflow's own answer."""
    said: list[dict] = []

    async def send(message: dict) -> None:
        said.append(message)

    path, _, query = path.partition("?")
    raw = [(name.lower().encode(), value.encode()) for name, value in {"Host": _OURS, **headers}.items()]
    scope = {"type": kind, "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    asyncio.run(gate(scope, None, send))
    answered = {name.decode(): value.decode() for name, value in said[0].get("headers", [])}
    return said[0].get("status", said[0].get("code", 0)), answered


async def answer_as_mlflow(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})


COOKIE = {"Cookie": f"lab-mlflow-{_PORT}={_TOKEN}"}
SECRET = {"Authorization": f"token {_TOKEN}"}


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/", {}, 403),
        ("/health", {}, 403),
        ("/version", {}, 403),
        ("/static-files/index.html", {}, 403),
        ("/ajax-api/2.0/mlflow/experiments/search?max_results=3", {}, 403),
        ("/get-artifact?path=config.yaml&run_uuid=1", {}, 403),
        ("/", {"Authorization": "token wrong"}, 403),
        ("/", {"Authorization": "token "}, 403),
        ("/", {"Authorization": f"Basic {_TOKEN}"}, 403),
        ("/", {"Authorization": "token \xe9"}, 403),
        ("/", {"Cookie": f"lab-mlflow-{_PORT}=wrong"}, 403),
        ("/", {"Cookie": f"lab-mlflow-{_PORT + 1}={_TOKEN}"}, 403),
        ("/", {"Cookie": "a b=c; ="}, 403),
        ("/?token=wrong", {}, 403),
        ("/?token=", {}, 403),
        ("/health?token=" + _TOKEN, {}, 403),
        ("/", SECRET, 299),
        ("/health", {"Authorization": f"Bearer {_TOKEN}"}, 299),
        ("/", COOKIE, 299),
        ("/", {"Host": f"localhost:{_PORT}", **COOKIE}, 299),
        # in an address the token does not stay, also where the browser has the cookie already
        *((f"/?token={_TOKEN}", headers, 200) for headers in ({}, COOKIE, SECRET)),
        # names that were made to point here
        ("/", {"Host": f"attacker.example:{_PORT}", **COOKIE}, 403),
        ("/", {"Host": f"127.0.0.1.attacker.example:{_PORT}", **SECRET}, 403),
        ("/", {"Host": "127.0.0.1", **COOKIE}, 403),
        (f"/?token={_TOKEN}", {"Host": f"attacker.example:{_PORT}"}, 403),
        # pages of others in the same browser: another site, another port of this computer
        ("/ajax-api", {**COOKIE, "Origin": "http://attacker.example"}, 403),
        ("/ajax-api", {**COOKIE, "Origin": "http://127.0.0.1:8888"}, 403),
        ("/ajax-api", {**COOKIE, "Origin": "null"}, 403),
        ("/ajax-api", {**COOKIE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("/ajax-api", {**COOKIE, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        # its own page, and a link that someone follows
        ("/ajax-api", {**COOKIE, "Origin": f"http://{_OURS}", "Sec-Fetch-Site": "same-origin"}, 299),
        ("/", {**COOKIE, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 299),
        ("/", {**COOKIE, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 299),
    ],
)  # fmt: skip
def test_mlflow_answers_who_brings_the_token_and_nobody_else(path: str, headers: dict[str, str], expected: int) -> None:
    assert ask(Gate(answer_as_mlflow, _TOKEN, _PORT), path, headers)[0] == expected


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://attacker.example"}, {"Origin": "http://127.0.0.1:8888"}])
def test_a_form_on_a_page_of_others_changes_nothing(headers: dict[str, str]) -> None:
    asked = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", **headers}
    gate = Gate(answer_as_mlflow, _TOKEN, _PORT)
    assert ask(gate, "/ajax-api/2.0/mlflow/runs/delete", asked | COOKIE, "POST")[0] == 403
    assert ask(gate, f"/?token={_TOKEN}", asked, "POST")[0] == 403


def test_the_token_of_an_address_becomes_a_cookie_that_only_this_page_sends() -> None:
    gate = Gate(answer_as_mlflow, _TOKEN, _PORT)
    status, headers = ask(gate, f"/?token={_TOKEN}", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    cookie, *options = headers["set-cookie"].split("; ")
    assert status == 200 and {"HttpOnly", "SameSite=Strict"} <= set(options)
    assert headers["referrer-policy"] == "no-referrer" and headers["cache-control"] == "no-store"
    assert ask(gate, "/", {"Cookie": cookie})[0] == 299


def test_a_web_socket_without_the_token_is_closed() -> None:
    assert ask(Gate(answer_as_mlflow, _TOKEN, _PORT), "/", {}, kind="websocket")[0] == 1008


def test_the_token_is_not_sent_to_another_program_on_the_port() -> None:
    with socket.socket() as other, subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.setblocking(False)
        started = psutil.Process(idle.pid).create_time()
        server = Server("mlflow", idle.pid, started, other.getsockname()[1], _TOKEN)
        assert not server.answers()
        with pytest.raises(BlockingIOError):
            other.accept()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_private_file_is_private_whatever_the_account_does_otherwise(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        make_private(tmp_path / "new")
        write_private(tmp_path / "new" / "key", "secret")
        write_private(tmp_path / "new" / "key", "another")
    finally:
        os.umask(before)
    assert modes_in(tmp_path / "new") == {".": 0o700, "key": 0o600}


def modes_in(folder: Path) -> dict[str, int]:
    paths = [folder, *(path for path in folder.iterdir() if path.is_file())]
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in paths}


@pytest.mark.parametrize("name", ["desk.json", "jupyter.log", "jupyter.token", "open-mlflow.html"])
def test_what_an_older_version_left_readable_is_tightened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ".lab"
    folder.mkdir(mode=0o755)
    (folder / name).write_text("token", encoding="utf-8")
    (folder / name).chmod(0o666)
    (folder / "link").symlink_to(__file__)
    before = os.stat(__file__).st_mode
    make_private(folder)
    assert modes_in(folder) | {"link": 0} == {".": 0o700, name: 0o600, "link": 0}
    assert os.stat(__file__).st_mode == before


def serve_nothing(port: int) -> list[str]:
    """A real server that answers everything, for tests that are not about MLflow."""
    code = (
        "import sys; from http.server import *\n"
        "class Yes(BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "HTTPServer(('127.0.0.1', int(sys.argv[1])), Yes).serve_forever()"
    )
    return [sys.executable, "-c", code, str(port)]


@pytest.fixture
def cheap_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "_mlflow_command", lambda root, port: serve_nothing(port))


def open_cheap_desk(root: Path) -> tuple[Desk, list[str]]:
    told: list[str] = []
    return open_desk(read_kit(root), ["mlflow"], lambda folder: None, told.append), told


def test_an_older_desk_that_is_open_to_everybody_is_stopped(kit, cheap_mlflow) -> None:
    old = subprocess.Popen(serve_nothing(desk_module._choose_port(kit.root, "mlflow")), stderr=subprocess.DEVNULL)
    desk_module._write_servers(kit.root, [Server("mlflow", old.pid, psutil.Process(old.pid).create_time(), 1, "")])
    desk, told = open_cheap_desk(kit.root)
    try:
        assert old.wait(10) is not None and desk.servers[0].pid != old.pid and desk.servers[0].token
        assert not any("access rights" in text for text in told)
    finally:
        desk.stop()


def test_each_start_has_a_token_of_its_own_and_leaves_none(kit, cheap_mlflow) -> None:
    tokens = []
    for _ in range(2):
        desk, _ = open_cheap_desk(kit.root)
        tokens.append(desk.servers[0].token)
        assert (kit.root / ".lab" / "mlflow.token").read_text(encoding="utf-8") == tokens[-1]
        desk.stop()
        left = [path for path in kit.root.rglob("*") if path.is_file() and tokens[-1].encode() in path.read_bytes()]
        assert left == []
    assert len(tokens[0]) == 32 and tokens[0] != tokens[1]


def test_a_desk_that_cannot_start_leaves_no_token(kit) -> None:
    (kit.root / "mlflow.db").write_bytes(b"no database")
    with pytest.raises(LabError):
        open_cheap_desk(kit.root)
    assert not list((kit.root / ".lab").glob("*.token"))


@pytest.mark.parametrize(("length", "transport"), [(10, "ipc"), (50, "ipc"), (51, ""), (90, "")])
def test_kernels_use_sockets_where_their_paths_fit(length: int, transport: str) -> None:
    from lab_code.workshop import jupyter_extension  # here: with it comes Jupyter's whole server

    configured: list[Config] = []
    manager = SimpleNamespace(update_config=configured.append)
    web_app = SimpleNamespace(settings={"base_url": "/"}, add_handlers=lambda hosts, handlers: None)
    server = SimpleNamespace(web_app=web_app, runtime_dir="/" + "r" * (length - 1), kernel_manager=manager)
    jupyter_extension._load_jupyter_server_extension(server)
    assert [config.KernelManager.transport for config in configured] == ([transport] if transport else [])


def test_a_disk_without_access_rights_is_noted_and_everything_works(kit, cheap_mlflow, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr(desk_module, "is_private", lambda path: False)
    desk, told = open_cheap_desk(kit.root)
    desk.stop()
    assert any("keeps no access rights" in text and "home folder" in text for text in told)


def test_the_browser_is_sent_to_a_private_file(kit, cheap_mlflow, monkeypatch, capsys) -> None:
    opened: list[tuple[str, int, str]] = []

    def note(address: str) -> bool:
        path = Path(address.removeprefix("file://"))
        opened.append((address, stat.S_IMODE(path.stat().st_mode), path.read_text(encoding="utf-8")))
        return True

    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")
    monkeypatch.setattr(webbrowser, "open", note)
    monkeypatch.setattr(Desk, "watch", lambda desk: None)
    assert cli.main(["ui"]) == 0
    ((address, mode, page),) = opened
    shown = next(line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("MLflow"))
    token = shown.split("token=")[1].split("#")[0]
    assert token not in address and mode == 0o600 and f'url={html.escape(shown)}"' in page
    assert not Path(address.removeprefix("file://")).exists()  # it ends with the server


@dataclass(frozen=True)
class OpenDesk:
    """A folder that is open to everybody, with a kit whose servers run."""

    folder: Path
    root: Path
    servers: dict[str, Server]


@pytest.fixture(scope="module")
def desk_for_everybody(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDesk]:
    """A real desk of an account that lets everybody read and write what it makes (umask 000), which tests only ask."""
    folder = tmp_path_factory.mktemp("everybody")
    root = Path(shutil.copytree(build / "kits" / "group-1", folder / "kit"))
    process = subprocess.Popen(
        [sys.executable, str(root / "lab"), "start", "--no-browser"], cwd=root, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=hear_interrupts, umask=0,
        env=os.environ | {"JUPYTER_TOKEN": "known-to-all", "JUPYTER_RUNTIME_DIR": str(folder / "run")},
    )  # fmt: skip
    try:
        said = ""
        for line in process.stdout or ():
            said += line
            if "Ctrl-C stops them" in line:
                break
        servers = {server.name: server for server in read_servers(root)}
        assert set(servers) == {"jupyter", "mlflow"}, said
        yield OpenDesk(folder, root, servers)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
        Desk(root).stop(read_servers(root))


def status_of(address: str, **headers: str) -> tuple[int, str]:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(urllib.request.Request(address, headers=headers)) as page:
            return page.status, page.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Location", "")


@pytest.mark.slow
def test_another_account_gets_neither_a_token_nor_a_page(desk_for_everybody: OpenDesk, monkeypatch) -> None:
    servers, root = desk_for_everybody.servers, desk_for_everybody.root
    tokens = [server.token for server in servers.values()]
    pages = {name: f"http://127.0.0.1:{server.port}" for name, server in servers.items()}

    # by its address, from which account does not matter
    search = "/ajax-api/2.0/mlflow/experiments/search?max_results=9"
    for path in ("/", "/health", "/version", search, "/?token=known-to-all"):
        assert status_of(pages["mlflow"] + path)[0] == 403
    for path in ("/lab", "/lab-mlflow", "/api/contents", "/api/kernels?token=known-to-all"):
        assert status_of(pages["jupyter"] + path)[0] in (302, 403)
    mine = {"Authorization": f"token {servers['mlflow'].token}"}
    assert status_of(pages["mlflow"] + search, **mine)[1].count("skin-lesions") >= 1

    # the link in a notebook holds no token and finds the page
    monkeypatch.chdir(root)
    link = mlflow_page().data
    assert f'href="{pages["jupyter"]}/lab-mlflow"' in link and not any(token in link for token in tokens)
    status, location = status_of(pages["jupyter"] + "/lab-mlflow", Authorization=f"token {servers['jupyter'].token}")
    assert (status, location) == (302, servers["mlflow"].address)

    # in the list of processes, and in their environments
    for server in servers.values():
        for member in (server.process(), *server.process().children(recursive=True)):
            said = " ".join([*member.cmdline(), *member.environ().values()])
            assert not any(token in said for token in tokens)

    # in files: only in those that are private, in a private folder
    places = [path for path in desk_for_everybody.folder.rglob("*") if path.is_file() and not path.is_socket()]
    holders = [path for path in places if any(token.encode() in path.read_bytes() for token in tokens)]
    assert holders and all(is_private(path) and is_private(path.parent) for path in holders)
    assert all(mode in (0o600, 0o700) for mode in modes_in(root / ".lab").values())


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become another account")
def test_the_account_nobody_cannot_read_what_the_desk_keeps(desk_for_everybody: OpenDesk) -> None:
    root = desk_for_everybody.root

    def read(name: str) -> tuple[int, str]:
        """From inside the kit's folder, which is open to everybody, as another account."""
        done = subprocess.run(
            ["cat", name], cwd=root, user=_NOBODY, group=_NOBODY, extra_groups=[], capture_output=True, text=True
        )
        return done.returncode, done.stdout

    assert '"group-1"' in read("kit.json")[1]  # it does read what it may
    for name in sorted(path.name for path in (root / ".lab").iterdir()):
        assert read(f".lab/{name}") == (1, "")
    assert read(str(next((desk_for_everybody.folder / "run").glob("jpserver-*.json")))) == (1, "")
