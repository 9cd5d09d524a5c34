"""The board: a page for the projector and one for the instructor, kept up to date by server-sent events.

    app = make_board(Board(workshop, clock, room, …))       # an ASGI application, served by `instructor board`

    GET  /                      for the projector: clock, race, firsts; nothing secret
    GET  /instructor?token=…    the same with who is stuck, how long it has been quiet there, and rescue codes
    GET  /events[?token=…]      what changed, as JSON, at most four times a second for each page
    POST /report                a kit's own record, signed with its own key (`lab_code/workshop/reports.py`)

Pages hold no queue: each gets the newest state when it is ready for one, so a slow page slows nobody. A report is
bounded in size and rate, and what is wrong with one is told to its sender alone.
"""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from instructor.classroom.clock import Clock
from instructor.classroom.laptops import Call, Laptops
from instructor.classroom.room import BEAT, Room, Seat, describe_surprise
from instructor.vault import Key
from instructor.workshop import Workshop
from lab_code.errors import LabError
from lab_code.workshop.mark import draw_mark, mark_of
from lab_code.workshop.reports import LARGEST, is_signed_report
from lab_code.workshop.standing import standing_from_json

_PAGE = Path(__file__).parent / "board.html"
_LOOK_EVERY_S, _KEEP_APART_S, _PING_S = 1.0, 0.25, 10
_MOST_REPORTS, _WINDOW_S = 20, 10.0  # that one group may send in so many seconds


@dataclass
class Board:
    """What the board shows, and where it comes from."""

    workshop: Workshop
    clock: Clock
    room: Room
    find_folders: Callable[[], Sequence[Path]]
    keys: Key
    report_key: Callable[[str], bytes]
    token: str
    now: Callable[[], float] = time.time
    laptops: Laptops | None = None  # that are asked over SSH
    changes: int = 0
    waiting: asyncio.Condition = field(default_factory=asyncio.Condition)
    reports: dict[str, list[float]] = field(default_factory=dict)

    async def watch(self) -> None:
        """Look at the kits and the clock again and again; tell the pages when anything differs."""
        before = ""
        while True:
            with suppress(LabError, OSError):  # a stick that was pulled out is back at the next look
                await asyncio.to_thread(self.look)
            after = json.dumps(self.describe(secret=True, still=True))
            if after != before:
                before = after
                await self.tell()
            await asyncio.sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """Read the kits on this machine, what was collected, and what the clock's window has heard."""
        self.room.reload()
        self.room.look_at_handins(self.clock.began, self.now())
        self.room.look_at(self.find_folders(), self.now())

    async def tell(self) -> None:
        """Wake every page that waits."""
        async with self.waiting:
            self.changes += 1
            self.waiting.notify_all()

    async def wait_for_change(self, seen: int) -> int:
        """Wait until something differs from what a page has seen; the number of that state."""
        async with self.waiting:
            await self.waiting.wait_for(lambda: self.changes != seen)
            return self.changes

    def describe(self, *, secret: bool, still: bool = False) -> dict[str, Any]:
        """All that a page shows; `still` leaves out what changes with every second."""
        now = self.now()
        reading, parts = self.clock.reading(now), self.workshop.schedule.parts
        part = parts[reading.part] if parts else None
        return {
            "title": self.workshop.title,
            "part": {
                "title": part.title if part else "",
                "kind": part.kind if part else "",
                "show": part.show if part else "",
            },
            "running": reading.running,
            "started": reading.started,
            **({} if still else {"left_s": round(reading.left_s), "behind_s": round(reading.behind_s)}),
            "groups": [self._describe_seat(seat, now, secret=secret) for seat in self.room.seats.values()],
            "news": [vars(entry) for entry in list(self.room.news)[-6:]],
            "firsts": self._list_firsts(),
        }

    def _list_firsts(self) -> list[dict[str, str]]:
        """Who did what before all others, and whose run was farthest from its bet."""
        said = {f"stage-{n}": f"first to open stage {n}" for n in range(1, len(self.workshop.stages) + 1)}
        said |= {"beat": f"first above {BEAT:g}", "handin": "first to hand in"}
        firsts = [{"what": said[w], "group": self.room.firsts[w]} for w in said if w in self.room.firsts]
        odd = self.room.most_surprising()
        return firsts + (
            [{"what": f"most surprising run ({describe_surprise(odd[1])})", "group": odd[0]}] if odd else []
        )

    def _describe_seat(self, seat: Seat, now: float, *, secret: bool) -> dict[str, Any]:
        known = seat.standing
        call = self.laptops.calls.get(seat.group, Call()) if self.laptops else Call()
        shown = {
            "group": seat.group,
            "number": seat.number,
            "heard": known is not None,
            "opened": known.opened if known else 0,
            "stages": known.stages if known else len(self.workshop.stages),
            "runs": known.runs if known else 0,
            "training": bool(known and known.training),
            "best": known.best if known else None,
            "handed_in": bool(known and known.handed_in),
            "away": call.describe(),
        }
        if not secret:
            return shown
        silent = seat.silent_s(now)
        return shown | {
            "quiet_min": None if silent is None else int(silent // 60),
            "why_away": call.fault,
            "wrong": known.wrong if known else 0,
            "stuck": seat.is_stuck(now),
            "rescue": self._rescue(seat),
        }

    def _rescue(self, seat: Seat) -> str:
        opened = seat.standing.opened if seat.standing else 0
        stage = self.workshop.stages[opened].id if opened < len(self.workshop.stages) else None
        return next((entry["rescue"] for entry in self.keys.get(seat.group, []) if entry["stage"] == stage), "")

    def allows(self, group: str, now: float) -> bool:
        """Whether a group may report once more; a laptop that sends without end is slowed down, not heard."""
        recent = [at for at in self.reports.get(group, []) if now - at < _WINDOW_S]
        self.reports[group] = recent[-_MOST_REPORTS:]
        if len(recent) >= _MOST_REPORTS:
            return False
        self.reports[group].append(now)
        return True

    def knows_token(self, request: Request) -> bool:
        """Whether a page was opened with the instructor's address."""
        return hmac.compare_digest(request.query_params.get("token", "").encode(), self.token.encode())


def make_board(board: Board) -> Starlette:
    """The application."""

    async def projector(_: Request) -> Response:
        return HTMLResponse(render_page(board, secret=False), headers=_HEADERS)

    async def instructor(request: Request) -> Response:
        if not board.knows_token(request):
            return PlainTextResponse("this page needs the address that instructor board printed", 403)
        return HTMLResponse(render_page(board, secret=True), headers=_HEADERS)

    async def events(request: Request) -> Response:
        secret = "token" in request.query_params
        if secret and not board.knows_token(request):
            return PlainTextResponse("wrong token", 403)
        return EventSourceResponse(_follow(board, secret), ping=_PING_S, headers={"Cache-Control": "no-store"})

    async def report(request: Request) -> Response:
        return await _take_report(board, request)

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(board.watch())]
        if board.laptops:
            tasks.append(asyncio.create_task(board.laptops.follow(board.room.hear)))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # no ssh goes on behind

    return Starlette(
        routes=[
            Route("/", projector),
            Route("/instructor", instructor),
            Route("/events", events),
            Route("/report", report, methods=["POST"]),
        ],
        lifespan=live,
    )


_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:",
}


async def _follow(board: Board, secret: bool) -> AsyncIterator[dict[str, str]]:
    seen = -1
    while True:
        seen = await board.wait_for_change(seen)
        yield {"data": json.dumps(board.describe(secret=secret), ensure_ascii=False)}
        await asyncio.sleep(_KEEP_APART_S)


async def _take_report(board: Board, request: Request) -> Response:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            return _refuse(413, f"a report has at most {LARGEST} bytes")
    try:
        document = json.loads(body)
        standing = standing_from_json(document["standing"])
        signature = document["signature"]
        if not isinstance(signature, str):
            raise ValueError("its signature is no text")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return _refuse(400, f"that is no report: {error}")
    if standing.group not in board.room.seats:
        return _refuse(404, f"there is no group '{standing.group[:40]}' in this class")
    if not is_signed_report(document["standing"], signature, board.report_key(standing.group)):
        return _refuse(403, "it is not signed with the key of that group's kit")
    now = board.now()
    if not board.allows(standing.group, now):
        return _refuse(429, "too many reports")
    if board.room.hear(standing, now):
        await board.tell()
    return JSONResponse({"heard": True})


def _refuse(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)


def render_page(board: Board, *, secret: bool) -> str:
    """The page with the state of now in it, so that it shows something before the first event."""
    marks = {seat.number: draw_mark(mark_of(seat.number), 1.0) for seat in board.room.seats.values()}
    told = {
        "state": board.describe(secret=secret),
        "secret": secret,
        "token": board.token if secret else "",
        "marks": marks,
    }
    # "</script>" in a title must not end the script that carries it.
    data = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    return _PAGE.read_text(encoding="utf-8").replace("{{ data }}", data)
