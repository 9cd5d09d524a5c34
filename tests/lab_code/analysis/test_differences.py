"""Where two runs disagree, with runs that were really trained."""

from pathlib import Path

import numpy as np
import pytest

from lab_code.analysis.compare import best_runs, find_same_run
from lab_code.analysis.differences import differing_settings, find_disagreements, look_again
from lab_code.config import flatten_config
from lab_code.data.ham10000 import HAM10000
from lab_code.errors import LabError
from lab_code.experiment import run_experiment
from lab_code.plots.one_run import to_png
from lab_code.plots.several import Look, plot_differences, plot_looks, plot_parallel_coordinates
from lab_code.tracking.runs import Run, read_runs
from tests.lab_code.conftest import compose_quick, write_store

LONG = ("trainer.epochs=6", "optimizer.lr=0.03")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, store_script: Path) -> Path:
    """A store with a run that has learned something and one that has not."""
    root = write_store(tmp_path_factory.mktemp("two"), 140, store_script)
    without = ("trainer.epochs", "optimizer.lr")
    run_experiment(compose_quick(*LONG, "name=learned", without=without), root)
    run_experiment(compose_quick("name=hardly", "optimizer.lr=1e-6", without=("optimizer.lr",)), root)
    return root


def runs_of(root: Path) -> tuple[Run, Run]:
    runs = {run.name: run for run in read_runs(root)}
    return runs["learned"], runs["hardly"]


def test_the_photographs_are_those_that_exactly_one_run_gets_right(trained: Path) -> None:
    learned, hardly = runs_of(trained)
    only_learned, only_hardly = find_disagreements(learned, hardly)
    assert len(only_learned) > len(only_hardly)
    assert all(found.said[0] == found.dx != found.said[1] for found in only_learned)
    assert all(found.said[1] == found.dx != found.said[0] for found in only_hardly)
    right = [round(run.metrics["best_accuracy"] * 28) for run in (learned, hardly)]
    assert len(only_learned) - len(only_hardly) == right[0] - right[1]
    assert find_disagreements(hardly, learned)[1][0].image_id == only_learned[0].image_id


def test_both_runs_say_again_what_they_said(trained: Path) -> None:
    learned, hardly = runs_of(trained)
    chosen = find_disagreements(learned, hardly)[0][:3]
    rows = look_again(trained, (learned, hardly), chosen)
    for row, found in zip(rows, chosen, strict=True):
        assert [look.title.split(",")[-1].strip() for look in row[1:]] == ["right", "wrong"]
        assert (
            found.said[0] in row[1].title
            and found.said[1] in row[2].title
            and row[0].title == f"is {HAM10000.label(found.dx)}"
        )
        assert row[1].heat is not None and row[1].heat.shape == row[1].image.shape[:2]
    assert to_png(plot_looks(rows, "two")).startswith(b"\x89PNG")


def test_each_run_sees_the_photographs_in_its_own_size(trained: Path) -> None:
    run_experiment(
        compose_quick(
            *LONG, "name=large", "data.image_size=32", without=("trainer.epochs", "optimizer.lr", "data.image_size")
        ),
        trained,
    )
    hardly, large = runs_of(trained)[1], next(run for run in read_runs(trained) if run.name == "large")
    only_hardly, only_large = find_disagreements(hardly, large)
    chosen = [*only_hardly[:3], *only_large[:3]]
    assert chosen
    for row, found in zip(look_again(trained, (hardly, large), chosen), chosen, strict=True):
        assert [look.image.shape[0] for look in row] == [32, 16, 32]
        assert [look.title.split(": ")[1].split()[0] for look in row[1:]] == list(found.said)


def test_only_settings_that_differ_are_shown(trained: Path) -> None:
    settings = differing_settings(runs_of(trained))
    assert settings["optimizer.lr"] == ["0.03", "1e-06"] and settings["trainer.epochs"] == ["6", "2"]
    assert not [key for key in settings if key == "name" or key.startswith(("machine.", "code."))]


def test_a_run_without_predictions_is_named(trained: Path) -> None:
    learned, hardly = runs_of(trained)
    gone = Run(**{**vars(hardly), "artifacts": trained / "gone"})
    with pytest.raises(LabError, match=r"'hardly' has no readable predictions\.csv"):
        find_disagreements(learned, gone)


def test_the_best_come_first_and_too_few_are_an_error(trained: Path) -> None:
    runs = list(runs_of(trained))
    assert [run.name for run in best_runs(runs, at_least=2)] == ["learned", "hardly"]
    with pytest.raises(LabError, match="needs 3 finished runs, but there are 2"):
        best_runs(runs, at_least=3)
    assert best_runs([]) == []


def test_the_same_run_is_found_until_a_setting_or_the_code_changes(trained: Path) -> None:
    runs = read_runs(trained)
    settings = flatten_config(compose_quick(*LONG, "name=learned", without=("trainer.epochs", "optimizer.lr")))
    found = find_same_run(runs, settings)
    assert found is not None and found.name == "learned"
    assert find_same_run(runs, settings | {"seed": 1}) is None
    code = found.artifacts / "code.json"
    before = code.read_text(encoding="utf-8")
    try:
        for text in (before.replace("def best_runs", "def other_runs"), before[:100], ""):
            code.write_text(text, encoding="utf-8")
            assert find_same_run(runs, settings) is None
    finally:
        code.write_text(before, encoding="utf-8")


def test_figures_hold_every_run_setting_and_diagnosis() -> None:
    settings = {"loss.name": ["focal", "cross_entropy", "focal"], "optimizer.lr": ["0.1", "1e-3", "0.1"]}
    figure = plot_parallel_coordinates(settings, [0.2, 0.5, 0.3], ["one", "two", "three"])
    axes = figure.axes[0]
    texts = {text.get_text() for text in axes.texts}
    assert {"0.500 two", "0.200 one", "focal", "1e-3", "0.1"} <= texts
    lines = [line for line in axes.lines if len(line.get_ydata()) == 3]
    assert [list(line.get_ydata())[-1] for line in lines] == pytest.approx([0, 1, 1 / 3])
    assert lines[0].get_ydata()[1] == 1 and lines[1].get_ydata()[1] == 0  # numbers in their order, not as text

    bars = plot_differences([0.5] * 7, [0.7] * 6 + [float("nan")], range(7), HAM10000, "change").axes[0]
    assert [round(bar.get_width(), 2) for bar in bars.patches] == [0.2] * 6 + [0]

    image = np.zeros((8, 8, 3), np.uint8)
    figure = plot_looks([[Look(image, None, "photograph"), Look(image, np.ones((8, 8)), "map")]], "looks")
    assert [len(axes.images) for axes in figure.axes] == [1, 2]


def test_one_run_alone_can_be_drawn() -> None:
    assert to_png(plot_parallel_coordinates({}, [0.4], ["only"]))
