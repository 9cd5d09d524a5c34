"""Hand-ins that were really made: what arrives in the collected store and on the leaderboard, and for whom."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from instructor.collect.collect import collect_handins
from instructor.collect.evaluate import HiddenTestSet
from instructor.collect.leaderboard import Row, write_leaderboard
from lab_code.errors import LabError
from lab_code.tracking.records import WEIGHTS
from lab_code.tracking.runs import read_runs
from lab_code.tracking.tracker import open_store
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import append_event
from tests.conftest import no_progress
from tests.instructor.collect.conftest import Desk, train_in
from tests.instructor.collect.hand_ins import edit_database, edit_manifest, put, read_zip, sign_again, write_zip

GROUPS = ["group-1", "group-2", "group-3"]


def test_every_group_is_ranked_once(desk: Desk) -> None:
    collected = desk.collect()
    assert not collected.refused and not collected.incomplete and not collected.missing and not collected.notes
    assert sorted(row.group for row in collected.rows) == GROUPS
    assert sorted(row.rank for row in collected.rows if row.rank)[0] == 1
    first = next(row for row in collected.rows if row.group == "group-1")
    assert (first.runs, first.stages_open, first.wrong_answers, first.points) == (3, 1, 1, 10)
    with (desk.build / "collected" / "leaderboard.csv").open(encoding="utf-8") as file:
        assert [row["group"] for row in csv.DictReader(file)] == [row.group for row in collected.rows]
    page = collected.html.read_text(encoding="utf-8")
    assert all(group in page for group in GROUPS)


def test_what_went_in_came_out_under_its_own_ids(desk: Desk, tmp_path: Path) -> None:
    desk.collect()
    merged = {run.run_id: run for run in read_runs(desk.build / "collected")}
    total = 0
    for group in GROUPS:
        (tmp_path / group).mkdir()
        (tmp_path / group / "mlflow.db").write_bytes(desk.members(group)["mlflow.db"])
        for run in read_runs(tmp_path / group):
            total += 1
            other = merged[run.run_id]
            assert (other.name, other.params, other.metrics) == (run.name, run.params, run.metrics)
            assert (other.started_ms, other.tags["group"]) == (run.started_ms, group)
            assert other.status == ("KILLED" if run.status == "RUNNING" else run.status)
            assert other.ended_ms is not None
    assert len(merged) == total == 5


def test_mlflow_shows_the_collected_store(desk: Desk) -> None:
    desk.collect()
    client = open_store(desk.build / "collected")
    experiment = client.get_experiment_by_name("skin-lesions")
    runs = client.search_runs([experiment.experiment_id], filter_string="tags.`group` = 'group-1'")
    assert len(runs) == 3
    assert {file.path for file in client.list_artifacts(runs[0].info.run_id)} >= {"config.yaml", WEIGHTS}
    assert client.get_metric_history(runs[0].info.run_id, "train_loss")[0].step == 1


def test_mlflow_shows_data_sets_and_models_of_every_group(desk: Desk) -> None:
    assert not desk.collect().notes
    client = open_store(desk.build / "collected")
    digests = set()
    for run in read_runs(desk.build / "collected"):
        entry = client.get_run(run.run_id)
        digests |= {(used.dataset.name, used.dataset.digest) for used in entry.inputs.dataset_inputs}
        (output,) = entry.outputs.model_outputs
        model = client.get_logged_model(output.model_id)
        assert (model.name, model.source_run_id) == ("small_cnn", run.run_id)
        assert model.artifact_location.startswith((desk.build / "collected").resolve().as_uri())
    assert {name for name, _ in digests} == {"training", "validation"} and len(digests) == 2


def test_the_test_score_is_that_of_the_best_run_on_the_hidden_photographs(desk: Desk) -> None:
    collected = desk.collect()
    row = next(row for row in collected.rows if row.group == "group-1")
    runs = read_runs(desk.build / "collected")
    finished = [run for run in runs if run.tags["group"] == "group-1" and run.status == "FINISHED"]
    best = max(finished, key=lambda run: run.metrics["best_balanced_accuracy"])
    assert row.run_id == best.run_id
    score = HiddenTestSet(desk.build / "vault" / "test").score(best)
    assert row.test_balanced_accuracy == pytest.approx(score.metrics["balanced_accuracy"])


def test_collecting_again_gives_the_same_store(desk: Desk) -> None:
    first = desk.collect().rows
    assert desk.collect().rows == first
    assert len(read_runs(desk.build / "collected")) == 5
    assert not [path for path in desk.build.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("what", ["staging", "between the renames"])
def test_what_a_killed_collect_left_is_tidied_up(desk: Desk, what: str) -> None:
    rows = desk.collect().rows
    if what == "staging":
        (desk.build / ".staging-collect-killed" / "collected").mkdir(parents=True)
    else:
        (desk.build / "collected").rename(desk.build / ".collected-before")
        shutil.rmtree(desk.inbox)
        desk.inbox.mkdir()
        desk.forget()
        assert desk.collect().rows == [] and len(read_runs(desk.build / "collected")) == 5
        return
    assert desk.collect().rows == rows
    assert not [path for path in desk.build.iterdir() if path.name.startswith(".")]


def test_a_model_that_cannot_be_rebuilt_keeps_the_group_on_the_board(desk: Desk) -> None:
    members = desk.members("group-2")
    for name in [name for name in members if name.endswith("config.yaml")]:
        put(members, name, members[name].replace(b"width: 2", b"width: 3"))
    desk.replace("group-2", members)
    collected = desk.collect()
    row = next(row for row in collected.rows if row.group == "group-2")
    assert row.rank and row.model_rank is None and row.test_balanced_accuracy is None and row.runs == 1
    assert any("group-2: run 'mine' cannot be scored" in line for line in collected.incomplete)


def test_kits_of_other_photographs_are_noticed(desk: Desk) -> None:
    (desk.build / "data" / "SHA256SUMS").write_text("other\n", encoding="utf-8")
    assert any("photographs are not those" in note for note in desk.collect().notes)


def test_without_hand_ins_nothing_is_replaced(desk: Desk) -> None:
    desk.collect()
    shutil.rmtree(desk.inbox)
    desk.inbox.mkdir()
    desk.forget()
    assert desk.collect().rows == []
    assert (desk.build / "collected" / "leaderboard.csv").is_file()


@pytest.mark.parametrize(
    ("path", "message"), [("nothing-here", "there is no"), (None, "hidden test set .* is missing")]
)
def test_a_missing_place_or_test_set_is_an_error(desk: Desk, path: str | None, message: str) -> None:
    if path is None:
        shutil.rmtree(desk.build / "vault")
    with pytest.raises(LabError, match=message):
        collect_handins(desk.workshop, [desk.build / (path or "handins")], desk.build, no_progress)


# For whom a hand-in counts


def score_of(collected, group: str) -> float | None:
    return next(row.test_balanced_accuracy for row in collected.rows if row.group == group)


def test_a_copied_zip_under_another_name_does_not_count_and_the_honest_group_does(desk: Desk) -> None:
    honest = desk.collect()
    desk.forget()
    copied = desk.members("group-1")
    edit_manifest(copied, group="group-2")
    put(copied, "kit.json", copied["kit.json"].replace(b'"group": "group-1"', b'"group": "group-2"'))
    write_zip(desk.zips["group-2"], copied)  # with the signature of the manifest as it was
    collected = desk.collect()
    assert "group-2's kit" not in collected.refused[str(desk.zips["group-2"])]
    assert "its kit has not signed it" in collected.refused[str(desk.zips["group-2"])]
    assert score_of(collected, "group-1") == score_of(honest, "group-1") and collected.missing == ["group-2"]


def test_a_kit_that_was_renamed_is_named_as_a_copy(desk: Desk) -> None:
    members = desk.members("group-1")
    edit_manifest(members, group="group-2")
    put(members, "kit.json", members["kit.json"].replace(b'"group": "group-1"', b'"group": "group-2"'))
    desk.replace("group-1", members)  # signed by the kit that it is a copy of
    assert "is a copy of group-1's kit" in desk.collect().refused[str(desk.zips["group-1"])]


def test_a_date_in_the_future_replaces_nothing(desk: Desk) -> None:
    members = desk.members("group-1")
    edit_manifest(members, group="group-2", written="2099-01-01T00:00:00+00:00")
    put(members, "kit.json", members["kit.json"].replace(b'"group": "group-1"', b'"group": "group-2"'))
    write_zip(desk.inbox / "late.zip", members)
    old = read_zip(desk.zips["group-2"])
    edit_manifest(old, written="2099-01-01T00:00:00+00:00")
    write_zip(desk.inbox / "older.zip", old)
    collected = desk.collect()
    assert len(collected.refused) == 2 and sorted(row.group for row in collected.rows) == GROUPS
    assert not any(row.handed_in.startswith("2099") for row in collected.rows)


def test_a_hand_in_without_a_signature_counts_only_where_that_is_asked_for(desk: Desk) -> None:
    members = desk.members("group-2")
    del members["signature.txt"]
    write_zip(desk.zips["group-2"], members)
    assert "is not signed" in desk.collect().refused[str(desk.zips["group-2"])]
    assert sorted(row.group for row in desk.collect(unsigned=True).rows) == GROUPS


def test_a_later_hand_in_replaces_the_earlier_one_and_that_is_said(desk: Desk, worked_in, tmp_path: Path) -> None:
    root = shutil.copytree(worked_in["group-2"], tmp_path / "group-2")
    train_in(root, "group-2", "later", seed=3)
    append_event(root, "unlocked", stage="2-imbalance", by="answers")
    later, receipt, _ = write_handin(read_kit(root))
    members = read_zip(later)
    edit_manifest(members, written="2001-01-01T00:00:00+00:00")  # a clock that is decades off changes nothing
    sign_again(members, desk.key("group-2"))
    write_zip(desk.zips["group-3"], members)
    collected = desk.collect()
    assert [n for n in collected.notes if n.startswith("group-2:") and "is replaced by the later" in n] and receipt
    row = next(row for row in collected.rows if row.group == "group-2")
    assert (row.runs, row.stages_open, row.handed_in[:4]) == (2, 2, "2001") and collected.missing == ["group-3"]


def test_a_later_hand_in_counts_alone_although_a_run_was_deleted_since(desk: Desk, worked_in, tmp_path: Path) -> None:
    root = shutil.copytree(worked_in["group-1"], tmp_path / "group-1")
    with sqlite3.connect(root / "mlflow.db") as database:
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = 'second'")
    database.close()
    shutil.copyfile(write_handin(read_kit(root))[0], desk.inbox / "later.zip")
    collected = desk.collect()
    assert next(row for row in collected.rows if row.group == "group-1").runs == 2
    assert [note for note in collected.notes if "is replaced by the later later.zip" in note]


def test_the_same_hand_in_twice_is_said(desk: Desk) -> None:
    shutil.copyfile(desk.zips["group-2"], desk.inbox / "again.zip")
    collected = desk.collect()
    assert [note for note in collected.notes if "are the same hand-in" in note] and len(collected.rows) == 3


def test_two_laptops_of_one_group_both_count(desk: Desk, build: Path, tmp_path: Path) -> None:
    root = shutil.copytree(build / "kits" / "group-2", tmp_path / "second-laptop" / "group-2")
    append_event(root, "unlocked", stage="1-configuration", by="rescue")
    train_in(root, "group-2", "elsewhere", seed=5)
    shutil.copyfile(write_handin(read_kit(root))[0], desk.inbox / "second-laptop.zip")
    collected = desk.collect()
    row = next(row for row in collected.rows if row.group == "group-2")
    assert (row.runs, row.points) == (2, 10) and not collected.refused
    assert [note for note in collected.notes if "hand-ins of 2 laptops; the runs of all of them count" in note]
    assert {run.name for run in read_runs(desk.build / "collected") if run.tags["group"] == "group-2"} == {
        "mine", "elsewhere",
    }  # fmt: skip


def take_runs(desk: Desk, *, claim: bool) -> None:
    """group-2 hands in the runs of group-1 as well; `claim` says that they are its own."""
    mine, theirs = desk.members("group-2"), desk.members("group-1")
    for name, content in theirs.items():
        if name.startswith("mlartifacts/"):
            put(mine, name, content)
    put(mine, "mlflow.db", theirs["mlflow.db"])
    if claim:
        edit_database(mine, "UPDATE tags SET value = 'group-2' WHERE key = 'group'")
    desk.replace("group-2", mine)


def test_runs_of_another_group_do_not_count(desk: Desk) -> None:
    honest = score_of(desk.collect(), "group-1")
    desk.forget()
    take_runs(desk, claim=False)
    collected = desk.collect()
    assert not collected.refused and score_of(collected, "group-1") == honest
    assert score_of(collected, "group-2") is None
    (note,) = (note for note in collected.notes if "made by group-1's kit, and not counted for it" in note)
    assert note.startswith("group-2: ") and note.count("'") == 7
    assert {run.tags["group"] for run in read_runs(desk.build / "collected")} == {"group-1", "group-3"}


def test_runs_that_two_groups_claim_are_named_and_the_honest_group_is_not_refused(desk: Desk) -> None:
    honest = score_of(desk.collect(), "group-1")
    desk.forget()
    take_runs(desk, claim=True)
    collected = desk.collect()
    assert not collected.refused and score_of(collected, "group-1") == honest
    assert sum("was handed in by group-1 and group-2, each as its own" in line for line in collected.conflicts) == 3


def test_an_unsigned_hand_in_never_stands_beside_a_signed_one(desk: Desk) -> None:
    honest = desk.collect()
    forged = desk.members("group-2")
    receipt = next(row.receipt for row in honest.rows if row.group == "group-2")
    put(
        forged,
        "progress.jsonl",
        forged["progress.jsonl"] + f'{{"event": "handed_in", "receipt": "{receipt}"}}\n'.encode(),
    )
    del forged["signature.txt"]
    write_zip(desk.inbox / "forged.zip", forged)
    collected = desk.collect(unsigned=True)
    assert (
        "it is not signed, and group-2 has handed in one that is" in collected.refused[str(desk.inbox / "forged.zip")]
    )
    assert collected.rows == honest.rows


def test_of_a_run_that_two_groups_claim_the_store_shows_the_one_with_more_to_show(desk: Desk) -> None:
    forged, theirs = desk.members("group-1"), desk.members("group-2")
    names = [name.split("/") for name in theirs if name.startswith("mlartifacts/skin-lesions/")]
    (run_id,) = {parts[2] for parts in names if parts[2] != "models"}
    edit_database(
        forged,
        "CREATE TEMP TABLE r AS SELECT * FROM runs LIMIT 1",
        f"UPDATE r SET run_uuid = '{run_id}', name = 'FORGED',"
        f" artifact_uri = 'mlartifacts/skin-lesions/{run_id}/artifacts'",
        "INSERT INTO runs SELECT * FROM r",
        f"INSERT INTO tags (key, value, run_uuid) VALUES ('group', 'group-1', '{run_id}')",
    )
    desk.replace("group-1", forged)
    collected = desk.collect()
    stored = {run.run_id: run for run in read_runs(desk.build / "collected")}
    assert stored[run_id].name == "mine" and stored[run_id].tags["group"] == "group-2" and stored[run_id].metrics
    assert [line for line in collected.conflicts if "handed in by group-1 and group-2" in line]


def test_text_of_a_hand_in_is_no_formula_and_no_markup(tmp_path: Path) -> None:
    row = Row(1, "group-1", "=HYPERLINK(1)<script>", "id", 0.5, 0.5, 0.5, np.nan, 1, 1, 10, 0, "", "CODE")
    write_leaderboard(tmp_path, "T", [row])
    assert "'=HYPERLINK" in (tmp_path / "leaderboard.csv").read_text(encoding="utf-8")
    assert "<script>" not in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")


UNDESCRIBED = {  # what of a class is from before data sets described themselves
    "the kit of one group": ("group-1",),
    "the kits, the photographs and the hidden ones": (*GROUPS, "data", "vault/test"),
}


@pytest.mark.parametrize("of", UNDESCRIBED)
def test_hand_ins_from_before_data_sets_described_themselves_are_collected(desk: Desk, of: str) -> None:
    for place in UNDESCRIBED[of]:
        if place in GROUPS:
            members = desk.members(place)
            files = json.loads(members["manifest.json"])["files"]
            gone = [name for name in files if name.endswith("/dataset.yaml")]
            assert gone
            edit_manifest(members, files={name: known for name, known in files.items() if name not in gone})
            desk.replace(place, {name: content for name, content in members.items() if name not in gone})
        else:
            (desk.build / place / "dataset.yaml").unlink()
    collected = desk.collect()
    assert not (collected.refused or collected.incomplete or collected.missing or collected.notes)
    assert all(row.test_balanced_accuracy is not None for row in collected.rows) and len(collected.rows) == 3


def test_runs_of_any_name_of_the_experiment_are_the_labs_own(desk: Desk) -> None:
    """Kits of an older version called it skin-lesions whatever their subject, and a group may have renamed it."""
    described = desk.build / "data" / "dataset.yaml"
    described.write_text(described.read_text("utf-8").replace("subject: skin lesions", "subject: warts"), "utf-8")
    for group, name in (("group-1", "warts"), ("group-2", "our runs")):
        members = desk.members(group)
        edit_database(members, f"UPDATE experiments SET name = '{name}'")
        desk.replace(group, members)
    assert not desk.collect().refused
    with sqlite3.connect(desk.build / "collected" / "mlflow.db") as database:
        counted = database.execute(
            "SELECT e.name, count(*) FROM runs r JOIN experiments e USING (experiment_id) GROUP BY e.name"
        ).fetchall()
    database.close()
    assert counted == [("warts", 5)]
