"""Where a rehearsal plays: its folder, its kits, the class's clock, and the instructor's commands.

    scene.instructor("rescue", "--group", "3", "--stage", "2", minute=14.5)

Everything lies below `build/rehearsal/`: kits that are built for it, laptops that they are brought to, what comes back.
Every command and what it said is kept in `log.txt` there.
"""

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from instructor.rehearsal.launcher import Done, Launcher
from instructor.vault import Key
from instructor.workshop import Workshop
from lab_code.errors import LabError

_FULL = ("no space left on device", "not enough space")


@dataclass
class Scene:
    """`begins` is when the class begins, in seconds since 1970; `pace_s` how long one training takes in class."""

    workshop: Workshop
    folder: Path
    launcher: Launcher
    project: Path
    begins: float
    epochs: int = 0  # of every training; 0: as the class has them
    threads: int = 0  # of every training; 0: as the class has them
    pace_s: float | None = None  # None: as it was measured
    key: Key = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._writing = threading.Lock()

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def laptops(self) -> Path:
        return self.folder / "laptops"

    @property
    def workshop_file(self) -> Path:
        return self.folder / "workshop.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def instructor(self, *argv: str, minute: float = 0.0, options: bool = True) -> Done:
        """Run the instructor's command at this minute of the class, with this workshop and this build."""
        given = ["--workshop", str(self.workshop_file), "--build", str(self.build)] if options else []
        environment = {"PYTHONPATH": str(self.project), **self.environment()}
        at = self.begins + 60 * minute
        command = ["-m", "instructor.cli", *argv, *given]
        done = self.launcher.run(command, self.folder, at, environment=environment)
        self.note("instructor", minute, " ".join(["instructor", *argv]), done)
        return done

    def demand(self, *argv: str, minute: float = 0.0) -> Done:
        """The same where nothing can go on without it. Raises `LabError` with what it said."""
        done = self.instructor(*argv, minute=minute)
        if done.code:
            said = done.said.removeprefix("error: ")
            raise LabError(f"instructor {argv[0]} fails: {said}", hint=f"all of what it said: {self.log}")
        return done

    def environment(self) -> dict[str, str]:
        """What a command is told beside its arguments."""
        return {"OMP_NUM_THREADS": str(self.threads)} if self.threads else {}

    def trainer(self) -> dict[str, int]:
        """Settings that every training gets."""
        given = {"trainer.epochs": self.epochs, "trainer.threads": self.threads}
        return {key: value for key, value in given.items() if value}

    def training_s(self, share: float) -> float | None:
        """What a share of a training stands for in class; None: what it takes."""
        return None if self.pace_s is None else share * self.pace_s

    def note(self, who: str, minute: float, command: str, done: Done) -> None:
        """Keep what a command said. Raises `LabError` where it ended because this machine's disk is full."""
        head = f"── minute {minute:.1f}, {who}: {command}   ({done.seconds:.1f} s, exit code {done.code})"
        with self._writing, self.log.open("a", encoding="utf-8") as file:
            file.write(f"{head}\n{done.out}{done.err}\n")
        if done.code and any(text in done.err.lower() for text in _FULL):
            raise LabError(
                f"the disk is full: {done.said.removeprefix('error: ')}",
                hint=f"free some room at {self.folder}, and begin the rehearsal again",
            )

    def read_key(self) -> None:
        """Look up the answers, as an instructor does."""
        self.key = json.loads(self.demand("key", "--json").out)


def count_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
