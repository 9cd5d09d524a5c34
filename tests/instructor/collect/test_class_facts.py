"""What a journal and a feedback say of the half hour, also where somebody has edited them."""

import json
from pathlib import Path
from typing import Any

import pytest

from instructor.collect.class_facts import describe_stages, read_feedback
from lab_code.workshop.progress import Journal


def event(kind: str, minute: float, stage: str = "one", **details: Any) -> dict[str, Any]:
    hour, rest = divmod(minute, 60)
    return {"event": kind, "stage": stage, "time": f"2026-11-23T{12 + int(hour):02}:{int(rest):02}:00+00:00", **details}


def describe(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return describe_stages(Journal(list(events), []), ["one", "two"])


def test_a_stage_takes_from_the_one_before_to_its_opening() -> None:
    one, two = describe(
        event("began", 0),
        event("unlock_failed", 5, answers="1,2,3"),
        event("hint", 6, question="q", number=1),
        event("unlocked", 8, by="answers"),
        event("unlocked", 20, "two", by="rescue"),
        event("unlocked", 25, "two", by="answers"),
    )
    assert (one["minutes"], one["opened"], one["wrong"]) == (8, "answers", 1)
    assert (one["lists"], one["hints"]) == (["1,2,3"], [["q", 1]])
    assert (two["minutes"], two["opened"], two["wrong"]) == (12, "rescue", 0)


@pytest.mark.parametrize(
    ("events", "minutes"),
    [
        ([event("began", 0), event("unlocked", 200)], 0),  # a rehearsal hours before is another sitting
        ([event("began", 0), {"event": "unlocked", "stage": "one", "time": "yesterday"}], None),
        ([{"event": "unlocked", "stage": "one", "time": "2026-11-23T12:00:00"}], None),
        ([{"event": "unlocked", "stage": "one"}], None),
        ([event("began", 30), event("unlocked", 10)], 0),  # the clock was set back
    ],
)
def test_clocks_are_believed_only_where_they_make_sense(events: list[dict[str, Any]], minutes: float | None) -> None:
    (one, two) = describe(*events)
    assert one["minutes"] == minutes and one["opened"] == "answers" and two["opened"] == ""


@pytest.mark.parametrize(
    "events",
    [
        [event("hint", 1, question=["q"] * 99, number="x"), event("hint", 1), event("hint", 1, number=10**9)],
        [event("unlock_failed", 1, answers={"a": 1}), *[event("unlock_failed", 1, answers="9" * 9999)] * 500],
        [{"event": "unlocked", "stage": "one", "by": ["rescue"], "time": 3}],
        [{"event": "unlock_failed", "stage": "one", "time": "9999-12-31T23:59:59-12:00"}],
    ],
)
def test_what_was_edited_by_hand_stays_small_and_harmless(events: list[dict[str, Any]]) -> None:
    assert len(json.dumps(describe(*events))) < 30_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"clear": 4, "learned": 9, "pace": "3", "good": "yes", "more": 1}',
            {"clear": 4, "good": "yes", "better": ""},
        ),
        ('{"clear": [1], "good": null, "better": 5}', {"good": "", "better": "5"}),
        ("[]", None),
        ("{", None),
        (None, None),
    ],
)
def test_feedback_is_read_where_it_fits(tmp_path: Path, text: str | None, expected: dict[str, Any] | None) -> None:
    if text is not None:
        (tmp_path / "feedback.json").write_text(text, encoding="utf-8")
    assert read_feedback(tmp_path) == expected
    (tmp_path / "feedback.json").write_text(json.dumps({"good": "x" * 10_000}), encoding="utf-8")
    assert len((read_feedback(tmp_path) or {})["good"]) == 500
