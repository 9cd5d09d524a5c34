"""Can two models be told apart? The hidden lesions are drawn again and again, for all groups the same ones (paired).

A rank is a cluster, as in the rankings of the WMT translation tasks: a line is drawn between two neighbours only where
every group above it is surely before every group below it. So whoever cannot be told apart shares a rank, and with many
groups close together a whole chain of them may. "Surely": the percentile interval of the difference leaves out zero
(paired cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_AT_ONCE = 250  # draws whose counts of lesions lie in memory together


@dataclass(frozen=True)
class ModelRanking:
    """Groups by balanced accuracy, the best first. `before[i, j]` is the share of resamplings in which i is before j,
    ties counted half; `sure[i, j]` whether the interval of their difference leaves out zero."""

    groups: list[str]
    scores: list[float]
    ranks: list[int]
    before: np.ndarray
    sure: np.ndarray

    def rank_of(self, group: str) -> int | None:
        """None for a group without a model that could be scored."""
        return self.ranks[self.groups.index(group)] if group in self.groups else None

    def sharing(self, group: str) -> list[str]:
        """The other groups of the same rank."""
        rank = self.rank_of(group)
        return [name for name, other in zip(self.groups, self.ranks, strict=True) if other == rank and name != group]

    def chances(self) -> list[str]:
        """One sentence for every two neighbours."""
        pairs = zip(self.groups, self.groups[1:], strict=False)
        return [self.describe_pair(first, second) for first, second in pairs]

    def describe_pair(self, first: str, second: str) -> str:
        """`group-3 before group-5 in 97 % of resamplings`, and whether that is enough."""
        one, two = self.groups.index(first), self.groups.index(second)
        share = describe_share(float(self.before[one, two]))
        said = f"{first} before {second} in {share} of resamplings"
        if self.ranks[one] != self.ranks[two]:
            return said
        return f"{said}: {'one chain of groups too close to divide' if self.sure[one, two] else 'cannot be told apart'}"


def rank_models(
    labels: Sequence[int], lesions: Sequence[int], predicted: Mapping[str, np.ndarray], certainty: float, draws: int
) -> ModelRanking:
    """Rank groups by the balanced accuracy of their predictions, (N,) int each, on N photographs."""
    names = list(predicted)
    if not names:
        return ModelRanking([], [], [], np.zeros((0, 0)), np.zeros((0, 0), bool))
    scores, resampled = resample_balanced_accuracy(
        np.asarray(labels), np.asarray(lesions), np.stack([predicted[name] for name in names]), draws
    )
    order = sorted(range(len(names)), key=lambda index: (-scores[index], names[index]))
    resampled = resampled[:, order]
    compared = [_compare(resampled[:, [place]] - resampled, certainty) for place in range(len(names))]
    before, sure = (np.stack(parts) for parts in zip(*compared, strict=True))
    return ModelRanking(
        [names[index] for index in order],
        [float(scores[index]) for index in order],
        cluster(sure),
        before,
        sure,
    )


def _compare(difference: np.ndarray, certainty: float) -> tuple[np.ndarray, np.ndarray]:
    """How often differences (draws, G) are above zero, ties half, and whether their interval leaves out zero: (G,)."""
    difference[np.abs(difference) < 1e-12] = 0  # the same photographs right, added up in another order
    before = (difference > 0).mean(axis=0) + (difference == 0).mean(axis=0) / 2
    tail = 50 * (1 - certainty)
    low, high = np.percentile(difference, (tail, 100 - tail), axis=0)
    return before, (low > 0) | (high < 0)


def resample_balanced_accuracy(
    labels: np.ndarray, lesions: np.ndarray, predicted: np.ndarray, draws: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Balanced accuracy (G,) of predictions (G, N), and the same (draws, G) with whole lesions drawn with replacement.

    `labels`, `lesions` (N,) int. A draw without any photograph of a diagnosis leaves that diagnosis out of its mean.
    """
    unique, index = np.unique(lesions, return_inverse=True)
    classes = int(labels.max()) + 1
    photographs = np.zeros((len(unique), classes))
    np.add.at(photographs, (index, labels), 1)
    hits = np.zeros((len(predicted), len(unique), classes))
    for group, row in zip(hits, predicted, strict=True):
        np.add.at(group, (index, labels), row == labels)
    columns = np.concatenate([photographs, *hits], axis=1)  # (L, (1 + G) * C)
    generator = np.random.default_rng(seed)
    shares = np.full(len(unique), 1 / len(unique))
    drawn = [
        _balanced(generator.multinomial(len(unique), shares, min(_AT_ONCE, draws - done)) @ columns, classes)
        for done in range(0, draws, _AT_ONCE)
    ]
    return _balanced(columns.sum(axis=0, keepdims=True), classes)[0], np.concatenate(drawn)


def cluster(sure: np.ndarray) -> list[int]:
    """Ranks of groups that stand in order, (G,) from (G, G): a new one where everyone above surely differs from
    everyone below."""
    ranks = [1]
    for place in range(1, len(sure)):
        ranks.append(place + 1 if sure[:place, place:].all() else ranks[-1])
    return ranks


def describe_share(share: float) -> str:
    """A share of resamplings as percent; never 100 % or 0 % of what is only an estimate."""
    return "over 99 %" if share > 0.995 else "under 1 %" if share < 0.005 else f"{share:.0%}".replace("%", " %")


def _balanced(counts: np.ndarray, classes: int) -> np.ndarray:
    """(D, G) balanced accuracy from (D, (1 + G) * C) counts: photographs first, then every group's hits."""
    parts = counts.reshape(len(counts), -1, classes)  # (D, 1 + G, C)
    with np.errstate(invalid="ignore"):
        return np.nanmean(parts[:, 1:] / parts[:, :1], axis=2)
