"""Bets and sentences of the groups: two tables beside the leaderboard, from files that nobody here controls."""

import csv
import json
from pathlib import Path

import pytest

from instructor.collect.statements import describe_statements
from lab_code.workshop.kit import Kit
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.hand_ins import put


def statements(*bets: tuple[str, float], sentence: str = "", **texts: str) -> bytes:
    entries = [{"run": run, "score": score, "why": "", "change": "", **texts} for run, score in bets]
    return json.dumps({"bets": entries, "sentence": sentence}).encode()


def test_bets_stand_beside_their_results_and_sentences_in_a_table_of_their_own(desk: Desk) -> None:
    said = {
        "group-1": statements(("own", 0.5), ("baseline", 0.25), sentence="=0.2 more\x1b[2J", why="few; +seen"),
        "group-2": b'{"bets": 3}',
    }
    for group, content in said.items():
        members = desk.members(group)
        put(members, "statements.json", content)
        desk.replace(group, members)
    collected = desk.collect()
    assert not collected.refused and not collected.incomplete
    assert [note for note in collected.notes if "group-2: statements.json cannot be read" in note]
    folder = desk.build / "collected"
    with (folder / "sentences.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"group": "group-1", "sentence": "'=0.2 more�[2J"}]
    with (folder / "bets.csv").open(encoding="utf-8") as file:
        own, baseline = csv.DictReader(file)
    assert (own["run"], own["bet"], own["why"]) == ("own", "0.500000", "few;' +seen")
    assert float(own["off"]) == pytest.approx(float(own["result"]) - 0.5, abs=2e-6) and own["run_id"]
    assert (baseline["run"], baseline["result"], baseline["off"], baseline["run_id"]) == ("baseline", "", "", "")


def test_where_nobody_has_said_anything_there_are_no_tables(desk: Desk) -> None:
    assert not desk.collect().refused
    assert not list((desk.build / "collected").glob("bets.csv")) + list(desk.build.rglob("sentences.csv"))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"bets": {}, "sentence": ""}', b'{"sentence": ""}',
        statements(("x", 2.0)), statements(("x", float("nan"))), statements(("x", float("inf"))),
        b'{"bets": [{"run": "x", "score": "much", "why": "", "change": ""}], "sentence": ""}',
        b'{"bets": [7], "sentence": ""}',
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_note(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "statements.json").write_bytes(content)
    said = describe_statements(tmp_path, tmp_path, Kit(tmp_path, "small", "", "group-1", (), {}))
    assert list(said) == ["fault"] and said["fault"].startswith("statements.json cannot be read: ")


def test_what_is_too_long_or_too_much_is_cut(tmp_path: Path) -> None:
    content = statements(*[(f"run-{number}" * 100, 0.5) for number in range(99)], sentence="x" * 9_000, why="y" * 9_000)
    (tmp_path / "statements.json").write_bytes(content)
    said = describe_statements(tmp_path, tmp_path, Kit(tmp_path, "small", "", "group-1", (), {}))
    assert len(said["sentence"]) == 500 and len(said["bets"]) == 50
    assert all(len(row["why"]) == 500 and len(row["run"]) == 80 for row in said["bets"])
