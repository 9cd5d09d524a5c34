"""Small prizes beside the ranking, chosen under `prizes` in workshop.yaml; each is read from the facts.

    for prize in give_prizes(results):
        print(prize.title, prize.group, prize.reason)
    honours = honour_groups(results)       a kind word for every group, which is none of these prizes

They are spread: of the best three of each prize it goes to the one that has the fewest so far, the better first, and
where that is not the best one, the reason says who was. Where one group of several could win all of them, it gets one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from instructor.results.honours import Honour, closest_bet, give_honours, name_several, share_found
from instructor.results.results import Results
from lab_code.cli.printable import one_line

_RUNNING = 3  # the best so many of a prize may get it
_HONOURS = {"closest-bet": "Closest bet", "most-found": "Sharpest eye"}  # what both would say
_LONGEST = 160  # characters of a sentence on the wall


@dataclass(frozen=True)
class Prize:
    """One prize: its name in workshop.yaml, what it is called, who gets it, and why."""

    name: str
    title: str
    group: str
    reason: str


@dataclass(frozen=True)
class _Contest:
    """`measure` gives a group's value, the highest wins, or None where it takes no part; `say` puts it in words."""

    name: str
    title: str
    measure: Callable[[str], float | None]
    say: Callable[[str, float], str]


def give_prizes(results: Results) -> list[Prize]:
    """The prizes of this class in the order of workshop.yaml; those that nobody can get are left out."""
    groups = [standing.group for standing in results.standings.groups]
    prizes: list[Prize] = []
    for contest in _list_contests(results):
        values = {group: value for group in groups if (value := contest.measure(group)) is not None}
        if values:
            prizes.append(_give(contest, values, prizes))
    alone = len({prize.group for prize in prizes}) == 1 and len(groups) > 1
    return prizes[:1] if alone else prizes


def honour_groups(results: Results) -> dict[str, Honour]:
    """One honour a group (`honours.py`), but nothing that is a prize already."""
    prizes = {_HONOURS.get(prize.name.partition(" ")[0], "") for prize in give_prizes(results)}
    return give_honours(results, without=prizes)


def _give(contest: _Contest, values: dict[str, float], before: Sequence[Prize]) -> Prize:
    """To whom of the best three it goes: whoever has the fewest prizes so far, of these the better one."""
    ranked = sorted(values, key=lambda group: -values[group])
    best = [group for group in ranked if values[group] >= values[ranked[min(len(ranked), _RUNNING) - 1]]]
    winner = min(best, key=lambda group: sum(prize.group == group for prize in before))
    reason = contest.say(winner, values[winner])
    if values[winner] < values[ranked[0]]:
        reason += f" (after {ranked[0]}, which has a prize already)"
    return Prize(contest.name, contest.title, winner, reason)


def _list_contests(results: Results) -> list[_Contest]:
    contests: list[_Contest] = []
    for name in results.workshop.prizes:
        kind, _, which = name.partition(" ")
        contests += _KINDS[kind](results, name, which)
    return contests


def _first_to_open(results: Results, name: str, _: str) -> list[_Contest]:
    """One prize a stage. What counts is the time since the group began, so laptops whose clocks are wrong take part."""

    def make(number: int) -> _Contest:
        def measure(group: str) -> float | None:
            entry = next(entry for entry in results.evidence.groups if entry.group == group)
            ahead = entry.stages[:number]
            minutes = [stage["minutes"] for stage in ahead]
            opened = len(ahead) == number and ahead[-1]["opened"] == "answers"
            return -sum(minutes) if opened and None not in minutes else None

        return _Contest(
            name, f"First to open stage {number}", measure,
            lambda _, value: f"open after {-value:.0f} minutes" if value <= -1 else "open in under a minute",
        )  # fmt: skip

    return [make(number) for number in range(1, len(results.workshop.stages) + 1)]


def _closest_bet(results: Results, name: str, _: str) -> list[_Contest]:
    return [
        _Contest(
            name, "Closest bet", lambda group: closest_bet(results, group),
            lambda _, value: f"knew a score beforehand, but for {-value:.3f}",
        )
    ]  # fmt: skip


def _best_sentence(results: Results, name: str, _: str) -> list[_Contest]:
    def measure(group: str) -> float | None:
        given = [row.get("stars", "") for row in results.opinions.reviews_of(group)]
        stars = [int(text) for text in given if text in ("1", "2", "3", "4", "5")]
        return sum(stars) / len(stars) if stars and results.opinions.written_by(group) else None

    def say(group: str, value: float) -> str:
        return f"{value:.1f} of 5 from its reviewers: “{one_line(results.opinions.written_by(group)[0], _LONGEST)}”"

    return [_Contest(name, "Best sentence", measure, say)]


def _most_found(results: Results, name: str, which: str) -> list[_Contest]:
    code = which or results.evidence.dataset.spotlight
    several = name_several(results, code)
    return [
        _Contest(
            name, f"Most {several} found", lambda group: share_found(results, group, code),
            lambda _, value: f"its best model recognised {100 * value:.0f} % of the hidden {several}",
        )
    ]  # fmt: skip


def _relay(results: Results, name: str, _: str) -> list[_Contest]:
    def measure(group: str) -> float | None:
        agreeing = [relay for relay in results.relays if relay.counts and group in (relay.maker, relay.repeater)]
        return len(agreeing) or None

    def say(group: str, value: float) -> str:
        pairs = {relay.maker if relay.repeater == group else relay.repeater
                 for relay in results.relays if relay.counts and group in (relay.maker, relay.repeater)}  # fmt: skip
        return f"{value:.0f} run{'s' * (value != 1)} with the same digits in two kits, with {', '.join(sorted(pairs))}"

    return [_Contest(name, "Relay", measure, say)]


def _duel(results: Results, name: str, _: str) -> list[_Contest]:
    played = results.duel
    if played is None:
        return []
    return [
        _Contest(
            name, "Human against machine", lambda group: played.groups.get(group) or None,
            lambda _, value: f"{value:.0f} of {played.photographs} photographs right, the network {played.machine}",
        )
    ]  # fmt: skip


_KINDS: dict[str, Callable[[Results, str, str], list[_Contest]]] = {
    "first-to-open": _first_to_open,
    "closest-bet": _closest_bet,
    "best-sentence": _best_sentence,
    "most-found": _most_found,
    "relay": _relay,
    "duel": _duel,
}
