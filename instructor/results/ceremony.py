"""The end of a class: `ceremony.html`, one offline file for the projector, from the last place to the first.

Keys or clicks go on and back; every group comes with its mark, its best idea and a kind word, then the winner with its
learning curve. Without JavaScript, printed, or with the key S everything stands on one page. Names come from hand-ins:
the template escapes all of them, and the page may load nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from instructor.results.curve import draw_curve
from instructor.results.duel import DuelResult
from instructor.results.honours import Honour
from instructor.results.points import Standing, join_names
from instructor.results.prizes import give_prizes, honour_groups
from instructor.results.results import Idea, Results, find_idea
from lab_code.files import write_whole
from lab_code.workshop.mark import Mark, draw_mark, mark_of

CEREMONY = "ceremony.html"
_CONFETTI = 42


@dataclass(frozen=True)
class Appearance:
    """A group as it comes on stage."""

    standing: Standing
    mark: Mark
    drawn: Markup
    place: str
    idea: Idea | None
    honour: Honour
    chance: str  # how sure the order with the next better model is
    curve: Markup | None

    @property
    def is_winner(self) -> bool:
        return self.standing.place == 1


def write_ceremony(results: Results, folder: Path) -> Path:
    """Write `folder/ceremony.html`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    stage = list_appearances(results)
    page = environment.get_template(CEREMONY).render(
        title=results.workshop.title,
        groups=results.evidence.dataset.group_words[1],
        notice=results.evidence.dataset.notice,
        stage=stage,
        ranking=stage[::-1],
        absent=results.standings.absent,
        chances=results.standings.models.chances(),
        prizes=[{"prize": prize, "drawn": _draw(results, prize.group)} for prize in give_prizes(results)],
        duel=describe_duel(results.duel),
        confetti=_scatter([appearance.mark for appearance in stage]),
        winners=join_names([standing.group for standing in results.winners]),
    )
    write_whole(folder / CEREMONY, page)
    return folder / CEREMONY


def list_appearances(results: Results) -> list[Appearance]:
    """The groups from the last place to the first."""
    honours = honour_groups(results)
    return [_introduce(results, standing, honours) for standing in reversed(results.standings.groups)]


def describe_place(results: Results, standing: Standing) -> str:
    """`Place 4`, `Place 2, shared with group-5`, `The winner`."""
    sharing = results.standings.sharing(standing)
    if standing.place == 1:
        return f"First place, shared with {join_names(sharing)}" if sharing else "The winner"
    return f"Place {standing.place}" + (f", shared with {join_names(sharing)}" if sharing else "")


def describe_duel(duel: DuelResult | None) -> str:
    """What human against machine came to, in a sentence; empty where nobody played."""
    if duel is None:
        return ""
    machine, humans = duel.machine, duel.humans
    said = f"the network knew {machine} of {duel.photographs} photographs"
    if humans is None:
        return f"Human against machine: {said}."
    who = "the humans win" if humans > machine else "the machine wins" if humans < machine else "a draw"
    better = [group for group, right in duel.groups.items() if right > machine]
    beat = f" Better than the network: {join_names(better)}." if better else ""
    return f"Human against machine: {said}, the class {humans}: {who}.{beat}"


def _draw(results: Results, group: str) -> Markup:
    return Markup(draw_mark(mark_of(results.standings.of(group).number), size_em=1))


def _introduce(results: Results, standing: Standing, honours: dict[str, Honour]) -> Appearance:
    mark, group = mark_of(standing.number), standing.group
    curve = None
    if standing.place == 1 and group in results.curves:
        curve = Markup(draw_curve(results.curves, group, mark.colour))
    return Appearance(
        standing,
        mark,
        Markup(draw_mark(mark, size_em=1)),
        describe_place(results, standing),
        find_idea(results.runs_of(group)),
        honours[group],
        _describe_chance(results, group),
        curve,
    )


def _describe_chance(results: Results, group: str) -> str:
    models = results.standings.models
    if group not in models.groups:
        return ""
    place = models.groups.index(group)
    return models.describe_pair(models.groups[place - 1], group) if place else ""


def _scatter(marks: list[Mark]) -> list[dict[str, Any]]:
    """Where the shapes fall, the same in every page: spread by the golden ratio, not by chance."""
    golden = 0.6180339887
    return [
        {
            "mark": marks[number % len(marks)],
            "left": round(100 * ((number * golden) % 1), 1),
            "top": round(100 * ((number * golden * golden * 7) % 1), 1),
            "size": 14 + 7 * (number % 4),
            "turn": (number * 47) % 360,
            "delay": round(-12 * ((number * golden) % 1), 1),
        }
        for number in range(_CONFETTI if marks else 0)
    ]
