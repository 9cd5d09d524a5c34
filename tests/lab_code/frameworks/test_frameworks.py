"""Three frameworks, one protocol: the same photographs, scores and files, whatever learns."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab_code.data.ham10000 import DIAGNOSES
from lab_code.errors import LabError
from lab_code.experiment import load_learner, load_split, run_experiment
from lab_code.frameworks import Learner, build_learner
from lab_code.models.colour_texture import measure_photographs
from lab_code.tracking.records import WEIGHTS, predictions_from_csv
from lab_code.tracking.runs import read_runs
from lab_code.training.devices import seed_everything
from lab_code.training.trainer import EpochResult
from tests.lab_code.conftest import compose_quick
from tests.lab_code.test_experiment import check_goes_on

FRAMEWORKS = ("pytorch", "sklearn", "tensorflow")


def learn(store: Path, *changes: str) -> tuple[Learner, list[EpochResult], int]:
    config = compose_quick(*changes)
    seed_everything(config.seed)
    train, validation, _ = load_split(config, store)
    learner = build_learner(config)
    steps: list[int] = []
    results = list(learner.learn(train, validation, lambda: steps.append(1)))
    assert len(steps) == learner.count_steps(train)
    return learner, results, len(validation)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_learns_and_says_the_same_things(shared_store: Path, framework: str) -> None:
    changes = [f"framework={framework}", *(["trainer.epochs=12"] if framework != "sklearn" else [])]
    learner, results, validation = learn(shared_store, *changes)
    assert results[-1].probabilities.shape == (validation, 7) and results[-1].probabilities.dtype == np.float32
    assert np.allclose(results[-1].probabilities.sum(axis=1), 1, atol=1e-5)
    assert {"accuracy", "balanced_accuracy", "macro_auc", "sensitivity/mel"} <= set(results[-1].metrics)
    assert max(result.metrics["macro_auc"] for result in results) > 0.8
    assert {"model.parameters", "machine.device", "machine.python"} <= set(learner.facts())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_same_seed_gives_the_same_numbers(shared_store: Path, framework: str) -> None:
    changes = (f"framework={framework}", "data.augment=flips", "model.dropout=0.3")
    (_, first, _), (_, second, _) = learn(shared_store, *changes), learn(shared_store, *changes)
    assert [result.train_loss for result in first] == [result.train_loss for result in second]
    assert np.array_equal(first[-1].probabilities, second[-1].probabilities)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_is_rebuilt_from_its_files(store: Path, framework: str) -> None:
    config = compose_quick(f"framework={framework}")
    run_experiment(config, store)
    (run,) = read_runs(store)
    learner = load_learner(config, run.artifacts / WEIGHTS)
    labels, probabilities, _ = predictions_from_csv((run.artifacts / "predictions.csv").read_text(encoding="utf-8"))
    _, validation, _ = load_split(config, store)
    assert np.array_equal(labels, validation.labels)
    assert np.allclose(learner.predict(validation.images), probabilities, atol=1e-6)


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
@pytest.mark.parametrize("changes", [["trainer.schedule=cosine"], ["trainer.schedule=one_cycle", "optimizer=sgd"]])
def test_a_learner_goes_on_where_another_stopped(shared_store: Path, framework: str, changes: list[str]) -> None:
    config = compose_quick(f"framework={framework}", *changes, "data.augment=flips", without=())
    train, validation, _ = load_split(config, shared_store)
    seed_everything(config.seed)
    first = build_learner(config)
    epochs = first.learn(train, validation)
    next(epochs)
    arrays, values = first.state()
    (whole,) = epochs  # as if it had not stopped

    seed_everything(99)
    rest = list(build_learner(config).learn(train, validation, state=(arrays, json.loads(json.dumps(values)))))
    assert [result.epoch for result in rest] == [2]
    assert rest[0].train_loss == whole.train_loss
    assert np.array_equal(rest[0].probabilities, whole.probabilities)


def test_a_stopped_run_of_tensorflow_says_so_and_goes_on_as_if_nothing_had_been(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_goes_on(store, monkeypatch, KeyboardInterrupt(), "KILLED", "tensorflow")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["framework=sklearn", "model=small_cnn"], "framework sklearn has no model 'small_cnn'"),
        (["framework=pytorch", "model=colour_texture"], "framework pytorch has no model 'colour_texture'"),
        (["framework=tensorflow", "model=resnet18"], "framework tensorflow has no model 'resnet18'"),
    ],
)
def test_a_model_of_another_framework_is_an_error(changes: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message) as caught:
        build_learner(compose_quick(*changes))
    assert caught.value.hint


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_of_another_model_are_refused(shared_store: Path, framework: str) -> None:
    config = compose_quick(f"framework={framework}")
    learner = learn(shared_store, f"framework={framework}")[0] if framework == "sklearn" else build_learner(config)
    weights = learner.weights()
    name = next(name for name, array in weights.items() if array.ndim)
    for wrong in ({**weights, name: np.zeros((2, 2, 2))}, {k: v for k, v in weights.items() if k != name}):
        with pytest.raises(LabError, match="do not fit the model"):
            learner.load_weights(wrong)


def test_a_class_without_training_photographs_gets_no_probability(shared_store: Path) -> None:
    config = compose_quick("framework=sklearn")
    train, validation, _ = load_split(config, shared_store)
    learner = build_learner(config)
    for present in ((0, 1, 2), (3, 4)):
        (result,) = learner.learn(train.select(np.isin(train.labels, present)), validation)
        assert np.allclose(result.probabilities[:, present].sum(axis=1), 1, atol=1e-6)


def test_class_weights_move_the_classical_baseline(shared_store: Path) -> None:
    config = compose_quick("framework=sklearn", "data.sampling=balanced")
    train, validation, _ = load_split(config, shared_store)
    rare = train.select((train.labels != 0) | (np.arange(len(train)) % 8 == 0))
    found = []
    for changed in (config, compose_quick("framework=sklearn")):
        learner = build_learner(changed)
        (result,) = learner.learn(rare, validation)
        found.append(result.probabilities[:, 0].mean())
    assert found[0] > found[1]


def test_measured_features_do_not_depend_on_the_other_photographs_or_on_mirroring() -> None:
    images = np.random.RandomState(1).randint(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    features = measure_photographs(images)
    assert features.shape[0] == 6 and np.isfinite(features).all()
    assert np.allclose(measure_photographs(images[2:4]), features[2:4], atol=1e-5)
    mirrored = measure_photographs(images[:, :, ::-1])
    assert np.corrcoef(mirrored.ravel(), features.ravel())[0, 1] > 0.999


def test_a_plain_picture_has_finite_features() -> None:
    assert np.isfinite(measure_photographs(np.full((1, 16, 16, 3), 200, np.uint8))).all()


def test_every_diagnosis_has_its_place(shared_store: Path) -> None:
    _, results, _ = learn(shared_store, "framework=sklearn")
    assert results[0].probabilities.shape[1] == len(DIAGNOSES)
