"""scikit-learn behind the protocol of `lab_code.frameworks`: the classical baseline.

About a hundred measured colours, shapes and textures (`models/colour_texture.py`), standardised and weighed by
multinomial logistic regression. It is trained in one go, so it has a single epoch; `trainer`, `optimizer` and
augmentation do not concern it, while class weights and balanced sampling do.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from lab_code.config import Config
from lab_code.data.dataset import Dataset
from lab_code.data.lesions import Lesions
from lab_code.frameworks import check_choice, fits_or_raise
from lab_code.limits import photograph_bytes
from lab_code.metrics import evaluate
from lab_code.models.colour_texture import measure_photographs
from lab_code.training.checkpoint import State
from lab_code.training.trainer import EpochResult

_BLOCK = 128  # photographs that are measured at a time, at most
_BLOCKS_BYTES = 2 * 10**9  # of all that are measured at once
_ABSENT = -50.0  # the logit of a class that has no training photographs


class SklearnLearner:
    """One linear model on measured features."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        check_choice(config, "model", ("colour_texture",))
        check_choice(config, "loss", ("cross_entropy", "weighted_cross_entropy"))
        self._config, self.dataset = config, dataset
        self._weights: dict[str, np.ndarray] = {}

    def learn(
        self,
        train: Lesions,
        validation: Lesions,
        on_step: Callable[[], object] | None = None,
        state: State | None = None,
    ) -> Iterator[EpochResult]:
        """See `Learner.learn`; a state has nothing to go on from, since there is one epoch."""
        started = time.perf_counter()
        features = _measure(train.images, on_step)
        scaler = StandardScaler().fit(features)
        model = LogisticRegression(C=1 / self._config.model.penalty, max_iter=1000)
        weights = self._photograph_weights(train)
        model.fit(scaler.transform(features), train.labels, weights)
        present, classes = model.classes_, len(self.dataset)
        self._weights = {
            "mean": scaler.mean_,
            "scale": scaler.scale_,
            "coefficients": _place(np.atleast_2d(_two_sided(model.coef_, present)), present, classes, 0.0),
            "intercepts": _place(_two_sided(model.intercept_[:, None], present), present, classes, _ABSENT)[:, 0],
        }
        probabilities = self.predict(validation.images)
        yield EpochResult(
            epoch=1,
            train_loss=float(
                log_loss(train.labels, self._score(features), sample_weight=weights, labels=range(classes))
            ),
            learning_rate=0.0,
            seconds=time.perf_counter() - started,
            metrics=evaluate(validation.labels, probabilities, self.dataset.codes),
            probabilities=probabilities,
        )

    def count_steps(self, train: Lesions) -> int:
        return -(-len(train) // _choose_block(train.images))

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self._score(_measure(images)).astype(np.float32)

    def weights(self) -> dict[str, np.ndarray]:
        return dict(self._weights)

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        features = _count_features()
        classes = len(self.dataset)
        expected = {"coefficients": (classes, features), "intercepts": (classes,)}
        fits_or_raise(weights, expected | {"mean": (features,), "scale": (features,)}, self._config.model.name)
        self._weights = dict(weights)

    def state(self) -> State:
        return {}, {}

    def facts(self) -> dict[str, int | str]:
        return {
            "model.parameters": (_count_features() + 1) * len(self.dataset),
            "machine.device": "cpu",
            "machine.python": platform.python_version(),
            "machine.sklearn": sklearn.__version__,
        }

    def _photograph_weights(self, train: Lesions) -> np.ndarray:
        """(N,) float64 with mean 1: every diagnosis by its power; balanced sampling is the power 1."""
        power = 1.0 if self._config.data.sampling == "balanced" else self._config.loss.weight_power
        weights = np.maximum(train.class_counts(), 1).astype(np.float64)[train.labels] ** -power
        return weights / weights.mean()

    def _score(self, features: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, C) probabilities, the softmax of the linear scores."""
        learned = self._weights
        logits = ((features - learned["mean"]) / learned["scale"]) @ learned["coefficients"].T + learned["intercepts"]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


def _measure(images: np.ndarray, on_step: Callable[[], object] | None = None) -> np.ndarray:
    """Features of all photographs, in blocks on all cores: the same numbers however many there are."""
    size = _choose_block(images)
    blocks = [images[start : start + size] for start in range(0, len(images), size)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = []
        for part in pool.map(measure_photographs, blocks):
            parts.append(part)
            if on_step:
                on_step()
    return np.concatenate(parts)


def _choose_block(images: np.ndarray) -> int:
    """Photographs in a block, so that one for each core fits into memory."""
    each = photograph_bytes("colour_texture", images.shape[1])
    return max(1, min(_BLOCK, _BLOCKS_BYTES // (each * (os.cpu_count() or 1))))


def _count_features() -> int:
    return measure_photographs(np.zeros((1, 16, 16, 3), np.uint8)).shape[1]


def _two_sided(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """scikit-learn keeps one row for two classes; the softmax needs both."""
    return np.concatenate([np.zeros_like(values), values]) if len(present) == 2 else values


def _place(rows: np.ndarray, present: np.ndarray, classes: int, absent: float) -> np.ndarray:
    """Rows of the classes that were there, at their places among all classes."""
    placed = np.full((classes, rows.shape[1]), absent)
    placed[present] = rows
    return placed
