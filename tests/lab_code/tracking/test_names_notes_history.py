"""Names of runs of any kit, what is said about them, their epochs, and the view of MLflow's page."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pytest

from lab_code.analysis.compare import compare_code, compare_repeat, compare_runs, find_run
from lab_code.analysis.differences import differing_settings
from lab_code.analysis.live import find_ghost, view_run
from lab_code.analysis.table import runs_table
from lab_code.config import compose_config
from lab_code.data.ham10000 import HAM10000
from lab_code.errors import LabError
from lab_code.tracking.description import Notes, write_description, write_notes
from lab_code.tracking.history import read_history, read_progress, write_progress
from lab_code.tracking.names import choose_curves, is_fact, name_metric, name_single
from lab_code.tracking.running import hold_run
from lab_code.tracking.runs import read_experiment_id, read_runs, reroot_store
from lab_code.tracking.tracker import open_store, track_run
from lab_code.tracking.views import KEY, add_view, describe_view, remember_view
from lab_code.training.trainer import EpochResult

SCORES = ("accuracy", "balanced_accuracy", "macro_auc")
OF_OLD_KITS = {
    **{f"{name}_{end}": f"interval/{name[5:]}_{end}" for name in ("best_accuracy", "best_balanced_accuracy")
       for end in ("low", "high")},
    "sensitivity_mel": "sensitivity/mel",
    "best_sensitivity_nv": "best_sensitivity/nv",
    "specificity_akiec": "specificity/akiec",
    "best_specificity_df": "best_specificity/df",
    "data_s": "time/data_s",
    "train_s": "time/train_s",
    "tracking_s": "time/tracking_s",
    "epoch_s": "time/epoch_s",
}  # fmt: skip
STILL_SO = [
    "accuracy", "best_accuracy", "best_epoch", "train_loss", "learning_rate", "system/cpu_utilization_percentage",
    "sensitivity/mel", "time/epoch_s", "interval/accuracy_low", "sensitivity_of_nothing", "warm_epoch_s",
]  # fmt: skip


@pytest.mark.parametrize(("before", "today"), [*OF_OLD_KITS.items(), *zip(STILL_SO, STILL_SO, strict=True)])
def test_every_metric_of_an_old_kit_has_its_name_of_today(before: str, today: str) -> None:
    assert name_metric(before) == today == name_metric(today)


@pytest.mark.parametrize(
    ("key", "fact"),
    [
        ("machine.torch", True), ("code.commit", True), ("model.parameters", True), ("data.fingerprint", True),
        ("data.train_images", True), ("data.folder", False), ("model.name", False), ("seed", False), ("name", False),
    ],
)  # fmt: skip
def test_what_nobody_has_chosen_is_a_fact(key: str, fact: bool) -> None:
    assert is_fact(key) == fact


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs: one as kits before this one wrote it, and one as they do now."""
    store = tmp_path_factory.mktemp("store")
    facts = {"code.fingerprint": "0123", "machine.device": "cpu", "model.parameters": 9, "data.train_images": 70}
    with track_run(store, "skin-lesions", compose_config(["name=old", "optimizer.lr=0.01"]), {"group": "g"}) as run:
        run.log_params(facts)
        for epoch, score in enumerate((0.2, 0.3, 0.25), 1):
            scores = dict.fromkeys(SCORES, score) | {"sensitivity_mel": score, "epoch_s": 2.0, "train_loss": 1 / epoch}
            run.log_metrics(scores, step=epoch)
        best = {f"best_{name}": 0.3 for name in SCORES} | {"best_sensitivity_mel": 0.3, "best_epoch": 2, "train_s": 6}
        run.log_metrics(best | {"best_accuracy_low": 0.2, "best_accuracy_high": 0.4})
    with track_run(store, "skin-lesions", compose_config(["name=new"]), {"group": "g"}) as run:
        run.log_facts({**facts, "machine.device": "cuda"})
        for epoch, score in enumerate((0.3, 0.5), 1):
            metrics = dict.fromkeys(SCORES, score) | {"sensitivity/mel": score, "specificity/mel": 1.0}
            run.log_epoch(EpochResult(epoch, 1 / epoch, 1e-3, 1.5, metrics, np.zeros((1, 7))))
        best = {f"best_{name}": 0.5 for name in SCORES} | {"best_sensitivity/mel": 0.5, "best_epoch": 2}
        run.log_metrics(best | {"interval/accuracy_low": 0.4, "interval/accuracy_high": 0.6, "time/train_s": 3})
    return store


def test_runs_of_old_and_new_kits_read_alike(store: Path) -> None:
    old, new = read_runs(store)
    assert set(old.params) == set(new.params) and not [key for key in old.params if is_fact(key)]
    assert old.tags["machine.device"] == "cpu" and new.tags["machine.device"] == "cuda"
    assert (old.metrics["best_sensitivity/mel"], new.metrics["best_sensitivity/mel"]) == (0.3, 0.5)
    assert old.metrics["time/train_s"] == 6 and not set(OF_OLD_KITS) & {*old.metrics, *new.metrics}


def test_a_comparison_of_an_old_and_a_new_run_shows_choices_only(store: Path) -> None:
    old, new = read_runs(store)
    comparison = compare_runs(old, new)
    assert comparison.changed == [("optimizer.lr", "0.01", "0.005")]
    assert differing_settings([old, new]) == {"optimizer.lr": ["0.01", "0.005"]}
    said = {score.name: score.texts for score in comparison.scores}
    assert said["accuracy"] == ("0.300\n(0.20 to 0.40)", "0.500\n(0.40 to 0.60)")
    assert said["sensitivity/mel"] == ("0.300", "0.500")
    assert ("machine.device", "cpu", "cuda") in compare_repeat(old, new).reasons and compare_code(old, new) == ""


def test_mlflow_compares_choices_and_has_no_more_metrics_than_it_draws(store: Path) -> None:
    new = read_runs(store)[-1]
    found = open_store(store).get_run(new.run_id).data
    assert found.params == new.params and "code.fingerprint" in found.tags
    assert not [name for name in found.metrics if "specificity" in name]
    curves = {chart["metricKey"] for chart in describe_view()["compareRunCharts"] if chart["type"] == "LINE"}
    plain = {name for name in found.metrics if not name.startswith(("system/", "time/epoch_s"))}
    assert plain <= curves | set(name_single(HAM10000.codes))


def test_the_epochs_of_a_run_are_read_in_order_whatever_they_were_called(store: Path) -> None:
    old, new = read_runs(store)
    assert [epoch["balanced_accuracy"] for epoch in read_history(store, old.run_id)] == [0.2, 0.3, 0.25]
    assert {epoch["time/epoch_s"] for epoch in read_history(store, old.run_id)} == {2.0}
    assert [epoch["sensitivity/mel"] for epoch in read_history(store, new.run_id)] == [0.3, 0.5]
    assert read_history(store, "nobody") == [] == read_history(store / "nowhere", new.run_id)


def test_the_ghost_is_the_run_with_the_fewest_other_settings(store: Path) -> None:
    old, new = read_runs(store)
    assert find_ghost([new], new) is None and find_ghost([old, new], new) == old
    near, far = ({**new.params, **changes} for changes in ({"seed": "1"}, {"seed": "1", "optimizer.lr": "0.1"}))
    others = [
        type(new)(n, n, "FINISHED", at, at, store, p) for n, at, p in (("a", 1, far), ("b", 2, near), ("c", 3, far))
    ]
    assert find_ghost([*others, new], new) == others[1]
    assert find_ghost([others[0], others[2], new], new) == others[2]  # of equal ones the newest


def test_what_is_seen_of_a_run_comes_from_the_kit(store: Path) -> None:
    old, new = read_runs(store)
    view, running = view_run(store, new.run_id)
    assert (view.state, running, view.total) == ("finished after 2 epochs", False, 0)
    assert (view.ghost, view.ghost_scores) == ("old", [0.2, 0.3, 0.25]) and len(view.epochs) == 2
    with pytest.raises(LabError, match="there is no run 00000000"):
        view_run(store, "0" * 32)
    assert view_run(store, old.run_id)[0].ghost == "new"


NOTED = [{"state": "training: step 3 of 9", "done": 3, "total": 9}, {}, {"done": "<b>", "total": -1}, []]


def test_a_run_that_is_being_trained_says_how_far_it_is(tmp_path: Path) -> None:
    with track_run(tmp_path, "skin-lesions", compose_config(["name=now"]), {"group": "g"}) as run:
        for noted in NOTED:
            write_progress(tmp_path, run.run_id, noted)  # type: ignore[arg-type]
            view, running = view_run(tmp_path, run.run_id)
            whole = noted == NOTED[0]
            assert running and view.state == ("training: step 3 of 9" if whole else "")
            assert (view.done, view.total) == ((3, 9) if whole else (0, 0))
    assert read_progress(tmp_path, run.run_id) == {}
    assert view_run(tmp_path, run.run_id)[0].state == "finished after 0 epochs"


def test_notes_are_the_description_that_mlflow_shows_and_a_column(store: Path) -> None:
    new = read_runs(store)[-1]
    write_notes(store, new.run_id, Notes(0.45, "rare\nones count"))
    write_notes(store, new.run_id, Notes(0.45, "rare\nones count", "It sees 30 of 35 melanomas."))
    said = "**Bet:** balanced accuracy 0.450, because: rare ones count\n\n**Afterwards:** It sees 30 of 35 melanomas."
    assert open_store(store).get_run(new.run_id).data.tags["mlflow.note.content"] == said
    table = runs_table(store)
    assert table["tags.bet.balanced_accuracy"].tolist()[0] == 0.45
    write_notes(store, new.run_id, Notes())
    assert not {"mlflow.note.content", "bet.balanced_accuracy"} & set(find_run(read_runs(store), "new").tags)


@pytest.mark.parametrize(("run_id", "text", "message"), [("nobody", "x", "no run nobody"), ("", "x" * 8001, "8001")])
def test_a_description_that_cannot_be_kept_is_an_error(store: Path, run_id: str, text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        write_description(store, run_id, text)


def test_the_table_of_runs_has_the_names_of_mlflows_own(store: Path) -> None:
    client = open_store(store)
    table = runs_table(store)
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        theirs = mlflow.search_runs([str(read_experiment_id(store, "skin-lesions"))])
    finally:
        mlflow.set_tracking_uri(None)
    new = theirs[theirs["tags.mlflow.runName"] == "new"].dropna(axis=1).iloc[0]
    mine = table[table["tags.mlflow.runName"] == "new"].iloc[0]
    assert set(new.index) - {"experiment_id"} <= set(table.columns)
    for column in new.index:
        if column.startswith(("params.", "metrics.", "tags.")):
            assert str(mine[column]) == str(new[column]) or float(mine[column]) == float(new[column]), column
    assert table["params.optimizer.lr"].tolist() == [0.005, 0.01] and table["end_time"].notna().all()
    assert list(table["run_id"]) == [run.run_id for run in reversed(read_runs(store))]


def test_an_empty_table_of_runs_still_has_its_first_columns(tmp_path: Path) -> None:
    table = runs_table(tmp_path)
    assert len(table) == 0 and list(table.columns) == ["run_id", "status", "artifact_uri", "start_time", "end_time"]


def read_view(store: Path) -> str:
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        query = "SELECT value FROM experiment_tags WHERE key = ?"
        return database.execute(query, (f"mlflow.sharedViewState.{KEY}",)).fetchone()[0]


def test_the_store_has_the_view_that_mlflows_page_loads(store: Path) -> None:
    found = json.loads(read_view(store))
    assert (type(found["name"]), type(found["createdAt"]), type(found["state"])) == (str, int, str)
    state = json.loads(found["state"])
    run = read_runs(store)[-1]
    for column in state["selectedColumns"]:
        kind, key = column.rstrip("`").split(".`")
        assert key in {"metrics": run.metrics, "params": run.params}[kind], column
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections
    assert len(read_view(store)) < 20_000  # MLflow's limit
    experiment = open_store(store).get_experiment_by_name("skin-lesions")
    assert experiment.tags[f"mlflow.sharedViewState.{KEY}"] == read_view(store)


def test_a_view_that_somebody_has_changed_stays_as_it_is(store: Path) -> None:
    before = read_view(store)
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute("UPDATE experiment_tags SET value = 'mine'")
    reroot_store(store)
    assert read_view(store) == "mine"
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute("DELETE FROM experiment_tags")
        add_view(database, read_experiment_id(store, "skin-lesions") or 0)
    assert read_view(store) == before


def test_the_script_for_the_browsers_memory_cannot_end_its_own_tag() -> None:
    assert "</" not in remember_view() and "best_balanced_accuracy" in remember_view()


def test_specificities_are_left_to_the_table_of_predictions() -> None:
    assert choose_curves({"specificity/mel": 1.0, "accuracy": 0.5, "sensitivity_mel": 0.2}) == {
        "accuracy": 0.5,
        "sensitivity/mel": 0.2,
    }


def test_runs_of_one_store_have_different_colours_in_mlflows_page(store: Path) -> None:
    colours = [run.tags["mlflow.runColor"] for run in read_runs(store)]
    assert len(set(colours)) == len(colours) == 2


def test_what_a_run_noted_is_gone_with_its_checkpoint(tmp_path: Path) -> None:
    with hold_run(tmp_path, "a"):
        write_progress(tmp_path, "a", {"state": "x"})
        assert read_progress(tmp_path, "a") == {"state": "x"}
    write_progress(tmp_path, "nobody", {"state": "x"})  # a folder that is not there any more: nothing happens
    assert read_progress(tmp_path, "nobody") == {}
