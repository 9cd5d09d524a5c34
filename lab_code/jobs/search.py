"""A search for good settings: Optuna chooses what to try next, learns from what came out, and ends what leads nowhere.

    outcome = run_search(store, plan, tags, trials=30)

Every trial is a run of its own, trained by a process of its own, and a child of one run in MLflow. What is known lies
in a journal, a file that all of these processes write, and a search that was stopped goes on with the same command.
What counts is the best epoch's balanced accuracy on the validation photographs.
"""

import csv
import io
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lab_code.config import Config, Interval, read_space
from lab_code.errors import LabError
from lab_code.files import open_whole
from lab_code.jobs.parting import Parting
from lab_code.jobs.sweep import Children, choose_at_once, list_finished, note_best
from lab_code.limits import plain_name
from lab_code.tracking.interrupts import hear_termination
from lab_code.tracking.running import run_folder
from lab_code.tracking.runs import Run, can_resume, name_own_experiment, read_runs
from lab_code.tracking.tracker import TrackedRun, track_group

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from lab_code.training.trainer import EpochResult

DEFAULT_SPACE = (
    "optimizer.lr=interval(1e-4,1e-1)", "optimizer.weight_decay=interval(1e-5,1e-1)", "model.dropout=interval(0.0,0.5)",
    "data.augment=none,flips", "data.sampling=natural,balanced",
)  # fmt: skip
JOURNAL, TABLE, FIGURE = "search.journal", "search.csv", "importance.png"
_LEARN_FIRST = 5  # trials before any is ended early
_NAME = "search"

Space = Mapping[str, list[str] | Interval]


@dataclass(frozen=True)
class SearchPlan:
    """Where to look; `parent` is the run that holds the search, where an earlier call made one."""

    name: str
    key: str
    space: Space
    fixed: list[str]
    parent: str | None
    configs: list[Config] = field(default_factory=list)  # of the ends and choices, one by one


@dataclass(frozen=True)
class Trials:
    """How trials are trained and who is told; `lab` in processes of its own where nothing else is said."""

    program: Sequence[str] = ()
    begin: Callable[[str], object] = lambda parent: None
    tell: Callable[[int, str], object] = lambda done, text: None


@dataclass(frozen=True)
class SearchOutcome:
    """The finished runs, best first; how many were ended early; the share of each setting; what failed."""

    runs: list[Run]
    pruned: int
    importance: dict[str, float]
    failed: list[tuple[str, str]]


def plan_search(store: Path, changes: Sequence[str], compose: Callable[[list[str]], Config]) -> SearchPlan:
    """Check where to look: the ends of every interval and every choice must be possible. Raises `LabError`."""
    space, fixed = read_space(changes)
    if not space:
        space, more = read_space(DEFAULT_SPACE)
        taken = {change.partition("=")[0] for change in fixed}
        space = {key: values for key, values in space.items() if key not in taken}
        assert not more
    configs = [
        compose([*fixed, f"{key}={_write(value, values)}"])
        for key, values in space.items()
        for value in ((values.low, values.high) if isinstance(values, Interval) else values)
    ]
    key = json.dumps(["--search", *changes])
    parent = next((run.run_id for run in reversed(read_runs(store)) if run.tags.get("sweep") == key), None)
    return SearchPlan(f"search of {configs[-1].name}", key, space, fixed, parent, configs)


def run_search(
    store: Path, plan: SearchPlan, tags: Mapping[str, str], trials: int, at_once: int | None = None,
    how: Trials | None = None,
) -> SearchOutcome:  # fmt: skip
    """Try until there are so many trials in all. What stops it stops its runs, which the same command goes on with."""
    group = track_group(store, name_own_experiment(store), plan.name, {**tags, "sweep": plan.key}, plan.parent)
    how = how or Trials()
    with hear_termination(), Parting(None if how.program else store) as parting, group as parent:
        how.begin(parent.run_id)
        journal = find_journal(store, parent.run_id)
        search = _Search(store, plan, open_study(journal), parent.run_id, how, parting)
        failed = search.try_all(trials, choose_at_once(at_once))
        return replace(sum_up(store, parent, journal), failed=failed)


def sum_up(store: Path, parent: TrackedRun, journal: Path) -> SearchOutcome:
    """What a search has found so far, written into the run that holds it: its trials, and what mattered."""
    study = open_study(journal)
    note_best(store, parent)
    importance = measure_importance(study)
    _log_search(parent, study, journal, importance)
    runs = list_finished(store, parent.run_id)
    pruned = sum("search.pruned" in run.tags for run in runs)
    return SearchOutcome(runs, pruned, importance, [])


def read_outcome(store: Path, parent: Run) -> SearchOutcome:
    """The same of a search that is over, wherever it was; nothing is written."""
    with tempfile.TemporaryDirectory() as folder:  # Optuna writes into a journal that it reads
        study = open_study(Path(shutil.copy(parent.artifacts / JOURNAL, folder)))
        importance = measure_importance(study)
    runs = list_finished(store, parent.run_id)
    return SearchOutcome(runs, sum("search.pruned" in run.tags for run in runs), importance, [])


def find_journal(store: Path, parent: str) -> Path:
    """The journal of a search that goes on; after its end it is among the files of the run that holds it."""
    journal = run_folder(store, parent) / JOURNAL
    kept = next((run.artifacts / JOURNAL for run in read_runs(store) if run.run_id == parent), journal)
    if not journal.exists() and kept.is_file():
        with open_whole(journal) as file:
            file.write(kept.read_bytes())
    journal.parent.mkdir(parents=True, exist_ok=True)
    return journal


def open_study(journal: Path) -> "Study":
    """What is known so far, and who chooses: trees of good and bad settings (TPE); the worse half ends early."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = JournalFileBackend(str(journal), JournalFileOpenLock(str(journal)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `constant_liar` is called experimental: trials that run beside count as bad
        sampler = optuna.samplers.TPESampler(seed=0, constant_liar=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_LEARN_FIRST, n_warmup_steps=1)
    return optuna.create_study(
        storage=JournalStorage(backend), study_name=_NAME, direction="maximize", load_if_exists=True,
        sampler=sampler, pruner=pruner,
    )  # fmt: skip


@dataclass(frozen=True)
class _Search:
    """Trials side by side; each is chosen when there is room for it, with all that is known by then."""

    store: Path
    plan: SearchPlan
    study: "Study"
    parent: str
    how: Trials
    parting: Parting

    def try_all(self, trials: int, at_once: int) -> list[tuple[str, str]]:
        """Until there are so many in all; returns (settings, reason) of those that failed."""
        waiting = _find_stopped(self.store, self.study, self.parent)
        left = trials - len(self.study.get_trials(deepcopy=False))
        failed: list[tuple[str, str]] = []
        running: dict[Future[tuple[float, str]], tuple[int, str]] = {}
        bar = tqdm(total=trials, initial=trials - left - len(waiting), unit="trial", file=sys.stderr, disable=None)
        with bar, ThreadPoolExecutor(at_once) as pool, Children(self.store, self.how.program, self.parting) as children:
            while waiting or left > 0 or running:
                while len(running) < at_once and (waiting or left > 0):
                    if waiting:
                        trial, run_id = waiting.pop()
                    else:
                        trial, run_id, left = self._ask(), None, left - 1
                    arguments = _make_arguments(self.plan, trial.number, trial.params, self.parent, run_id)
                    running[pool.submit(_train, children, arguments)] = trial.number, _describe(trial.params)
                for future in wait(running, return_when=FIRST_COMPLETED)[0]:
                    number, text = running.pop(future)
                    reason = _tell(self.store, self.study, self.parent, number, future.result()[1])
                    tqdm.write(f"trial {number}: {text}: {reason}", file=sys.stderr)
                    bar.update()
                    self.how.tell(trials - left - len(waiting) - len(running), f"trial {number}: {text}: {reason}")
                    if reason.startswith("failed"):
                        failed.append((text, reason.removeprefix("failed: ")))
        return failed

    def _ask(self) -> "FrozenTrial":
        """What to try next."""
        asked = self.study.ask(_distributions(self.plan.space))
        return self.study.get_trials(deepcopy=False)[asked.number]


def _find_stopped(store: Path, study: "Study", parent: str) -> "list[tuple[FrozenTrial, str | None]]":
    """Trials that were being trained when the search was stopped, with the run of each that can go on."""
    from optuna.trial import TrialState

    runs = {
        run.tags.get("search.trial"): run for run in read_runs(store) if run.tags.get("mlflow.parentRunId") == parent
    }
    found: list[tuple[FrozenTrial, str | None]] = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        run = runs.get(str(trial.number))
        if run is None or run.status != "RUNNING":  # another window's trial is left to it
            found.append((trial, run.run_id if run and can_resume(store, run) else None))
    return found


def _train(children: Children, arguments: list[str]) -> tuple[float, str]:
    started = time.perf_counter()
    code, said = children.run(arguments)
    errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    return time.perf_counter() - started, (errors[-1] if errors else f"exit code {code}") if code else ""


def _tell(store: Path, study: "Study", parent: str, number: int, error: str) -> str:
    """Let the study know what came out of a trial; returns the same in words."""
    from optuna.trial import TrialState

    runs = [run for run in read_runs(store) if run.tags.get("mlflow.parentRunId") == parent]
    run = next((run for run in reversed(runs) if run.tags.get("search.trial") == str(number)), None)
    score = run.metrics.get("best_balanced_accuracy") if run and run.status == "FINISHED" else None
    if run is None or score is None:
        study.tell(number, state=TrialState.FAIL)
        return f"failed: {error or 'it ended without a score'}"
    if "search.pruned" in run.tags:
        study.tell(number, state=TrialState.PRUNED)
        return f"ended early, after epoch {run.tags['search.pruned']} ({score:.3f})"
    study.tell(number, score)
    return f"balanced accuracy {score:.3f}"


def _distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for key, values in space.items():
        if not isinstance(values, Interval):
            found[key] = CategoricalDistribution(values)
        elif values.whole:
            found[key] = IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            found[key] = FloatDistribution(values.low, values.high, log=values.log)
    return found


def _make_arguments(
    plan: SearchPlan, number: int, params: Mapping[str, Any], parent: str, run_id: str | None
) -> list[str]:
    """What `lab` is called with for a trial: a new run, or the one that was stopped."""
    if run_id:
        return ["resume", run_id, "--trial", f"{parent}:{number}"]
    changes = [f"{key}={_write(value, plan.space.get(key))}" for key, value in params.items()]
    fixed = [change for change in plan.fixed if not change.startswith("name=")]
    name = next(
        (change[5:] for change in plan.fixed if change.startswith("name=")), plan.name.removeprefix("search of ")
    )
    named = [*fixed, *changes, f"name={plain_name(f'{name}-trial-{number}')}"]
    if not any(change.startswith("trainer.threads=") for change in fixed):
        named.append("trainer.threads=1")  # as in a sweep
    return ["train", *named, "--parent", f"{parent}:{number}", "--job", _describe(params)]


def _write(value: Any, values: list[str] | Interval | None = None) -> str:
    """A value as a change of a setting; whole numbers stay whole."""
    whole = isinstance(values, Interval) and values.whole
    return str(int(value)) if whole else f"{value:.6g}" if isinstance(value, float) else str(value)


def _describe(params: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={f'{value:.3g}' if isinstance(value, float) else value}" for key, value in params.items())


class Pruner:
    """In the process of one trial: reports every epoch, and says whether to go on."""

    def __init__(self, store: Path, trial: str) -> None:
        import optuna

        parent, _, number = trial.partition(":")
        self._study = open_study(find_journal(store, parent))
        found = [one for one in self._study.get_trials(deepcopy=False) if str(one.number) == number]
        if not found:
            raise LabError(f"there is no trial {trial}", hint="lab sweep --search 30 begins trials")
        self._trial: Trial = optuna.trial.Trial(self._study, found[0]._trial_id)
        self.ended_after = 0

    def is_enough(self, result: "EpochResult") -> bool:
        """Whether half of the others were better at this epoch than this one has ever been."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an epoch that is trained again after a stop was reported before
            self._trial.report(result.metrics["balanced_accuracy"], result.epoch)
        if self._trial.should_prune():
            self.ended_after = result.epoch
        return bool(self.ended_after)


def measure_importance(study: "Study") -> dict[str, float]:
    """How much of the difference between scores goes back to each setting (fANOVA; Hutter et al., ICML 2014).

    Empty where too little has been tried.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < _LEARN_FIRST or len({trial.value for trial in done}) < 2:
        return {}
    with suppress(ValueError, RuntimeError):  # all trials share a value of some setting
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
        return {key: float(share) for key, share in shares.items()}
    return {}


def _log_search(parent: TrackedRun, study: "Study", journal: Path, importance: Mapping[str, float]) -> None:
    from lab_code.plots.search import plot_importance

    parent.log_bytes(journal.read_bytes(), JOURNAL)
    parent.log_text(describe_trials(study), TABLE)
    if importance:
        trials = len([trial for trial in study.get_trials(deepcopy=False) if trial.value is not None])
        parent.log_figure(plot_importance(importance, trials), FIGURE)


def describe_trials(study: "Study") -> str:
    """Every trial as a line of CSV: its number, state, score and settings."""
    trials = study.get_trials(deepcopy=False)
    keys = sorted({key for trial in trials for key in trial.params})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "balanced_accuracy", *keys])
    for trial in trials:
        writer.writerow([trial.number, trial.state.name.lower(), trial.value, *(trial.params.get(key) for key in keys)])
    return text.getvalue()
