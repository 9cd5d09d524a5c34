"""One experiment from beginning to end. This is the place to start reading: five paragraphs name every other part."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from lab_code.config import Config
from lab_code.data.dataset import Dataset
from lab_code.data.duplicates import join_lesions
from lab_code.data.ham10000 import read_dataset
from lab_code.data.lesions import Findings, Lesions, find_lesions, is_medmnist, load_part, split_by_lesion
from lab_code.data.photographs import Progress
from lab_code.errors import LabError
from lab_code.frameworks import Learner, build_learner
from lab_code.limits import is_out_of_memory
from lab_code.tracking.interrupts import was_interrupted
from lab_code.tracking.records import log_interrupted, log_results, log_start
from lab_code.tracking.running import run_folder
from lab_code.tracking.runs import name_own_experiment
from lab_code.tracking.store import explain_fault
from lab_code.tracking.tracker import TrackedRun, track_run
from lab_code.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from lab_code.training.devices import join_team, seed_everything, use_threads
from lab_code.training.reporter import Reporter
from lab_code.training.trainer import BestEpoch, EpochResult


def run_experiment(
    config: Config,
    root: Path,
    tags: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
    resume: str | None = None,
) -> tuple[str, EpochResult]:
    """Train one model and track it in the store of `root`; returns the run's id and its best epoch.

    Relative folders of the configuration are taken from `root`; `resume` is the id of a run to go on with. Raises
    `LabError` for data that cannot be read and a store that cannot be written.
    """
    # 1. Seed: everything random below depends on it alone.
    reporter = reporter or Reporter()
    seed_everything(config.seed)
    use_threads(config.trainer.threads)

    # 2. Data: photographs in memory, divided by lesion.
    started = time.perf_counter()
    train, validation, findings = load_split(config, root, reporter.start_reading)
    timings = {"time/data_s": time.perf_counter() - started}
    reporter.note(findings.summary())

    # 3. Learner: a model, what it is told to care about, and how it is trained.
    with join_team(config.trainer.device) as team:
        learner = build_learner(config, team, train.dataset)
        past = _read_past(root, resume)
        if not team.leads:  # the first of several processes tracks for all
            return _follow(learner, train, validation, config, past)

        # 4. Training: one result an epoch, tracked as it comes; the best weights are kept.
        tracked = track_run(root, name_own_experiment(root), config, tags or {}, resume)
        with tracked as run, reporter.begin_run(root, run.run_id):
            if not resume:
                log_start(run, config, learner, train, validation)
            on_step = reporter.start(learner.count_steps(train), past.history, config.trainer.epochs)
            with _faults_told(run, past.best, config, root):
                for result in train_epochs(learner, train, validation, config, past, on_step):
                    if _keep_epoch(result, run, reporter, learner, past, root):
                        break

            # 5. Results: what must be known a year from now.
            log_results(run, config, past.best, past.history, validation, timings)
    assert past.best.result is not None
    return run.run_id, past.best.result


def _keep_epoch(
    result: EpochResult, run: TrackedRun, reporter: Reporter, learner: Learner, past: Checkpoint, root: Path
) -> bool:
    """Track an epoch and show it; whether the run shall end here, because a search sees that it leads nowhere."""
    run.log_epoch(result)
    write_checkpoint(run_folder(root, run.run_id), learner.state(), past.best, past.history)
    reporter.show_epoch(result)
    enough = reporter.is_enough(result)
    if enough:
        run.set_tag("search.pruned", str(result.epoch))
    return enough


def load_split(config: Config, root: Path, progress: Progress | None = None) -> tuple[Lesions, Lesions, Findings]:
    """Training and validation photographs, no lesion and no picture in both, and what was found.

    DermaMNIST is divided as published; what its validation part has too is not trained on. Raises `LabError` where one
    side would be empty.
    """
    place = root / config.data.folder
    lesions, findings = find_lesions(place, config.data.image_size, progress, config.data.on_fault)
    if is_medmnist(place):
        train, validation = (load_part(place, part, config.data.image_size) for part in ("train", "val"))
        doubled = [index for group in findings.same if max(group) >= len(train) for index in group]
        sides = [train.select(~np.isin(np.arange(len(train)), doubled)), validation]
    else:
        if not len(lesions):
            raise LabError(f"there is no readable photograph in {place}", hint="copy the complete folder")
        groups = join_lesions(lesions.lesion_ids, findings.same)
        share, seed = config.data.validation_fraction, config.data.split_seed
        aside = split_by_lesion(lesions.labels, groups, share, seed, lesions.dataset)
        sides = [lesions.select(~aside), lesions.select(aside)]
    return sides[0], sides[1], findings


def train_epochs(
    learner: Learner,
    train: Lesions,
    validation: Lesions,
    config: Config,
    past: Checkpoint,
    on_step: Callable[[], object] | None = None,
) -> Iterator[EpochResult]:
    """Train until the epochs are over or patience is; `past` grows by every result."""
    for result in learner.learn(train, validation, on_step, past.state):
        past.best.offer(result, learner.weights)
        past.history.append(result)
        yield result
        if past.best.is_old(result.epoch, config.trainer.patience):
            return


def load_learner(config: Config, weights: Path, dataset: Dataset | None = None) -> Learner:
    """Rebuild a run's model from its configuration and weights. Raises `LabError` where the two do not fit.

    Its classes are those of `dataset`, or of the description that lies beside the weights, as in a run's record.
    """
    fresh = replace(config, model=replace(config.model, weights=""))  # what it started from does not matter any more
    learner = build_learner(fresh, dataset=dataset or read_dataset(weights.parent))
    try:
        learner.load_weights(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise LabError(f"{weights} is not a readable file of weights: {error}", hint="train the run again") from error
    return learner


@contextmanager
def _faults_told(run: TrackedRun, best: BestEpoch, config: Config, root: Path) -> Iterator[None]:
    """A run that is stopped on purpose keeps its best weights; no memory and a full disk become a `LabError`."""
    try:
        yield
    except BaseException as error:
        if was_interrupted(error):
            log_interrupted(run, best)
        if is_out_of_memory(error):
            raise _explain_memory(config) from error
        if isinstance(error, OSError):
            raise explain_fault(run_folder(root, run.run_id), error) from error
        raise


def _read_past(root: Path, resume: str | None) -> Checkpoint:
    """Where a run that goes on has come to; the beginning for a new one, and for one without a whole epoch."""
    past = read_checkpoint(run_folder(root, resume)) if resume else None
    return past or Checkpoint(None, BestEpoch(), [])


def _explain_memory(config: Config) -> LabError:
    smaller = max(2, config.trainer.batch_size // 2)
    return LabError(
        f"the memory is not enough for data.image_size={config.data.image_size} and "
        f"trainer.batch_size={config.trainer.batch_size}",
        hint=f"close other programs, or train a new run with trainer.batch_size={smaller}",
    )


def _follow(
    learner: Learner, train: Lesions, validation: Lesions, config: Config, past: Checkpoint
) -> tuple[str, EpochResult]:
    """The part of a process that does not lead: train along, and track nothing."""
    for _ in train_epochs(learner, train, validation, config, past):
        pass
    assert past.best.result is not None
    return "", past.best.result
