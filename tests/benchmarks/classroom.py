"""The board with 60 groups that report, what reporting costs a run, and how long slides and run sheet take."""

import json
import random
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import psutil
import uvicorn
from PIL import Image

from instructor.classroom.board import Board, make_board
from instructor.classroom.clock import Clock
from instructor.classroom.papers import write_run_sheet
from instructor.classroom.pictures import Picture, Pictures
from instructor.classroom.room import Room
from instructor.classroom.serve import _listen
from instructor.classroom.slides import write_slides
from instructor.vault import Vault
from instructor.workshop import Workshop, read_workshop
from lab_code.workshop.kit import read_kit
from lab_code.workshop.reports import report, report_to_json
from lab_code.workshop.standing import Standing, standing_to_json

_GROUPS, _EACH, _SECONDS = 60, 4, 8.0
_HOUR = 60  # events of a group
_RUN_S = 25  # a run of the default workshop on two cores: docs/experiments.md
_KEY = b"every kit's key"


def measure(scratch: Path) -> Iterator[tuple]:
    """Needs no kits but for the cost of a report, which uses one that the benchmark of provisioning has built."""
    described = read_workshop()
    room = replace(described, groups=[f"group-{n}" for n in range(1, _GROUPS + 1)])
    with _Served(room, scratch) as served:
        delays = served.report_all()
        yield f"board: report to page, {_GROUPS} groups, median", statistics.median(delays), "s", 1.0
        yield f"board: report to page, {_GROUPS} groups, p95", statistics.quantiles(delays, n=20)[-1], "s", 1.0
        yield f"board: memory after an hour of {_GROUPS} groups, more than after a tenth", served.grow(), "MB", 5
        yield "board: two reports of a run, share of the run", served.cost(scratch), "ratio", 0.01
    yield from _papers(described, scratch)


class _Served:
    """A board in a thread, and a page that follows it."""

    def __init__(self, workshop: Workshop, scratch: Path) -> None:
        clock = Clock.open(scratch / "clock.json", workshop.schedule)
        self.board = Board(workshop, clock, Room(workshop), list, {}, lambda _: _KEY, "token")
        self.socket = _listen("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(make_board(self.board), log_level="error"))
        self.seen: dict[tuple[str, int], float] = {}

    def __enter__(self) -> "_Served":
        threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True).start()
        threading.Thread(target=self._follow, daemon=True).start()
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True

    def _follow(self) -> None:
        try:
            self._read_events()
        except (OSError, HTTPException):  # the board has closed
            if not self.server.should_exit:
                raise

    def _read_events(self) -> None:
        with urllib.request.urlopen(f"{self.address}/events") as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    now = time.perf_counter()
                    for group in json.loads(line[5:])["groups"]:
                        for runs in range(group["runs"] + 1):
                            self.seen.setdefault((group["group"], runs), now)

    def report_all(self) -> list[float]:
        """How long each report took to the page; groups report whenever they like within some seconds."""
        sent: dict[tuple[str, int], float] = {}
        with ThreadPoolExecutor(_GROUPS) as room:
            for reported in [room.submit(self._report, number, sent) for number in range(1, _GROUPS + 1)]:
                reported.result()
        time.sleep(2)
        if unseen := sent.keys() - self.seen.keys():
            raise AssertionError(f"{len(unseen)} of {len(sent)} reports are not on the page, first {min(unseen)}")
        return [self.seen[key] - began for key, began in sent.items()]

    def _report(self, number: int, sent: dict[tuple[str, int], float]) -> None:
        dice = random.Random(number)
        for runs in range(1, _EACH + 1):
            time.sleep(dice.uniform(0, 2 * _SECONDS / _EACH))
            group = f"group-{number}"
            sent[group, runs] = time.perf_counter()
            body = report_to_json(standing_to_json(_standing(group, runs)), _KEY)
            urllib.request.urlopen(urllib.request.Request(f"{self.address}/report", body)).close()

    def grow(self) -> float:
        """MB that the process has more after an hour of events than after six minutes."""
        sizes = []
        for event in range(_EACH + 1, _EACH + _HOUR + 1):
            for number in range(1, _GROUPS + 1):
                self.board.room.hear(_standing(f"group-{number}", event), time.time())
            self.board.describe(secret=True)
            sizes.append(psutil.Process().memory_info().rss / 1e6)
        return sizes[-1] - sizes[_HOUR // 10]

    def cost(self, scratch: Path) -> float:
        """Processor time of the two reports that a run makes, of a kit with runs, beside the run's seconds."""
        kit = replace(read_kit(scratch / "build" / "kits" / "group-1"), report_to=self.address)
        times = []
        for _ in range(10):
            began = time.process_time()
            thread = report(kit)
            assert thread is not None, "this kit has nothing to report by"
            thread.join()
            times.append(time.process_time() - began)  # the board's own work is in it, too: this is the upper bound
        return 2 * statistics.median(times) / _RUN_S


def _standing(group: str, runs: int) -> Standing:
    return Standing(
        group=group, opened=1, rescued=0, stages=3, wrong=0, hints=0, points=10, runs=runs, training=False,
        best=0.3, surprise=None, handed_in=0, events=runs,
    )  # fmt: skip


def _papers(described: Workshop, scratch: Path) -> Iterator[tuple]:
    folder = scratch / "papers"
    folder.mkdir()
    names = ("curves", "sensitivities", "confusions")
    for name in names:
        Image.effect_noise((1500, 690), 40).convert("RGB").save(folder / f"{name}.png")
    pictures = Pictures(folder, "", {name: Picture(f"{name}.png", name) for name in names}, {"runs": "", "gain": ""})
    began = time.perf_counter()
    write_slides(described, pictures, folder)
    write_run_sheet(described, Vault(scratch / "build"), folder / "run-sheet.pdf")
    yield "slides and run sheet, pictures given", time.perf_counter() - began, "s", 10
