"""What was collected stays: originals under their hash, only what is new is added, and two contents are a conflict."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from instructor.collect.handins import HandIns
from instructor.collect.inbox import Inbox, copy_original
from lab_code.errors import LabError
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.faulty_class import read_class
from tests.instructor.collect.hand_ins import (
    edit_database,
    put,
    read_zip,
    sign_again,
    write_zip,
    zip_bytes,
)


@pytest.fixture
def read(desk: Desk, tmp_path: Path):
    """Read what lies in `build/handins/`, or in other places."""
    count = 0

    def call(*places: Path) -> HandIns:
        nonlocal count
        count += 1
        return read_class(desk.workshop, desk.build, desk.build / f".scratch-{count}", [*(places or [desk.inbox])])

    return call


def originals(desk: Desk) -> set[str]:
    return {path.name for path in (desk.build / "inbox").glob("*.zip")}


def test_originals_are_kept_untouched_and_collecting_again_says_what_is_known(desk: Desk, read, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in desk.inbox.iterdir()}
    first = read()
    assert originals(desk) == {f"{hashlib.sha256(content).hexdigest()}.zip" for content in before.values()}
    assert [found.known for found in first.found] == [False] * 3
    assert {path.name: path.read_bytes() for path in desk.inbox.iterdir()} == before

    shutil.copyfile(desk.zips["group-1"], desk.inbox / "again (1).zip")  # renamed
    write_zip(desk.inbox / "wrapped.zip", {"a/group-2.zip": desk.zips["group-2"].read_bytes()})
    write_zip(desk.inbox / "re-zipped.zip", {f"top/{n}": c for n, c in desk.members("group-3").items()})
    again = read()
    assert [found.known for found in again.found] == [True] * 3 and not again.refused
    assert len(originals(desk)) == 3 and sum("are the same hand-in" in note for note in again.notes) == 3

    shutil.rmtree(desk.inbox)
    desk.inbox.mkdir()
    alone = read()
    assert list(alone.of_group) == ["group-1", "group-2", "group-3"] and not alone.notes and not alone.refused
    assert {Path(found.shown).name for found in alone.found} == set(before)


def test_of_a_copy_that_is_damaged_and_one_that_is_kept_the_good_one_counts(desk: Desk, read) -> None:
    members = desk.members("group-2")
    read()
    members[next(name for name in members if name.endswith("config.yaml"))] += b"damaged"
    write_zip(desk.zips["group-2"], members)  # the stick has lost a bit since
    found = read()
    assert list(found.of_group) == ["group-1", "group-2", "group-3"] and not found.refused


def test_of_two_copies_the_next_is_read_where_one_is_damaged(desk: Desk, read) -> None:
    members = desk.members("group-2")
    write_zip(desk.inbox / "z-good.zip", members)
    members[next(name for name in members if name.endswith("config.yaml"))] += b"damaged"
    write_zip(desk.zips["group-2"], members)
    found = read()
    assert "group-2" in found.of_group and list(found.refused) == [str(desk.zips["group-2"])]


def change_points(members) -> None:
    edit_database(members, "UPDATE metrics SET value = value / 2 WHERE key = 'accuracy'")


def change_files(members) -> None:
    put(members, next(name for name in members if name.endswith("config.yaml")), b"name: other\n")


def change_name(members) -> None:
    edit_database(members, "UPDATE runs SET name = 'a better name'", "UPDATE tags SET value = 'x' WHERE key = 'note'")


@pytest.mark.parametrize(
    ("change", "what"), [(change_points, "parameters or metrics"), (change_files, "files"), (change_name, None)]
)
def test_a_finished_run_that_comes_with_other_content_is_a_conflict_and_a_new_name_is_none(
    desk: Desk, read, change, what: str | None
) -> None:
    read()
    members = desk.members("group-2")
    change(members)
    desk.replace("group-2", members)
    for found in (read(), read()):  # it stays one until somebody settles it
        assert len(found.of_group["group-2"]) == 1 and not found.refused
        assert len(found.conflicts) == (what is not None)
        if what:
            (line,) = found.conflicts
            assert "came with two contents" in line and f"its {what} differ in" in line and ".zip" in line
    assert len(originals(desk)) == 4


def test_a_run_that_went_on_after_it_was_collected_is_no_conflict(desk: Desk, read) -> None:
    whole = desk.members("group-2")
    cut = desk.members("group-2")
    edit_database(
        cut, "UPDATE runs SET status = 'RUNNING', end_time = NULL", "DELETE FROM metrics WHERE key = 'accuracy'"
    )
    desk.replace("group-2", cut)
    read()
    put(whole, "progress.jsonl", whole["progress.jsonl"] + b'{"event": "trained"}\n')
    desk.replace("group-2", whole)
    found = read()
    assert not found.conflicts and found.of_group["group-2"][0].runs.popitem()[1]["status"] == "FINISHED"


def test_what_was_taken_unsigned_once_stays(desk: Desk, read, tmp_path: Path) -> None:
    members = desk.members("group-2")
    del members["signature.txt"]
    write_zip(desk.zips["group-2"], members)
    read_class(desk.workshop, desk.build, tmp_path / "first", [desk.inbox], unsigned=True)
    assert "group-2" in read().of_group


def test_a_download_of_all_groups_is_kept_once_and_read_again_from_there(desk: Desk, read, tmp_path: Path) -> None:
    everything = {f"{group}_1/{group}.zip": path.read_bytes() for group, path in desk.zips.items()}
    write_zip(tmp_path / "all.zip", everything)
    read(tmp_path / "all.zip")
    (tmp_path / "all.zip").unlink()
    (tmp_path / "empty").mkdir()
    found = read(tmp_path / "empty")
    assert list(found.of_group) == list(desk.zips) and len(originals(desk)) == 1
    assert all("all.zip › " in one.shown for one in found.found)


def test_a_zip_that_is_no_hand_in_is_not_kept(desk: Desk, read, tmp_path: Path) -> None:
    write_zip(tmp_path / "holiday.zip", {"a.jpg": b"x"})
    found = read(tmp_path / "holiday.zip", desk.inbox)
    assert list(found.refused) == [str(tmp_path / "holiday.zip")] and len(originals(desk)) == 3


def test_notes_of_the_inbox_that_are_lost_or_damaged_cost_nothing(desk: Desk, read) -> None:
    read()
    one, other, _ = sorted((desk.build / "inbox").glob("*.json"))
    one.unlink()
    other.write_text("[" * 10_000, encoding="utf-8")
    shutil.rmtree(desk.inbox)
    desk.inbox.mkdir()
    assert len(read().of_group) == 3


def test_what_changes_while_it_is_copied_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({"a": b"x"}))
    with pytest.raises(LabError, match="changed while it was read"):
        copy_original(path, tmp_path / "copy.zip", "0" * 64)


def test_the_inbox_says_what_an_original_was_called(desk: Desk, read) -> None:
    read()
    for original in Inbox(desk.build / "inbox").kept():
        note = json.loads(original.path.with_suffix(".json").read_text(encoding="utf-8"))
        assert original.shown == note["came_as"] in {str(path) for path in desk.zips.values()}
        assert note["first_collected"] and len(note["contents"]) == 1


def test_a_hand_in_unpacked_on_the_stick_is_kept_as_a_zip(desk: Desk, read, tmp_path: Path) -> None:
    stick = tmp_path / "stick" / "group-2"
    for name, content in read_zip(desk.zips["group-2"]).items():
        (stick / name).parent.mkdir(parents=True, exist_ok=True)
        (stick / name).write_bytes(content)
    desk.zips["group-2"].unlink()
    assert len(read(tmp_path / "stick", desk.inbox).of_group) == 3
    shutil.rmtree(stick)
    again = read(tmp_path / "stick", desk.inbox)
    assert len(again.of_group) == 3 and len(originals(desk)) == 3


def test_many_old_hand_ins_that_are_kept_do_not_fail_the_next_call(desk: Desk, read) -> None:
    members = desk.members("group-2")
    for number in range(14):
        put(members, "feedback.json", f'{{"number": {number}}}'.encode())
        sign_again(members, desk.key("group-2"))
        write_zip(desk.inbox / f"more-{number}.zip", members)
    assert len(read().incomplete) == 1
