"""The schedule: what cannot be is named, all at once, with its place."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from instructor.classroom.schedule import Part, Preparation, Schedule, check_schedule, require_schedule
from instructor.workshop import WORKSHOP_FILE, read_workshop
from lab_code.errors import LabError

HERE = Path("workshop.yaml")
TALK, WORK = Part("talk", "Talk", "slides", 5), Part("work", "Work", "groups", 30)


def faults(schedule: Schedule, activity: int = 30) -> str:
    with pytest.raises(LabError) as caught:
        check_schedule(HERE, schedule, activity)
    return str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (Schedule(50, [TALK, WORK]), "the parts take 35 minutes (talk 5, work 30), schedule.minutes is 50"),
        (Schedule(25, [TALK, replace(WORK, minutes=20)]), "take 20 minutes, activity_minutes is 30"),
        (Schedule(5, [replace(TALK, kind="lecture")]), "there is no kind 'lecture'; kinds: slides, groups"),
        (Schedule(0, [replace(TALK, minutes=0)]), "schedule.parts[1] (talk): minutes are 0, expected 1 to 600"),
        (Schedule(5, [replace(TALK, id="My talk")]), "(My talk): id may hold a-z, 0-9 and dashes"),
        (Schedule(10, [TALK, TALK]), "2 parts have the id 'talk'"),
        (Schedule(5, [TALK], [Preparation("morning", "Print", 5)]), "(Print): there is no time 'morning'; times: week"),
        (Schedule(5, [TALK], [Preparation("week", "Print", -1)]), "(Print): minutes are -1"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(schedule: Schedule, said: str) -> None:
    assert said in faults(schedule)


def test_all_faults_are_named_at_once() -> None:
    said = faults(Schedule(50, [replace(TALK, kind="x"), WORK], [Preparation("never", "Print", 5)]))
    assert "no kind 'x'" in said and "no time 'never'" in said and "take 35 minutes" in said


def test_a_schedule_without_groups_needs_no_activity_minutes() -> None:
    check_schedule(HERE, Schedule(5, [TALK]), 30)


def test_a_workshop_without_a_schedule_is_one_and_only_its_papers_are_refused() -> None:
    check_schedule(HERE, Schedule(), 30)
    with pytest.raises(LabError, match="has no parts"):
        require_schedule(Schedule(), HERE)


def test_parts_are_found_by_name_and_number() -> None:
    schedule = Schedule(35, [TALK, WORK])
    assert schedule.find("work") == schedule.find("2") == 1 and schedule.start_of(1) == 5
    with pytest.raises(LabError, match="there is no part 'film'"):
        schedule.find("film")


def test_the_workshop_file_is_read_with_its_schedule_and_its_faults(tmp_path: Path) -> None:
    assert read_workshop().schedule.minutes == 50
    document = yaml.safe_load(WORKSHOP_FILE.read_text(encoding="utf-8"))
    document["schedule"]["parts"][1]["minutes"] = 29
    changed = tmp_path / "workshop.yaml"
    changed.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(LabError, match="take 49 minutes"):
        read_workshop(changed)


def test_an_unknown_key_of_a_part_lists_those_that_exist(tmp_path: Path) -> None:
    changed = tmp_path / "workshop.yaml"
    changed.write_text(WORKSHOP_FILE.read_text(encoding="utf-8").replace("behind:", "late:"), encoding="utf-8")
    with pytest.raises(LabError) as caught:
        read_workshop(changed)
    assert "late" in str(caught.value) and "behind" in str(caught.value.hint)
