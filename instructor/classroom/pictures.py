"""The slides' pictures: made from two experiments, trained in a copy of a kit of this very workshop.

    pictures = make_pictures(build, group="group-1", names=["baseline", "balanced"], again=False)

They are kept in `build/class/pictures/` with what they were made from; kits that were built anew, or `again`, make them
anew. Training takes about a minute.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from instructor.experiments import train_experiments
from lab_code.analysis.compare import load_confusion
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import read_dataset
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.metrics import sensitivity
from lab_code.plots.one_run import plot_confusions, plot_sensitivities, to_png
from lab_code.tracking.runs import Run
from lab_code.tracking.store import DATABASE, open_database
from lab_code.workshop.kit import KIT_FILE

_SCORE = "balanced_accuracy"
_RECORD = "pictures.json"


@dataclass(frozen=True)
class Picture:
    """A PNG file and what it shows, in words."""

    file: str
    alt: str


@dataclass(frozen=True)
class Pictures:
    """The slides' pictures by name, and sentences with figures of the same runs."""

    folder: Path
    made_from: str
    pictures: dict[str, Picture]
    figures: dict[str, str]


def make_pictures(build: Path, group: str, names: Sequence[str], *, again: bool = False) -> Pictures:
    """The pictures of this build and these experiments, two at most, made where they are missing.

    Raises `LabError` where there are no kits.
    """
    kit, folder = build / "kits" / group, build / "class" / "pictures"
    if not (kit / KIT_FILE).is_file():
        raise LabError(f"there is no kit {kit}", hint="make provision")
    made_from = hashlib.sha256((kit / KIT_FILE).read_bytes() + "\n".join(names).encode()).hexdigest()
    if not again and (kept := _read_kept(folder)) is not None and kept.made_from == made_from:
        return kept
    scratch = build / "class" / "runs"
    shutil.rmtree(scratch, ignore_errors=True)
    made = _draw(train_experiments(build, group, names, scratch), folder, made_from)
    shutil.rmtree(scratch, ignore_errors=True)
    return made


def _read_kept(folder: Path) -> Pictures | None:
    try:
        document = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        pictures = {name: Picture(**entry) for name, entry in document["pictures"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not all((folder / picture.file).is_file() for picture in pictures.values()):
        return None
    return Pictures(folder, document["made_from"], pictures, document["figures"])


def _draw(runs: dict[str, Run], folder: Path, made_from: str) -> Pictures:
    dataset = read_dataset(next(iter(runs.values())).artifacts)
    confusions = {name: load_confusion(run) for name, run in runs.items()}
    found = {name: sensitivity(confusion) for name, confusion in confusions.items()}
    drawn = {
        "curves": (_plot_curves(runs), _describe_curves(runs)),
        "sensitivities": (
            plot_sensitivities({name: list(values) for name, values in found.items()}, dataset),
            _describe_found(found, dataset),
        ),
        "confusions": (plot_confusions(confusions, dataset), f"Confusion matrices of {' and '.join(runs)}."),
    }
    pictures = {}
    for name, (figure, alt) in drawn.items():
        pictures[name] = Picture(f"{name}.png", alt)
        write_whole(folder / f"{name}.png", to_png(figure))
    made = Pictures(folder, made_from, pictures, _describe_figures(runs))
    document = {**asdict(made), "folder": None}
    write_whole(folder / _RECORD, to_json(document))
    return made


def _plot_curves(runs: dict[str, Run]) -> Figure:
    """Balanced accuracy on the validation photographs after every epoch."""
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, run), style, marker in zip(runs.items(), ("-", "--"), "os", strict=False):
        values = read_history(run, _SCORE)
        axes.plot(range(1, len(values) + 1), values, style, marker=marker, label=name, linewidth=2.4)
    axes.set(xlabel="epoch", ylabel="balanced accuracy (0 to 1)", ylim=(0, 1), title="validation photographs")
    legend = axes.legend()
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *legend.get_texts()):
        text.set_fontsize(15)
    axes.tick_params(labelsize=13)
    return figure


def read_history(run: Run, metric: str) -> list[float]:
    """Every value of a metric of one run, in the order of its steps."""
    store = run.artifacts.parents[3]  # mlartifacts, experiment, run, artifacts
    with open_database(store / DATABASE) as database:
        rows = database.execute(
            "SELECT value FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step", (run.run_id, metric)
        )
        return [float(row[0]) for row in rows]


def _describe_curves(runs: dict[str, Run]) -> str:
    ends = " and ".join(f"{name} {run.metrics[f'best_{_SCORE}']:.2f}" for name, run in runs.items())
    return f"Balanced accuracy on the validation photographs over the epochs; at best {ends}."


def _describe_found(found: dict[str, np.ndarray], dataset: Dataset) -> str:
    pairs = zip(dataset.codes, *found.values(), strict=True)
    said = ", ".join(f"{dx} {' and '.join(f'{share:.0%}' for share in shares)}" for dx, *shares in pairs)
    return f"The share of every {dataset.class_words[0]} that {' and '.join(found)} recognised: {said}."


def _describe_figures(runs: dict[str, Run]) -> dict[str, str]:
    score, plain = f"best_{_SCORE}", "best_accuracy"
    said = ", ".join(f"{name} {run.metrics[score]:.3f}" for name, run in runs.items())
    found = {of: " → ".join(f"{run.metrics[of]:.2f}" for run in runs.values()) for of in (score, plain)}
    return {
        "runs": f"{said}: {'both ' if len(runs) == 2 else ''}in MLflow with settings, code, weights",
        "gain": f"accuracy {found[plain]}, balanced accuracy {found[score]}",
    }
