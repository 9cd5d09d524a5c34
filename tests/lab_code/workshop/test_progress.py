import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_code.workshop.attempts import pause_left
from lab_code.workshop.points import PointRules, count_points
from lab_code.workshop.progress import HEAD, JOURNAL, append_event, read_journal


def make_journal(root: Path, count: int = 4) -> list[bytes]:
    for number in range(count):
        append_event(root, "unlock_failed", stage=f"stage-{number}")
    return (root / JOURNAL).read_bytes().splitlines(keepends=True)


def test_events_are_read_in_order_without_faults(tmp_path: Path) -> None:
    make_journal(tmp_path)
    append_event(tmp_path, "unlocked", stage="stage-1")
    journal = read_journal(tmp_path)
    assert [event["stage"] for event in journal.of("unlock_failed")] == [f"stage-{n}" for n in range(4)]
    assert journal.unlocked("stage-1") and not journal.unlocked("stage-2")
    assert journal.faults == []


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path).events == [] == read_journal(tmp_path).faults


def test_a_changed_line_is_noticed_by_the_one_after_it(tmp_path: Path) -> None:
    lines = make_journal(tmp_path)
    lines[1] = lines[1].replace(b"stage-1", b"stage-9")
    (tmp_path / JOURNAL).write_bytes(b"".join(lines))
    assert read_journal(tmp_path).faults == [f"{JOURNAL} line 3 does not follow the line before it"]


def test_a_removed_line_is_noticed(tmp_path: Path) -> None:
    lines = make_journal(tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"".join(lines[:1] + lines[2:]))
    assert read_journal(tmp_path).faults == [f"{JOURNAL} line 2 does not follow the line before it"]


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_a_removed_end_is_noticed_now_and_later(tmp_path: Path, keep: int) -> None:
    lines = make_journal(tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"".join(lines[:keep]))
    assert read_journal(tmp_path).faults == [f"{JOURNAL} line {keep} is not the last one that was written"]
    append_event(tmp_path, "unlocked", stage="stage-3")
    assert read_journal(tmp_path).faults == [f"{JOURNAL} line {keep + 1} was written where other lines had been"]


def test_a_flipped_bit_in_the_last_line_is_noticed(tmp_path: Path) -> None:
    lines = make_journal(tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"".join(lines).replace(b"stage-3", b"stage-2"))
    assert read_journal(tmp_path).faults == [f"{JOURNAL} line 4 is not the last one that was written"]


def test_a_kill_between_line_and_head_is_no_fault(tmp_path: Path) -> None:
    make_journal(tmp_path)
    head = (tmp_path / HEAD).read_bytes()
    append_event(tmp_path, "unlocked", stage="stage-3")
    (tmp_path / HEAD).write_bytes(head)
    assert read_journal(tmp_path).faults == []


def test_processes_that_write_at_once_keep_the_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lab_code.workshop.progress import append_event\n"
        "for n in range(25): append_event(Path(sys.argv[1]), 'hint', number=n)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    journal = read_journal(tmp_path)
    assert len(journal.events) == 100 and journal.faults == []


@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), max_size=6), st.integers(0, 10_000))
@settings(max_examples=150)
def test_no_damage_to_the_journal_stops_anything(cuts: list[tuple[int, bytes]], end: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        content = b"".join(make_journal(root, 3))
        for place, new in cuts:
            place %= len(content) + 1
            content = content[:place] + new + content[place + len(new) :]
        content = content[: end % (len(content) + 1)] if end % 3 == 0 else content
        (root / JOURNAL).write_bytes(content)
        before = len(read_journal(root).events)
        append_event(root, "unlocked", stage="stage-1")
        journal = read_journal(root)
        assert journal.unlocked("stage-1") and len(journal.events) == before + 1
        assert pause_left(journal, "stage-0") <= 60
        count_points(journal, ["stage-1"], PointRules())


def test_a_cut_off_line_is_noticed_and_the_class_goes_on(tmp_path: Path) -> None:
    lines = make_journal(tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"".join(lines)[:-10])
    assert f"{JOURNAL} line 4 cannot be read" in read_journal(tmp_path).faults
    append_event(tmp_path, "unlocked", stage="stage-3")
    journal = read_journal(tmp_path)
    assert journal.unlocked("stage-3") and len(journal.events) == 4


def test_a_line_of_rubbish_is_noticed(tmp_path: Path) -> None:
    make_journal(tmp_path)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b"\xff\xfe[]\n[]\n")
    faults = read_journal(tmp_path).faults
    assert f"{JOURNAL} line 5 cannot be read" in faults and f"{JOURNAL} line 6 cannot be read" in faults
