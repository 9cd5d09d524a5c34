import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    recall_score,
    roc_auc_score,
)
from sklearn.metrics import roc_curve as sklearn_roc_curve

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
    for number, name in enumerate(NAMES):
        truth, said = labels == number, predicted == number
        assert found[f"sensitivity/{name}"] == pytest.approx(recall_score(truth, said), abs=1e-9)
        assert found[f"specificity/{name}"] == pytest.approx(recall_score(~truth, ~said), abs=1e-9)


@pytest.mark.parametrize("digits", [1, 8])
def test_roc_curves_agree_with_scikit_learn(digits: int) -> None:
    labels, probabilities = make_predictions(1)
    scores = probabilities[:, 1].round(digits)  # one digit: many ties
    false, true = metrics.roc_curve(labels == 1, scores)
    expected_false, expected_true, _ = sklearn_roc_curve(labels == 1, scores, drop_intermediate=False)
    assert np.allclose(false, expected_false) and np.allclose(true, expected_true)


def test_calibration_counts_every_photograph_once() -> None:
    labels, probabilities = make_predictions(2)
    said, found, count = metrics.calibration(labels, probabilities)
    assert count.sum() == len(labels)
    filled = count > 0
    assert (found * count)[filled].sum() == pytest.approx((probabilities.argmax(axis=1) == labels).sum())
    assert np.all(np.diff(said[filled]) > 0)


def test_an_interval_holds_its_score_and_shrinks_with_more_lesions() -> None:
    widths = []
    for count in (200, 3200):
        labels, probabilities = make_predictions(3, count)
        predicted, lesions = probabilities.argmax(axis=1), np.arange(count)
        found = metrics.bootstrap_intervals(labels, predicted, lesions, 4)
        for name, score in (
            ("accuracy", accuracy_score(labels, predicted)),
            ("balanced_accuracy", balanced_accuracy_score(labels, predicted)),
        ):
            assert found[name][0] < score < found[name][1]
        widths.append(found["accuracy"][1] - found["accuracy"][0])
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.25)


def test_photographs_of_one_lesion_count_together() -> None:
    labels, probabilities = make_predictions(4, 200)
    predicted = probabilities.argmax(axis=1)
    alone = metrics.bootstrap_intervals(labels, predicted, np.arange(200), 4)["accuracy"]
    repeated = [np.repeat(values, 9) for values in (labels, predicted, np.arange(200))]
    together = metrics.bootstrap_intervals(*repeated, 4)["accuracy"]
    assert np.allclose(alone, together, atol=1e-9)


def test_a_plain_bootstrap_gives_the_same_interval() -> None:
    labels, probabilities = make_predictions(5, 400)
    predicted = probabilities.argmax(axis=1)
    random, scores = np.random.RandomState(0), []
    for _ in range(1000):
        drawn = random.randint(0, 400, 400)
        scores.append(balanced_accuracy_score(labels[drawn], predicted[drawn]))
    found = metrics.bootstrap_intervals(labels, predicted, np.arange(400), 4)["balanced_accuracy"]
    assert np.allclose(found, np.percentile(scores, (2.5, 97.5)), atol=0.03)


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
    assert "sensitivity/c" not in found and found["specificity/c"] == 1.0
