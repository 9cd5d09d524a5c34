"""Keras on TensorFlow behind the protocol of `lab_code.frameworks`: the small network once more.

An optional extra (`pip install -c constraints.txt -e ".[tensorflow]"`). The layers, the losses, the optimizers and the
schedules are those of the PyTorch side, under the same settings, so a difference between two runs is the framework's.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lab_code.config import Config
from lab_code.data.dataset import Dataset
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.frameworks import check_choice, fits_or_raise
from lab_code.metrics import evaluate
from lab_code.training.checkpoint import State
from lab_code.training.trainer import EpochResult, choose_batch, steps_per_epoch

_Step = Callable[[Any, Any], Any]  # photographs and labels in, the loss out


class TensorFlowLearner:
    """The small network in Keras. Raises `LabError` where TensorFlow is not installed."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        check_choice(config, "model", ("small_cnn",))
        check_choice(config, "loss", ("cross_entropy", "weighted_cross_entropy"))
        self._config, self.dataset, self._tf = config, dataset, _import_tensorflow()
        self._tf.keras.utils.set_random_seed(config.seed)
        self._tf.config.experimental.enable_op_determinism()
        self._model = _build_network(self._tf.keras, config, dataset)
        self._epoch = 0

    def learn(
        self,
        train: Lesions,
        validation: Lesions,
        on_step: Callable[[], object] | None = None,
        state: State | None = None,
    ) -> Iterator[EpochResult]:
        """See `Learner.learn`."""
        self._optimizer = _build_optimizer(self._tf.keras, self._config, steps_per_epoch(train, self._config))
        self._optimizer.build(self._model.trainable_variables)
        if state is not None:
            self._load_state(state)
        step = self._make_step(self._class_weights(train))
        while self._epoch < self._config.trainer.epochs:
            started = time.perf_counter()
            train_loss = self._train_epoch(step, train, on_step)
            probabilities = self.predict(validation.images)
            self._epoch += 1
            yield EpochResult(
                epoch=self._epoch,
                train_loss=train_loss,
                learning_rate=float(self._optimizer.learning_rate),
                seconds=time.perf_counter() - started,
                metrics=evaluate(validation.labels, probabilities, self.dataset.codes),
                probabilities=probabilities,
            )

    def count_steps(self, train: Lesions) -> int:
        return self._config.trainer.epochs * steps_per_epoch(train, self._config)

    def predict(self, images: np.ndarray) -> np.ndarray:
        parts = [
            images[start : start + choose_batch(self._config)]
            for start in range(0, len(images), choose_batch(self._config))
        ]
        softmax = self._tf.nn.softmax
        return np.concatenate([softmax(self._model(part, training=False)).numpy() for part in parts])

    def weights(self) -> dict[str, np.ndarray]:
        return {name: variable.numpy().copy() for name, variable in self._learned().items()}

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        learned = self._learned()
        fits_or_raise(weights, {name: tuple(variable.shape) for name, variable in learned.items()}, "small_cnn")
        for name, variable in learned.items():
            variable.assign(weights[name])

    def state(self) -> State:
        return {name: v.numpy().copy() for name, v in self._everything().items()}, {"epoch": self._epoch}

    def facts(self) -> dict[str, int | str]:
        return {
            "model.parameters": int(sum(np.prod(v.shape) for v in self._model.trainable_variables)),
            "machine.device": "cuda" if self._tf.config.list_physical_devices("GPU") else "cpu",
            "machine.python": platform.python_version(),
            "machine.tensorflow": self._tf.__version__,
        }

    def _learned(self) -> dict[str, Any]:
        """The variables that make the model, by layer: `head/bias`."""
        named = {f"{layer.name}/{v.name}": v for layer in self._model.layers for v in layer.weights}
        return {name: v for name, v in named.items() if name.startswith(("convolution_", "normalization_", "head/"))}

    def _everything(self) -> dict[str, Any]:
        """Every variable the next step depends on, by its number: Keras's own names count all models ever made."""
        parts = {"model": self._model.variables, "optimizer": self._optimizer.variables}
        return {f"{part}.{index}": v for part, variables in parts.items() for index, v in enumerate(variables)}

    def _load_state(self, state: State) -> None:
        arrays, values = state
        try:
            for name, variable in self._everything().items():
                variable.assign(arrays[name])
            self._epoch = values["epoch"]
        except (KeyError, ValueError) as error:
            raise LabError(f"the checkpoint does not fit the model: {error}", hint="train again") from error

    def _make_step(self, class_weights: np.ndarray) -> _Step:
        """One step of training as a compiled graph: photographs and labels in, the loss out."""
        tf, clip = self._tf, self._config.trainer.clip_norm
        weights, size = tf.constant(class_weights, tf.float32), self._config.data.image_size
        # One graph for batches of every size: the last one of an epoch is smaller.
        batch = [tf.TensorSpec((None, size, size, 3), tf.uint8), tf.TensorSpec((None,), tf.int64)]

        # tensorflow has no types, so mypy cannot see what its decorator makes of a function.
        @tf.function(input_signature=batch, autograph=False)  # type: ignore[untyped-decorator]
        def step(images: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self._model(images, training=True))
                loss = tf.reduce_mean(tf.gather(weights, labels) * losses)
            gradients = tape.gradient(loss, self._model.trainable_variables)
            if clip:
                gradients, _ = tf.clip_by_global_norm(gradients, clip)
            self._optimizer.apply(gradients)
            return loss

        return step

    def _train_epoch(self, step: _Step, train: Lesions, on_step: Callable[[], object] | None) -> float:
        """One pass; all that is random depends on the seed and the epoch, so a killed run goes on as it would have."""
        random = np.random.default_rng([self._config.seed, self._epoch])
        size, total, seen = self._config.trainer.batch_size, 0.0, 0
        order = self._draw_order(train, random)
        for start in range(0, steps_per_epoch(train, self._config) * size, size):
            batch = order[start : start + size]
            images = train.images[batch]
            if self._config.data.augment == "flips":
                images = np.rot90(images, int(random.integers(4)), axes=(1, 2))
                images = np.ascontiguousarray(images[:, :, ::-1] if random.random() < 0.5 else images)
            total += float(step(images, train.labels[batch])) * len(batch)
            seen += len(batch)
            if on_step:
                on_step()
        if not np.isfinite(total):
            lr = self._config.optimizer.lr
            raise LabError(f"the loss became {total} in epoch {self._epoch + 1}", hint=f"try optimizer.lr={lr / 10:g}")
        return total / seen

    def _draw_order(self, train: Lesions, random: np.random.Generator) -> np.ndarray:
        if self._config.data.sampling == "balanced":
            weights = 1 / train.class_counts()[train.labels]
            return random.choice(len(train), len(train), p=weights / weights.sum())
        return random.permutation(len(train))

    def _class_weights(self, train: Lesions) -> np.ndarray:
        """(C,), scaled so that the mean over all training photographs is 1."""
        counts = np.maximum(train.class_counts(), 1).astype(np.float64)
        weights = counts**-self._config.loss.weight_power
        return weights * counts.sum() / (weights * counts).sum()


def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by TensorFlow when it is imported
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        import tensorflow
    except ImportError as error:
        raise LabError(
            "framework tensorflow is not installed", hint='pip install -c constraints.txt -e ".[tensorflow]"'
        ) from error
    return tensorflow


def _build_network(keras: Any, config: Config, dataset: Dataset) -> Any:
    """The layers of models/small_cnn.py: (B, H, W, 3) uint8 -> (B, C) logits."""
    layers, width, size = keras.layers, config.model.width, config.data.image_size
    mean, spread = ([255 * share for share in shares] for shares in (dataset.mean, dataset.spread))
    network = [
        keras.Input((size, size, 3)),
        layers.Normalization(mean=mean, variance=[s**2 for s in spread], name="standard"),
    ]
    for block, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        network += [
            layers.ZeroPadding2D(1),
            layers.Conv2D(
                channels, 3, strides=2, use_bias=False, kernel_initializer="he_uniform", name=f"convolution_{block}"
            ),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"normalization_{block}"),
            layers.ReLU(),
        ]
    head = layers.Dense(len(dataset), name="head")
    return keras.Sequential([*network, layers.GlobalAveragePooling2D(), layers.Dropout(config.model.dropout), head])


def _build_optimizer(keras: Any, config: Config, steps: int) -> Any:
    """SGD or AdamW with the schedule. Keras has no one-cycle schedule, so it is a cosine with a warm-up of 30 %."""
    total, lr = config.trainer.epochs * steps, config.optimizer.lr
    rate = lr
    if config.trainer.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(lr, total)
    elif config.trainer.schedule == "one_cycle":
        warm = max(1, round(0.3 * total))
        rate = keras.optimizers.schedules.CosineDecay(
            lr / 25, max(1, total - warm), warmup_target=lr, warmup_steps=warm
        )
    if config.optimizer.name == "sgd":
        decay = config.optimizer.weight_decay or None
        return keras.optimizers.SGD(rate, momentum=config.optimizer.momentum, weight_decay=decay)
    if config.optimizer.name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=config.optimizer.weight_decay, epsilon=1e-8)
    raise LabError(f"there is no optimizer '{config.optimizer.name}'", hint="optimizer can be: adamw, sgd")
