"""A kind word for every group: what it was best at, from the facts. No honour is given twice in a class.

    honours = give_honours(results)      {"group-1": Honour("Nerves of steel", "not one wrong list of answers"), …}

The last place chooses first, so the ceremony begins with something good.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from instructor.results.results import Results, find_idea


@dataclass(frozen=True)
class Honour:
    title: str
    reason: str


@dataclass(frozen=True)
class _Award:
    """`measure` gives a group's value, the highest wins, or None where it cannot win; `say` puts the value in words."""

    title: str
    measure: Callable[[Results, str], float | None]
    say: Callable[[float], str]


def give_honours(results: Results, without: Collection[str] = ()) -> dict[str, Honour]:
    """One honour a group, from the last place to the first; `without` those that are prizes already."""
    groups = [standing.group for standing in reversed(results.standings.groups)]
    values = {award.title: {group: award.measure(results, group) for group in groups} for award in _AWARDS}
    awards = [award for award in _AWARDS if award.title not in without]
    honours: dict[str, Honour] = {}
    given: set[str] = set()
    for group in groups:
        award = next((a for a in awards if a.title not in given and _leads(values[a.title], group)), None)
        if award is None:
            honours[group] = _thank(results, group)
            continue
        given.add(award.title)
        value = values[award.title][group]
        assert value is not None
        honours[group] = Honour(award.title, award.say(value).format(several=_spotlight_words(results)))
    return honours


def _leads(values: dict[str, float | None], group: str) -> bool:
    mine = values[group]
    return mine is not None and mine >= max(value for value in values.values() if value is not None)


def _thank(results: Results, group: str) -> Honour:
    runs = len(results.runs_of(group))
    return Honour("Everything came home", f"{runs} run{'s' * (runs != 1)} handed in, with settings, code and scores")


def _stages(results: Results, group: str) -> list[dict[str, Any]]:
    return next(entry.stages for entry in results.evidence.groups if entry.group == group)


def share_found(results: Results, group: str, code: str) -> float | None:
    """Which share of the hidden photographs of a class the group's best model recognised."""
    best = results.best_run_of(group) or {}
    value = best.get(f"test_sensitivity_{code}")
    return None if value is None or pd.isna(value) or value <= 0 else float(value)


def _spotlight(results: Results, group: str) -> float | None:
    """What the best run recognises of the class that matters most; without one there is no such award."""
    return share_found(results, group, results.evidence.dataset.spotlight)


def _spotlight_words(results: Results) -> str:
    return name_several(results, results.evidence.dataset.spotlight)


def name_several(results: Results, code: str) -> str:
    """A class as a sentence says several of it."""
    return next((one.several for one in results.evidence.dataset.classes if one.code == code), code)


def _leap(results: Results, group: str) -> float | None:
    idea = find_idea(results.runs_of(group))
    return idea.gain if idea and idea.gain > 0 else None


def _curiosity(results: Results, group: str) -> float | None:
    count = int((results.runs_of(group)["changes"] > 0).sum())
    return count if count > 1 else None


def _nerves(results: Results, group: str) -> float | None:
    stages = _stages(results, group)
    flawless = stages and all(stage["opened"] == "answers" and not stage["wrong"] for stage in stages)
    return float(len(stages)) if flawless else None


def _pace(results: Results, group: str) -> float | None:
    minutes = [stage["minutes"] for stage in _stages(results, group)]
    return None if not minutes or None in minutes else -sum(minutes)


def _seeds(results: Results, group: str) -> float | None:
    count = int(results.runs_of(group)["seed"].nunique())
    return count if count > 1 else None


def _persistence(results: Results, group: str) -> float | None:
    wrong = sum(stage["wrong"] for stage in _stages(results, group) if stage["opened"])
    return wrong if wrong > 1 else None


def _honesty(results: Results, group: str) -> float | None:
    best = results.best_run_of(group) or {}
    gap = best.get("test_balanced_accuracy", float("nan")) - best.get("validation_balanced_accuracy", float("nan"))
    return None if pd.isna(gap) else -abs(float(gap))


def _single_changes(results: Results, group: str) -> float | None:
    runs = results.runs_of(group)
    count = int(((runs["changes"] == 1) & ~runs["given"]).sum())
    return count or None


def closest_bet(results: Results, group: str) -> float | None:
    """The least that a bet of the group was off, below zero."""
    off = []
    for row in results.opinions.bets_of(group):
        with suppress(ValueError):
            off.append(abs(float(row.get("off", ""))))
    return -min(off) if off and min(off) <= 1 else None


def _hints(results: Results, group: str) -> float | None:
    return sum(len(stage["hints"]) for stage in _stages(results, group)) or None


def _say_singles(count: int) -> str:
    return "an experiment that changed one thing only" if count == 1 else f"{count} experiments that changed one thing"


_AWARDS = (
    _Award("Sharpest eye", _spotlight, lambda value: f"recognised {100 * value:.0f} % of the hidden {{several}}"),
    _Award("Biggest leap", _leap, lambda value: f"one experiment added {value:.3f} of balanced accuracy"),
    _Award("Nerves of steel", _nerves, lambda value: f"{value:.0f} stages opened without one wrong list of answers"),
    _Award("One thing at a time", _single_changes, lambda value: _say_singles(round(value))),
    _Award("Once is luck", _seeds, lambda value: f"asked chance {value:.0f} times, with another seed each"),
    _Award("Most curious", _curiosity, lambda value: f"{value:.0f} experiments after the first run"),
    _Award("Closest bet", closest_bet, lambda value: f"knew a score beforehand, but for {-value:.3f}"),
    _Award("No illusions", _honesty, lambda value: f"its own score was only {-value:.2f} away from the hidden one"),
    _Award("Quick readers", _pace, lambda value: f"all stages open after {max(1, round(-value))} minutes"),
    _Award("Never gave up", _persistence, lambda value: f"{value:.0f} wrong lists, and the locks opened all the same"),
    _Award(
        "Asked at the right moment", _hints, lambda value: f"{value:.0f} hint{'s' * (value != 1)}, and on they went"
    ),
)
