"""Who behaves how; and what cannot be rehearsed ends in two lines, before anything is touched."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from instructor.cli import app as cli
from instructor.rehearsal.behaviours import BEHAVIOURS
from instructor.rehearsal.cast import actions_of, make_cast
from instructor.rehearsal.rehearse import prepare_folder
from instructor.workshop import WORKSHOP_FILE, read_workshop
from lab_code.tracking.one_at_a_time import one_at_a_time
from tests.instructor.rehearsal.conftest import make_tiny_workshop

HEAD = """id: tiny
title: Tiny
seed: 1
groups: [group-1, group-2]
stages: [{id: 1-configuration, title: One, questions: 3}]
"""
REHEARSAL = "rehearsal:\n  "


@pytest.mark.parametrize("count", [2, 3, 6, 20])
def test_all_behaviours_are_spread_over_the_groups_there_are(count: int) -> None:
    workshop = make_tiny_workshop(groups=[f"group-{n}" for n in range(1, count + 1)])
    cast = make_cast(workshop, WORKSHOP_FILE)
    assert {name for names in cast.groups.values() for name in names} == set(BEHAVIOURS) and not cast.notes
    for names in cast.groups.values():
        assert not {other for name in names for other in BEHAVIOURS[name].excludes} & set(names)
        assert count < 3 or "perfect" not in names or names == ["perfect"]


def test_a_class_of_one_group_says_what_it_cannot_show() -> None:
    cast = make_cast(make_tiny_workshop(groups=["group-1"]), WORKSHOP_FILE)
    assert set(BEHAVIOURS) - set(cast.groups["group-1"]) == {"never-hands-in", "tries-others-answers"}
    assert len(cast.notes) == 2 and all("there is one group only" in note for note in cast.notes)


def test_groups_that_workshop_yaml_names_do_what_it_says_and_the_others_are_perfect() -> None:
    workshop = make_tiny_workshop()
    workshop = replace(workshop, rehearsal=replace(workshop.rehearsal, groups={"group-2": ["closes-lid"]}))
    groups = make_cast(workshop, WORKSHOP_FILE).groups
    assert groups == {"group-1": ["perfect"], "group-2": ["closes-lid"], "group-3": ["perfect"]}


def test_moments_of_all_behaviours_are_moments_of_the_script() -> None:
    moments = {moment for behaviour in BEHAVIOURS.values() for moment in behaviour.at}
    assert moments <= {"begin", *(f"{when} {step}" for when in ("before", "after") for step in (
        "look", "unlock 1", "unlock 2", "unlock 3", "train 1", "train 2", "own", "hand in"
    ))}  # fmt: skip
    assert set(actions_of(list(BEHAVIOURS))) == moments


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (REHEARSAL + "groups: {group-1: [slow-raeder]}", "no behaviour 'slow-raeder'", "did you mean 'slow-reader'?"),
        (REHEARSAL + "groups: {group-1: [closes lid]}", "no behaviour 'closes lid'", "did you mean 'closes-lid'?"),
        (REHEARSAL + "groups: {grup-1: [perfect]}", "no group 'grup-1'", "did you mean 'group-1'?"),
        (
            REHEARSAL + "groups: {group-1: [never-hands-in, hands-in-twice]}",
            "cannot be: the same group has",
            "leave it",
        ),
        (REHEARSAL + "groups: {group-1: [guesses-wrong]}", "fewer than 2 stages", "leave it out"),
        (REHEARSAL + "groups: {group-1: [never-hands-in], group-2: [never-hands-in]}", "no group hands in", "take"),
        (REHEARSAL + "groups: {group-1: perfect}", "rehearsal.groups", "keys here: people, slow, groups"),
        (REHEARSAL + "gruops: {}", "'gruops' not in", "keys here: people, slow, groups"),
        (REHEARSAL + "people: fast", "rehearsal.people", "keys here: people, slow, groups"),
        (REHEARSAL + "people: 0", "rehearsal.people is out of range", "comments"),
        (REHEARSAL + "slow: 0.5", "line 7: rehearsal.slow is out of range", "comments"),
    ],
)
def test_what_workshop_yaml_cannot_mean_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str, hint: str
) -> None:
    file = tmp_path / "workshop.yaml"
    file.write_text(f"{HEAD}{text}\n", encoding="utf-8")
    assert cli.main(["rehearse", "--fast", "--workshop", str(file), "--build", str(tmp_path / "build")]) == 1
    said = capsys.readouterr().err
    assert message in said and hint in said and str(file) in said
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["--data", "nowhere"], "the data folder nowhere does not exist", "make rehearse DATA="),
        (["--laptops", "nowhere"], "there is no nowhere", "./lab doctor --json > doctor.json"),
        (["--workshop", "nowhere.yaml"], "nowhere.yaml is missing", "top folder"),
    ],
)
def test_what_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str, hint: str
) -> None:
    assert cli.main(["rehearse", "--fast", "--build", str(tmp_path / "build"), *argv]) == 1
    said = capsys.readouterr().err
    assert message in said and hint in said and not (tmp_path / "build").exists()


def test_a_full_disk_is_said_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    little = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: little)
    assert cli.main(["rehearse", "--build", str(tmp_path / "build")]) == 1
    said = capsys.readouterr().err
    assert "0.00 GB are free" in said and "hint: free some room" in said
    assert not (tmp_path / "build" / "rehearsal" / "full").exists()


def test_two_rehearsals_do_not_play_in_one_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("instructor.cli.rehearse.PATIENCE_S", 0)
    folder = tmp_path / "rehearsal"
    folder.mkdir()
    with one_at_a_time(folder / ".lock", "rehearsing", 0):
        assert cli.main(["rehearse", "--fast", "--build", str(tmp_path)]) == 1
    assert "another window is rehearsing" in capsys.readouterr().err


def test_an_interrupted_rehearsal_is_begun_again_with_its_kits_and_the_real_class_stays(tmp_path: Path) -> None:
    real = [tmp_path / "build" / name for name in ("kits/group-1/kit.json", "collected/mlflow.db", "inbox/one.zip")]
    folder = tmp_path / "build" / "rehearsal" / "fast"
    old = [folder / name for name in ("laptops/group-1/kit.json", "handins/half.zip", "build/collected/mlflow.db")]
    kept = [folder / name for name in ("build/kits/group-1/kit.json", "build/vault/master.key")]
    for path in (*real, *old, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("work", encoding="utf-8")
    assert "the work of an earlier rehearsal" in prepare_folder(folder)
    assert not any(path.exists() for path in old) and all(path.read_text() == "work" for path in (*real, *kept))
    assert prepare_folder(folder) == ""


def test_list_shows_every_behaviour_and_builds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rehearse", "--list", "--build", str(tmp_path / "build")]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in BEHAVIOURS) and not (tmp_path / "build").exists()


def test_the_workshop_that_ships_has_a_rehearsal() -> None:
    assert read_workshop().rehearsal.groups == {} and json.dumps(vars(read_workshop().rehearsal))
