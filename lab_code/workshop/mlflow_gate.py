"""MLflow's page for whoever brings its token, as Jupyter does it: MLflow's own server has no such thing.

    python -m lab_code.workshop.mlflow_gate --port 20123 --store sqlite:////…/mlflow.db --artifacts file:///…

The token is read from the file that `LAB_TOKEN_FILE` names. It comes with the address once (`?token=…`) and from then
on in a cookie, or as `Authorization: token …` from a program. Everything else is refused: other accounts of this
computer, web pages that send requests to it, and names that were made to point here.

In a hub (`hub_page.py`) it listens on a socket in a private folder instead (`--socket`): only Jupyter reaches it there,
which has asked who comes, and only requests of MLflow's own page pass.
"""

import argparse
import hmac
import html
import os
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from lab_code.data.ham10000 import DIAGNOSES, read_dataset
from lab_code.tracking.views import remember_view

HOST, TOKEN_FILE, LINK = "127.0.0.1", "LAB_TOKEN_FILE", "lab-mlflow"
ENTER = "enter"  # in an address of the hub: the first page, on which the browser learns our view
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]

# From here to the page itself, without the token in the address; what stands behind # is only known to the browser.
_ENTER = (
    "<!DOCTYPE html><title>MLflow</title><script>try {{ {remember} }} catch (none) {{ }}"
    " location.replace(location.pathname + location.hash)</script>Opening MLflow …"
)
_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class Gate:
    """An ASGI application before another one. `refusal` is what a person reads who comes without the token."""

    def __init__(
        self,
        app: App,
        token: str,
        port: int,
        refusal: Callable[[], str] = lambda: "forbidden",
        codes: Sequence[str] = DIAGNOSES,
    ) -> None:
        self.app, self.token, self.refusal, self.codes = app, token, refusal, codes
        self.cookie = f"lab-mlflow-{port}"  # a browser sends the cookies of every port of this computer to every other
        self.hosts = {f"{name}:{port}" for name in (HOST, "localhost")}

    async def __call__(self, scope: Scope, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Let a request pass, exchange the token of an address for a cookie, or refuse."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and self._enters(scope):  # also who has been here: no token stays in an address
            cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(
                send, 200, _ENTER.format(remember=remember_view(self.codes)), [(b"set-cookie", cookie.encode("ascii"))]
            )
        elif scope["type"] == "lifespan" or self._admits(scope):
            await self.app(scope, receive, send)
        else:
            await _answer(send, 403, self.refusal())

    def _admits(self, scope: Scope) -> bool:
        headers = _read_headers(scope)
        if headers.get("host") not in self.hosts:
            return False
        kind, _, said = headers.get("authorization", "").partition(" ")
        if kind.lower() in ("token", "bearer"):
            return self._knows(said.strip())
        return self._knows(_read_cookie(headers, self.cookie)) and self._is_of_this_page(scope["method"], headers)

    def _is_of_this_page(self, method: str, headers: dict[str, str]) -> bool:
        """Whether a browser asks for a page that someone opens, or for what MLflow's own page needs.

        An old browser says neither whence it asks nor why: there the rules of the cookie hold alone.
        """
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            return False
        asker, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "navigate")
        return asker in ("same-origin", "none") or (mode == "navigate" and method == "GET" and origin is None)

    def _enters(self, scope: Scope) -> bool:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        comes = scope["method"] == "GET" and scope["path"] == "/" and _read_headers(scope).get("host") in self.hosts
        return comes and self._knows(asked.get("token", [""])[0])

    def _knows(self, said: str) -> bool:
        return hmac.compare_digest(said.encode("utf-8"), self.token.encode("utf-8"))


class HubGate:
    """An ASGI application before MLflow's, behind Jupyter, which has asked already who comes.

    A page of another name must not send requests with the visitor's cookie. MLflow itself would refuse every name but
    localhost, so it hears that one.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Let a request pass, answer the first one with the page that opens our view, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _read_headers(scope)
        origin, asker = headers.get("origin"), headers.get("sec-fetch-site", "none")
        foreign = origin is not None and origin.partition("://")[2] != headers.get("host")
        if foreign or (scope["method"] != "GET" and asker not in ("same-origin", "none")):
            await _answer(send, 403, "forbidden")
        elif scope["path"] == "/" and scope.get("query_string", b"") == ENTER.encode():
            await _answer(send, 200, _ENTER.format(remember=remember_view()))
        else:
            kept = [(name, value) for name, value in scope["headers"] if name.lower() not in (b"host", b"origin")]
            await self.app({**scope, "headers": [*kept, (b"host", b"localhost")]}, receive, send)


def _read_headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _read_cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


async def _answer(
    send: Callable[[dict[str, Any]], Awaitable[None]],
    status: int,
    page: str,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*_HEADERS, *(headers or [])]})
    await send({"type": "http.response.body", "body": page.encode("utf-8")})


def describe_refusal(root: Path) -> str:
    """The page for whoever has no token (any more: every start of the desk makes a new one)."""
    from lab_code.workshop.desk import read_servers
    from lab_code.workshop.spelling import spell_commands

    ways = [f"in a terminal: <code>{html.escape(spell_commands('lab ui'))}</code>"]
    for server in read_servers(root):
        if server.name == "jupyter" and server.process() is not None:
            ways.insert(0, f'<a href="http://{HOST}:{server.port}/{LINK}">open it through the notebook</a>')
    return f"<!DOCTYPE html><title>MLflow</title><p>This page opens with its key only: {', or '.join(ways)}."


def main() -> None:
    """Run MLflow's own application behind the gate, until it is stopped."""
    parser = argparse.ArgumentParser()
    for name in ("--port", "--socket"):
        parser.add_argument(name)
    for name in ("--store", "--artifacts"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    token = "" if options.socket else Path(os.environ.pop(TOKEN_FILE)).read_text(encoding="utf-8")
    # What `mlflow server --no-serve-artifacts` tells its workers.
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": options.store,
        "_MLFLOW_SERVER_REGISTRY_STORE": options.store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": options.artifacts,
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    import uvicorn
    from uvicorn.importer import import_from_string

    app, root = import_from_string("mlflow.server.fastapi_app:app"), Path.cwd()
    # A store that cannot be opened ends the server here, and the command says so, instead of each page later.
    import_from_string("mlflow.server.handlers:initialize_backend_stores")(options.store, None, options.artifacts)
    # No list of requests: the first one has the token in its address.
    quiet: dict[str, Any] = {"access_log": False, "server_header": False}
    if options.socket:
        uvicorn.run(HubGate(app), uds=options.socket, **quiet)
        return
    gate = Gate(app, token, int(options.port), lambda: describe_refusal(root), read_dataset(root / "data").codes)
    uvicorn.run(gate, host=HOST, port=int(options.port), **quiet)


if __name__ == "__main__":
    main()
