"""A JupyterHub that really runs, with its proxy, and people who sign in as a browser does and type into a notebook."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import yaml
from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect

from instructor.workshop import WORKSHOP_FILE

PATIENCE_S = 300.0


def why_not() -> str:
    """Why no hub can be started here; empty where one can."""
    missing = shutil.which("configurable-http-proxy") is None
    return "needs configurable-http-proxy: npm install -g configurable-http-proxy" if missing else ""


@dataclass
class Hub:
    """A hub's folder, and the process that serves it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "hub.log"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; `wait` says when it answers."""
        command = [sys.executable, "-m", "jupyterhub", "-f", str(self.folder / "jupyterhub_config.py")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
            )  # fmt: skip

    async def wait(self) -> None:
        """Until the page for signing in can be fetched."""
        person = Person(self, "nobody")
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert self.process and self.process.poll() is None, self.log.read_text(encoding="utf-8")
                with suppress(OSError, HTTPError):
                    if (await person.fetch("/hub/login")).code == 200:
                        return
                await asyncio.sleep(0.2)

    def stop(self) -> None:
        """With its proxy and everybody's servers."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE_S)


@contextmanager
def run_hub(folder: Path, port: int) -> Iterator[Hub]:
    """A hub on the folder that `instructor deliver hub` has made."""
    hub = Hub(folder, port)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def make_class(folder: Path, groups: int, port: int) -> Path:
    """The description of a workshop with so many groups, small photographs and cheap locks."""
    described = yaml.safe_load(WORKSHOP_FILE.read_text(encoding="utf-8"))
    described["groups"] = [f"group-{number}" for number in range(1, groups + 1)]
    described["data"] |= {"images": 420, "image_size": 32, "test_images": 70}
    described["locks"] |= {"memory_kib": 64, "iterations": 1}
    described["hub"] |= {"port": port, "address": "127.0.0.1"}
    path = folder / "workshop.yaml"
    path.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    return path


def find_ports() -> int:
    """The first of three free ports in a row."""
    for port in range(21_000 + os.getpid() % 20_000, 60_000, 3):
        probes = [socket.socket() for _ in range(3)]
        try:
            for number, probe in enumerate(probes):
                probe.bind(("127.0.0.1", port + number))
            return port
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise AssertionError("no three free ports")


@dataclass
class Person:
    """Somebody at a browser."""

    hub: Hub
    name: str
    cookies: dict[tuple[str, str], str] = field(default_factory=dict)  # (path, name) -> value

    @property
    def home(self) -> str:
        return f"/user/{self.name}/"

    async def fetch(self, path: str, **options: Any) -> HTTPResponse:
        """One request with the cookies of that path; no redirect is followed."""
        headers = {"Cookie": self._cookies_for(path), "Sec-Fetch-Mode": "navigate", **options.pop("headers", {})}
        request = HTTPRequest(
            self.hub.address + path, headers=headers, follow_redirects=False, request_timeout=PATIENCE_S, **options
        )
        answer = await AsyncHTTPClient().fetch(request, raise_error=False)
        for line in answer.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[(morsel["path"] or "/", name)] = morsel.value
        return answer

    async def follow(self, path: str, **options: Any) -> HTTPResponse:
        """The same, and where it leads."""
        for _ in range(12):
            answer = await self.fetch(path, **options)
            if answer.code not in (301, 302, 303):
                return answer
            target = urlsplit(urljoin(self.hub.address + path, answer.headers["Location"]))
            path, options = target.path + (f"?{target.query}" if target.query else ""), {}
        raise AssertionError(f"{path} leads nowhere")

    async def sign_in(self, password: str) -> HTTPResponse:
        """With the form of the first page; 403 is a wrong password."""
        await self.fetch("/hub/login")
        typed = {"username": self.name, "password": password, "_xsrf": self._cookie("_xsrf", "/hub/")}
        return await self.fetch("/hub/login", method="POST", body=urlencode(typed))

    async def start_server(self) -> HTTPResponse:
        """Until the notebook's page is there; what the hub says where there is none."""
        answer = await self.follow("/hub/spawn")
        async with asyncio.timeout(PATIENCE_S):
            while answer.code == 200 and "spawn-pending" in answer.effective_url:
                await asyncio.sleep(0.3)
                answer = await self.follow(f"/hub/spawn-pending/{self.name}")
        return answer if answer.code >= 400 else await self.follow(f"{self.home}lab")

    async def ask(self, place: str, method: str = "GET", **document: Any) -> Any:
        """Jupyter's own interface, as its page uses it."""
        body = json.dumps(document) if method == "POST" else None
        headers = {"X-XSRFToken": self._cookie("_xsrf", self.home), "Content-Type": "application/json"}
        answer = await self.fetch(self.home + place, method=method, body=body, headers=headers)
        assert answer.code < 300, (answer.code, answer.body)
        return json.loads(answer.body or b"null")

    async def type_in(self, *cells: str) -> str:
        """Run cells in a kernel of the starter notebook's folder; what they print, errors included."""
        kernel = await self.ask("api/kernels", "POST", name="python3", path="notebooks")
        path = f"{self.home}api/kernels/{kernel['id']}/channels"
        address = f"ws://127.0.0.1:{self.hub.port}{path}"
        socket = await websocket_connect(HTTPRequest(address, headers={"Cookie": self._cookies_for(path)}))
        said = []
        try:
            for cell in cells:
                said += [text async for text in _run(socket, cell)]
        finally:
            socket.close()
        await self.ask(f"api/kernels/{kernel['id']}", "DELETE")
        return "".join(said)

    def _cookies_for(self, path: str) -> str:
        fitting = sorted((place, name) for place, name in self.cookies if path.startswith(place.rstrip("/")))
        return "; ".join(
            f"{name}={value}" for name, value in {name: self.cookies[(p, name)] for p, name in fitting}.items()
        )

    def _cookie(self, name: str, path: str) -> str:
        return self.cookies.get((path, name), "")


async def _run(socket: Any, cell: str) -> Any:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": "s",
        "username": "",
        "version": "5.3",
    }
    content = {"code": cell, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    message = {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }
    await socket.write_message(json.dumps(message))
    while True:
        raw = await asyncio.wait_for(socket.read_message(), PATIENCE_S)
        assert isinstance(raw, str), "the kernel has ended"
        answer = json.loads(raw)
        kind, content = answer["msg_type"], answer["content"]
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if kind == "stream":
            yield content["text"]
        elif kind in ("display_data", "execute_result"):
            yield str(content["data"].get("text/plain", ""))
        elif kind == "error":
            yield "\n".join(content["traceback"])
        elif kind == "status" and content["execution_state"] == "idle":
            return
