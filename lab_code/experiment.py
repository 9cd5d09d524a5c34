"""One experiment from beginning to end. This is the place to start reading: five paragraphs name every other part."""

import platform
import random
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lab_code.config import Config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions, load_lesions, split_by_lesion
from lab_code.errors import LabError
from lab_code.losses import build_loss
from lab_code.metrics import confusion_matrix
from lab_code.models import build_model, count_parameters
from lab_code.plots import plot_confusion, plot_curves
from lab_code.progress_bar import ProgressBar
from lab_code.tracking import TrackedRun, track_run
from lab_code.trainer import BestWeights, EpochResult, fit, steps_per_epoch

EXPERIMENT = "skin-lesions"
WEIGHTS = "weights.safetensors"


def run_experiment(
    config: Config, root: Path, tags: Mapping[str, str] | None = None, bar: ProgressBar | None = None
) -> tuple[str, EpochResult]:
    """Train one model and track it in the store of `root`; returns the run's id and its best epoch.

    Relative folders of the configuration are taken from `root`. Raises `LabError` for data that cannot be read.
    """
    # 1. Seed: everything random below depends on it alone.
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)

    # 2. Data: photographs in memory, divided by lesion.
    started = time.perf_counter()
    train, validation = load_split(config, root)
    data_s = time.perf_counter() - started

    # 3. Model and loss: what learns, and what it is told to care about.
    model = build_model(config.model, len(DIAGNOSES))
    loss = build_loss(config.loss, torch.from_numpy(train.class_counts()))

    # 4. Training: one result an epoch, tracked as it comes; the best weights are kept.
    with track_run(root, EXPERIMENT, config, tags or {}) as run, bar or nullcontext():
        run.log_params(describe_run(model, train, validation))
        best, history = BestWeights(), []
        on_step = bar.start(config.trainer.epochs * steps_per_epoch(train, config)) if bar else None
        for result in fit(model, loss, train, validation, config, on_step):
            run.log_epoch(result)
            best.offer(model, result)
            history.append(result)
            if bar:
                bar.show_epoch(result)

        # 5. Results: what must be known a year from now.
        log_results(run, best, history, validation, config.name, {"data_s": data_s})
    assert best.result is not None
    return run.run_id, best.result


def load_split(config: Config, root: Path) -> tuple[Lesions, Lesions]:
    """Training and validation photographs, no lesion in both."""
    lesions = load_lesions(root / config.data.folder, config.data.image_size)
    aside = split_by_lesion(lesions.labels, lesions.lesion_ids, config.data.validation_fraction, config.data.split_seed)
    return lesions.select(~aside), lesions.select(aside)


def describe_run(model: nn.Module, train: Lesions, validation: Lesions) -> dict[str, object]:
    """Facts that are not choices but belong to the run: data, size, machine."""
    return {
        "data.fingerprint": f"{train.fingerprint()}+{validation.fingerprint()}",
        "data.train_images": len(train),
        "data.validation_images": len(validation),
        "model.parameters": count_parameters(model),
        "machine.device": str(next(model.parameters()).device),
        "machine.threads": torch.get_num_threads(),
        "machine.python": platform.python_version(),
        "machine.torch": torch.__version__,
    }


def log_results(
    run: TrackedRun,
    best: BestWeights,
    history: list[EpochResult],
    validation: Lesions,
    name: str,
    timings: Mapping[str, float],
) -> None:
    """The best epoch's metrics (under `best_…`), figures and weights."""
    assert best.result is not None
    run.log_metrics({f"best_{key}": value for key, value in best.result.metrics.items()})
    run.log_metrics({"best_epoch": best.result.epoch, **timings})
    confusion = confusion_matrix(validation.labels, best.result.probabilities.argmax(axis=1), len(DIAGNOSES))
    title = f"{name}, epoch {best.result.epoch}: balanced accuracy {best.result.metrics['balanced_accuracy']:.2f}"
    run.log_figure(plot_confusion(confusion, DIAGNOSES, title), "confusion_matrix.png")
    run.log_text("\n".join(",".join(map(str, row)) for row in [DIAGNOSES, *confusion.tolist()]), "confusion_matrix.csv")
    curves = {"train_loss": [result.train_loss for result in history]}
    for metric in ("balanced_accuracy", "accuracy", "macro_auc"):
        curves[metric] = [result.metrics[metric] for result in history]
    run.log_figure(plot_curves(curves, name), "curves.png")
    run.log_weights(best.weights, WEIGHTS)


def load_model(config: Config, weights: Path) -> nn.Module:
    """Rebuild a model from a run's configuration and weights. Raises `LabError` where the two do not fit."""
    model = build_model(config.model, len(DIAGNOSES))
    try:
        model.load_state_dict(load_file(weights))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise LabError(f"{weights.name} does not fit the model '{config.model.name}': {reason}") from error
    return model
