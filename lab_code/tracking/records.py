"""What is written down about a run: enough to say a year later what exactly it was, and to make it again.

    before      configuration, code, environment, photographs (fingerprint, counts), model, machine
    after       scores with intervals, figures, every prediction as a table, weights

`predictions.csv` alone is enough to compute every score again.
"""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from lab_code.config import Config, flatten_config
from lab_code.data.dataset import DESCRIPTION, MOST, dataset_to_yaml
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
    run.log_text(dataset_to_yaml(train.dataset), DESCRIPTION)
    for name, lesions in (("training", train), ("validation", validation)):
        counts = dict(zip(lesions.dataset.codes, lesions.class_counts().tolist(), strict=True))
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
    result, labels, dataset = best.result, validation.labels, validation.dataset
    predicted = result.probabilities.argmax(axis=1)
    scores = name_best(result.metrics)
    for key, (low, high) in bootstrap_intervals(labels, predicted, validation.lesion_ids, len(dataset)).items():
        scores |= {f"interval/{key}_low": low, f"interval/{key}_high": high}
    times = {**timings, "time/train_s": sum(entry.seconds for entry in history)}
    run.log_weights(best.weights, WEIGHTS)
    run.log_model(config.model.name, flatten_config(config), WEIGHTS)
    run.log_text(predictions_to_csv(validation, result.probabilities), PREDICTIONS)
    confusion = confusion_matrix(labels, predicted, len(dataset))
    run.log_text(
        "\n".join(",".join(map(str, row)) for row in [dataset.codes, *confusion.tolist()]), "confusion_matrix.csv"
    )
    _log_figures(run, config.name, result, history, validation, confusion)
    run.log_metrics({**scores, "best_epoch": result.epoch, **times, "time/tracking_s": run.seconds})


def log_interrupted(run: TrackedRun, best: BestEpoch) -> None:
    """The best weights of a run that was stopped, where an epoch was finished; `lab resume` goes on all the same."""
    if best.result is not None:
        run.log_weights(best.weights, WEIGHTS)
        run.log_metrics({"best_epoch": best.result.epoch})


def predictions_to_csv(lesions: Lesions, probabilities: np.ndarray) -> str:
    """One line a photograph: ids, true and predicted diagnosis, and (N, C) probabilities to the last digit."""
    text, codes = io.StringIO(), lesions.dataset.codes
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_id", "lesion_id", "dx", "predicted", *(f"p_{dx}" for dx in codes)])
    rows = zip(lesions.image_ids, lesions.lesion_ids, lesions.labels, probabilities, strict=True)
    for image, lesion, label, row in rows:
        # Nine digits give back exactly the float32 they came from.
        writer.writerow([image, lesion, codes[label], codes[row.argmax()], *(f"{value:.9g}" for value in row)])
    return text.getvalue()


def predictions_from_csv(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,) int64, probabilities (N, C) float32 and lesion ids (N,) of a table of predictions."""
    rows = csv.DictReader(io.StringIO(text))
    codes = classes_of_predictions(rows.fieldnames or [])
    lines = list(rows)
    labels = np.array([codes.index(row["dx"]) for row in lines], np.int64)
    probabilities = np.array([[row[f"p_{dx}"] for dx in codes] for row in lines], np.float32)
    return labels, probabilities, np.array([row["lesion_id"] for row in lines])


def classes_of_predictions(columns: Sequence[str]) -> list[str]:
    """The classes of a table of predictions, in the order of the network's outputs: its columns `p_…`.

    Raises `ValueError` for more than a data set can have: the table may come from anywhere.
    """
    codes = [column.removeprefix("p_") for column in columns if column.startswith("p_")]
    if not 1 < len(codes) <= MOST or len(set(codes)) < len(codes):
        raise ValueError(f"the table has probabilities of {len(codes)} classes")
    return codes


def _log_figures(
    run: TrackedRun,
    name: str,
    result: EpochResult,
    history: list[EpochResult],
    validation: Lesions,
    confusion: np.ndarray,
) -> None:
    labels, probabilities, dataset = validation.labels, result.probabilities, validation.dataset
    title = f"{name}, epoch {result.epoch}: balanced accuracy {result.metrics['balanced_accuracy']:.2f}"
    run.log_figure(plot_confusion(confusion, dataset, title), "confusion_matrix.png")
    curves = {"train_loss": [entry.train_loss for entry in history]}
    for metric in ("balanced_accuracy", "accuracy", "macro_auc"):
        curves[metric] = [entry.metrics.get(metric, float("nan")) for entry in history]
    run.log_figure(plot_curves(curves, name), "curves.png")
    against = f"{name}: each {dataset.class_words[0]} against all others"
    run.log_figure(plot_roc(labels, probabilities, dataset.codes, against), "roc.png")
    run.log_figure(
        plot_calibration(labels, probabilities, f"{name}: is it right as often as it is sure?"), "calibration.png"
    )
    examples = plot_predictions(
        validation.images, labels, probabilities, dataset.codes, f"{name}: what it was surest about"
    )
    run.log_figure(examples, "examples.png")
