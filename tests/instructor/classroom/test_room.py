"""The room: where groups stand, who is stuck, who was first; and what is no record of a group."""

import json
import os
from pathlib import Path

import pytest

from instructor.classroom.room import Room, find_kits
from instructor.results.evidence import Evidence, GroupEvidence, write_evidence
from instructor.workshop import Workshop, read_workshop
from lab_code.errors import LabError
from lab_code.tracking.runs import Run
from lab_code.workshop import standing as module
from lab_code.workshop.kit import read_kit
from lab_code.workshop.standing import Standing, read_standing, standing_from_json, standing_to_json
from lab_code.workshop.statements import experiments_of
from tests.conftest import KitOnDisk
from tests.instructor.classroom.test_clock import standing

GOOD = standing_to_json(standing("group-1", best=0.5, events=3))


@pytest.fixture(scope="module")
def described() -> Workshop:
    return read_workshop()


def test_a_kit_says_where_its_group_stands(kit: KitOnDisk) -> None:
    assert read_standing(read_kit(kit.root)) == standing(kit.group, events=0, stages=len(kit.answers))
    kit.lab("unlock", "--answers", kit.answers[0])
    kit.lab("unlock", "--stage", "2", "--rescue", kit.rescue[1])
    now = read_standing(read_kit(kit.root))
    assert (now.opened, now.rescued, now.wrong) == (2, 1, 0) and now.points > 0 and now.events == 2
    assert standing_from_json(json.loads(kit.lab("status", "--json").stdout)) == now


@pytest.mark.parametrize(
    "change",
    [
        {"opened": 4}, {"opened": -1}, {"opened": True}, {"opened": 1.0}, {"rescued": 1}, {"runs": 10**9}, {"group": 7},
        {"surprise": -1.1}, {"surprise": float("nan")}, {"surprise": "big"}, {"surprise": False},
        {"best": 2}, {"best": float("nan")}, {"best": "0.5"}, {"best": True}, {"training": 1}, {"events": "many"},
        {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_but_a_record_is_taken_for_one(change: dict[str, object]) -> None:
    assert standing_from_json(GOOD) == standing("group-1", best=0.5, events=3)
    with pytest.raises(ValueError):
        standing_from_json(GOOD | change)


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"group": "group-1"}], ids=str)
def test_other_json_is_refused(document: object) -> None:
    with pytest.raises(ValueError):
        standing_from_json(document)


def test_the_first_group_is_named_once_and_later_ones_follow(described: Workshop) -> None:
    room = Room(described)
    room.hear(standing("group-2", opened=1, events=2), 10)
    room.hear(standing("group-1", opened=1, events=2), 20)
    assert [(news.group, news.text, news.first) for news in room.news] == [
        ("group-2", "opened stage 1", True), ("group-1", "opened stage 1", False)]  # fmt: skip
    assert room.firsts == {"stage-1": "group-2"}


def test_a_run_far_from_its_bet_is_news_where_it_is_the_farthest(described: Workshop) -> None:
    room = Room(described)
    for group, off in (("group-1", 0.04), ("group-2", 0.12), ("group-3", -0.1), ("group-3", -0.2), ("group-2", 0.13)):
        events = 1 + (room.seats[group].standing or standing(group, events=0)).events
        room.hear(standing(group, surprise=off, events=events), 10)
    assert [(news.group, news.text) for news in room.news] == [
        ("group-2", "has the most surprising run: 0.120 above its bet"),
        ("group-3", "has the most surprising run: 0.200 below its bet"),
    ]


BETS: list[tuple[dict[str, float], float | None]] = [  # and how far the farthest run came out above its bet
    ({}, None),
    ({"FIRST": 0.5}, -0.2),
    ({"FIRST": 0.35, "own": 0.2}, 0.25),
    ({"own": 0.4, "FIRST": 0.9}, -0.6),
    ({"another": 0.9}, None),
]


def test_a_bet_is_compared_with_the_first_run_that_it_was_about(
    kit: KitOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, *_) = experiments_of(read_kit(kit.root))
    runs = [made_run(first, "FINISHED", 0.3), made_run("mine", "RUNNING", 0.9), made_run("mine", "FINISHED", 0.45),
            made_run(first, "FINISHED", 0.8)]  # fmt: skip
    monkeypatch.setattr(module, "read_runs", lambda root: runs)
    for bets, surprise in BETS:
        said = [{"run": r.replace("FIRST", first), "score": s, "why": "", "change": ""} for r, s in bets.items()]
        (kit.root / "statements.json").write_text(json.dumps({"bets": said, "sentence": ""}), encoding="utf-8")
        assert read_standing(read_kit(kit.root)).surprise == (surprise and pytest.approx(surprise)), bets
    (kit.root / "statements.json").write_text("{half", encoding="utf-8")
    assert read_standing(read_kit(kit.root)).surprise is None


def made_run(name: str, status: str, score: float) -> Run:
    return Run(name * 4, name, status, 0, 1, Path(), metrics={"best_balanced_accuracy": score})


def test_the_same_record_again_is_no_change_but_heard(described: Workshop) -> None:
    room = Room(described)
    assert room.hear(standing("group-1"), 10) and not room.hear(standing("group-1"), 90)
    seat = room.seats["group-1"]
    assert (seat.changed_at, seat.heard_at, seat.silent_s(100)) == (10, 90, 90)


def test_an_older_record_takes_nothing_back(described: Workshop) -> None:
    room = Room(described)
    room.hear(standing("group-1", opened=2, events=9), 10)
    assert not room.hear(standing("group-1", opened=1, events=4), 20)
    assert room.seats["group-1"].standing == standing("group-1", opened=2, events=9)


@pytest.mark.parametrize(
    ("record", "silent", "stuck"),
    [
        (standing("group-1"), 100, False),
        (standing("group-1"), 400, True),
        (standing("group-1", events=0), 4000, False),
        (standing("group-1", wrong=2), 10, False),
        (standing("group-1", wrong=3), 10, True),
        (standing("group-1", wrong=3, training=True), 400, False),
        (standing("group-1", handed_in=1), 4000, False),
    ],
)
def test_a_stuck_group_is_noticed(described: Workshop, record: Standing, silent: float, stuck: bool) -> None:
    room = Room(described)
    room.hear(record, 0)
    assert room.seats["group-1"].is_stuck(silent, 360) is stuck


def test_a_stranger_is_refused_by_name(described: Workshop) -> None:
    with pytest.raises(LabError, match="there is no group 'group-99'"):
        Room(described).hear(standing("group-99"), 0)


def test_it_is_remembered_and_shared_by_two_programs(described: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    first, second = Room(described, path), Room(described, path)
    first.hear(standing("group-3", opened=1, events=5), 50)
    second.reload()
    assert second.seats["group-3"] == first.seats["group-3"] and list(second.news) == list(first.news)
    path.write_text("{half", encoding="utf-8")
    assert Room(described, path).seats["group-3"].standing is None


def test_kits_are_found_alone_and_in_a_folder_and_a_broken_one_is_named(kit: KitOnDisk, described: Workshop) -> None:
    assert find_kits([kit.root]) == find_kits([kit.root.parent]) == [kit.root]
    (kit.root / "kit.json").write_text("{", encoding="utf-8")
    faults = Room(described).look_at([kit.root], 0)
    assert list(faults) == [str(kit.root)] and "kit.json" in faults[str(kit.root)]
    with pytest.raises(LabError, match="there is no folder"):
        find_kits([kit.root / "nowhere"])


def collect(folder: Path, workshop: str, at: float, **given: object) -> None:
    """As if `make collect` had ended at that moment."""
    stages = [{"opened": how, "hints": []} for how in ("answers", "rescue", "")]
    entry = {"group": "group-3", "runs": 4, "validation": 0.6, "points": 70, "handed_in": "11:40", "stages": stages}
    folder.mkdir(exist_ok=True)
    write_evidence(folder, Evidence(workshop, "", groups=[GroupEvidence(**(entry | given)), GroupEvidence("stranger")]))
    os.utime(folder / "evidence.json", (at, at))


def test_what_was_collected_in_this_class_shows_a_laptop_that_nobody_hears(described: Workshop, tmp_path: Path) -> None:
    room = Room(described, collected=tmp_path / "collected")
    room.look_at_handins(100.0, 1000.0)
    collect(tmp_path / "collected", described.id, 500.0)
    room.look_at_handins(100.0, 1000.0)
    seen = room.seats["group-3"].standing
    assert seen is not None and (seen.opened, seen.rescued, seen.runs, seen.best) == (2, 1, 4, 0.6)
    assert seen.handed_in and [news.text for news in room.news][-1] == "handed in"
    heard = len(room.news)
    room.look_at_handins(100.0, 1001.0)
    assert len(room.news) == heard


def test_a_hand_in_adds_to_what_was_heard_and_takes_nothing_back(described: Workshop, tmp_path: Path) -> None:
    room = Room(described, collected=tmp_path)
    room.hear(standing("group-3", opened=3, runs=2, best=0.7, events=9), 50.0)
    collect(tmp_path, described.id, 500.0)
    room.look_at_handins(100.0, 1000.0)
    seen = room.seats["group-3"].standing
    assert seen is not None and (seen.opened, seen.rescued, seen.runs, seen.best, seen.events) == (3, 0, 4, 0.7, 9)
    assert seen.handed_in == 1


@pytest.mark.parametrize(
    ("workshop", "at", "since"),
    [("", 99.0, 100.0), ("", 500.0, None), ("another", 500.0, 100.0)],
    ids=["of an earlier class", "before the class", "of another workshop"],
)
def test_hand_ins_that_are_not_of_this_class_are_not_shown(
    described: Workshop, tmp_path: Path, workshop: str, at: float, since: float | None
) -> None:
    room = Room(described, collected=tmp_path)
    collect(tmp_path, workshop or described.id, at)
    room.look_at_handins(since, 1000.0)
    assert room.seats["group-3"].standing is None and not room.news


def test_collected_evidence_that_cannot_be_read_shows_nothing(described: Workshop, tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_text("{")
    room = Room(described, collected=tmp_path)
    room.look_at_handins(0.0, 1000.0)
    assert not room.news
