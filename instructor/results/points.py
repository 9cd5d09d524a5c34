"""From what is known of a class to its ranking: every part's points, and for each a line that explains them.

    standings = make_standings(workshop, evidence, runs, opinions, kahoot, relays)

Parts and weights are `scoring` in workshop.yaml. A part that nobody has (Kahoot before it is counted, a relay) is left
out for all. Points are rounded to a tenth, and equal totals share a place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd

from instructor.results.evidence import Evidence, GroupEvidence
from instructor.results.management import BASELINE, Check, check_management
from instructor.results.opinions import Opinions
from instructor.results.relays import Relay
from instructor.results.resampling import ModelRanking, rank_models
from instructor.workshop import Scoring, Workshop, find_experiments
from lab_code.workshop.plan import UNLOCK

_TITLES = {
    "model": "Model on the hidden photographs",
    "stages": "Stages",
    "management": "Experiment management",
    "kahoot": "Kahoot",
    "relay": "Relay",
}
_MOST_LOST = 0.5  # of a stage's points, by wrong lists


@dataclass(frozen=True)
class Line:
    """What a group got points for, or lost them by, in words."""

    points: float
    of: float
    text: str


@dataclass(frozen=True)
class Part:
    """One part of the score: its lines add up to its points."""

    name: str
    title: str
    lines: list[Line]

    @property
    def points(self) -> float:
        return round(sum(line.points for line in self.lines), 1)

    @property
    def of(self) -> float:
        return round(sum(line.of for line in self.lines), 1)


@dataclass(frozen=True)
class Standing:
    """A group's place: equal totals share one. `model_rank` is None where no model of it could be scored."""

    place: int
    group: str
    number: int  # of the group, counted from 1: its colour and shape
    parts: list[Part]
    model_rank: int | None

    @property
    def total(self) -> float:
        return round(sum(part.points for part in self.parts), 1)

    @property
    def of(self) -> float:
        return round(sum(part.of for part in self.parts), 1)


@dataclass(frozen=True)
class Standings:
    """All groups that handed in, the first place first; `models` says how surely their models can be told apart."""

    groups: list[Standing]
    models: ModelRanking
    absent: list[str] = field(default_factory=list)

    def of(self, group: str) -> Standing:
        return next(standing for standing in self.groups if standing.group == group)

    def has(self, part: str) -> bool:
        """Whether a part counts in this class."""
        return any(one.name == part for standing in self.groups for one in standing.parts)

    def sharing(self, standing: Standing) -> list[str]:
        """The other groups in the same place."""
        return [s.group for s in self.groups if s.place == standing.place and s.group != standing.group]


def make_standings(
    workshop: Workshop,
    evidence: Evidence,
    runs: pd.DataFrame,
    opinions: Opinions,
    kahoot: Mapping[str, int],
    relays: Sequence[Relay] = (),
) -> Standings:
    """Rank the groups of `evidence`. `runs` is the tidy table, `kahoot` a group's place in the quiz."""
    scoring = workshop.scoring
    left_out = {"kahoot"} if not kahoot else set()
    left_out |= set() if any(relay.counts for relay in relays) else {"relay"}
    weights = [name for name in scoring.weights() if name not in left_out]
    predicted = evidence.predictions()
    models = rank_models(evidence.labels, evidence.lesions, predicted, scoring.certainty, scoring.resamplings)
    baseline = _name_baseline(workshop)
    names = [*workshop.groups, *(e.group for e in evidence.groups if e.group not in workshop.groups)]
    standings = []
    for entry in evidence.groups:
        checks = check_management(runs[runs["group"] == entry.group], opinions, entry.group, baseline)
        lines = {
            "model": score_model(models, entry.group, scoring.model),
            "stages": score_stages(workshop, entry, scoring.stages),
            "management": score_management(checks, scoring.management),
            "kahoot": score_kahoot(kahoot, entry.group, scoring.kahoot) if kahoot else [],
            "relay": score_relay(relays, entry.group, scoring.relay),
        }
        parts = [Part(name, _TITLES[name], lines[name]) for name in weights]
        standings.append(Standing(0, entry.group, names.index(entry.group) + 1, parts, models.rank_of(entry.group)))
    absent = [group for group in workshop.groups if group not in {entry.group for entry in evidence.groups}]
    return Standings(_place(standings), models, absent)


def score_model(models: ModelRanking, group: str, of: float) -> list[Line]:
    """Full points for the first rank; the last of n ranks still gets an n-th. One rank, the same points."""
    rank, count = models.rank_of(group), len(models.groups)
    if rank is None:
        return [Line(0, of, "no model of it could be asked about the hidden photographs")]
    score = models.scores[models.groups.index(group)]
    sharing = models.sharing(group)
    shared = f", which it shares with {join_names(sharing)}: they cannot be told apart" if sharing else ""
    points = round(of * (count - rank + 1) / count, 1)
    return [Line(points, of, f"balanced accuracy {score:.3f}: rank {rank} of {count} models{shared}")]


def score_stages(workshop: Workshop, entry: GroupEvidence, of: float) -> list[Line]:
    """Every stage is worth the same; what it cost to open it is taken off."""
    full, planned = round(of / len(workshop.stages), 1), plan_stages(workshop)
    known = {stage["stage"]: stage for stage in entry.stages}
    lines = []
    for number, spec in enumerate(workshop.stages, 1):
        share, why = _score_stage(workshop, known.get(spec.id, {}), planned[spec.id])
        last = round(of - full * (len(workshop.stages) - 1), 1)  # what rounding has left
        worth = last if number == len(workshop.stages) else full
        lines.append(Line(round(worth * share, 1), worth, f"stage {number} {why}"))
    return lines


def plan_stages(workshop: Workshop) -> dict[str, float]:
    """Minutes that every stage may take: its sections of the schedule, or else an even part of the activity."""
    planned = {stage.id: workshop.activity_minutes / len(workshop.stages) for stage in workshop.stages}
    minutes = 0
    for section in workshop.schedule.activity:
        minutes += section.minutes
        if section.until.startswith(f"{UNLOCK} "):
            planned[section.until.partition(" ")[2]] = minutes
            minutes = 0
    return planned


def _name_baseline(workshop: Workshop) -> str:
    """The experiment that the others are compared with: the one of that name, or the first."""
    names = list(find_experiments(workshop))
    return names[0] if names and BASELINE not in names else BASELINE


def score_management(checks: list[Check], of: float) -> list[Line]:
    """Every question is worth the same."""
    each = of / len(checks)
    edges = [round(each * number, 1) for number in range(len(checks) + 1)]  # so that they add up
    worths = [round(high - low, 1) for low, high in pairwise(edges)]
    return [
        Line(round(worth * check.share, 1), worth, f"{check.name}: {check.line}")
        for worth, check in zip(worths, checks, strict=True)
    ]


def score_kahoot(kahoot: Mapping[str, int], group: str, of: float) -> list[Line]:
    """As for models: by the place among the groups that played."""
    if group not in kahoot:
        return [Line(0, of, "did not play")]
    place, count = kahoot[group], max(len(kahoot), *kahoot.values())
    return [Line(round(of * (count - place + 1) / count, 1), of, f"place {place} of {len(kahoot)} groups in the quiz")]


def score_relay(relays: Sequence[Relay], group: str, of: float) -> list[Line]:
    """Full points for one run that came out the same in two kits, for both groups; more of them bring no more."""
    mine = [relay for relay in relays if group in (relay.maker, relay.repeater)]
    agreeing = next((relay for relay in mine if relay.counts), None)
    if agreeing is None:
        tried = f": the digits of '{mine[0].run}' did not agree ({mine[0].why})" if mine else ""
        return [Line(0, of, f"no run that came out the same in another group's kit{tried}")]
    other = agreeing.repeater if agreeing.maker == group else agreeing.maker
    whose = f"its run '{agreeing.run}', made again by {other}," if agreeing.maker == group else (
        f"the run '{agreeing.run}' of {other}, which it made again,"
    )  # fmt: skip
    return [Line(of, of, f"{whose} came out the same {agreeing.agrees}")]


def join_names(names: list[str]) -> str:
    """`group-1, group-2 and group-3`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _score_stage(workshop: Workshop, stage: Mapping[str, Any], planned: float) -> tuple[float, str]:
    """Which share of its points a stage brings, and why."""
    rules, scoring = workshop.points.rules(), workshop.scoring
    if not stage.get("opened"):
        return 0, "was not opened"
    share, why = 1.0, ["opened by its answers"]
    if stage["opened"] == "rescue":
        share, why = (rules.rescued / rules.stage if rules.stage else 0), ["opened by a rescue code"]
    share -= _cost_wrong(scoring, stage["wrong"], why)
    prices = sum(rules.price(number) for _, number in stage["hints"])
    if stage["hints"]:
        share -= prices / rules.stage if rules.stage else 0
        why.append(_count(len(stage["hints"]), "hint"))
    minutes = stage["minutes"]
    if minutes is not None and minutes > planned:
        share -= scoring.late
        why.append(f"{minutes:.0f} minutes of {planned:.0f} planned")
    elif minutes is not None:
        why.append(f"{minutes:.0f} min" if minutes >= 1 else "under a minute")
    return max(0.0, min(1.0, share)), ", ".join(why)


def _cost_wrong(scoring: Scoring, wrong: int, why: list[str]) -> float:
    why.append(_count(wrong, "wrong list") if wrong else "no wrong list")
    return min(_MOST_LOST, scoring.wrong_list * wrong)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _place(standings: list[Standing]) -> list[Standing]:
    totals = [standing.total for standing in standings]
    placed = [
        Standing(1 + sum(other > s.total for other in totals), s.group, s.number, s.parts, s.model_rank)
        for s in standings
    ]
    return sorted(placed, key=lambda standing: (standing.place, standing.number))
