"""Every MLflow call of the package: one run is created, filled and ended here.

    with track_run(store, "skin-lesions", config, tags) as run:
        run.log_epoch(result)
        ...

The store is a folder that holds `mlflow.db` (SQLite) and `mlartifacts/`. A run that fails or is interrupted ends as
FAILED or KILLED, never as one that still runs. MLflow takes two seconds to import, so it is imported when a run begins.
"""

import json
import logging
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from safetensors.numpy import save

from lab_code.config import Config, config_to_yaml, flatten_config
from lab_code.errors import LabError
from lab_code.tracking.empty_store import make_beside, make_from_script
from lab_code.tracking.interrupts import hold_interrupts, was_interrupted
from lab_code.tracking.names import choose_curves
from lab_code.tracking.running import forget_run, hold_run
from lab_code.tracking.runs import has_store, name_own_experiment, read_runs, read_states, reroot_store
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT, explain_fault, open_database
from lab_code.tracking.views import choose_colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lab_code.training.trainer import EpochResult

# Nothing leaves the laptop, nothing is printed, nothing is installed; see MLflow's environment variables.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class TrackedRun:
    """One MLflow run that is being written. `run_id` is its id in the store.

    Every method raises `LabError` where MLflow cannot write: a full disk, a store that another program has locked.
    """

    def __init__(self, client: Any, run_id: str, store: Path = Path()) -> None:
        self._client, self.run_id, self._place = client, run_id, store / DATABASE
        self.seconds = 0.0  # spent in here so far

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters: what was chosen before the run. A parameter that is there already must have the same value."""
        from mlflow.entities import Param

        self._write("log_batch", params=[Param(key, str(value)) for key, value in params.items()])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Metrics: what came out, at a step (the epoch). One transaction for all of them."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._write("log_batch", metrics=[Metric(key, float(v), now, step) for key, v in metrics.items()])

    def log_epoch(self, result: "EpochResult") -> None:
        """Everything one epoch brought, with the epoch as step."""
        scores = choose_curves(result.metrics)
        learning = {"train_loss": result.train_loss, "learning_rate": result.learning_rate}
        times = {"time/epoch_s": result.seconds}
        self.log_metrics({**scores, **learning, **times, **read_machine()}, step=result.epoch)

    def log_facts(self, facts: Mapping[str, Any]) -> None:
        """Tags: what belongs to the run and was not chosen. One transaction for all of them."""
        from mlflow.entities import RunTag

        self._write("log_batch", tags=[RunTag(key, str(value)) for key, value in facts.items()])

    def set_tag(self, key: str, value: str) -> None:
        """A note on the run that is neither a choice nor a result."""
        self._write("set_tag", key, value)

    def log_text(self, text: str, name: str) -> None:
        """A text file among the run's artifacts."""
        self.log_bytes(text.encode("utf-8"), name)

    def log_bytes(self, content: bytes, name: str) -> None:
        """Any file among the run's artifacts."""
        with _explained(self._place), tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(content)
            self._write("log_artifact", str(Path(folder) / name))

    def log_figure(self, figure: "Figure", name: str) -> None:
        """A figure as PNG among the run's artifacts."""
        from lab_code.plots.one_run import to_png

        self.log_bytes(to_png(figure), name)

    def log_weights(self, weights: dict[str, np.ndarray], name: str = "weights.safetensors") -> None:
        """The weights of a model as safetensors: numbers only, nothing that could run code when it is read."""
        self.log_bytes(save({key: np.array(array, order="C") for key, array in weights.items()}), name)

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """An entry under MLflow's datasets: which photographs, by their fingerprint, and how many of each kind."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        text, place = json.dumps(profile), json.dumps({"uri": source})
        dataset = Dataset(name, digest, source_type="local", source=place, profile=text)
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", name)])]
        try:
            self._write("log_inputs", datasets=inputs)
        except LabError as error:
            if "UNIQUE constraint failed: datasets" not in str(error):
                raise
            self._write("log_inputs", datasets=inputs)  # another run entered these photographs at the same moment

    def log_model(self, name: str, params: Mapping[str, Any], weights: str) -> None:
        """An entry under MLflow's models: what was trained, and which of the run's files holds the weights."""
        from mlflow.entities import LoggedModelOutput

        with _explained(self._place):
            experiment = self._client.get_run(self.run_id).info.experiment_id
            texts = {**{key: str(value) for key, value in params.items()}, "weights": f"runs:/{self.run_id}/{weights}"}
            model = self._client.create_logged_model(
                experiment, name, source_run_id=self.run_id, params=texts, model_type="classifier"
            )
            self._client.log_outputs(self.run_id, [LoggedModelOutput(model.model_id, 0)])
            self._client.finalize_logged_model(model.model_id, "READY")

    def _write(self, method: str, *arguments: Any, **named: Any) -> None:
        started = time.perf_counter()
        with _explained(self._place):
            getattr(self._client, method)(self.run_id, *arguments, **named)
        self.seconds += time.perf_counter() - started


def read_machine() -> dict[str, float]:
    """How busy the machine is, under the names that MLflow's page of system metrics shows."""
    machine, mine = psutil.virtual_memory(), psutil.Process()
    return {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_percentage": machine.percent,
        "system/process_memory_megabytes": mine.memory_info().rss / 2**20,
    }


@contextmanager
def track_run(
    store: Path, experiment: str, config: Config, tags: Mapping[str, str], resume: str | None = None
) -> Iterator[TrackedRun]:
    """Create a run named after the configuration, log the configuration, and end the run whatever happens.

    `resume` names a run to go on with instead. Raises `LabError` where the store cannot be opened, and where MLflow
    cannot write; the run then ends as FAILED with the reason in its tag `ended`.
    """
    client = open_store(store)
    close_dead_runs(client, store)
    if resume is None:
        resume, fresh = _create_run(client, store, experiment, config.name, tags), True
    else:
        _begin_again(client, store, resume)
        fresh = False
    run = TrackedRun(client, resume, store)
    with hold_run(store, run.run_id):
        status, reason = "FAILED", ""
        try:
            if fresh:
                run.log_params(flatten_config(config))
                run.log_text(config_to_yaml(config), "config.yaml")
            yield run
            status = "FINISHED"
        except GeneratorExit:
            status, reason = "KILLED", "interrupted"
            raise
        except BaseException as error:
            if was_interrupted(error):
                status, reason = "KILLED", "interrupted"
                raise KeyboardInterrupt from error
            reason = str(error)
            raise
        finally:
            _end_run(client, run.run_id, status, reason)
    if status == "FINISHED":
        forget_run(store, run.run_id)


def _end_run(client: Any, run_id: str, status: str, reason: str) -> None:
    """Say in MLflow how the run ended. Where not even that can be written, the next command says it: see below."""
    with suppress(LabError), _explained(Path(DATABASE)):
        if reason:
            client.set_tag(run_id, "ended", reason[:500])
        client.set_terminated(run_id, status)


def close_dead_runs(client: Any, store: Path) -> None:
    """Runs that MLflow calls RUNNING although their process is gone (a power cut, a kill) become KILLED."""
    for run in read_runs(store):
        if run.status == "KILLED" and run.ended_ms is None:
            _end_run(client, run.run_id, "KILLED", "its process ended without a word")


@contextmanager
def track_group(
    store: Path, experiment: str, name: str, tags: Mapping[str, str], resume: str | None = None
) -> Iterator[TrackedRun]:
    """A run that only holds others together (a sweep); `resume` names one to go on with."""
    client = open_store(store)
    close_dead_runs(client, store)
    if resume is None:
        resume = _create_run(client, store, experiment, name, tags)
    else:
        _begin_again(client, store, resume)
    status = "KILLED"
    try:
        with hold_run(store, resume):
            yield TrackedRun(client, resume, store)
        status = "FINISHED"
    finally:
        _end_run(client, resume, status, "")
        if status == "KILLED":
            with suppress(LabError):
                close_dead_runs(client, store)  # those that it held
    forget_run(store, resume)


def _create_run(client: Any, store: Path, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    with _explained(store / DATABASE):
        experiment_id = _find_or_create_experiment(client, store, experiment)
        colour = choose_colour(len(read_states(store)))
        return client.create_run(experiment_id, run_name=name, tags={**colour, **tags}).info.run_id


def _begin_again(client: Any, store: Path, run_id: str) -> None:
    with _explained(store / DATABASE):
        client.update_run(run_id, status="RUNNING")


@contextmanager
def _explained(database: Path) -> Iterator[None]:
    """Turn what MLflow, SQLAlchemy and the disk raise into a `LabError`; Ctrl-C waits until the call is over."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with hold_interrupts():
            yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise explain_fault(database, error) from error


def open_store(store: Path) -> Any:
    """An MLflow client on `store/mlflow.db`, which is created when it is missing.

    Raises `LabError` for a folder that cannot be written to, a file that is no database, or another version's.
    """
    if store.is_dir() and not os.access(store, os.W_OK):
        raise LabError(f"{store} cannot be written to", hint="copy the kit into a folder of your own")
    import_quietly()
    database = store / DATABASE
    with _explained(database):
        if not has_store(store):
            database.unlink(missing_ok=True)  # an empty file, which a full disk leaves
            _make_database(database)
        reroot_store(store)
        client = open_client(f"sqlite:///{database.as_posix()}")
        client.search_experiments(max_results=1)
    return client


def open_client(address: str) -> Any:
    """MLflow's client of a store or a server; it tells nobody else, and prints nothing."""
    return import_quietly().MlflowClient(address)


def import_quietly() -> Any:
    """MLflow, with its telemetry off and its log silent; whoever needs a part of it imports that afterwards."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # it prints tracebacks of what it raises as well
    return mlflow


def _make_database(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    def fill(beside: Path) -> None:
        made = SqlAlchemyStore(f"sqlite:///{beside.as_posix()}", (database.parent / ARTIFACTS).resolve().as_uri())
        made.engine.dispose()  # nothing holds the file any more: Windows would not rename it

    if not make_from_script(database.parent):
        make_beside(database, fill)


def describe_empty_store() -> str:
    """The SQL script of an empty store, as the installed MLflow makes one."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:  # MLflow still holds it on Windows
        open_store(Path(scratch))
        with open_database(Path(scratch) / DATABASE) as database:
            database.execute("DELETE FROM experiments")  # 'Default', which names the folder it was made in
            return "\n".join(database.iterdump()) + "\n"


def create_store(store: Path, experiment: str, artifacts: Path) -> int:
    """Make an empty store with one experiment whose artifacts will lie in `artifacts`; returns the experiment's id."""
    store.mkdir(parents=True, exist_ok=True)
    return int(_create_experiment(open_store(store), experiment, artifacts))


def prepare_store(store: Path, experiment: str) -> None:
    """Make a kit's store and its experiment where they are missing, so that MLflow's page has something to show."""
    with _explained(store / DATABASE):
        _find_or_create_experiment(open_store(store), store, experiment)


def _find_or_create_experiment(client: Any, store: Path, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    folder = EXPERIMENT if name == name_own_experiment(store) else name
    return _create_experiment(client, name, store / ARTIFACTS / folder)


def _create_experiment(client: Any, name: str, artifacts: Path) -> str:
    # An explicit location: otherwise MLflow freezes one that depends on the folder the command was started from.
    return client.create_experiment(name, artifact_location=artifacts.resolve().as_uri())
