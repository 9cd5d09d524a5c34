"""Hand-ins that were really made, and damaged ones among them."""

import csv
import hashlib
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest

from instructor.collect.collect import collect_handins
from instructor.collect.evaluate import HiddenTestSet
from instructor.collect.leaderboard import Row, rank_rows, write_leaderboard
from lab_code.config import compose_config
from lab_code.errors import LabError
from lab_code.experiment import run_experiment
from lab_code.records import WEIGHTS
from lab_code.runs import read_runs
from lab_code.tracking import open_store
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import append_event
from tests.conftest import no_progress

QUICK = ["trainer.epochs=1", "model.width=2", "data.image_size=16", "trainer.device=cpu"]


def train_in(root: Path, group: str, name: str = "mine", seed: int = 0, *, finish: bool = True) -> None:
    """A real, tiny run in a kit."""
    run_experiment(
        compose_config([*QUICK, f"name={name}", f"seed={seed}"]), root, {"group": group, "workshop": "small"}
    )
    if not finish:  # as a laptop leaves it whose lid was closed
        with sqlite3.connect(root / "mlflow.db") as database:
            database.execute("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE name = ?", (name,))
        database.close()


@pytest.fixture(scope="module")
def handins(build: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One zip of each group: group-1 with two runs and one that still ran, group-2 and group-3 with one."""
    zips = {}
    for number, group in enumerate(("group-1", "group-2", "group-3")):
        root = tmp_path_factory.mktemp(group) / group
        shutil.copytree(build / "kits" / group, root)
        append_event(root, "unlock_failed", stage="1-configuration")
        append_event(root, "unlocked", stage="1-configuration", by="answers")
        train_in(root, group, seed=number)
        if number == 0:
            train_in(root, group, "second", seed=7)
            train_in(root, group, "cut-off", seed=8, finish=False)
        zips[group], _, _ = write_handin(read_kit(root))
    return zips


@pytest.fixture
def place(handins: dict[str, Path], build: Path, tmp_path: Path) -> Path:
    """A build folder with a vault and the three zips in `build/handins/`."""
    folder = tmp_path / "build"
    (folder / "handins").mkdir(parents=True)
    shutil.copytree(build / "vault" / "test", folder / "vault" / "test")
    shutil.copytree(build / "data", folder / "data")
    for path in handins.values():
        shutil.copyfile(path, folder / "handins" / path.name)
    return folder


def collect(workshop, place: Path):
    return collect_handins(workshop, [place / "handins"], place, no_progress)


def test_every_group_is_ranked_once(place: Path, workshop) -> None:
    collected = collect(workshop, place)
    assert not collected.refused and not collected.missing and not collected.notes
    assert sorted(row.group for row in collected.rows) == ["group-1", "group-2", "group-3"]
    assert sorted(row.rank for row in collected.rows if row.rank)[0] == 1
    first = next(row for row in collected.rows if row.group == "group-1")
    assert (first.runs, first.stages_open, first.wrong_answers, first.points) == (3, 1, 1, 10)
    with (place / "collected" / "leaderboard.csv").open(encoding="utf-8") as file:
        assert [row["group"] for row in csv.DictReader(file)] == [row.group for row in collected.rows]
    page = collected.html.read_text(encoding="utf-8")
    assert all(group in page for group in workshop.groups)


def test_what_went_in_came_out_under_its_own_ids(place: Path, workshop, handins, tmp_path: Path) -> None:
    collect(workshop, place)
    merged = {run.run_id: run for run in read_runs(place / "collected")}
    total = 0
    for group, path in handins.items():
        with zipfile.ZipFile(path) as archive:
            archive.extract("mlflow.db", tmp_path / group)
        for run in read_runs(tmp_path / group):
            total += 1
            other = merged[run.run_id]
            assert (other.name, other.params, other.metrics) == (run.name, run.params, run.metrics)
            assert (other.started_ms, other.tags["group"]) == (run.started_ms, group)
            assert other.status == ("KILLED" if run.status == "RUNNING" else run.status)
            assert other.ended_ms is not None
    assert len(merged) == total == 5


def test_mlflow_shows_the_collected_store(place: Path, workshop) -> None:
    collect(workshop, place)
    client = open_store(place / "collected")
    experiment = client.get_experiment_by_name("skin-lesions")
    runs = client.search_runs([experiment.experiment_id], filter_string="tags.`group` = 'group-1'")
    assert len(runs) == 3
    assert {file.path for file in client.list_artifacts(runs[0].info.run_id)} >= {"config.yaml", WEIGHTS}
    assert client.get_metric_history(runs[0].info.run_id, "train_loss")[0].step == 1


def test_mlflow_shows_data_sets_and_models_of_every_group(place: Path, workshop) -> None:
    assert not collect(workshop, place).notes
    client = open_store(place / "collected")
    digests = set()
    for run in read_runs(place / "collected"):
        entry = client.get_run(run.run_id)
        digests |= {(used.dataset.name, used.dataset.digest) for used in entry.inputs.dataset_inputs}
        (output,) = entry.outputs.model_outputs
        model = client.get_logged_model(output.model_id)
        assert (model.name, model.source_run_id) == ("small_cnn", run.run_id)
        assert model.artifact_location.startswith((place / "collected").resolve().as_uri())
    assert {name for name, _ in digests} == {"training", "validation"} and len(digests) == 2


def test_the_test_score_is_that_of_the_best_run_on_the_hidden_photographs(place: Path, workshop) -> None:
    collected = collect(workshop, place)
    row = next(row for row in collected.rows if row.group == "group-1")
    finished = [r for r in read_runs(place / "collected") if r.tags["group"] == "group-1" and r.status == "FINISHED"]
    best = max(finished, key=lambda run: run.metrics["best_balanced_accuracy"])
    assert row.run_id == best.run_id
    score = HiddenTestSet(place / "vault" / "test").score(best)
    assert row.test_balanced_accuracy == pytest.approx(score.metrics["balanced_accuracy"])


def test_collecting_again_gives_the_same_store(place: Path, workshop) -> None:
    first = collect(workshop, place).rows
    assert collect(workshop, place).rows == first
    assert len(read_runs(place / "collected")) == 5
    assert not [path for path in place.iterdir() if path.name.startswith(".staging")]


def rewrite(path: Path, change) -> None:
    """Rebuild a zip after `change(members)`; the manifest keeps its checksums unless the change mends them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def edit_manifest(members: dict[str, bytes], **changes: object) -> None:
    members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()


def replace_member(members: dict[str, bytes], name: str, content: bytes) -> None:
    """As a cheat would: another content, and a manifest that agrees with it."""
    files = json.loads(members["manifest.json"])["files"]
    members[name] = content
    edit_manifest(members, files={**files, name: hashlib.sha256(content).hexdigest()})


def escape(members: dict[str, bytes]) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["files"]["../escape.txt"] = "0" * 64
    members["../escape.txt"] = b"x"
    members["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda path: path.write_bytes(b"not a zip at all"), "not a zip"),
        (lambda path: path.write_bytes(b""), "not a zip"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "not a zip"),
        (lambda path: rewrite(path, lambda m: m.pop("manifest.json")), "not a hand-in of this kit"),
        (lambda path: rewrite(path, lambda m: m.update({"manifest.json": b"[]"})), "not a hand-in of this kit"),
        (lambda path: rewrite(path, lambda m: m.update({"mlflow.db": b"x"})), "mlflow.db is damaged"),
        (lambda path: rewrite(path, lambda m: m.pop("mlflow.db")), "not a hand-in of this kit"),
        (lambda path: rewrite(path, lambda m: edit_manifest(m, workshop="other")), "workshop 'other'"),
        (lambda path: rewrite(path, lambda m: edit_manifest(m, group="group-9")), "group 'group-9'"),
        (lambda path: rewrite(path, lambda m: edit_manifest(m, group="group-3")), "name different groups"),
        (lambda path: rewrite(path, escape), "'../escape.txt', which does not belong there"),
    ],
)
def test_one_bad_hand_in_is_named_and_the_others_go_on(place: Path, workshop, handins, break_it, reason: str) -> None:
    bad = place / "handins" / handins["group-2"].name
    break_it(bad)
    collected = collect(workshop, place)
    assert list(collected.refused) == [bad] and reason in collected.refused[bad]
    assert sorted(row.group for row in collected.rows) == ["group-1", "group-3"]
    assert collected.missing == ["group-2"]
    assert not (place.parent / "escape.txt").exists() and not (place / "escape.txt").exists()


def test_a_kit_that_is_a_copy_of_another_is_refused(place: Path, workshop, handins) -> None:
    def take_runs(members: dict[str, bytes]) -> None:
        with zipfile.ZipFile(handins["group-1"]) as archive:
            replace_member(members, "mlflow.db", archive.read("mlflow.db"))

    bad = place / "handins" / handins["group-2"].name
    rewrite(bad, take_runs)
    collected = collect(workshop, place)
    assert "was handed in by group-1 already" in collected.refused[bad]
    assert len(read_runs(place / "collected")) == 4


def test_a_database_of_nonsense_is_one_groups_affair(place: Path, workshop, handins, tmp_path: Path) -> None:
    def break_rows(members: dict[str, bytes]) -> None:
        (tmp_path / "broken.db").write_bytes(members["mlflow.db"])
        with sqlite3.connect(tmp_path / "broken.db") as database:
            database.execute("UPDATE runs SET artifact_uri = NULL, start_time = 'noon'")
        database.close()
        replace_member(members, "mlflow.db", (tmp_path / "broken.db").read_bytes())

    bad = place / "handins" / handins["group-2"].name
    rewrite(bad, break_rows)
    collected = collect(workshop, place)
    assert list(collected.refused) == [bad]
    assert sorted(row.group for row in collected.rows) == ["group-1", "group-3"]
    assert len(read_runs(place / "collected")) == 4


def test_the_newest_of_a_groups_hand_ins_counts(place: Path, workshop, handins) -> None:
    older = place / "handins" / "group-2-older.zip"
    shutil.copyfile(handins["group-2"], older)
    rewrite(older, lambda m: edit_manifest(m, written="2001-01-01T00:00:00+00:00"))
    collected = collect(workshop, place)
    row = next(row for row in collected.rows if row.group == "group-2")
    assert not row.handed_in.startswith("2001") and not collected.refused


def test_a_model_that_cannot_be_rebuilt_keeps_the_group_on_the_board(place: Path, workshop, handins) -> None:
    def other_width(members: dict[str, bytes]) -> None:
        for name in [name for name in members if name.endswith("config.yaml")]:
            replace_member(members, name, members[name].replace(b"width: 2", b"width: 3"))

    rewrite(place / "handins" / handins["group-2"].name, other_width)
    collected = collect(workshop, place)
    row = next(row for row in collected.rows if row.group == "group-2")
    assert row.rank is None and row.test_balanced_accuracy is None and row.runs == 1
    assert any("group-2: run 'mine' cannot be scored" in note for note in collected.notes)


def test_kits_of_other_photographs_are_noticed(place: Path, workshop) -> None:
    (place / "data" / "SHA256SUMS").write_text("other\n", encoding="utf-8")
    assert any("photographs are not those" in note for note in collect(workshop, place).notes)


def test_without_hand_ins_nothing_is_replaced(place: Path, workshop) -> None:
    collect(workshop, place)
    shutil.rmtree(place / "handins")
    (place / "handins").mkdir()
    assert collect(workshop, place).rows == []
    assert (place / "collected" / "leaderboard.csv").is_file()


@pytest.mark.parametrize(
    ("path", "message"), [("nothing-here", "there is no"), (None, "hidden test set .* is missing")]
)
def test_a_missing_place_or_test_set_is_an_error(place: Path, workshop, path: str | None, message: str) -> None:
    if path is None:
        shutil.rmtree(place / "vault")
    with pytest.raises(LabError, match=message):
        collect_handins(workshop, [place / (path or "handins")], place, no_progress)


def make_row(group: str, score: float | None) -> Row:
    return Row(None, group, "run", "id", score, 0.5, 0.5, 0.5, 1, 1, 10, 0, "", "CODE")


def test_equal_scores_share_a_rank_and_no_score_comes_last() -> None:
    rows = rank_rows([make_row("a", 0.5), make_row("b", None), make_row("c", 0.7), make_row("d", 0.5)])
    assert [(row.group, row.rank) for row in rows] == [("c", 1), ("a", 2), ("d", 2), ("b", None)]


def test_text_of_a_hand_in_is_no_formula_and_no_markup(tmp_path: Path) -> None:
    row = Row(1, "group-1", "=HYPERLINK(1)<script>", "id", 0.5, 0.5, 0.5, np.nan, 1, 1, 10, 0, "", "CODE")
    write_leaderboard(tmp_path, "T", [row])
    assert "'=HYPERLINK" in (tmp_path / "leaderboard.csv").read_text(encoding="utf-8")
    assert "<script>" not in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
