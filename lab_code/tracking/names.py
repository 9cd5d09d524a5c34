"""What the numbers and facts of a run are called in MLflow, and what they were called before.

Its page makes a group of whatever stands before a slash: `time/epoch_s`, `sensitivity/mel`, `system/…`. What nobody
has chosen (`machine.device`, `code.fingerprint`) is a tag, so that a comparison in MLflow begins with the choices.
This is the one place that knows the names of older kits: whoever reads a run gets it with the names of today.
"""

import re
from collections.abc import Mapping, Sequence

from lab_code.data.ham10000 import DIAGNOSES

# Beginnings of what is no choice: it follows from the choices, from the code and from the laptop.
FACTS = ("machine.", "code.", "model.parameters", "data.fingerprint", "data.train_images", "data.validation_images")

# What has a value for every epoch, and what has one for the whole run.
CURVES = ("balanced_accuracy", "accuracy", "macro_auc", "train_loss", "learning_rate")
SINGLE = (
    *(f"best_{name}" for name in ("balanced_accuracy", "accuracy", "macro_auc", "epoch")),
    *(f"interval/{name}_{end}" for name in ("balanced_accuracy", "accuracy") for end in ("low", "high")),
    *(f"time/{what}_s" for what in ("data", "train", "tracking")),
)

_DIAGNOSIS = "|".join(DIAGNOSES)  # kits of older names know no other data set
_OLD = (
    (re.compile(rf"((?:best_)?(?:sensitivity|specificity))_({_DIAGNOSIS})"), r"\1/\2"),
    (re.compile(r"best_((?:balanced_)?accuracy_(?:low|high))"), r"interval/\1"),
    (re.compile(r"((?:data|train|tracking|epoch)_s)"), r"time/\1"),
)


def name_single(codes: Sequence[str]) -> tuple[str, ...]:
    """Every metric that has one value for the whole run."""
    return (*SINGLE, *(f"best_sensitivity/{dx}" for dx in codes))


def is_fact(key: str) -> bool:
    """Whether this stands beside the choices of a run, as a tag."""
    return key.startswith(FACTS)


def name_metric(name: str) -> str:
    """What a metric of any kit is called today."""
    for pattern, today in _OLD:
        if found := pattern.fullmatch(name):
            return found.expand(today)
    return name


def name_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of any kit under the names of today."""
    return {name_metric(name): value for name, value in metrics.items()}


def choose_curves(metrics: Mapping[str, float]) -> dict[str, float]:
    """Of the scores of an epoch those that are logged: the specificities say little, and the predictions give them."""
    return {name: value for name, value in name_metrics(metrics).items() if not name.startswith("specificity/")}


def name_best(metrics: Mapping[str, float]) -> dict[str, float]:
    """The scores of the best epoch, as they are logged at the end: `best_accuracy`, `best_sensitivity/mel`."""
    return {f"best_{name}": value for name, value in choose_curves(metrics).items()}


def separate_facts(params: Mapping[str, str], tags: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Choices and tags of a run; older kits logged the facts among the choices."""
    facts = {key: value for key, value in params.items() if is_fact(key)}
    return {key: value for key, value in params.items() if key not in facts}, {**facts, **tags}
