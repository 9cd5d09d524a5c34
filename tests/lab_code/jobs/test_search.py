"""Searches: where to look is checked, trials are children of one run, some end early, and a stop is no loss."""

import csv
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab_code.config import Interval, compose_config, read_space
from lab_code.errors import LabError
from lab_code.jobs.search import (
    FIGURE,
    JOURNAL,
    TABLE,
    _distributions,
    _make_arguments,
    describe_trials,
    find_journal,
    measure_importance,
    open_study,
    plan_search,
    read_outcome,
)
from lab_code.plots.search import plot_importance
from lab_code.tracking.runs import read_runs
from tests.conftest import KitOnDisk, hear_interrupts, wait_until
from tests.lab_code.jobs.conftest import TINY


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ("optimizer.lr=interval(1e-4,1e-1)", Interval(1e-4, 1e-1, False, True)),
        ("model.dropout=interval(0.0,0.5)", Interval(0.0, 0.5, False, False)),
        ("model.dropout=interval(0.5,0.0)", Interval(0.0, 0.5, False, False)),
        ("optimizer.lr=tag(log,interval(0.01,0.1))", Interval(0.01, 0.1, False, True)),
        ("model.width=interval(2,16)", Interval(2, 16, True, False)),
        ("model.width=interval(1,200)", Interval(1, 200, True, True)),
        ("data.augment=none,flips", ["none", "flips"]),
        ("seed=range(0,3)", ["0", "1", "2"]),
    ],
)
def test_where_to_look_is_read_as_it_is_typed(change: str, values: Any) -> None:
    space, fixed = read_space([change, "trainer.epochs=3", "name=a,b"])
    assert space == {change.partition("=")[0]: values} and fixed == ["trainer.epochs=3", "name=a,b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optimizer.lr=interval(1e-4,100)"], "optimizer.lr is 100"),
        (["optimizer.lr=interval(0,1)"], "optimizer.lr is 0"),
        (["optimizr.lr=interval(0.1,1)"], "there is no key 'optimizr.lr'"),
        (["model=small_cnn,vit"], "model 'vit' does not exist"),
        (["model.width=interval(2,900)"], "model.width is 900"),
        (["seed"], "each change is written key=value"),
    ],
)
def test_a_wrong_search_is_an_error_before_anything_is_trained(
    tmp_path: Path, changes: list[str], message: str
) -> None:
    with pytest.raises(LabError, match=message):
        plan_search(tmp_path, changes, lambda overrides: compose_config(overrides))


def test_without_a_space_the_usual_settings_are_searched_but_none_that_is_given(tmp_path: Path) -> None:
    plan = plan_search(tmp_path, ["optimizer.lr=0.01"], lambda overrides: compose_config(overrides))
    assert "optimizer.lr" not in plan.space and "data.sampling" in plan.space and plan.parent is None
    arguments = _make_arguments(plan, 3, {"model.dropout": 0.25, "data.augment": "flips"}, "abc", None)
    assert arguments[:4] == ["train", "optimizer.lr=0.01", "model.dropout=0.25", "data.augment=flips"]
    assert arguments[-4:-1] == ["--parent", "abc:3", "--job"]
    assert _make_arguments(plan, 3, {}, "abc", "run") == ["resume", "run", "--trial", "abc:3"]


def test_the_setting_that_decides_is_found_to_be_the_important_one(tmp_path: Path) -> None:
    space, _ = read_space(["model.dropout=interval(0.0,0.5)", "data.augment=none,flips"])
    study = open_study(tmp_path / "search.journal")
    assert measure_importance(study) == {}
    for _ in range(12):
        trial = study.ask(_distributions(space))
        study.tell(trial.number, float(trial.params["model.dropout"]))
    again = open_study(tmp_path / "search.journal")
    shares = measure_importance(again)
    assert shares["model.dropout"] > 0.9 and sum(shares.values()) == pytest.approx(1)
    rows = list(csv.DictReader(describe_trials(again).splitlines()))
    assert len(rows) == 12 and rows[0]["state"] == "complete" and rows[0]["data.augment"] in ("none", "flips")
    (axes,) = plot_importance(shares, 12).axes
    assert axes.get_yticklabels()[-1].get_text() == "model.dropout" and "12 trials" in axes.get_title("left")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there, Ctrl-C cannot be sent to one program")
def test_a_stopped_search_goes_on_and_what_leads_nowhere_ends_early(kit: KitOnDisk) -> None:
    changes = ["trainer.epochs=300", *TINY[1:], "optimizer.lr=interval(1e-4,1e-1)"]
    process = subprocess.Popen(
        [sys.executable, str(kit.root / "lab"), "sweep", "--search", "2", *changes, "--jobs", "1"],
        cwd=kit.root, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    wait_until(lambda: bool(list(kit.root.glob("checkpoints/*/*.safetensors"))), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in errors
    (parent,) = [run for run in read_runs(kit.root) if run.is_group]
    study = open_study(find_journal(kit.root, parent.run_id))
    for number in range(6):  # others that were far better: none of what is trained now can keep up
        trial = study.ask(_distributions(read_space(changes)[0]))
        for epoch in range(1, 301):
            trial.report(0.9 + number / 100, epoch)
        study.tell(trial.number, 0.9 + number / 100)
    (stopped,) = [run for run in read_runs(kit.root) if not run.is_group]
    plan = plan_search(kit.root, changes, lambda overrides: compose_config(overrides))
    assert plan.parent == parent.run_id
    done = kit.lab("sweep", "--search", "7", *changes, "--jobs", "1")
    assert "ended early, after epoch" in done.stderr
    (parent,) = [run for run in read_runs(kit.root) if run.is_group]
    outcome = read_outcome(kit.root, parent)
    assert [run.run_id for run in outcome.runs] == [stopped.run_id] and outcome.pruned == 1
    assert int(outcome.runs[0].tags["search.pruned"]) < 300 and outcome.importance == {"optimizer.lr": 1.0}
    assert all((parent.artifacts / name).is_file() for name in (JOURNAL, TABLE, FIGURE))
    assert outcome.runs[0].tags["mlflow.parentRunId"] == parent.run_id
    assert open_study(find_journal(kit.root, parent.run_id)).best_value == pytest.approx(0.95)
