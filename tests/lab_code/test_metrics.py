import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, roc_auc_score

from lab_code import metrics

NAMES = ("a", "b", "c", "d")


def make_predictions(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(seed)
    labels = np.concatenate([np.arange(4), random.choice(4, count - 4, p=[0.7, 0.2, 0.07, 0.03])])
    scores = random.rand(count, 4) + 1.2 * np.eye(4)[labels] * random.rand(count, 1)
    return labels, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_every_metric_agrees_with_scikit_learn(seed: int) -> None:
    labels, probabilities = make_predictions(seed)
    found = metrics.evaluate(labels, probabilities, NAMES)
    predicted = probabilities.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted), abs=1e-9)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-9)
    expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert found["macro_auc"] == pytest.approx(expected, abs=1e-9)


def test_tied_scores_count_half() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    scores = np.array([0.5, 0.2, 0.5, 0.5, 0.2])
    expected = roc_auc_score(labels, scores)
    assert metrics.macro_auc(labels, np.stack([1 - scores, scores], 1)) == pytest.approx(expected, abs=1e-12)


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    labels, probabilities = make_predictions(0)
    predicted = probabilities.argmax(axis=1)
    assert np.array_equal(metrics.confusion_matrix(labels, predicted, 4), confusion_matrix(labels, predicted))


def test_sensitivity_and_specificity_of_one_class() -> None:
    confusion = np.array([[8, 2], [1, 9]])
    assert metrics.sensitivity(confusion).tolist() == [0.8, 0.9]
    assert metrics.specificity(confusion).tolist() == [0.9, 0.8]


def test_always_answering_the_frequent_class_has_the_balanced_accuracy_of_chance() -> None:
    labels = np.array([0] * 60 + [1] * 10 + [2] * 10 + [3] * 10)
    found = metrics.evaluate(labels, np.tile([0.7, 0.1, 0.1, 0.1], (90, 1)), NAMES)
    assert found["accuracy"] == pytest.approx(60 / 90)
    assert found["balanced_accuracy"] == pytest.approx(0.25)


def test_an_absent_class_is_left_out_of_the_means() -> None:
    labels = np.array([0, 1, 0, 1])
    found = metrics.evaluate(labels, np.eye(3)[labels], ("a", "b", "c"))
    assert found["balanced_accuracy"] == 1.0
    assert "sensitivity_c" not in found and found["specificity_c"] == 1.0
