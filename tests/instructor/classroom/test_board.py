"""The board as a real server: what it tells, to whom, and which reports it hears."""

import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from instructor.classroom.board import Board, make_board
from instructor.classroom.clock import Clock
from instructor.classroom.laptops import Call, Laptops
from instructor.classroom.room import Room, find_kits
from instructor.classroom.serve import _listen, read_token
from instructor.deliver.inventory import read_inventory
from instructor.vault import Vault
from instructor.workshop import Workshop, read_workshop
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, read_kit
from lab_code.workshop.reports import LARGEST, report, report_to_json
from lab_code.workshop.signature import read_key
from lab_code.workshop.standing import standing_to_json
from tests.conftest import KitOnDisk
from tests.instructor.classroom.test_clock import Hand, standing

KEY = b"the key of group-1's kit"
GOOD = standing_to_json(standing("group-1", opened=1, events=3))


class Running:
    """A board on a port of its own."""

    def __init__(self, board: Board, address: str) -> None:
        self.board, self.address = board, address

    def get(self, path: str) -> tuple[int, str]:
        return self._ask(urllib.request.Request(self.address + path))

    def post(self, body: bytes) -> tuple[int, str]:
        return self._ask(urllib.request.Request(f"{self.address}/report", body))

    def _ask(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode("utf-8")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8")

    def follow(self, path: str, until: Callable[[dict[str, Any]], bool], act: Callable[[], object]) -> dict[str, Any]:
        """Read events until one fits; `act` is called after the first."""
        with urllib.request.urlopen(self.address + path, timeout=30) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    state: dict[str, Any] = json.loads(line[5:])
                    if until(state):
                        return state
                    act()
        raise AssertionError("the stream ended")


@pytest.fixture
def start() -> Iterator[Callable[[Board], Running]]:
    begun: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(board: Board) -> Running:
        listening = _listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(make_board(board), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        begun.append((server, thread))
        return Running(board, f"http://127.0.0.1:{listening.getsockname()[1]}")

    yield start
    for server, thread in begun:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def described() -> Workshop:
    return read_workshop()


@pytest.fixture
def board(described: Workshop, tmp_path: Path) -> Board:
    clock = Clock.open(tmp_path / "clock.json", described.schedule)
    keys = {"group-1": [{"stage": "1-configuration", "rescue": "ABCD-EFGH"}]}
    return Board(described, clock, Room(described), list, keys, lambda _: KEY, "token-of-the-test", Hand())


def test_the_projector_shows_nothing_secret_and_the_instructors_page_asks_for_its_token(
    board: Board, start: Callable[[Board], Running]
) -> None:
    running = start(board)
    for path in ("/", "/instructor", "/instructor?token=wrong", "/events?token=wrong"):
        status, page = running.get(path)
        assert (status == 200) == (path == "/") and "ABCD-EFGH" not in page and board.token not in page
    assert "ABCD-EFGH" in running.get(f"/instructor?token={board.token}")[1]


def signed(document: dict[str, Any], key: bytes = KEY) -> bytes:
    return report_to_json(document, key)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (signed(GOOD), 200, "heard"),
        (signed(GOOD, b"another kit's key"), 403, "not signed with the key"),
        (signed(GOOD | {"group": "group-99"}), 404, "no group 'group-99'"),
        (signed(GOOD | {"opened": 99}), 400, "stages cannot be"),
        (signed(GOOD | {"name": "<script>"}), 400, "no standing"),
        (json.dumps({"standing": GOOD, "signature": "é" * 64}).encode(), 403, "not signed"),
        (json.dumps({"standing": GOOD, "signature": 7}).encode(), 400, "no text"),
        (json.dumps({"standing": GOOD}).encode(), 400, "signature"),
        (b"[" * 3000, 400, "no report"),
        (b"\xff\xfe", 400, "no report"),
        (b"", 400, "no report"),
        (b"x" * (LARGEST + 1), 413, "at most"),
        (b"x" * 10_000_000, 413, "at most"),
    ],
    ids=["good", "wrong key", "stranger", "numbers", "more keys", "signature", "type", "unsigned", "deep", "binary",
         "empty", "long", "10 MB"],
)  # fmt: skip
def test_a_report_is_heard_or_refused_with_its_reason(
    board: Board, start: Callable[[Board], Running], body: bytes, status: int, said: str
) -> None:
    running = start(board)
    try:
        found, text = running.post(body)
        assert found == status and said in text
    except OSError:  # the server hangs up on who goes on sending: that is an answer, too
        assert status == 413
    assert (board.room.seats["group-1"].standing is not None) == (status == 200)


def test_who_sends_without_end_is_slowed_down(board: Board, start: Callable[[Board], Running]) -> None:
    running = start(board)
    found = [running.post(signed(GOOD | {"events": 3 + n}))[0] for n in range(25)]
    assert found == [200] * 20 + [429] * 5
    board.now.now += 11  # type: ignore[attr-defined]
    assert running.post(signed(GOOD | {"events": 40}))[0] == 200


def test_a_page_hears_what_has_changed(board: Board, start: Callable[[Board], Running]) -> None:
    running = start(board)
    state = running.follow(
        "/events", lambda state: bool(state["groups"][0]["opened"]), lambda: running.post(signed(GOOD))
    )
    assert state["news"][-1]["text"] == "opened stage 1" and state["news"][-1]["first"]
    assert (
        state["firsts"] == [{"what": "first to open stage 1", "group": "group-1"}]
        and "rescue" not in state["groups"][0]
    )


def test_a_laptop_that_is_off_is_shown_with_the_time_and_only_the_instructor_learns_why(
    board: Board, described: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "inventory.yaml").write_text("laptops: [{host: 192.0.2.1, user: lab, group: group-1}]\n", "utf-8")
    board.laptops = Laptops(read_inventory(tmp_path / "inventory.yaml", described.groups))
    off = Call(time.mktime((2026, 5, 4, 14, 5, 0, 0, 0, -1)), "it does not answer (is it on?)")
    for call, away in ((Call(), ""), (Call(fault="off"), "not heard yet"), (off, "not heard since 14:05")):
        board.laptops.calls["group-1"] = call
        first, second = board.describe(secret=True)["groups"][:2]
        assert (first["away"], first["why_away"], second["away"]) == (away, call.fault, "")
        assert "why_away" not in board.describe(secret=False)["groups"][0]


def test_the_run_farthest_from_its_bet_stands_among_the_firsts(board: Board) -> None:
    for group, off in (("group-1", 0.1), ("group-2", -0.25), ("group-3", 0.02), ("group-4", None)):
        board.room.hear(standing(group, surprise=off), 1)
    assert board.describe(secret=False)["firsts"] == [
        {"what": "most surprising run (0.250 below its bet)", "group": "group-2"}
    ]


def test_a_kit_reports_by_itself_and_a_board_that_is_away_costs_nothing(
    kit: KitOnDisk,
    workshop: Workshop,
    build: Path,
    described: Workshop,
    tmp_path: Path,
    start: Callable[[Board], Running],
) -> None:
    given, vault = replace(workshop, schedule=described.schedule), Vault(build)
    clock = Clock.open(tmp_path / "clock.json", given.schedule)
    room = Room(given)
    running = start(Board(given, clock, room, list, {}, lambda group: vault.handin_key(given.id, group), "t"))
    reporting = tell(kit.root, running.address)
    kit.lab("unlock", "--answers", kit.answers[0])
    heard = room.seats[kit.group].standing
    assert heard is not None and heard.opened == 1
    tell(kit.root, "http://127.0.0.1:9")
    assert "is open" in kit.lab("unlock", "--stage", "2", "--rescue", kit.rescue[1]).stdout
    assert (kit.root / ".lab" / "report.rest").exists() and report(replace(reporting, report_to="")) is None
    tell(kit.root, running.address)
    (kit.root / ".lab" / "report.rest").unlink()
    kit.lab("status")
    assert room.seats[kit.group].standing == replace(heard, opened=2, rescued=1, points=heard.points + 4, events=2)


def tell(root: Path, address: str) -> Kit:
    """Let a kit report to this address, as `board.report_to` does when kits are built."""
    document = json.loads((root / "kit.json").read_text(encoding="utf-8"))
    (root / "kit.json").write_text(json.dumps(document | {"report_to": address}), encoding="utf-8")
    assert read_key(root) is not None
    return read_kit(root)


def test_a_kit_that_goes_away_and_comes_back_is_followed(kit: KitOnDisk, workshop: Workshop, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    shutil.copytree(kit.root, stick / kit.group)
    room = Room(workshop)
    board = Board(workshop, Clock.open(tmp_path / "c.json", workshop.schedule), room, lambda: find_kits([stick]), {},
                  lambda _: KEY, "t", Hand())  # fmt: skip
    board.look()
    stick.rename(tmp_path / "away")
    with pytest.raises(LabError):
        board.look()
    assert room.seats[kit.group].standing is not None
    (tmp_path / "away").rename(stick)
    board.look()


def test_a_port_that_is_taken_is_an_error_with_the_way_out() -> None:
    with _listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(LabError, match=f"port {port} is taken") as caught:
            _listen("127.0.0.1", port)
    assert f"--port {port + 1}" in str(caught.value.hint)


def test_the_instructors_address_stays_the_same(tmp_path: Path) -> None:
    assert read_token(Vault(tmp_path)) == read_token(Vault(tmp_path)) and len(read_token(Vault(tmp_path))) >= 16
