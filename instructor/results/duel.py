"""Human against machine: what was shown, who answered what, and how many each got right.

    duel = read_duel(vault_folder)                         # what `instructor duel` has chosen; it stays in the vault
    notes = settle_duel(vault_folder, collected, groups)   # writes duel.json and duel.csv into the collected folder
    result = read_duel_result(collected)                   # for the ceremony; None where no duel was played

Answers come from hand-ins (`duel-answers.csv`), and, of groups that have handed in none, from what was typed on the
page; the class's own vote by hand only from there. Where nobody counted hands, the class says what most groups said.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from instructor.collect.table import write_table
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole

CHOSEN, PLAYED = "duel.json", "duel-played.json"  # in the vault
ANSWERS, RESULT, TABLE = "duel-answers.csv", "duel.json", "duel.csv"  # in the collected folder
ANSWER_COLUMNS = ("group", "code", "answers")
HandedIn = tuple[str, str, list[str]]  # group, code, answers
_FORMAT = 1
_LARGEST = 200_000  # bytes of what the page saves


@dataclass(frozen=True)
class DuelPhotograph:
    """One photograph: what it is, what the machine says and how sure it is; pictures as data URIs."""

    image_id: str
    dx: str
    said: str
    sure: float
    picture: str = field(repr=False)
    heat: str = field(repr=False)  # where the machine looked, to lie over the picture
    where: str = ""  # the same in words
    how: str = ""  # it was found: Grad-CAM, or covering one place after the other


@dataclass(frozen=True)
class Duel:
    """What is shown. `choices` are the diagnoses in the order of their numbers."""

    workshop: str
    code: str
    seed: int
    run_id: str
    synthetic: bool
    choices: list[str]
    photographs: list[DuelPhotograph]

    @property
    def truth(self) -> list[str]:
        return [photograph.dx for photograph in self.photographs]


@dataclass(frozen=True)
class Played:
    """What the page has saved: the class's votes by hand and what groups called out; "" where nothing was said."""

    code: str
    votes: list[str]
    answers: dict[str, list[str]]


@dataclass(frozen=True)
class DuelResult:
    """How many of the photographs everybody got right; `humans` is None where nobody has answered anything."""

    code: str
    photographs: int
    machine: int
    humans: int | None
    groups: dict[str, int]

    @property
    def best(self) -> list[str]:
        """The groups that got most right."""
        return [group for group, right in self.groups.items() if right == max(self.groups.values())]


def write_duel(vault: Path, duel: Duel) -> None:
    """Keep what was chosen, for the instructor's eyes only."""
    write_whole(vault / CHOSEN, to_json({"format": _FORMAT, **asdict(duel)}), 0o600)


def read_duel(vault: Path) -> Duel | None:
    """What was chosen; None before the first duel. Raises `LabError` where the file is damaged."""
    path = vault / CHOSEN
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("format") != _FORMAT:
            raise LabError(f"{path} was written by another version", hint="instructor duel --new")
        return Duel(**{**document, "photographs": [DuelPhotograph(**one) for one in document["photographs"]]})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="instructor duel --new") from error


def describe_age(vault: Path) -> str:
    """When the duel that there is was made: perhaps for another class."""
    return f"{datetime.fromtimestamp((vault / CHOSEN).stat().st_mtime):%Y-%m-%d at %H:%M}"


def read_played(path: Path, duel: Duel, groups: Sequence[str]) -> Played:
    """What the page has saved. Raises `LabError` for another duel's, and for answers that cannot be."""
    again = "press S on the page's last scene, and name that file"
    try:
        if path.stat().st_size > _LARGEST:
            raise LabError(f"{path} is too large for what a duel saves", hint=again)
        document = json.loads(path.read_text(encoding="utf-8"))
        code, votes = str(document["code"]), [str(vote) for vote in document["votes"]]
        answers = {str(group): [str(one) for one in said] for group, said in document["answers"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise LabError(f"{path} is nothing that a duel has saved: {what}", hint=again) from error
    if code != duel.code:
        raise LabError(f"{path} is of the duel {code[:40]}, the present one is {duel.code}", hint=again)
    for who, said in {"the class": votes, **answers}.items():
        unknown = [one for one in said if one and one not in duel.choices]
        if len(said) != len(duel.photographs) or unknown or who not in ("the class", *groups):
            fault = f"'{unknown[0][:40]}' is none of the choices" if unknown else f"{len(said)} answers"
            raise LabError(f"{path}: what {who[:40]} has said cannot be ({fault})", hint=again)
    return Played(code, votes, answers)


def keep_played(vault: Path, played: Played) -> None:
    """Remember it, so that it counts whenever hand-ins are collected again."""
    write_whole(vault / PLAYED, to_json(asdict(played)), 0o600)


def check_answers(duel: Duel, code: str, answers: Sequence[str]) -> str:
    """What is wrong with a group's answers; empty where they count."""
    if code != duel.code:
        return f"its answers are to the duel {code}, the present one is {duel.code}"
    if len(answers) != len(duel.photographs):
        return f"{len(answers)} answers to {len(duel.photographs)} photographs"
    unknown = [answer for answer in answers if answer not in duel.choices]
    return f"'{unknown[0]}' is none of the choices" if unknown else ""


def read_answers(collected: Path) -> list[HandedIn]:
    """(group, code, answers) as groups have handed them in, the newest hand-in of a group first."""
    path = collected / ANSWERS
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return [(row["group"], row["code"], row["answers"].split()) for row in rows]
    except (KeyError, AttributeError) as error:
        raise LabError(f"{path} lacks a column: {error}", hint="make collect writes it again") from error


def choose_answers(
    duel: Duel, handed_in: Sequence[tuple[str, str, list[str]]]
) -> tuple[dict[str, list[str]], list[str]]:
    """The answers that count, one list a group; and why those of other groups do not."""
    counted: dict[str, list[str]] = {}
    faults: dict[str, str] = {}
    for group, code, answers in handed_in:
        fault = check_answers(duel, code, answers)
        if fault:
            faults.setdefault(group, fault)
        else:
            counted.setdefault(group, answers)
    return counted, [f"{group}: {fault}" for group, fault in faults.items() if group not in counted]


def score_duel(duel: Duel, answers: Mapping[str, Sequence[str]], votes: Sequence[str]) -> DuelResult:
    """Count. `votes` is what hands said of every photograph, "" where nobody counted them."""
    said = join_humans(duel, answers, votes)
    groups = {group: _count_right(duel, own) for group, own in answers.items()}
    machine = _count_right(duel, [photograph.said for photograph in duel.photographs])
    humans = _count_right(duel, said) if any(said) else None
    return DuelResult(duel.code, len(duel.photographs), machine, humans, groups)


def join_humans(duel: Duel, answers: Mapping[str, Sequence[str]], votes: Sequence[str]) -> list[str]:
    """What the class says of every photograph: its hands, or else most groups; nothing where two are equal."""
    said = []
    for number in range(len(duel.photographs)):
        vote = votes[number] if number < len(votes) else ""
        counts = Counter(own[number] for own in answers.values() if own[number]).most_common(2)
        tied = not counts or (len(counts) == 2 and counts[0][1] == counts[1][1])
        said.append(vote or ("" if tied else counts[0][0]))
    return said


def settle_duel(vault: Path, collected: Path, groups: Sequence[str]) -> list[str]:
    """Write `duel.json` and `duel.csv`, where there was a duel and somebody answered; returns notes about the rest.

    What is damaged in the vault is such a note: it stops no collecting.
    """
    try:
        return _settle(vault, collected, groups)
    except LabError as error:
        return [f"the duel is left out: {error.message} (hint: {error.hint})"]


def _settle(vault: Path, collected: Path, groups: Sequence[str]) -> list[str]:
    handed_in, duel = read_answers(collected), read_duel(vault)
    if duel is None:
        return [f"{group}: its answers are to the duel {code}, which this vault does not know"
                for group, code, _ in handed_in]  # fmt: skip
    answers, notes = choose_answers(duel, handed_in)
    played = read_played(vault / PLAYED, duel, groups) if _is_played(vault, duel) else Played(duel.code, [], {})
    answers = {group: said for group, said in played.answers.items() if any(said)} | answers
    answers = {group: answers[group] for group in groups if group in answers}
    if answers or any(played.votes):
        _write_result(collected, duel, answers, played.votes)
    return notes


def read_duel_result(collected: Path) -> DuelResult | None:
    """What came out; None where no duel was played. Raises `LabError` where the file is damaged."""
    path = collected / RESULT
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        groups = {str(group): int(side["right"]) for group, side in document["groups"].items()}
        humans = None if document["class"] is None else int(document["class"]["right"])
        return DuelResult(
            str(document["code"]), len(document["truth"]), int(document["machine"]["right"]), humans, groups
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="make collect writes it again") from error


def _is_played(vault: Path, duel: Duel) -> bool:
    """Whether what was saved belongs to this duel; that of an earlier one is left alone."""
    try:
        return bool(json.loads((vault / PLAYED).read_text(encoding="utf-8"))["code"] == duel.code)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _write_result(collected: Path, duel: Duel, answers: Mapping[str, Sequence[str]], votes: Sequence[str]) -> None:
    result, humans = score_duel(duel, answers, votes), join_humans(duel, answers, votes)
    machine = [photograph.said for photograph in duel.photographs]
    document = {
        "code": duel.code,
        "truth": duel.truth,
        "machine": {"right": result.machine, "answers": machine},
        "class": None if result.humans is None else {"right": result.humans, "answers": humans},
        "groups": {group: {"right": result.groups[group], "answers": list(own)} for group, own in answers.items()},
    }
    write_whole(collected / RESULT, to_json(document))
    columns = {"truth": duel.truth, "machine": machine, "class": humans, **answers}
    rows: list[dict[str, object]] = [
        {"photograph": number + 1, **{name: said[number] for name, said in columns.items()}}
        for number in range(len(duel.photographs))
    ]
    right = {name: _count_right(duel, said) for name, said in columns.items()}
    write_table(collected / TABLE, ["photograph", *columns], [*rows, {"photograph": "right", **right}])


def _count_right(duel: Duel, said: Sequence[str]) -> int:
    return sum(one == dx for one, dx in zip(said, duel.truth, strict=True))
