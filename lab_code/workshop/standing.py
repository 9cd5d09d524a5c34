"""Where a group stands, in one small record: what the instructor's clock and the board show of it.

    standing = read_standing(read_kit(folder))

It holds no answer to the quiz, no sentence, no name that the group typed; of human against machine its list, which is
no secret once it is sent. It is read in milliseconds, and travels as JSON;
`standing_from_json` takes nothing that is not exactly that.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from lab_code.errors import LabError
from lab_code.tracking.runs import Run, read_runs
from lab_code.workshop.attempts import count_wrong_in_a_row
from lab_code.workshop.kit import Kit
from lab_code.workshop.points import count_points
from lab_code.workshop.progress import Journal, read_journal
from lab_code.workshop.statements import SCORE, experiments_of, find_result, read_statements

_MOST = 100_000  # of anything that is counted
_LONGEST = 1500  # characters of a duel's answers
_EARLIER: dict[str, Any] = {"surprise": None, "duel": ""}  # what a kit that knows nothing of them says of these


@dataclass(frozen=True)
class Standing:
    """One group at one moment."""

    group: str
    opened: int  # stages
    rescued: int  # of these, by a rescue code
    stages: int
    wrong: int  # wrong lists in a row at the stage that is next
    hints: int
    points: int
    runs: int  # that are finished
    training: bool
    best: float | None  # balanced accuracy on the validation photographs, of the best finished run
    surprise: float | None  # by how much the run that was farthest from its bet came out above it (below: negative)
    handed_in: int
    events: int  # lines of the journal: whether anything has happened since
    duel: str = ""  # its code, and then one answer a photograph, with blanks between them


def read_standing(kit: Kit) -> Standing:
    """From the kit's own files. A store that cannot be read counts as no runs: the kit itself says what is wrong."""
    journal = read_journal(kit.root)
    runs = _read_runs(kit)
    finished = [run for run in runs if run.status == "FINISHED" and not run.is_group]
    own = [run for run in finished if not run.is_relay]
    scores = [score for run in own if (score := run.metrics.get(SCORE)) is not None and math.isfinite(score)]
    opened = [stage for stage in kit.stages if journal.unlocked(stage.id)]
    following = next((stage for stage in kit.stages if stage not in opened), None)
    return Standing(
        group=kit.group,
        opened=len(opened),
        rescued=sum(journal.of("unlocked", stage.id)[0].get("by") == "rescue" for stage in opened),
        stages=len(kit.stages),
        wrong=count_wrong_in_a_row(journal, following.id) if following else 0,
        hints=len(journal.of("hint")),
        points=count_points(journal, [stage.id for stage in kit.stages], kit.points),
        runs=len(finished),
        training=any(run.status == "RUNNING" for run in runs),
        best=max(scores, default=None),
        surprise=_find_surprise(kit, runs),
        handed_in=len(journal.of("handed_in")),
        events=_count_events(journal),
        duel=_read_duel(kit),
    )


def standing_to_json(standing: Standing) -> dict[str, Any]:
    """The record as it travels."""
    return asdict(standing)


def standing_from_json(document: object) -> Standing:
    """The record of a message from elsewhere. Raises ValueError where it is not exactly one.

    Kits of earlier versions say nothing of a duel and of a surprise.
    """
    if not isinstance(document, dict) or set(document) | set(_EARLIER) != set(Standing.__dataclass_fields__):
        raise ValueError("it is no standing")
    document = _EARLIER | document
    duel = document["duel"]
    if not isinstance(duel, str) or not duel.isprintable() or len(duel) > _LONGEST:
        raise ValueError("its answers to a duel cannot be")
    group, training = document["group"], document["training"]
    counts = [document[name] for name in document if name not in ("group", "best", "surprise", "training", "duel")]
    if not isinstance(group, str) or not isinstance(training, bool):
        raise ValueError("a value in it has another type")
    if not all(type(count) is int and 0 <= count <= _MOST for count in counts):
        raise ValueError("a number in it cannot be")
    best, surprise = (_check_share(document[name], lowest) for name, lowest in (("best", 0), ("surprise", -1)))
    if not document["rescued"] <= document["opened"] <= document["stages"]:
        raise ValueError("its stages cannot be")
    return Standing(**{**document, "best": best, "surprise": surprise})


def _check_share(value: object, lowest: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, float | int) or not lowest <= value <= 1:
        raise ValueError("its score cannot be")
    return float(value)


def _find_surprise(kit: Kit, runs: list[Run]) -> float | None:
    """How far the run that was farthest from its bet came out above it; None where no bet has come out yet."""
    try:
        bets = read_statements(kit.root).bets
    except LabError:
        return None
    experiments = experiments_of(kit)
    results = [(bet, find_result(bet, runs, experiments)) for bet in bets]
    off = [run.metrics[SCORE] - bet.score for bet, run in results if run is not None]
    return max((gap for gap in off if math.isfinite(gap)), key=abs, default=None)


def _read_duel(kit: Kit) -> str:
    try:
        duel = read_statements(kit.root).duel
    except LabError:
        return ""
    return "" if duel is None else " ".join([duel.code, *duel.answers])[:_LONGEST]


def _read_runs(kit: Kit) -> list[Run]:
    try:
        return read_runs(kit.root)
    except LabError:
        return []


def _count_events(journal: Journal) -> int:
    return min(_MOST, len(journal.events))
