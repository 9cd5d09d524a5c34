"""What is written down about a run: enough to say a year later what exactly it was, and to make it again.

    before      configuration, code, environment, photographs (fingerprint, counts), model, machine
    after       scores with intervals, figures, every prediction as a table, weights

`predictions.csv` alone is enough to compute every score again.
"""

import csv
import io
from collections.abc import Mapping

import numpy as np

from lab_code.config import Config, flatten_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions
from lab_code.frameworks import Learner
from lab_code.metrics import bootstrap_intervals, confusion_matrix
from lab_code.plots.one_run import plot_calibration, plot_confusion, plot_curves, plot_predictions, plot_roc
from lab_code.tracking.names import name_best
from lab_code.tracking.provenance import (
    CODE,
    code_fingerprint,
    code_to_json,
    describe_environment,
    read_code,
    read_repository,
)
from lab_code.tracking.tracker import TrackedRun
from lab_code.training.trainer import BestEpoch, EpochResult

WEIGHTS = "weights.safetensors"
PREDICTIONS = "predictions.csv"


def log_start(run: TrackedRun, config: Config, learner: Learner, train: Lesions, validation: Lesions) -> None:
    """Everything that is known before the first step."""
    code = read_code()
    commit, difference = read_repository()
    run.log_facts(
        {
            "data.fingerprint": f"{train.fingerprint()}+{validation.fingerprint()}",
            "data.train_images": len(train),
            "data.validation_images": len(validation),
            "code.fingerprint": code_fingerprint(code),
            **({"code.commit": commit} if commit else {}),
            **learner.facts(),
        }
    )
    run.log_text(code_to_json(code), CODE)
    if difference:
        run.log_text(difference, "code.diff.txt")
    run.log_text(describe_environment(), "environment.txt")
    for name, lesions in (("training", train), ("validation", validation)):
        counts = dict(zip(DIAGNOSES, lesions.class_counts().tolist(), strict=True))
        profile = {"photographs": len(lesions), "lesions": len(np.unique(lesions.lesion_ids)), **counts}
        run.log_dataset(name, lesions.fingerprint(), config.data.folder, profile)


def log_results(
    run: TrackedRun,
    config: Config,
    best: BestEpoch,
    history: list[EpochResult],
    validation: Lesions,
    timings: Mapping[str, float],
) -> None:
    """The best epoch's scores (under `best_…`) with their intervals, figures, predictions and weights."""
    assert best.result is not None
    result, labels = best.result, validation.labels
    predicted = result.probabilities.argmax(axis=1)
    scores = name_best(result.metrics)
    for key, (low, high) in bootstrap_intervals(labels, predicted, validation.lesion_ids, len(DIAGNOSES)).items():
        scores |= {f"interval/{key}_low": low, f"interval/{key}_high": high}
    times = {**timings, "time/train_s": sum(entry.seconds for entry in history)}
    run.log_weights(best.weights, WEIGHTS)
    run.log_model(config.model.name, flatten_config(config), WEIGHTS)
    run.log_text(predictions_to_csv(validation, result.probabilities), PREDICTIONS)
    confusion = confusion_matrix(labels, predicted, len(DIAGNOSES))
    run.log_text("\n".join(",".join(map(str, row)) for row in [DIAGNOSES, *confusion.tolist()]), "confusion_matrix.csv")
    _log_figures(run, config.name, result, history, validation, confusion)
    run.log_metrics({**scores, "best_epoch": result.epoch, **times, "time/tracking_s": run.seconds})


def log_interrupted(run: TrackedRun, best: BestEpoch) -> None:
    """The best weights of a run that was stopped, where an epoch was finished; `lab resume` goes on all the same."""
    if best.result is not None:
        run.log_weights(best.weights, WEIGHTS)
        run.log_metrics({"best_epoch": best.result.epoch})


def predictions_to_csv(lesions: Lesions, probabilities: np.ndarray) -> str:
    """One line a photograph: ids, true and predicted diagnosis, and (N, C) probabilities to the last digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_id", "lesion_id", "dx", "predicted", *(f"p_{dx}" for dx in DIAGNOSES)])
    rows = zip(lesions.image_ids, lesions.lesion_ids, lesions.labels, probabilities, strict=True)
    for image, lesion, label, row in rows:
        # Nine digits give back exactly the float32 they came from.
        writer.writerow([image, lesion, DIAGNOSES[label], DIAGNOSES[row.argmax()], *(f"{value:.9g}" for value in row)])
    return text.getvalue()


def predictions_from_csv(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,) int64, probabilities (N, C) float32 and lesion ids (N,) of a table of predictions."""
    rows = list(csv.DictReader(io.StringIO(text)))
    labels = np.array([DIAGNOSES.index(row["dx"]) for row in rows], np.int64)
    probabilities = np.array([[row[f"p_{dx}"] for dx in DIAGNOSES] for row in rows], np.float32)
    return labels, probabilities, np.array([row["lesion_id"] for row in rows])


def _log_figures(
    run: TrackedRun,
    name: str,
    result: EpochResult,
    history: list[EpochResult],
    validation: Lesions,
    confusion: np.ndarray,
) -> None:
    labels, probabilities = validation.labels, result.probabilities
    title = f"{name}, epoch {result.epoch}: balanced accuracy {result.metrics['balanced_accuracy']:.2f}"
    run.log_figure(plot_confusion(confusion, DIAGNOSES, title), "confusion_matrix.png")
    curves = {"train_loss": [entry.train_loss for entry in history]}
    for metric in ("balanced_accuracy", "accuracy", "macro_auc"):
        curves[metric] = [entry.metrics.get(metric, float("nan")) for entry in history]
    run.log_figure(plot_curves(curves, name), "curves.png")
    run.log_figure(plot_roc(labels, probabilities, DIAGNOSES, f"{name}: each diagnosis against all others"), "roc.png")
    run.log_figure(
        plot_calibration(labels, probabilities, f"{name}: is it right as often as it is sure?"), "calibration.png"
    )
    examples = plot_predictions(
        validation.images, labels, probabilities, DIAGNOSES, f"{name}: what it was surest about"
    )
    run.log_figure(examples, "examples.png")
