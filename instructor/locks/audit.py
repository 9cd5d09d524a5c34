"""How long would guessing take? An honest estimate for every stage, with a verdict and the cheapest fix.

Two guessers are measured. One writes a program that tries every list of answers: all options, every set of them for
several, every number that is written in the kit (or, where the answer is not among those, all with as many digits),
every file or name. The other is lazy (`guesser.py`): it takes what lies at hand first. One guess costs one key
derivation, timed here; a lock cannot be guessed faster than that on more cores than there are. A room code multiplies
everything by its number of word combinations. The verdict is about the lazy one, in the group that it opens soonest.
"""

import json
import math
import os
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from instructor.locks.guesser import DEFINED, NUMBERS, lists_needed, read_texts
from instructor.locks.room_code import room_code_bits
from instructor.quizbank.bank import NAME, SEVERAL
from instructor.quizbank.variants import COMMAND, GroupQuestion
from instructor.workshop import LockCost, Workshop, trees_of
from lab_code.workshop.attempts import pause_after
from lab_code.workshop.locks import derive_answer_key
from lab_code.workshop.quiz import canonical_answer

CORES = (1, 8, 64)
_OPTIONS, _TYPICAL_NUMBERS = 4, 100


@dataclass(frozen=True)
class StageAudit:
    """One stage: lists of answers there are (in the group that has fewest), and lists that a lazy guesser tries."""

    stage: str
    title: str
    combinations: int
    lazy: tuple[int, ...]  # one a group
    rest: int | None  # lists that are left for whoever looks up what a command shows; None: no question is of that kind
    room_code: bool
    guess_s: float  # one key derivation on one core
    activity_s: float

    @property
    def quickest(self) -> int:
        """Lists that the lazy guesser tries in the group that it opens soonest."""
        return min(self.lazy)

    @property
    def median(self) -> int:
        return round(statistics.median(self.lazy))

    def seconds(self, cores: int, lists: int | None = None) -> float:
        """Time to try so many lists; left out: the quickest group's."""
        room_codes = 2 ** (room_code_bits() if self.room_code else 0)
        return (self.quickest if lists is None else lists) * room_codes * self.guess_s / cores

    def seconds_by_hand(self, lists: int | None = None) -> float:
        """Time to type them into `lab unlock`, which makes people wait after wrong ones."""
        lists = self.quickest if lists is None else lists
        first = sum(pause_after(wrong) for wrong in range(min(lists, 10)))
        longest = pause_after(lists) * max(0, lists - 10)
        return lists * self.guess_s + first + longest

    @property
    def holds(self) -> bool:
        """Whether a lazy program on an eight-core laptop needs longer than the activity."""
        return self.seconds(8) > self.activity_s

    @property
    def verdict(self) -> str:
        if self.seconds(64) > self.activity_s:
            return "holds"
        if self.holds:
            return "holds on a laptop, not on a server"
        return "holds on one core, not on eight" if self.seconds(1) > self.activity_s else "a program opens it in class"

    @property
    def fix(self) -> str:
        """The cheapest change that makes the lock hold on 64 cores; empty where it does."""
        missing = self.activity_s / self.seconds(64)
        if missing <= 1:
            return ""
        if missing <= _OPTIONS:
            return "one more question"
        if missing <= _TYPICAL_NUMBERS:
            return "one more question that asks for a number"
        return "a room code (locks.room_code: true)"


def audit_locks(
    workshop: Workshop,
    variants: dict[str, dict[str, list[GroupQuestion]]],
    guess_s: float,
    project: Path | None = None,
    data: Path | None = None,
) -> list[StageAudit]:
    """One audit a stage.

    `variants` are the questions of every group, `guess_s` is what `time_guess` measured, `data` are the kits'
    photographs where they are prepared.
    """
    project = project or workshop.home
    written: set[str] = set()
    for tree in trees_of(project, "lab_code"):
        written |= candidates_in(tree)
    audits = []
    for number, stage in enumerate(workshop.stages):
        texts = read_texts(project, [earlier.id for earlier in workshop.stages[:number]], data)
        questions = [variant[stage.id] for variant in variants.values()]
        audits.append(
            StageAudit(
                stage.id,
                stage.title,
                min(count_combinations(asked, written) for asked in questions),
                tuple(lists_needed(asked, texts) for asked in questions),
                min((left for asked in questions if (left := _count_rest(asked, written))), default=None),
                workshop.locks.room_code,
                guess_s,
                workshop.activity_minutes * 60,
            )
        )
    return audits


def _count_rest(questions: list[GroupQuestion], written: set[str]) -> int | None:
    """Lists that are left for whoever has looked up what a command shows; None where there is nothing of that kind."""
    rest = [question for question in questions if COMMAND not in question.source.tags]
    return count_combinations(rest, written) if len(rest) < len(questions) else None


def count_combinations(questions: list[GroupQuestion], written: set[str]) -> int:
    """Lists of answers that a guesser must try."""
    return math.prod(_count_answers(question, written) for question in questions)


def _count_answers(question: GroupQuestion, written: set[str]) -> int:
    options = len(question.shown.options)
    if question.shown.kind == SEVERAL:
        return 2**options - 1
    if question.shown.kind == NAME:
        is_file = "." in question.answer
        return max(1, sum(("." in name) == is_file for name in written if not NUMBERS.fullmatch(name)))
    return options or count_numbers(question.answer, written)


def count_numbers(answer: str, written: set[str]) -> int:
    """Numbers that a guesser tries before or with this one: those in the kit, or all with as many digits."""
    numbers = [text for text in written if NUMBERS.fullmatch(text)]
    if answer in numbers:
        return len(numbers)
    digits = re.sub(r"\D", "", answer).lstrip("0")
    places = len(digits) + 1 if "." in answer else 1
    return places * 10 ** max(1, len(digits))


def candidates_in(root: Path) -> set[str]:
    """Every number in the code and the settings below `root`, every file and every name that the code defines."""
    found: set[str] = set()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".yaml"):
            text = path.read_text(encoding="utf-8")
            found |= {canonical_answer(number) for number in NUMBERS.findall(text)}
            found |= {path.name.lower(), *(name.lower() for name in DEFINED.findall(text))}
    return found


def time_guess(cost: LockCost, repeats: int = 3) -> float:
    """Seconds for one key derivation on one core of this machine, whatever else it is at: the median of several."""
    header = {"kdf": vars(cost)}
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        derive_answer_key(["1"], None, None, os.urandom(16), header)
        times.append(time.thread_time() - started)
    return statistics.median(times)


def describe_seconds(seconds: float) -> str:
    """`0.9 s`, `64 s`, `18 min`, `5 h`, `9 days`, `400 years`."""
    for limit, unit, size in ((90, "s", 1), (5400, "min", 60), (48 * 3600, "h", 3600), (2 * 31_557_600, "days", 86400)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 and unit == "s" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 31_557_600:,.0f} years"


def audits_to_json(audits: list[StageAudit]) -> str:
    """For programs: lists, seconds by number of cores for the quickest group and for all lists, and the verdict."""
    return json.dumps(
        [
            {
                "stage": audit.stage,
                "combinations": audit.combinations,
                "lazy": {"quickest": audit.quickest, "median": audit.median, "most": max(audit.lazy)},
                "after_the_command": audit.rest,
                "room_code": audit.room_code,
                "guess_s": round(audit.guess_s, 4),
                "seconds": {str(cores): round(audit.seconds(cores), 1) for cores in CORES},
                "seconds_all": {str(cores): round(audit.seconds(cores, audit.combinations), 1) for cores in CORES},
                "seconds_by_hand": round(audit.seconds_by_hand()),
                "holds": audit.holds,
                "verdict": audit.verdict,
                "fix": audit.fix,
            }
            for audit in audits
        ],
        indent=2,
    )
