"""Serve the board until Ctrl-C: `instructor board`. What it shows is `board.py`; here are port, address and token."""

import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from instructor.classroom.board import Board, make_board
from instructor.classroom.clock import FILE as CLOCK_FILE
from instructor.classroom.clock import Clock
from instructor.classroom.laptops import Laptops
from instructor.classroom.room import FILE as ROOM_FILE
from instructor.classroom.room import Room, find_kits
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.workshop.private import write_private

_TOKEN = "board.token"


def serve_board(
    workshop: Workshop,
    build: Path,
    places: Sequence[Path],
    at: tuple[str, int],
    say: Callable[[str], None],
    laptops: Laptops | None = None,
) -> None:
    """Serve it at this host and port, and say where. Raises `LabError` where the port is taken, or a place missing."""
    host, port = at
    folder, vault = build / "class", Vault(build)
    find_kits(places)  # a folder that is not there is said at once
    listening = _listen(host, port)
    board = Board(
        workshop,
        Clock.open(folder / CLOCK_FILE, workshop.schedule),
        Room(workshop, folder / ROOM_FILE, build / "collected"),
        lambda: find_kits(places),
        _read_keys(vault),
        lambda group: vault.handin_key(workshop.id, group),
        read_token(vault),
        laptops=laptops,
    )
    address = f"http://127.0.0.1:{port}"
    say(f"projector    {address}/")
    say(f"for you      {address}/instructor?token={board.token}")
    if host != "127.0.0.1":
        say(f"laptops report to {workshop.board.report_to}")
    if laptops:
        say(f"asking {len(laptops.calls)} laptops over SSH")
    say("Ctrl-C ends it.")
    config = uvicorn.Config(make_board(board), log_level="warning", timeout_graceful_shutdown=2, lifespan="on")
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def read_token(vault: Vault) -> str:
    """What opens the instructor's page: drawn once, so that an open page finds the board again."""
    path = vault.folder / _TOKEN
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        token = secrets.token_urlsafe(12)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, token)
        return token


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise LabError(
            f"port {port} is taken: {error.strerror}",
            hint=f"is a board open in another window already? If not: instructor board --port {port + 1}",
        ) from error
    return listening


def _read_keys(vault: Vault) -> dict[str, list[dict[str, str]]]:
    try:
        return vault.read_key()
    except LabError:  # no kits were built here
        return {}
