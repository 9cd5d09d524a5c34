"""A simulated group: its laptop, its clock, the real commands that it types, and what happened to it.

    player = Player(scene, "group-3", ("closes-lid",))
    player.spend(4.9, PEOPLE, "reads and talks")
    player.lab("unlock", "--answers", "3,1,4")

The clock goes on by the minutes that people need and by the time that commands take; every command runs as if it were
that minute of the class. What a group does, and when, is in `play.py` and `steps.py`; its accidents in `behaviours.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructor.rehearsal.launcher import Done
from instructor.rehearsal.scene import Scene
from instructor.vault import Vault
from lab_code.workshop.kit import Kit, Stage, read_kit

PEOPLE, MACHINE, TRAINING = "people", "machine", "training"
EVERYBODY = "everybody"  # what happens to no behaviour in particular


@dataclass(frozen=True)
class Deed:
    """Something that took time: `start` and `minutes` of the activity, its section counted from 0, and what it was."""

    start: float
    minutes: float
    section: int
    kind: str
    what: str


@dataclass(frozen=True)
class Incident:
    """What went wrong on purpose or by itself, what the kit did, and whether that was all right."""

    group: str
    minute: float
    behaviour: str
    what: str
    answer: str
    coped: bool


@dataclass
class Player:
    """One group. `wrong` counts lists of answers by stage, `opened` says how each stage was opened."""

    scene: Scene
    group: str
    behaviours: Sequence[str] = ()
    clock: float = 0.0  # minutes since the activity began
    pace: float = 1.0  # of reading
    clock_error_s: float = 0.0  # of its laptop
    section: int = 0
    deeds: list[Deed] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)  # the first eight characters of run ids, as the commands told them
    wrong: dict[str, int] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    handed_in: float | None = None  # its minute
    receipts: list[str] = field(default_factory=list)
    zips: list[Path] = field(default_factory=list)
    is_damaged: bool = False  # its zip is cut off on the way to the instructor
    is_skipping: bool = False  # on to handing in

    def __post_init__(self) -> None:
        self.root = self.scene.laptops / self.group
        self.number = self.scene.workshop.groups.index(self.group) + 1

    @property
    def kit(self) -> Kit:
        """The kit on the laptop that the group has now."""
        return read_kit(self.root)

    def now(self) -> float:
        """What the clock of its laptop shows, in seconds since 1970."""
        return self.scene.begins + 60 * self.clock + self.clock_error_s

    def spend(self, minutes: float, kind: str, what: str) -> None:
        """Let time go by."""
        self.deeds.append(Deed(round(self.clock, 3), round(minutes, 3), self.section, kind, what))
        self.clock += minutes

    def happen(self, behaviour: str, what: str, answer: str, coped: bool) -> None:
        """Keep what happened."""
        self.incidents.append(Incident(self.group, round(self.clock, 2), behaviour, what, answer, coped))

    def must(self, done: Done, what: str) -> bool:
        """A command that has to succeed; where it does not, the kit did not cope with something."""
        if done.code:
            self.happen(EVERYBODY, f"{what} fails", done.said, coped=False)
        return not done.code

    # ── commands ──

    def run(
        self, argv: Sequence[str], what: str, *, kind: str = MACHINE, seconds: float | None = None, **more: Any
    ) -> Done:
        """Run a program in the kit; `seconds` stand for what it would take in class."""
        done = self.scene.launcher.run(argv, self.root, self.now(), environment=self.scene.environment(), **more)
        self.scene.note(self.group, self.clock, what, done)
        self.spend((done.seconds if seconds is None else seconds) / 60, kind, what)
        return done

    def lab(self, *argv: str, **more: Any) -> Done:
        """Run a command of the kit."""
        return self.run([str(self.root / "lab"), *argv], " ".join(["lab", *argv]), **more)

    def instructor(self, *argv: str) -> Done:
        """Ask the instructor, who types a command."""
        done = self.scene.instructor(*argv, minute=self.clock)
        self.spend(done.seconds / 60, MACHINE, f"instructor {argv[0]}")
        return done

    def answers(self, stage: str) -> str:
        """The right list for a stage."""
        return next(entry["answers"] for entry in self.scene.key[self.group] if entry["stage"] == stage)

    def unlock(self, stage: Stage, answers: str) -> Done:
        """Type a list of answers, with the words on the wall where the stage asks for them."""
        words = []
        if stage.room_code:
            words = ["--room-code", Vault(self.scene.build).room_code(self.kit.workshop, stage.id)]
        done = self.lab("unlock", "--stage", str(self.kit.number(stage)), "--answers", answers, *words)
        if not done.code:
            self.opened[stage.id] = "answers"
        elif "do not open stage" in done.err:
            self.wrong[stage.id] = self.wrong.get(stage.id, 0) + 1
        return done

    def rescue(self, stage: Stage) -> bool:
        """Get the stage's rescue code from the instructor, and type it."""
        told = self.instructor("rescue", "--group", self.group, "--stage", stage.id)
        code = re.search(r"--rescue (\S+)", told.out)
        done = self.lab("unlock", "--rescue", code.group(1) if code else "none")
        if self.must(done, f"opening stage {self.kit.number(stage)} by its rescue code"):
            self.opened[stage.id] = "rescue"
        return not done.code

    def hint(self, stage: Stage, question: int) -> Done:
        """Buy a hint."""
        done = self.lab("hint", str(question), "--stage", str(self.kit.number(stage)))
        self.hints[stage.id] = self.hints.get(stage.id, 0) + (not done.code)
        return done

    def train(self, *changes: str, share: float = 1.0, **more: Any) -> Done:
        """Train with these changes; `share` of the time that a training takes in class."""
        given = {change.partition("=")[0] for change in changes}
        fixed = [f"{key}={value}" for key, value in self.scene.trainer().items() if key not in given]
        seconds = self.scene.training_s(share)
        return self.keep_run(self.lab("train", *changes, *fixed, seconds=seconds, kind=TRAINING, **more))

    def keep_run(self, done: Done) -> Done:
        """Remember which run a command has finished."""
        self.trained += re.findall(r"is finished \((\w{8})\)", done.out)
        return done

    def hand_in(self) -> Done:
        """Hand in, and keep the receipt that is read aloud."""
        done = self.lab("handin")
        receipt = re.search(r"Receipt: (\S+)", done.out)
        name = re.search(r"handin[/\\](\S+\.zip)", done.out)
        told = re.search(r"\((\d+) finished runs?\)", done.out)
        if told and int(told.group(1)) != len(self.trained):
            answer = f"it says {told.group(1)} finished runs, the group has made {len(self.trained)}"
            self.happen(EVERYBODY, "hands in", answer, coped=False)
        if not done.code and receipt and name:
            self.receipts.append(receipt.group(1))
            self.zips.append(self.root / "handin" / name.group(1))
        return done
