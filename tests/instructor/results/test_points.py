"""From evidence to places: what every part is worth, and that each point is explained."""

from dataclasses import replace

import pytest

from instructor.results.opinions import Opinions
from instructor.results.points import make_standings, plan_stages
from instructor.results.runs_table import make_runs_table
from instructor.workshop import Scoring, read_workshop
from tests.conftest import make_small_workshop
from tests.instructor.results.made_up import make_class, make_evidence, make_run, make_stage

STAGES = [stage.id for stage in make_small_workshop().stages]


def test_the_better_models_come_first_and_every_point_has_a_line() -> None:
    standings = make_class().standings
    assert [(s.place, s.group, s.model_rank) for s in standings.groups] == [
        (1, "group-1", 1), (2, "group-2", 2), (3, "group-3", 3)
    ]  # fmt: skip
    for standing in standings.groups:
        assert [part.name for part in standing.parts] == ["model", "stages", "management"]
        assert standing.of == 90 and standing.total == pytest.approx(sum(part.points for part in standing.parts))
        assert all(line.text and 0 <= line.points <= line.of for part in standing.parts for line in part.lines)
    assert [s.parts[0].points for s in standings.groups] == [40.0, 26.7, 13.3]
    assert standings.of("group-1").parts[0].lines[0].text == "balanced accuracy 0.900: rank 1 of 3 models"


def test_models_that_cannot_be_told_apart_get_the_same_points_and_equal_totals_one_place() -> None:
    standings = make_class({"group-1": 20, "group-2": 20, "group-3": 5}).standings
    assert [(s.place, s.parts[0].points) for s in standings.groups] == [(1, 40.0), (1, 40.0), (3, 13.3)]
    assert "which it shares with group-2: they cannot be told apart" in standings.of("group-1").parts[0].lines[0].text
    assert standings.sharing(standings.of("group-1")) == ["group-2"]


def test_a_group_without_a_model_keeps_its_other_points() -> None:
    standing = make_class({"group-1": 20, "group-2": 0}).standings.of("group-2")
    assert standing.model_rank is None and standing.parts[0].points == 0 and standing.parts[1].points == 20
    assert make_class({"group-1": 20, "group-2": 0}).standings.absent == ["group-3"]


@pytest.mark.parametrize(
    ("facts", "points", "said"),
    [
        ({}, 6.7, "opened by its answers, no wrong list, 5 min"),
        ({"wrong": 2}, 5.4, "2 wrong lists"),
        ({"wrong": 40}, 3.4, "40 wrong lists"),  # at most half
        ({"hints": [["q", 1], ["q", 2]]}, 4.7, "2 hints"),  # 3 of 10 points
        ({"opened": "rescue"}, 2.7, "opened by a rescue code"),
        ({"minutes": 14.0}, 6.0, "14 minutes of 10 planned"),
        ({"minutes": None}, 6.7, "no wrong list"),
        ({"opened": "", "minutes": None}, 0.0, "was not opened"),
        ({"opened": "rescue", "wrong": 9, "minutes": 20.0, "hints": [["q", 1]]}, 0.0, "1 hint,"),
    ],
)
def test_a_stage_loses_what_it_cost_to_open_it(facts: dict, points: float, said: str) -> None:
    stages = [make_stage(STAGES[0], **facts), *(make_stage(stage) for stage in STAGES[1:])]
    part = make_class(group_1={"stages": stages}).standings.of("group-1").parts[1]
    assert part.of == 20 and part.lines[0].points == pytest.approx(points, abs=0.05)
    assert part.lines[0].text.startswith("stage 1 ") and said in part.lines[0].text + ","


def test_a_stage_may_take_as_long_as_its_sections_of_the_schedule() -> None:
    workshop = read_workshop()
    assert plan_stages(workshop) == {"1-configuration": 10, "2-imbalance": 8, "3-your-own": 10}
    assert set(plan_stages(make_small_workshop()).values()) == {10}


def test_kahoot_counts_as_soon_as_it_is_counted() -> None:
    standings = make_class(kahoot={"group-3": 1, "group-1": 2}).standings
    assert [standings.of(f"group-{n}").parts[3].points for n in (1, 2, 3)] == [5.0, 0, 10.0]
    assert standings.has("kahoot") and standings.of("group-2").parts[3].lines[0].text == "did not play"
    assert not make_class().standings.has("kahoot")


@pytest.mark.parametrize(
    "weights", [(40, 20, 30, 10), (0, 0, 7, 0), (1, 1, 1, 0), (33.3, 33.3, 33.4, 0), (100, 10, 0, 0)]
)
def test_weights_are_the_workshops_and_lines_add_up_to_them(weights: tuple[float, ...]) -> None:
    scoring = Scoring(*weights, resamplings=100)
    workshop = replace(make_small_workshop(), scoring=scoring)
    evidence = make_evidence(workshop, {"group-1": 20, "group-2": 9})
    table = make_runs_table([make_run("group-1", "baseline", 1), make_run("group-2", "x", 1)], evidence)
    standings = make_standings(workshop, evidence, table, Opinions(), {})
    for standing in standings.groups:
        assert {part.name: part.of for part in standing.parts} == {
            name: full for name, full in scoring.weights().items() if name not in ("kahoot", "relay")
        }


def test_nobody_there_is_no_ranking() -> None:
    assert make_class({}).standings.groups == [] and len(make_class({}).standings.absent) == 3
