"""What came out, compared with what the simulated groups did: runs, receipts, stages, wrong lists, places."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructor.rehearsal.launcher import Done
from instructor.rehearsal.player import Player
from instructor.results.ceremony import CEREMONY


@dataclass(frozen=True)
class Check:
    """What was compared, whether it agrees, and what was found."""

    name: str
    ok: bool
    found: str


@dataclass(frozen=True)
class Collected:
    """What `instructor collect --json` printed, and whether it is what it should be."""

    checks: list[Check] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)


def check_collected(done: Done, players: Sequence[Player], damaged: Sequence[Player]) -> Collected:
    """`players` must be in it with everything that they did; the zips of the `damaged` must be refused by name."""
    try:
        document = json.loads(done.out)
        rows = {row["group"]: row for row in document["groups"]}
    except (ValueError, KeyError, TypeError):
        return Collected([Check("instructor collect", False, f"it stops: {done.said}")])
    expected = 1 if damaged else 0
    ended = done.code == expected and (not damaged or "Traceback" not in done.err)
    checks = [Check("instructor collect", ended, f"exit code {done.code}" if ended else done.said)]
    for player in damaged:
        named = next((why for path, why in document["refused"].items() if player.zips[-1].name in path), "")
        checks.append(Check(f"{player.group}: its damaged zip", bool(named), named or "nobody says that it is damaged"))
    for player in players:
        checks.append(_check_group(player, rows.get(player.group), [found["receipt"] for found in document["found"]]))
    return Collected(checks, document)


def _check_group(player: Player, row: dict[str, Any] | None, receipts: Sequence[str]) -> Check:
    """Whether a group's runs, stages, wrong lists and receipt have arrived."""
    if row is None:
        return Check(f"{player.group}: what it did", False, "nothing of it was collected")
    pairs = {
        "finished runs": (len(player.trained), row["runs"]),
        "open stages": (len(player.opened), row["stages_open"]),
        "wrong lists": (sum(player.wrong.values()), row["wrong_answers"]),
    }
    faults = [f"{what}: it had {did}, {came} came" for what, (did, came) in pairs.items() if did != came]
    if player.receipts and player.receipts[-1] not in receipts:
        faults.append(f"its receipt {player.receipts[-1]} is not among those that came")
    said = ", ".join(f"{did} {what}" for what, (did, _) in pairs.items())
    return Check(f"{player.group}: what it did", not faults, "; ".join(faults) or said)


def check_kahoot(path: Path, places: dict[str, int]) -> list[Check]:
    """Whether Kahoot's places are those of the points that were written into the report."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = {row["group"]: int(row["rank"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError):
        return [Check("Kahoot's places", False, f"{path.name} is not there")]
    return [Check("Kahoot's places", found == places, f"{len(found)} groups")]


def check_ceremony(folder: Path, done: Done, players: Sequence[Player]) -> list[Check]:
    """Whether the ceremony is there, with every group in it."""
    page = folder / CEREMONY
    if done.code or not page.is_file():
        return [Check("instructor ceremony", False, done.said)]
    text = page.read_text(encoding="utf-8")
    missing = [player.group for player in players if player.group not in text]
    return [Check("instructor ceremony", not missing, f"missing: {', '.join(missing)}" if missing else "all groups")]
