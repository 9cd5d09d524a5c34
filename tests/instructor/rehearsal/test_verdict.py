"""The verdict: minutes against the schedule, laptops that are slower, what to cut; without any command."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from instructor.quizbank.kahoot_report import read_report
from instructor.rehearsal.cast import Cast
from instructor.rehearsal.checks import Check
from instructor.rehearsal.kahoot import play_quiz, write_report
from instructor.rehearsal.laptops import Laptop, parse_doctor, read_laptops, slowest
from instructor.rehearsal.launcher import Launcher
from instructor.rehearsal.paper import write_papers
from instructor.rehearsal.player import MACHINE, PEOPLE, TRAINING, Deed, Incident, Player
from instructor.rehearsal.rehearse import Rehearsal
from instructor.rehearsal.scene import Scene
from instructor.rehearsal.verdict import judge
from lab_code.errors import LabError
from tests.instructor.rehearsal.conftest import make_tiny_workshop

HERE = Laptop("this machine", "group-1", epoch_s=3.0, epochs=10, photographs=210, start_s=0.0)  # half a minute a run


def make_rehearsal(tmp_path: Path, ends: list[float], **took: float) -> Rehearsal:
    """Groups that read until they hand in at these minutes, with two runs of half a minute in section 4."""
    workshop = make_tiny_workshop(groups=[f"group-{n}" for n in range(1, len(ends) + 1)])
    scene = Scene(workshop, tmp_path, Launcher(), tmp_path, 0.0)
    players = []
    for group, end in zip(workshop.groups, ends, strict=True):
        player = Player(scene, group, ["perfect"], clock=end, handed_in=end, opened={"1-configuration": "answers"})
        player.deeds = [
            Deed(0.0, end - 3.0, 1, PEOPLE, "reads and talks"),
            Deed(end - 3.0, 0.5, 3, TRAINING, "lab train"),
            Deed(end - 2.5, 0.5, 3, TRAINING, "lab train"),
            Deed(end - 2.0, 2.0, 5, MACHINE, "lab handin"),
        ]
        players.append(player)
    cast = Cast({group: ["perfect"] for group in workshop.groups})
    return Rehearsal(workshop, cast, True, players, took=took, here=HERE, photographs=210)


def test_a_class_that_fits_says_so(tmp_path: Path) -> None:
    verdict = judge(make_rehearsal(tmp_path, [25.0, 29.9], collect=60.0))
    assert verdict.fits and verdict.text.startswith("this class fits its 50 minutes") and not verdict.cuts


def test_a_group_that_is_not_done_in_time_makes_it_late_and_there_is_something_to_cut(tmp_path: Path) -> None:
    verdict = judge(make_rehearsal(tmp_path, [25.0, 31.5]))
    assert not verdict.fits and verdict.late == ["group-2 is done after 31.5 of 30 minutes"]
    assert "51.5 of 50 minutes" in verdict.text
    assert "1.5 minutes too many for group-2" in verdict.cuts[0]
    assert any("leave out the experiment balanced: 1.0 minutes" in cut for cut in verdict.cuts)
    assert any("one question less in stage 1-configuration" in cut for cut in verdict.cuts)


def test_collecting_that_takes_longer_than_film_and_quiz_makes_the_ceremony_late(tmp_path: Path) -> None:
    verdict = judge(make_rehearsal(tmp_path, [25.0], collect=13 * 60.0))
    assert not verdict.fits and verdict.parts[-1].takes == 8.0
    assert verdict.cuts == ["begin to collect earlier, or give the film and the quiz more minutes in schedule.parts"]


def test_the_slowest_laptop_counts_where_laptops_are_known(tmp_path: Path) -> None:
    slow = replace(HERE, name="old", epoch_s=30.0)  # five minutes a run
    fast = replace(HERE, name="new", epoch_s=1.0)
    made = make_rehearsal(tmp_path, [20.0])
    assert judge(made, [fast]).fits and judge(made, [fast]).groups[0].on_slowest < 20
    verdict = judge(made, [slow, fast])
    assert verdict.slowest == slow and not verdict.fits
    assert verdict.groups[0].on_slowest == pytest.approx(20 + 2 * 4.5 + 2.0 * 9)
    assert "minutes on old" in verdict.late[0]


@pytest.mark.parametrize("what", ["incident", "check"])
def test_what_did_not_end_well_is_a_fault_however_early_the_groups_are(tmp_path: Path, what: str) -> None:
    made = make_rehearsal(tmp_path, [20.0])
    if what == "incident":
        made.players[0].incidents.append(Incident("group-1", 4.0, "everybody", "opening stage 1 fails", "no", False))
    else:
        made.checks.append(Check("group-1: what it did", False, "finished runs: it had 3, 2 came"))
    verdict = judge(made)
    assert not verdict.fits and verdict.text == "not ready: 1 thing did not end well" and len(verdict.faults) == 1
    write_papers(tmp_path, made, verdict)
    said = json.loads((tmp_path / "rehearsal.json").read_text(encoding="utf-8"))
    assert said["fits"] is False and said["faults"] == verdict.faults


FIGURES = {"photographs": 100, "epochs": 10, "epoch_s": 2.0, "start_s": 10.0}


def doctor(**figures: object) -> str:
    checks = [{"name": "training", "ok": True, "found": "", "fix": "", "figures": FIGURES | figures}]
    return json.dumps({"group": "group-2", "ready": True, "checks": checks})


def test_laptops_are_read_from_a_stick_whatever_wrote_their_files(tmp_path: Path) -> None:
    (tmp_path / "group-1").mkdir()
    (tmp_path / "group-1" / "doctor.json").write_text(doctor(), encoding="utf-8")
    (tmp_path / "doctor-7.json").write_text(doctor(epoch_s=4), encoding="utf-16")
    (tmp_path / "doctor-8.json").write_text("nothing", encoding="utf-8")
    (tmp_path / "doctor-9.json").write_text(doctor(epoch_s=0), encoding="utf-8")
    laptops, notes = read_laptops(tmp_path)
    assert {laptop.name for laptop in laptops} == {"group-1", "doctor-7"} and len(notes) == 2
    found = slowest(laptops)
    assert found is not None and found.name == "doctor-7" and found.training_s(200) == 10 + 10 * 4 * 2


@pytest.mark.parametrize(
    "text", ["", "{}", '{"checks": []}', "[1]", '{"group": 1, "checks": [{"name": "training"}]}', doctor(epochs="many")]
)
def test_what_lab_doctor_did_not_print_is_no_laptop(text: str) -> None:
    with pytest.raises(LabError):
        parse_doctor(text, "one")


def test_the_report_of_a_kahoot_that_nobody_played_is_read_as_a_real_one(tmp_path: Path) -> None:
    points = play_quiz([f"group-{n}" for n in range(1, 7)], 10)
    write_report(tmp_path / "report.xlsx", points, "A quiz")
    report = read_report(tmp_path / "report.xlsx")
    assert sorted(player.score for player in report.players) == sorted(map(sum, points.values()))
    assert report.questions == 10 and not report.notes
