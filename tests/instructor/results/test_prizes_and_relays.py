"""Small prizes, relays and the duel in the ranking and the ceremony: facts that may be missing, and a fair spread."""

from dataclasses import replace
from pathlib import Path

import pytest

from instructor.results.ceremony import describe_duel, list_appearances, write_ceremony
from instructor.results.duel import DuelResult
from instructor.results.opinions import Opinions
from instructor.results.points import make_standings
from instructor.results.prizes import _KINDS, give_prizes
from instructor.results.relays import LAST, NOT, THREE, UNKNOWN, Relay, find_relays, read_relays, write_relays
from instructor.results.results import Results
from instructor.workshop import Workshop, read_workshop
from instructor.workshop_checks import PRIZES
from lab_code.errors import LabError
from lab_code.tracking.runs import Run
from tests.instructor.results.made_up import make_class, make_run, make_stage

STAGES = ("1-configuration", "2-imbalance", "3-your-own")
ALL = ["first-to-open", "closest-bet", "best-sentence", "most-found mel", "relay", "duel"]


def timed(*minutes: float | None, **facts: str) -> dict:
    return {"stages": [make_stage(stage, minutes=m, **facts) for stage, m in zip(STAGES, minutes, strict=True)]}


def with_prizes(results: Results, *names: str, **more: object) -> Results:
    described: Workshop = replace(results.workshop, prizes=list(names))
    return replace(results, workshop=described, **more)


def test_the_workshop_lists_prizes_that_exist() -> None:
    assert set(PRIZES) == set(_KINDS) and read_workshop().prizes == ALL


def test_one_group_that_is_best_at_everything_does_not_get_everything() -> None:
    opinions = Opinions(
        reviews=[{"reviewer": "group-2", "reviewed": f"group-{n}", "stars": str(6 - n)} for n in (1, 2, 3)],
        sentences=[{"group": f"group-{n}", "sentence": f"{n} of 7"} for n in (1, 2, 3)],
        bets=[{"group": f"group-{n}", "run_id": "", "bet": "0.5", "off": str(-0.01 * n)} for n in (1, 2, 3)],
    )
    relay = Relay("group-1", "group-2", "mine", LAST, "", "a", "b")
    played = DuelResult("K", 10, 5, 6, {"group-1": 9, "group-2": 7, "group-3": 1})
    stages = {f"group_{n}": timed(n, n, n) for n in (1, 2, 3)}
    results = with_prizes(make_class(None, None, opinions, **stages), *ALL, relays=[relay], duel=played)
    prizes = give_prizes(results)
    assert [(prize.title, prize.group) for prize in prizes] == [
        ("First to open stage 1", "group-1"), ("First to open stage 2", "group-2"),
        ("First to open stage 3", "group-3"), ("Closest bet", "group-1"), ("Best sentence", "group-2"),
        ("Most melanomas found", "group-3"), ("Relay", "group-1"), ("Human against machine", "group-2"),
    ]  # fmt: skip
    assert prizes[1].reason == "open after 4 minutes (after group-1, which has a prize already)"
    assert prizes[4].reason.startswith("4.0 of 5 from its reviewers: “2 of 7”")
    assert prizes[7].reason == "7 of 10 photographs right, the network 5 (after group-1, which has a prize already)"


@pytest.mark.parametrize(
    ("names", "scores", "of_group", "expected"),
    [
        (ALL, {}, {}, []),  # nobody has handed in
        (["closest-bet", "best-sentence", "relay", "duel"], None, {}, []),  # no bets, reviews, relays, duel
        ([], None, {}, []),
        (["first-to-open"], {"group-1": 9}, {"group_1": timed(1, 2, 3)}, ["group-1"] * 3),  # a class of one group
        (["first-to-open"], None, {f"group_{n}": timed(None, None, None) for n in (2, 3)}, ["group-1"]),  # odd clocks
        (["first-to-open"], None, {f"group_{n}": timed(1, 1, 1, opened="rescue") for n in (1, 2, 3)}, []),
        (["most-found mel"], {"group-1": 0, "group-2": 0}, {}, []),  # no model that could be scored
        (["most-found rash"], None, {}, []),  # a diagnosis that these photographs do not have
    ],
)
def test_what_nobody_can_win_is_passed_over_and_one_group_alone_gets_one_prize(
    names: list[str], scores: dict | None, of_group: dict, expected: list[str]
) -> None:
    results = with_prizes(make_class(scores, [] if scores == {} else None, **of_group), *names)
    assert [prize.group for prize in give_prizes(results)] == expected


def test_prizes_and_duel_stand_in_the_ceremony_and_are_no_honours_as_well(tmp_path: Path) -> None:
    bets = [{"group": "group-3", "run_id": "", "bet": "0.5", "off": "0.01"}]
    results = with_prizes(make_class(None, None, Opinions(bets=bets)), "closest-bet", "most-found mel", duel=DUEL)
    page = write_ceremony(results, tmp_path).read_text(encoding="utf-8")
    for text in ("Small prizes", "Closest bet", "Most melanomas found", "the humans win", "They are spread"):
        assert text in page
    assert not {one.honour.title for one in list_appearances(results)} & {"Closest bet", "Sharpest eye"}
    plain = write_ceremony(with_prizes(make_class()), tmp_path).read_text(encoding="utf-8")
    assert "Small prizes" not in plain and "Human against machine" not in plain


DUEL = DuelResult("K", 10, 5, 6, {"group-1": 6, "group-2": 3})


@pytest.mark.parametrize(
    ("duel", "said"),
    [
        (None, ""),
        (DUEL, "the network knew 5 of 10 photographs, the class 6: the humans win. Better than the network: group-1."),
        (replace(DUEL, humans=5, groups={}), "the class 5: a draw."),
        (replace(DUEL, humans=1, groups={}), "the class 1: the machine wins."),
        (replace(DUEL, humans=None, groups={}), "the network knew 5 of 10 photographs."),
    ],
)
def test_what_a_duel_came_to_is_one_sentence(duel: DuelResult | None, said: str) -> None:
    assert describe_duel(duel).endswith(said)


def relay_of(original: str, group: str = "group-2", score: float = 0.5, **changes: object) -> Run:
    tags = {"relay.of": original, "relay.group": "group-1", **changes.pop("tags", {})}  # type: ignore[dict-item]
    return make_run(group, "mine-of-group-1", 9, score, tags=tags, **changes)


@pytest.mark.parametrize(
    ("again", "agrees", "why"),
    [
        (relay_of("group-1-1"), LAST, "all 2 scores"),
        (relay_of("group-1-1", score=0.5 + 1e-9), THREE, "2 of 2 scores differ in later digits"),
        (relay_of("group-1-1", score=0.6, tags={"code.fingerprint": "other"}), NOT, "so do: code.fingerprint"),
        (relay_of("group-1-1", score=0.6), NOT, "nothing that is on record"),
        (relay_of("group-1-1", group="group-1"), NOT, "it is the group's own run"),
        (relay_of("nowhere"), UNKNOWN, "has not come in from group-1"),
    ],
)
def test_a_relay_is_held_against_the_run_itself(again: Run, agrees: str, why: str, tmp_path: Path) -> None:
    (found,) = find_relays([make_run("group-1", "mine", 1, 0.5), again])
    assert (found.agrees, found.maker) == (agrees, "group-1") and why in found.why
    write_relays(tmp_path, [found])
    assert read_relays(tmp_path) == [found]


def test_a_relay_that_has_not_finished_is_none() -> None:
    assert find_relays([make_run("group-1", "mine", 1, 0.5), relay_of("group-1-1", status="KILLED")]) == []


def test_both_groups_get_points_for_a_relay_and_nobody_is_ranked_or_judged_by_it() -> None:
    runs = [make_run("group-1", "baseline", 1, 0.5), make_run("group-2", "baseline", 2, 0.4),
            relay_of("group-1-1", trainer__epochs=9), make_run("group-3", "x", 3, 0.3)]  # fmt: skip
    results = make_class(None, runs)
    standings = make_standings(results.workshop, results.evidence, results.runs, Opinions(), {}, find_relays(runs[:3]))
    points = {one.group: one.parts[-1].points for one in standings.groups}
    assert points == {"group-1": 5, "group-2": 5, "group-3": 0} and standings.has("relay")
    assert "the run 'baseline' of group-1, which it made again, came out the same" in (
        standings.of("group-2").parts[-1].lines[0].text
    )
    assert not results.standings.has("relay")  # left out where nobody has done one
    relay = results.runs[results.runs["relay"] != ""].iloc[0]
    assert relay["given"] and relay["changes"] == 0
    management = {one.group: next(part for part in one.parts if part.name == "management") for one in standings.groups}
    assert "mine-of-group-1" not in str(management["group-2"])


@pytest.mark.parametrize(
    ("prizes", "said"),
    [
        ("[best-sentense]", "did you mean 'best-sentence'"),
        ("[most-fond]", "did you mean 'most-found'"),
        ("[duel mel]", "there is no prize 'duel mel'"),
        ("[duel, duel]", "listed twice"),
        ("['most-found <b>']", "there is no prize"),
        ("['']", "there is no prize ''"),
    ],
)
def test_a_prize_that_does_not_exist_is_named(tmp_path: Path, project: Path, prizes: str, said: str) -> None:
    text = (project / "instructor" / "workshop.yaml").read_text(encoding="utf-8")
    path = tmp_path / "workshop.yaml"
    before = next(line for line in text.splitlines() if line.startswith("prizes:"))
    path.write_text(text.replace(before, f"prizes: {prizes}"), encoding="utf-8")
    with pytest.raises(LabError) as caught:
        read_workshop(path)
    assert said in f"{caught.value.message} {caught.value.hint}" and "line" in caught.value.message
