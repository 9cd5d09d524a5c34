"""How good a classifier is: arrays in, numbers out, no torch.

    balanced accuracy   the mean of the sensitivities of all diagnoses: a rare one counts as much as a frequent one
    macro AUC           how well each diagnosis is ranked above the others, averaged: 1 is perfect, 0.5 is a coin
    sensitivity         of the photographs that show a diagnosis, the share that is recognised
    specificity         of the photographs that show something else, the share that is not called so

A diagnosis without photographs has no sensitivity (NaN) and is left out of the means.
"""

from collections.abc import Sequence

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(C, C) int64: rows are the true classes, columns the predicted ones. `labels`, `predicted` are (N,) int."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def sensitivity(confusion: np.ndarray) -> np.ndarray:
    """(C,) float64: the diagonal over the sum of each row."""
    with np.errstate(invalid="ignore"):
        return np.diag(confusion) / confusion.sum(axis=1)


def specificity(confusion: np.ndarray) -> np.ndarray:
    """(C,) float64: of the photographs of other classes, the share not predicted as this class."""
    others = confusion.sum() - confusion.sum(axis=1)
    wrongly_called = confusion.sum(axis=0) - np.diag(confusion)
    with np.errstate(invalid="ignore"):
        return 1 - wrongly_called / others


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean over classes of the one-against-rest area under the ROC curve.

    `labels` (N,) int, `probabilities` (N, C). Computed from ranks (Hanley and McNeil, Radiology 143, 1982; ties get
    their mean rank). NaN where no class has both kinds of photographs.
    """
    areas = [_auc(labels == c, probabilities[:, c]) for c in range(probabilities.shape[1])]
    return float(np.nanmean(areas)) if not np.all(np.isnan(areas)) else float("nan")


def evaluate(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Every metric of this module under the names that are logged.

    `labels` (N,) int, `probabilities` (N, C), `names` of the C classes. Sensitivity and specificity are keyed
    `sensitivity/mel`; those of absent classes are left out.
    """
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), len(names))
    sensitivities, specificities = sensitivity(confusion), specificity(confusion)
    metrics = {
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "balanced_accuracy": float(np.nanmean(sensitivities)),
        "macro_auc": macro_auc(labels, probabilities),
    }
    for name, found, spared in zip(names, sensitivities, specificities, strict=True):
        metrics[f"sensitivity/{name}"] = float(found)
        metrics[f"specificity/{name}"] = float(spared)
    return {name: value for name, value in metrics.items() if not np.isnan(value)}


def bootstrap_intervals(
    labels: np.ndarray, predicted: np.ndarray, lesion_ids: np.ndarray, classes: int, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of accuracy and balanced accuracy, by drawing whole lesions with replacement.

    Photographs of one lesion are alike, so drawing photographs would make the intervals too narrow (cluster bootstrap:
    Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). `labels`, `predicted` (N,) int,
    `lesion_ids` (N,). A draw without any photograph of a diagnosis leaves that diagnosis out of its mean.
    """
    lesions, index = np.unique(lesion_ids, return_inverse=True)
    photographs, right = np.zeros((2, len(lesions), classes))  # of each lesion and true diagnosis
    np.add.at(photographs, (index, labels), 1)
    np.add.at(right, (index, labels), predicted == labels)
    times = np.random.default_rng(seed).multinomial(len(lesions), np.full(len(lesions), 1 / len(lesions)), draws)
    totals, hits = times @ photographs, times @ right  # (draws, C)
    with np.errstate(invalid="ignore"):
        balanced = np.nanmean(hits / totals, axis=1)
    accuracy = hits.sum(axis=1) / totals.sum(axis=1)
    values = {"accuracy": accuracy, "balanced_accuracy": balanced}
    return {name: tuple(np.percentile(value, (2.5, 97.5)).tolist()) for name, value in values.items()}


def roc_curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates over all thresholds, from (0, 0) to (1, 1). `positive` (N,) bool, `scores` (N,)."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of every group of equal scores
    with np.errstate(invalid="ignore"):
        true = np.cumsum(positive[order])[last] / positive.sum()
        false = np.cumsum(~positive[order])[last] / (~positive).sum()
    return np.append(0, false), np.append(0, true)


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the predicted classes: mean probability, share that was right, and photographs, in bins of equal width.

    (bins,) float64 each, NaN where a bin is empty. Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        said = np.bincount(index, confidence, bins) / count
        found = np.bincount(index, right, bins) / count
    return said, found, count


def _auc(positive: np.ndarray, scores: np.ndarray) -> float:
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2  # ranks start at 1
    return float((mean_rank[index][positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))
