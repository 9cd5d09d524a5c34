"""What a group says, in `statements.json`: a bet before each of its runs, one honest sentence after, a duel's answers.

A bet is the balanced accuracy that a run will reach, and why. It can be changed until there is a score to be seen of
that run, and then stands; the journal notes when it was made. The bet on `own` is the prediction for the group's own
experiment, and says what it changes. All of it travels with the hand-in.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.tracking.description import Notes, write_notes
from lab_code.tracking.runs import Run
from lab_code.workshop.kit import Kit
from lab_code.workshop.progress import append_event

STATEMENTS = "statements.json"
OWN = "own"  # stands for the first run that is none of those that every group makes
LONGEST = 500  # characters of a text
SCORE = "best_balanced_accuracy"  # of a run: what is bet on
_MOST_BETS, _MOST_ANSWERS, _LONGEST_ANSWER = 50, 50, 40


@dataclass(frozen=True)
class Bet:
    """`run` is the name of a run, or `own`; `score` the balanced accuracy that it will reach."""

    run: str
    score: float
    why: str = ""
    change: str = ""  # of the own experiment: the one thing that it changes


@dataclass(frozen=True)
class Duel:
    """What a group thinks of the photographs on the wall (`duel.py`): one diagnosis each, and the code beside them."""

    code: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Statements:
    """All that a group has said."""

    bets: tuple[Bet, ...] = ()
    sentence: str = ""
    duel: Duel | None = None

    def bet_on(self, run: str) -> Bet | None:
        """The bet on this run; None where there is none."""
        return next((bet for bet in self.bets if bet.run == run), None)


def read_statements(root: Path) -> Statements:
    """What was said so far; nothing where there is no file. Raises `LabError` where it cannot be read."""
    path = root / STATEMENTS
    try:
        return statements_from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Statements()
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint=f"remove {STATEMENTS}, and bet again") from error


def statements_from_json(document: dict[str, Any]) -> Statements:
    """The statements in a parsed file. Raises what Python raises where it holds none: it may come from elsewhere."""
    bets = [
        Bet(str(entry["run"]), float(entry["score"]), str(entry["why"]), str(entry["change"]))
        for entry in document["bets"][:_MOST_BETS]
    ]
    if any(not 0 <= bet.score <= 1 for bet in bets):
        raise ValueError("a bet is no number from 0 to 1")
    shortened = [
        replace(bet, run=bet.run[:LONGEST], why=bet.why[:LONGEST], change=bet.change[:LONGEST]) for bet in bets
    ]
    return Statements(tuple(shortened), str(document["sentence"])[:LONGEST], _duel_from_json(document.get("duel")))


def _duel_from_json(document: dict[str, Any] | None) -> Duel | None:
    if document is None:
        return None
    answers = tuple(str(answer)[:_LONGEST_ANSWER] for answer in document["answers"][:_MOST_ANSWERS])
    return Duel(str(document["code"])[:_LONGEST_ANSWER], answers)


def place_bet(kit: Kit, bet: Bet, runs: Sequence[Run]) -> Bet | None:
    """Keep a bet in the place of an earlier one on the same run, which is returned.

    Raises `LabError` for what is no share, a text that is too long, and a run of which a score can be seen already.
    """
    if not 0 <= bet.score <= 1:
        raise LabError(
            f"the bet is {bet.score:g}, but balanced accuracy lies between 0 and 1", hint=f"lab bet {bet.run} 0.5"
        )
    _check_length(why=bet.why, change=bet.change)
    about = runs_of(bet.run, runs, experiments_of(kit))
    seen = next((run for run in about if any(key.endswith("balanced_accuracy") for key in run.metrics)), None)
    if seen is not None:
        raise LabError(
            f"run '{seen.name}' has scores already: a bet is made before its run", hint="bet on the next one"
        )
    said = read_statements(kit.root)
    others = tuple(other for other in said.bets if other.run != bet.run)
    write_statements(kit.root, replace(said, bets=(*others, bet)))
    append_event(kit.root, "bet", run=bet.run, score=bet.score)
    return said.bet_on(bet.run)


def write_sentence(root: Path, text: str) -> None:
    """Keep the honest sentence. Raises `LabError` for an empty one, or one that is too long."""
    if not text.strip():
        raise LabError(
            "the sentence is empty", hint='write one, in quotes: lab sentence "what was changed, and what it did"'
        )
    _check_length(sentence=text)
    write_statements(root, replace(read_statements(root), sentence=text.strip()))
    append_event(root, "sentence")


def experiments_of(kit: Kit) -> list[str]:
    """The experiments that every group runs: those that its stages bring, but for the last, which is only an idea."""
    brought = [Path(path).stem for stage in kit.stages for path in stage.opens if "/experiment/" in path]
    return brought[:-1]


def runs_of(name: str, runs: Sequence[Run], experiments: Collection[str]) -> list[Run]:
    """The runs that a bet is about: those of its name, or all that are a group's own."""
    single = [run for run in runs if not run.is_group and not run.is_relay]
    return [run for run in single if (run.name not in experiments if name == OWN else run.name == name)]


def find_result(bet: Bet, runs: Sequence[Run], experiments: Collection[str]) -> Run | None:
    """The first finished run that a bet is about; None before there is one."""
    about = runs_of(bet.run, runs, experiments)
    return next((run for run in about if run.status == "FINISHED" and SCORE in run.metrics), None)


def describe_result(bet: Bet, result: float) -> str:
    """How far a bet was from what came out, in words."""
    off = round(result, 3) - round(bet.score, 3)
    if abs(off) < 0.0005:
        return f"your bet was {bet.score:.3f}: exactly"
    return f"your bet was {bet.score:.3f}: {abs(off):.3f} too {'low' if off > 0 else 'high'}"


def describe_runs(kit: Kit, runs: Sequence[Run]) -> None:
    """Write what was said into the descriptions of the runs it is about, where MLflow's page shows it.

    The sentence is about the experiments that every group makes, a bet about the run that it was placed on.
    """
    said, experiments = read_statements(kit.root), experiments_of(kit)
    for name in (*experiments, OWN):
        bet, sentence = said.bet_on(name), "" if name == OWN else said.sentence
        found = find_result(bet or Bet(name, 0.0), runs, experiments)
        if found is not None and (bet or sentence):
            notes = Notes(bet.score if bet else None, bet.why if bet else "", sentence)
            write_notes(kit.root, found.run_id, notes)


def _check_length(**texts: str) -> None:
    for name, text in texts.items():
        if len(text) > LONGEST:
            raise LabError(f"'{name}' has {len(text)} characters", hint=f"at most {LONGEST}, please")


def write_statements(root: Path, said: Statements) -> None:
    """Replace all that the group has said."""
    write_whole(root / STATEMENTS, to_json(asdict(said)))
