"""Do the two experiments teach what the class says they teach? Measured over several seeds, written as a page.

`measure_experiments(build)` takes a kit as a group gets it, opens every stage with its answers, and lets `lab sweep`
train `baseline` and `balanced` with every seed. `score_on_real` trains on synthetic photographs alone and asks about
real ones. `instructor experiments` writes both into docs/experiments.md.
"""

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instructor.dataset.synthetic import block_count, plan_lesions, render_block
from instructor.vault import Vault
from lab_code.config import compose_config
from lab_code.data.ham10000 import DIAGNOSES, is_other
from lab_code.data.lesions import Lesions, load_lesions
from lab_code.errors import LabError
from lab_code.frameworks import build_learner
from lab_code.metrics import bootstrap_intervals, evaluate
from lab_code.tracking.runs import Run, read_runs
from lab_code.training.devices import seed_everything
from lab_code.training.trainer import BestEpoch

EXPERIMENTS = ("baseline", "balanced")
_CACHES = ("__pycache__", "mlflow.db", "mlartifacts", "handin", "checkpoints")


@dataclass(frozen=True)
class Pair:
    """Both experiments with one seed."""

    seed: int
    baseline: Run
    balanced: Run

    def gain(self, metric: str) -> float:
        """How much higher `balanced` is."""
        return self.balanced.metrics[f"best_{metric}"] - self.baseline.metrics[f"best_{metric}"]


def measure_experiments(build: Path, group: str, seeds: Sequence[int], scratch: Path) -> list[Pair]:
    """Train both experiments with every seed in a copy of a group's kit under `scratch`.

    Raises `LabError` where the kit is missing or a command fails. A copy that is there already is gone on with.
    """
    kit = _open_kit(build, group, scratch)
    _lab(kit, "sweep", f"experiment={','.join(EXPERIMENTS)}", f"seed={','.join(map(str, seeds))}")
    runs = {(run.params.get("name", "").split("-")[0], run.params.get("seed")): run for run in read_runs(kit)}
    return [Pair(seed, *(runs[name, str(seed)] for name in EXPERIMENTS)) for seed in seeds]


def train_experiments(build: Path, group: str, names: Sequence[str], scratch: Path) -> dict[str, Run]:
    """Train these experiments, or the default where there is none, in a copy of a group's kit under `scratch`.

    Raises `LabError` as `measure_experiments`.
    """
    kit = _open_kit(build, group, scratch)
    for name in names:
        _lab(kit, "train", f"experiment={name}", f"name={name}")
    if not names:
        _lab(kit, "train")
    return {run.name: run for run in read_runs(kit)}


def score_on_real(folder: Path, seeds: Sequence[int], photographs: int = 7000) -> dict[str, float]:
    """Train on synthetic photographs of equally frequent diagnoses, and score real ones; nothing real is trained on.

    The probabilities of the seeds' networks are averaged. Keys: balanced_accuracy, macro_auc, low, high (95 %), images,
    and mean_balanced_accuracy of the single networks.
    """
    config = compose_config(
        ["optimizer=adamw", "trainer.schedule=one_cycle", "data.augment=flips", "trainer.epochs=12", "model.width=32"]
    )
    real = load_lesions(folder, config.data.image_size)
    if is_other(real.dataset):
        raise LabError(
            f"{folder} holds {real.dataset.name}", hint="the synthetic photographs are about HAM10000's diagnoses"
        )
    chances, alone = [], []
    for seed in seeds:
        seed_everything(seed)
        train = make_synthetic(photographs, seed + 1000, config.data.image_size)
        learner = build_learner(config)
        best = BestEpoch()
        for result in learner.learn(train, make_synthetic(700, seed + 2000, config.data.image_size)):
            best.offer(result, learner.weights)
        learner.load_weights(best.weights)
        chances.append(learner.predict(real.images))
        alone.append(evaluate(real.labels, chances[-1], DIAGNOSES)["balanced_accuracy"])
    mean = np.mean(chances, axis=0)
    scores = evaluate(real.labels, mean, DIAGNOSES)
    intervals = bootstrap_intervals(real.labels, mean.argmax(axis=1), real.lesion_ids, len(DIAGNOSES))
    low, high = intervals["balanced_accuracy"]
    return {
        "images": len(real),
        "balanced_accuracy": scores["balanced_accuracy"],
        "macro_auc": scores["macro_auc"],
        "low": low,
        "high": high,
        "mean_balanced_accuracy": statistics.mean(alone),
        **{f"sensitivity_{dx}": scores.get(f"sensitivity/{dx}", float("nan")) for dx in DIAGNOSES},
    }


def make_synthetic(photographs: int, seed: int, image_size: int, difficulty: float = 0.5) -> Lesions:
    """Synthetic photographs in memory, every diagnosis about equally frequent."""
    plan = plan_lesions(photographs, seed, 0.0)
    images = [
        picture
        for block in range(block_count(plan))
        for picture in render_block(plan, block, image_size, seed, difficulty)[1]
    ]
    lesion = np.repeat(np.arange(len(plan.dx)), plan.photographs)
    ids = np.array([f"lesion-{number}" for number in lesion])
    return Lesions(
        np.stack(images), np.asarray(plan.dx)[lesion].astype(np.int64), ids, np.arange(len(lesion)).astype(str)
    )


def write_page(pairs: Sequence[Pair], real: dict[str, float] | None) -> str:
    """The page docs/experiments.md."""
    rows = [
        " ".join(["|", str(pair.seed), *(_cells(pair, metric) for metric in ("accuracy", "balanced_accuracy")), "|"])
        for pair in pairs
    ]
    columns = [[run.metrics[f"best_{m}"] for run in runs] for m in ("accuracy", "balanced_accuracy")
               for runs in ([p.baseline for p in pairs], [p.balanced for p in pairs])]  # fmt: skip
    means = [f"{statistics.mean(c):.3f} ± {statistics.stdev(c):.3f}" if len(c) > 1 else f"{c[0]:.3f}" for c in columns]
    gains = [statistics.mean(pair.gain(metric) for pair in pairs) for metric in ("accuracy", "balanced_accuracy")]
    rows.append(f"| mean | {means[0]} | {means[1]} | {gains[0]:+.3f} | {means[2]} | {means[3]} | {gains[1]:+.3f} |")
    seconds = [run.seconds or 0 for pair in pairs for run in (pair.baseline, pair.balanced)]
    return _PAGE.format(
        rows="\n".join(rows),
        smallest=min(pair.gain("balanced_accuracy") for pair in pairs),
        largest=max(abs(pair.gain("accuracy")) for pair in pairs),
        seconds=statistics.median(seconds),
        real=_describe_real(real),
    )


def _open_kit(build: Path, group: str, scratch: Path) -> Path:
    """A copy of a group's kit in which every stage is open."""
    source, kit = build / "kits" / group, scratch / group
    if not source.is_dir():
        raise LabError(f"there is no kit {source}", hint="make provision")
    if not kit.exists():
        shutil.copytree(source, kit, ignore=shutil.ignore_patterns(*_CACHES))
        for entry in Vault(build).read_key()[group]:
            _lab(kit, "unlock", "--stage", entry["stage"], "--answers", entry["answers"])
    return kit


def _cells(pair: Pair, metric: str) -> str:
    values = [run.metrics[f"best_{metric}"] for run in (pair.baseline, pair.balanced)]
    return f"| {values[0]:.3f} | {values[1]:.3f} | {pair.gain(metric):+.3f}"


def _describe_real(real: dict[str, float] | None) -> str:
    if real is None:
        return "Not measured here: `instructor experiments --real FOLDER` needs a folder of real photographs."
    found = ", ".join(f"{dx} {real[f'sensitivity_{dx}']:.2f}" for dx in DIAGNOSES)
    return _REAL.format(found=found, **real)


def _lab(kit: Path, *arguments: str) -> None:
    """Run a command in a kit; its progress goes to the terminal."""
    command = [sys.executable, "-m", "lab_code.cli", *arguments]
    if subprocess.run(command, cwd=kit, env={**os.environ, "PYTHONPATH": ""}).returncode:
        raise LabError(f"lab {' '.join(arguments)} failed in {kit}", hint="the message above says why")


_PAGE = """# What the two experiments show

Made by `.venv/bin/instructor experiments`: a kit as a group gets it, every stage opened, both experiments trained with
every seed by `lab sweep`. The photographs are the synthetic ones of `instructor/workshop.yaml`; every figure is that of
the best epoch on the validation photographs, as `lab compare` shows it.

| seed | accuracy, baseline | balanced | difference | balanced accuracy, baseline | balanced | difference |
|---|---|---|---|---|---|---|
{rows}

- Balanced accuracy rises by at least {smallest:.3f} in every pair; plain accuracy moves by at most {largest:.3f}.
- A run takes {seconds:.0f} s (median) on two shared cores.
- Several settings change at once (loss, optimizer, schedule, augmentation): the pair shows *that* the recipe helps, not
  which part of it does. `lab train experiment=balanced loss=cross_entropy name=no-weights` asks about one part.
- Differences between single runs of less than about 0.03 balanced accuracy are within the noise of the seed.

## What a network that has only seen synthetic photographs says about real ones

{real}
"""

_REAL = """Networks trained on synthetic photographs alone (every diagnosis equally frequent, three seeds, averaged) are
asked about {images:.0f} real photographs of HAM10000 that they have never seen; no setting was chosen by looking at the
answers.

- balanced accuracy {balanced_accuracy:.2f} (95 % interval {low:.2f} to {high:.2f}, by bootstrap over lesions; guessing:
  0.143), {mean_balanced_accuracy:.2f} for a single network on average; macro AUC {macro_auc:.2f}
- sensitivity: {found}

The palette and the shapes of the synthetic photographs were once fitted to real ones by eye, some of these among them,
so the figure flatters. It says that the pictures are a fair stand-in for teaching. It is no medical result."""
