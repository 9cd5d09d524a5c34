from pathlib import Path

from lab_code.workshop.progress import JOURNAL, append_event, read_journal


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
