"""The clock in the terminal (`instructor run`): part, minutes left, what to say and do next, where every group stands.

    ClockScreen(workshop, clock, room, sources).run()

It shows what `clock.py` and `room.py` know, and keeps nothing itself: closed and opened again it goes on. Every second
it looks at the clock, every third one at the kits; their reading happens beside, so that keys answer at once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import DataTable, Digits, Footer, Label, ProgressBar, Static

from instructor.classroom.clock import Clock, Reading
from instructor.classroom.laptops import Call, Laptops
from instructor.classroom.room import MANY_WRONG, Room, Seat
from instructor.classroom.schedule import Part
from instructor.spelling import spell_make
from instructor.vault import Key
from instructor.workshop import Workshop
from lab_code.workshop.mark import mark_of

_GLYPHS = {
    **{"circle": "●", "square": "■", "triangle": "▲", "diamond": "◆", "hexagon": "⬢", "star": "★"},
    **{"cross": "✚", "house": "⌂", "arrow": "⬆", "flag": "⚑"},
}
_COLUMNS = ("", "group", "stages", "runs", "best", "quiet", "state")
_LOOK_EVERY_S = 3.0


@dataclass(frozen=True)
class Sources:
    """Where the screen looks: kits on this machine, laptops over SSH, the key for rescue codes (empty without kits)."""

    find_folders: Callable[[], Sequence[Path]]
    keys: Key
    now: Callable[[], float] = time.time
    laptops: Laptops | None = None

    def call_of(self, group: str) -> Call:
        """When its laptop was heard over SSH, and why it is not now."""
        return self.laptops.calls.get(group, Call()) if self.laptops else Call()


class RescueScreen(ModalScreen[None]):
    """One group's rescue code, large, until any of its keys is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,r,space,q", "dismiss", "Close")]
    CSS = """
    RescueScreen { align: center middle; }
    #rescue Static { width: auto; }
    #rescue { width: auto; max-width: 90%; height: auto; padding: 1 4; border: thick $accent; background: $surface; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(id="rescue"):
            yield Static(self._text, markup=False)
        yield Footer()


class ClockScreen(App[None]):
    """The whole terminal."""

    TITLE = "lab kit"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "start_or_pause", "Start / pause", priority=True),
        Binding("n", "next", "Next part"),
        Binding("b", "before", "Back"),
        Binding("d", "done", "Done with this line"),
        Binding("u", "undo", "Undo"),
        Binding("r", "rescue", "Rescue code"),
        Binding("q", "quit", "Close (the clock goes on)"),
    ]
    CSS = """
    #top { height: 5; padding: 0 1; }
    #left { width: 1fr; }
    #digits { width: auto; height: 3; }
    #part { text-style: bold; }
    #state { height: 1; }
    #bar { width: 100%; height: 1; padding: 0 1; }
    #middle { height: 1fr; min-height: 4; padding: 0 1; }
    #groups { height: auto; max-height: 60%; min-height: 4; }
    #news { height: 1; padding: 0 1; color: $text-muted; }
    """

    def __init__(self, workshop: Workshop, clock: Clock, room: Room, sources: Sources) -> None:
        super().__init__()
        self._workshop, self._clock, self._room, self._sources = workshop, clock, room, sources
        self._done = 0  # lines of this part that are said and done
        self._part = -1

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            with Vertical(id="left"):
                yield Label(id="part", markup=False)
                yield Label(id="state", markup=False)
                yield Label(id="show", markup=False)
            yield Digits(id="digits")
        yield ProgressBar(id="bar", show_eta=False, show_percentage=False)
        with VerticalScroll(id="middle"):
            yield Static(id="lines")
        yield DataTable(id="groups", cursor_type="row", zebra_stripes=True)
        yield Label(id="news", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        table = self.query_one("#groups", DataTable)
        table.add_columns(*_COLUMNS)
        for seat in self._room.seats.values():
            table.add_row(*[""] * len(_COLUMNS), key=seat.group)
        table.focus()
        self.refresh_all()
        self.look()
        if self._sources.laptops:
            self.run_worker(self._sources.laptops.follow(self._room.hear), group="laptops")
        self.set_interval(1, self.refresh_all)
        self.set_interval(_LOOK_EVERY_S, self.look)

    @work(thread=True, exclusive=True, group="look")
    def look(self) -> None:
        """Read the kits beside the screen, what was collected, and what the board has heard."""
        self._room.reload()
        self._room.look_at_handins(self._clock.began, self._sources.now())
        self._room.look_at(self._sources.find_folders(), self._sources.now())

    def refresh_all(self) -> None:
        """Show the clock and the groups as they are now."""
        now = self._sources.now()
        reading = self._clock.reading(now)
        if reading.part != self._part:
            self._part, self._done = reading.part, 0
        part = self._workshop.schedule.parts[reading.part]
        number = f"{reading.part + 1} of {len(self._workshop.schedule.parts)}"
        self.query_one("#part", Label).update(f"{number}  {part.title}")
        self.query_one("#state", Label).update(describe_reading(reading))
        self.query_one("#show", Label).update(f"on the wall: {part.show}" if part.show else "")
        self.query_one("#digits", Digits).update(spell_time(reading.left_s))
        bar = self.query_one("#bar", ProgressBar)
        bar.update(total=part.minutes * 60, progress=min(reading.spent_s, part.minutes * 60))
        self.query_one("#lines", Static).update(list_lines(part, self._done, reading))
        self._fill_table(now)

    def _fill_table(self, now: float) -> None:
        table = self.query_one("#groups", DataTable)
        for row, seat in enumerate(self._room.seats.values()):
            for column, cell in enumerate(describe_seat(seat, now, self._sources.call_of(seat.group))):
                table.update_cell_at(Coordinate(row, column), cell, update_width=True)
        news = self._room.news[-1] if self._room.news else None
        self.query_one("#news", Label).update(f"{news.group} {news.text}" if news else "")

    def action_start_or_pause(self) -> None:
        now = self._sources.now()
        (self._clock.pause if self._clock.reading(now).running else self._clock.start)(now)
        self.refresh_all()

    def action_next(self) -> None:
        self._clock.next(self._sources.now())
        self.refresh_all()

    def action_before(self) -> None:
        self._clock.back(self._sources.now())
        self.refresh_all()

    def action_done(self) -> None:
        part = self._workshop.schedule.parts[self._part]
        self._done = min(self._done + 1, len(part.say) + len(part.do))
        self.refresh_all()

    def action_undo(self) -> None:
        self._done = max(self._done - 1, 0)
        self.refresh_all()

    def action_rescue(self) -> None:
        table = self.query_one("#groups", DataTable)
        seat = list(self._room.seats.values())[table.cursor_row]
        self.push_screen(RescueScreen(self._rescue_text(seat)))

    def _rescue_text(self, seat: Seat) -> str:
        opened = seat.standing.opened if seat.standing else 0
        entries = self._sources.keys.get(seat.group, [])
        if opened >= len(self._workshop.stages):
            return f"{seat.group} has opened every stage."
        stage = self._workshop.stages[opened]
        code = next((entry["rescue"] for entry in entries if entry["stage"] == stage.id), None)
        if code is None:
            return f"There is no key for {seat.group} yet: {spell_make('make provision')}"
        return f"{seat.group}, stage {opened + 1} '{stage.title}'\n\n    {code}\n\nlab unlock --rescue {code}"


def describe_reading(reading: Reading) -> str:
    """Where the class is against its schedule, in words."""
    if not reading.started:
        return "not started: press the space bar as the class begins"
    minutes = round(abs(reading.behind_s) / 60)
    late = "on time" if minutes < 1 else f"{minutes} min {'behind' if reading.behind_s > 0 else 'ahead'}"
    since = f"minute {int(reading.total_s // 60)}"
    pause = "" if reading.running else "paused, "
    over = ", the class is over" if reading.over else ""
    return f"{pause}{since}, {late}{over}"


def spell_time(seconds: float) -> str:
    """`4:07`; what is over its time begins with a minus."""
    whole = int(abs(seconds))
    return f"{'-' if seconds <= -1 else ''}{whole // 60}:{whole % 60:02d}"


def list_lines(part: Part, done: int, reading: Reading) -> Table:
    """What to say and to do in this part; the next line stands out, lines that are done are dim."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    lines = [("say", line) for line in part.say] + [("do", line) for line in part.do]
    for number, (kind, line) in enumerate(lines):
        style = "dim" if number < done else "bold" if number == done else ""
        sign = "✓" if number < done else "▶" if number == done else ""
        table.add_row(sign, kind, Text(line), style=style)
    if part.behind and reading.behind_s >= 60:
        table.add_row("!", "late", Text(part.behind), style="bold reverse")
    return table


def describe_seat(seat: Seat, now: float, call: Call) -> list[Text]:
    """A row of the table. Colour is never alone: the sign's shape, the number and the words say the same."""
    mark, standing = mark_of(seat.number), seat.standing
    glyph = Text(f"{_GLYPHS[mark.name.split()[1]]} {seat.number}", style=mark.colour)
    if standing is None:
        quiet = f"{call.describe()}: {call.fault}" if call.fault else "nothing heard yet"
        return [glyph, Text(seat.group), *[Text("–", style="dim")] * 4, Text(quiet, style="dim")]
    silent = seat.silent_s(now) or 0.0
    return [
        glyph,
        Text(seat.group),
        Text("■" * standing.opened + "□" * (standing.stages - standing.opened)),
        Text(str(standing.runs)),
        Text("–" if standing.best is None else f"{standing.best:.3f}"),
        Text(f"{int(silent // 60)} min"),
        _describe_state(seat, now, call),
    ]


def _describe_state(seat: Seat, now: float, call: Call) -> Text:
    standing = seat.standing
    assert standing is not None
    if standing.handed_in:
        return Text("handed in")
    if call.fault:
        return Text(f"{call.describe()}: {call.fault}")
    if standing.training:
        return Text("training")
    if seat.is_stuck(now):
        why = f"{standing.wrong} wrong lists" if standing.wrong >= MANY_WRONG else "quiet for long"
        return Text(f"STUCK: {why}  (r: rescue code)", style="bold reverse")
    if standing.wrong:
        return Text(f"{standing.wrong} wrong in a row" if standing.wrong > 1 else "1 wrong list")
    return Text("reading" if standing.events else "not begun", style="dim")
