"""The tidy table: a row a run, what it was compared with, and files that a spreadsheet may open."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from instructor.results.evidence import read_evidence, read_truth, write_evidence
from instructor.results.opinions import list_sentences, read_opinions, summarise_ratings
from instructor.results.results import find_idea, read_kahoot
from instructor.results.runs_table import given_experiments, make_runs_table, read_runs_table, write_runs_table
from lab_code.errors import LabError
from tests.conftest import make_small_workshop
from tests.instructor.results.made_up import make_evidence, make_run

HOSTILE = '=HYPERLINK("http://x")<script>alert(1)</script>'


def make_table(*runs, tested: dict[str, dict[str, float]] | None = None, **facts) -> pd.DataFrame:
    facts = {"run_id": "group-1-1", **({"tested": tested} if tested else {}), **facts}
    return make_runs_table(list(runs), make_evidence(make_small_workshop(), {"group-1": 20}, group_1=facts))


def test_every_run_is_a_row_with_settings_and_both_scores() -> None:
    table = make_table(
        make_run("group-1", "baseline", 1, 0.4),
        make_run("group-1", "wide", 2, 0.6, model__width=32, seed=3),
        make_run("group-1", "sweep", 3, tags={"sweep": "x"}),
        make_run("group-2", "not here", 1),
        tested={"group-1-1": {"balanced_accuracy": 0.35}},
    )
    assert list(table["run"]) == ["baseline", "wide"] and list(table["seed"]) == [0, 3]
    assert table["model.width"].dtype.kind in "if" and list(table["counts"]) == [True, False]
    assert list(table["validation_balanced_accuracy"]) == [0.4, 0.6]
    assert table["test_balanced_accuracy"].fillna(-1).tolist() == [0.35, -1]
    assert str(table["started"].dt.tz) == "UTC" and list(table["seconds"]) == [30, 30]
    wide = table.iloc[1]
    assert (wide["reference"], wide["changes"], wide["changed"]) == ("group-1-1", 1, "model.width 16 → 32")
    assert wide["gain"] == pytest.approx(0.2)  # validation, since only one of both was asked about hidden photographs


def test_a_run_is_compared_with_the_nearest_earlier_one_that_finished() -> None:
    table = make_table(
        make_run("group-1", "baseline", 1),
        make_run("group-1", "both", 2, data__augment="flips", model__width=32),
        make_run("group-1", "broken", 3, status="KILLED", data__augment="flips", model__width=64),
        make_run("group-1", "wider", 4, data__augment="flips", model__width=64),
        make_run("group-1", "wider again", 5, data__augment="flips", model__width=64, seed=1),
    )
    assert list(table["changes"]) == [0, 2, 1, 1, 1]
    assert list(table["reference"]) == ["", *["group-1-1"], *["group-1-2"] * 3]


def test_a_stage_is_counted_by_the_clock_of_the_laptop() -> None:
    stages = [
        {"stage": name, "opened_ms": 1_790_000_000_000 + 60_000 * minute} for name, minute in (("a", 1), ("b", 4))
    ]
    stages.append({"stage": "c", "opened_ms": None})
    table = make_table(*(make_run("group-1", "r", number) for number in (0, 1, 3, 4)), stages=stages)
    assert list(table["stage"]) == [0, 1, 1, 2]


@pytest.mark.parametrize("started", [0, -5, 10**18, 253402300800000])
def test_a_clock_that_shows_nonsense_costs_only_the_time(started: int, tmp_path: Path) -> None:
    run = make_run("group-1", "baseline", 1)
    object.__setattr__(run, "started_ms", started)
    write_runs_table(tmp_path, make_table(run))
    assert len(read_runs_table(tmp_path)) == 1


def test_text_of_a_hand_in_is_neither_a_formula_nor_a_column(tmp_path: Path) -> None:
    run = make_run("group-1", HOSTILE, 1, data__augment="-1+1", **{"=evil": "1", "loss__gamma": "many"})
    write_runs_table(tmp_path, make_table(run))
    with (tmp_path / "runs.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["run"].startswith("'=HYPERLINK") and row["data.augment"] == "'-1+1"
    assert "=evil" not in row and row["loss.gamma"] == ""
    assert read_runs_table(tmp_path)["run"][0] == HOSTILE[:79]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    table = make_table(make_run("group-1", "baseline", 1), make_run("group-1", "ünï", 2, None, status="FAILED"))
    write_runs_table(tmp_path, table)
    pd.testing.assert_frame_equal(read_runs_table(tmp_path), table, check_dtype=False)
    evidence = make_evidence(make_small_workshop(), {"group-1": 20, "group-2": 0})
    write_evidence(tmp_path, evidence)
    assert read_evidence(tmp_path) == evidence


def test_a_class_without_any_run_has_an_empty_table(tmp_path: Path) -> None:
    write_runs_table(tmp_path, make_table())
    assert read_runs_table(tmp_path).empty and find_idea(read_runs_table(tmp_path)) is None


def test_the_best_idea_is_a_groups_own_where_it_has_one_that_helped() -> None:
    given = make_run("group-1", "balanced", 2, 0.9, loss__name="weighted_cross_entropy")
    own = make_run("group-1", "wide", 3, 0.5, model__width=32)
    base = make_run("group-1", "baseline", 1, 0.4)
    idea = find_idea(make_table(base, given, own))
    assert idea and (idea.run, idea.scores) == ("wide", ("0.40", "0.50"))
    idea = find_idea(make_table(base, given, make_run("group-1", "narrow", 3, 0.3, model__width=4)))
    assert idea and idea.run == "balanced" and idea.changed == "loss cross_entropy → weighted_cross_entropy"
    assert {"baseline", "balanced", "focal"} <= given_experiments()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "nothing is collected yet"),
        ("{", "cannot be read"),
        ('{"format": 9}', "another version"),
        ("[]", "cannot"),
    ],
)
def test_evidence_that_cannot_be_used_says_what_to_do(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "evidence.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=message):
        read_evidence(tmp_path)


def test_the_truth_is_in_the_order_of_the_predictions(build: Path) -> None:
    from lab_code.data.lesions import load_lesions

    labels, lesions, _ = read_truth(build / "vault" / "test")
    photographs = load_lesions(build / "vault" / "test", 16)
    assert labels == photographs.labels.tolist() and len(set(lesions)) == len(set(photographs.lesion_ids))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rank,group,points\n1,group-2,900\n2,group-1,800\n", {"group-2": 1, "group-1": 2}),
        ("\ufeffrank,group\n1,group-1\n1,somebody\n", {"group-1": 1}),
        (None, {}),
    ],
)
def test_kahoots_ranking_is_read(tmp_path: Path, text: str | None, expected: dict[str, int]) -> None:
    path = tmp_path / "kahoot-ranking.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert read_kahoot(path, ["group-1", "group-2"]) == expected


def test_a_ranking_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kahoot-ranking.csv"
    path.write_text("place;team\n1;group-1\n", encoding="utf-8")
    with pytest.raises(LabError, match="is no ranking of groups"):
        read_kahoot(path, ["group-1"])


def test_opinions_are_read_as_they_were_written_and_tables_may_be_missing(tmp_path: Path) -> None:
    assert read_opinions(tmp_path).sentences is None
    (tmp_path / "sentences.csv").write_text("group,sentence\ngroup-1,'=1+1 helped\n", encoding="utf-8")
    assert read_opinions(tmp_path).written_by("group-1") == ["=1+1 helped"]
    repeats = {"group-1": {"run_id": "a", "same": True, "error": ""}, "group-2": {"run_id": "b", "error": "no"}}
    (tmp_path / "repeats.json").write_text(json.dumps(repeats), encoding="utf-8")
    assert read_opinions(tmp_path).repeats == {"a": "same"}
    (tmp_path / "bets.csv").write_text("team,bet\n", encoding="utf-8")
    with pytest.raises(LabError, match=r"bets\.csv: the column group is missing"):
        read_opinions(tmp_path)


def test_feedback_is_counted_and_no_sentence_is_lost() -> None:
    answers = [{"clear": 5, "good": "b", "better": ""}, {"clear": 2, "good": "A <b>", "better": "more"}, {}]
    clear, learned, _ = summarise_ratings(answers)
    assert (clear.counts[5], clear.counts[2], clear.mean, clear.spread) == (1, 1, 3.5, (2, 5))
    assert learned.mean is None and sum(learned.counts.values()) == 0
    assert list(list_sentences(answers).values()) == [["A <b>", "b"], ["more"]]
