"""What must hold in a workshop.yaml beyond its schema; each mistake is named with file, line and fix."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from instructor.classroom.schedule import check_schedule
from instructor.schema import find_line
from lab_code.errors import LabError, suggest
from lab_code.workshop.plan import HAND_IN, TRAIN, UNLOCK

if TYPE_CHECKING:
    from instructor.workshop import Scoring, Workshop

MOST_GROUPS, MOST_STAGES = 60, 8
PARTS = ("model", "stages", "management", "kahoot", "relay")  # of the final ranking
PRIZES = ("first-to-open", "closest-bet", "best-sentence", "most-found", "relay", "duel")
SPAWNERS = ("simple", "systemd", "docker", "kubernetes")
_OF_A_CLASS = "most-found"  # the prize that may say of which class, as `most-found mel`; else the data set's spotlight


def check_workshop(path: Path, workshop: "Workshop", experiments: Sequence[str]) -> None:
    """Raise `LabError` for the first mistake; `experiments` are those that its kits have, or open."""
    _check_names(path, workshop)
    _check_counts(path, workshop)
    ranges = _check_ranges(workshop) | _check_scoring(workshop.scoring) | _check_servers(workshop)
    for key, holds in (ranges | workshop.rehearsal.check()).items():
        if not holds:
            where = f"{path}{find_line(path, key)}"
            raise LabError(f"{where}: {key} is out of range", hint="the comments in the file say what is meant")
    _check_prizes(path, workshop.prizes)
    _check_hub(path, workshop)
    _check_activity(path, workshop, experiments)
    check_schedule(path, workshop.schedule, workshop.activity_minutes)


def _check_names(path: Path, workshop: "Workshop") -> None:
    """Raise `LabError` for a name that cannot be a folder's on every system."""
    names = [
        ("id", workshop.id),
        *(("groups", g) for g in workshop.groups),
        *(("stages", s.id) for s in workshop.stages),
    ]
    for key, name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
            raise LabError(f"{path}: {key}: '{name}' cannot be a folder's name", hint="use a-z, 0-9 and dashes")


def _check_ranges(workshop: "Workshop") -> dict[str, bool]:
    data = workshop.data
    return {
        "data.images": data.images >= 70,
        "data.test_images": data.test_images >= 7,
        "data.image_size": 16 <= data.image_size <= 512,
        "data.stored_size": 16 <= data.stored_size <= 2000,
        "data.test_fraction": 0 < data.test_fraction < 1,
        "data.difficulty": 0 < data.difficulty <= 1,
        "data.test_imbalance": 0 <= data.test_imbalance <= 1,
        "stages.questions": all(1 <= stage.questions <= 12 for stage in workshop.stages),
        "kahoot_teams": workshop.kahoot_teams in ("mean", "sum"),
        "paper": workshop.paper in ("a4", "us-letter"),
        "activity_minutes": 1 <= workshop.activity_minutes <= 600,
        "board.report_to": re.fullmatch(r"(https?://[\w.\[\]:-]+/?)?", workshop.board.report_to) is not None,
        "points": all(0 <= n <= 1000 for n in (workshop.points.stage, workshop.points.rescued, *workshop.points.hints)),
        "limits.seconds": 1 <= workshop.limits.seconds <= 36_000,
        "limits.memory_mb": 500 <= workshop.limits.memory_mb <= 1_000_000,
        "limits.unpacked_mb": 1 <= workshop.limits.unpacked_mb <= 100_000,
        "limits.rows": 1000 <= workshop.limits.rows <= 1_000_000_000,
        "locks": 8 <= workshop.locks.memory_kib <= 262_144 and 1 <= workshop.locks.iterations <= 16,
    }


def _check_counts(path: Path, workshop: "Workshop") -> None:
    """Raise `LabError` for no groups or stages, for equal ones, and for more than there are marks and minutes for."""
    stages = [stage.id for stage in workshop.stages]
    for key, values, most in (("groups", workshop.groups, MOST_GROUPS), ("stages", stages, MOST_STAGES)):
        if not values or len(set(values)) != len(values):
            raise LabError(
                f"{path}: {key} must be there and differ from each other", hint=f"found: {', '.join(values)}"
            )
        if len(values) > most:
            hint = f"1 to {most}; teach the others in a second workshop: instructor new"
            raise LabError(f"{path}{find_line(path, key)}: {len(values)} {key}, at most {most}", hint=hint)


def _check_prizes(path: Path, prizes: list[str]) -> None:
    """Raise `LabError` for a prize that does not exist, or is listed twice."""
    where = f"{path}{find_line(path, 'prizes')}: prizes"
    known = ", ".join(f"{name} mel" if name == _OF_A_CLASS else name for name in PRIZES)
    for number, prize in enumerate(prizes):
        kind, _, which = prize.partition(" ")
        if kind not in PRIZES or (which and kind != _OF_A_CLASS) or not re.fullmatch(r"[\w -]{0,60}", which):
            raise LabError(f"{where}: there is no prize '{prize}'", hint=f"{suggest(kind, PRIZES)}known: {known}")
        if prize in prizes[:number]:
            raise LabError(f"{where}: '{prize}' is listed twice", hint="remove one of the two")


def _check_activity(path: Path, workshop: "Workshop", experiments: Sequence[str]) -> None:
    """Raise `LabError` where the sections take another time than the activity, or end with what does not exist."""
    sections = workshop.schedule.activity
    minutes = sum(section.minutes for section in sections)
    if sections and minutes != workshop.activity_minutes:
        raise LabError(
            f"{path}: the sections of schedule.activity take {minutes} minutes together, but activity_minutes is "
            f"{workshop.activity_minutes}",
            hint="change one of the two",
        )
    known = [f"{UNLOCK} {stage.id}" for stage in workshop.stages]
    known += [f"{TRAIN} {name}" for name in experiments] + [HAND_IN]
    for number, section in enumerate(sections, 1):
        where = f"{path}: schedule.activity, entry {number}"
        if section.minutes < 1:
            raise LabError(f"{where}: {section.minutes} minutes", hint="write a whole number, 1 or more")
        if section.until and section.until not in known:
            hint = f"{suggest(section.until, known)}until can be: {', '.join(known)}"
            raise LabError(f"{where}: nothing ends with '{section.until}'", hint=hint)


def _check_hub(path: Path, workshop: "Workshop") -> None:
    """Raise `LabError` for a spawner that does not exist, or a user of no group."""
    hub = workshop.hub
    if hub.spawner not in SPAWNERS:
        hint = f"{suggest(hub.spawner, SPAWNERS)}hub.spawner can be: {', '.join(SPAWNERS)}"
        raise LabError(f"{path}{find_line(path, 'hub.spawner')}: there is no spawner '{hub.spawner}'", hint=hint)
    for user, group in hub.users.items():
        if group not in workshop.groups:
            where = f"{path}{find_line(path, f'hub.users.{user}')}: hub.users"
            hint = f"{suggest(group, workshop.groups)}groups: {', '.join(workshop.groups)}"
            raise LabError(f"{where}: {user} belongs to '{group}', which is no group", hint=hint)


def _check_servers(workshop: "Workshop") -> dict[str, bool]:
    hub, server = workshop.hub, workshop.server
    return {
        "server.report_to": re.fullmatch(r"(https?://[\w.\[\]:-]+/?)?", server.report_to) is not None,
        "server.address": re.fullmatch(r"[\w.:-]+", server.address) is not None,
        "server.port": 1 <= server.port <= 65_535,
        "server.workers": 1 <= server.workers <= 64,
        "server.database": re.fullmatch(r"(postgresql(\+\w+)?://\S+/\w+)?", server.database) is not None,
        "hub.authenticator": re.fullmatch(r"[\w.-]*", hub.authenticator) is not None,
        "hub.address": re.fullmatch(r"[\w.:-]+", hub.address) is not None,
        "hub.port": 1 <= hub.port <= 65_533,  # the two after it are the hub's own
        "hub.memory_mb": 500 <= hub.memory_mb <= 1_000_000,
        "hub.cpus": 0.1 <= hub.cpus <= 256,
        "hub.at_once": 1 <= hub.at_once <= 1000,
    }


def _check_scoring(scoring: "Scoring") -> dict[str, bool]:
    weights = {name: getattr(scoring, name) for name in PARTS}
    return {
        **{f"scoring.{name}": 0 <= points <= 1000 for name, points in weights.items()},
        "scoring": any(weights.values()),
        "scoring.certainty": 0.5 < scoring.certainty < 1,
        "scoring.resamplings": 100 <= scoring.resamplings <= 100_000,
        "scoring.wrong_list": 0 <= scoring.wrong_list <= 1,
        "scoring.late": 0 <= scoring.late <= 1,
    }
