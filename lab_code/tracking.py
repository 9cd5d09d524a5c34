"""Every MLflow call of the package: one run is created, filled and ended here.

    with track_run(store, "skin-lesions", config, tags) as run:
        run.log_epoch(result)
        ...

The store is a folder that holds `mlflow.db` (SQLite) and `mlartifacts/`. A run that fails or is interrupted ends as
FAILED or KILLED, never as one that still runs. MLflow takes two seconds to import, so it is imported when a run begins.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file

from lab_code.config import Config, config_to_yaml, flatten_config
from lab_code.errors import LabError
from lab_code.runs import ARTIFACTS, DATABASE, reroot_store
from lab_code.trainer import EpochResult

# Nothing leaves the laptop, nothing is printed, nothing is installed; see MLflow's environment variables.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class TrackedRun:
    """One MLflow run that is being written. `run_id` is its id in the store."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self.run_id = client, run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters: what was chosen before the run."""
        from mlflow.entities import Param

        self._client.log_batch(self.run_id, params=[Param(key, str(value)) for key, value in params.items()])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Metrics: what came out, at a step (the epoch). One transaction for all of them."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self.run_id, metrics=[Metric(key, float(v), now, step) for key, v in metrics.items()])

    def log_epoch(self, result: EpochResult) -> None:
        """Everything one epoch brought, with the epoch as step."""
        timing = {"train_loss": result.train_loss, "learning_rate": result.learning_rate, "epoch_s": result.seconds}
        self.log_metrics({**result.metrics, **timing}, step=result.epoch)

    def log_text(self, text: str, name: str) -> None:
        """A text file among the run's artifacts."""
        self._client.log_text(self.run_id, text, name)

    def log_figure(self, figure: Figure, name: str) -> None:
        """A figure as PNG among the run's artifacts."""
        with tempfile.TemporaryDirectory() as folder:
            figure.savefig(Path(folder) / name, dpi=110)
            self._client.log_artifact(self.run_id, str(Path(folder) / name))

    def log_weights(self, weights: dict[str, torch.Tensor], name: str = "weights.safetensors") -> None:
        """The weights of a model as safetensors: numbers only, nothing that could run code when it is read."""
        with tempfile.TemporaryDirectory() as folder:
            save_file({key: tensor.contiguous() for key, tensor in weights.items()}, Path(folder) / name)
            self._client.log_artifact(self.run_id, str(Path(folder) / name))


@contextmanager
def track_run(store: Path, experiment: str, config: Config, tags: Mapping[str, str]) -> Iterator[TrackedRun]:
    """Create a run named after the configuration, log the configuration, and end the run whatever happens.

    Raises `LabError` where the store cannot be opened.
    """
    client = open_store(store)
    experiment_id = _find_or_create_experiment(client, store, experiment)
    created = client.create_run(experiment_id, run_name=config.name, tags=dict(tags))
    run = TrackedRun(client, created.info.run_id)
    status = "FAILED"
    try:
        run.log_params(flatten_config(config))
        run.log_text(config_to_yaml(config), "config.yaml")
        yield run
        status = "FINISHED"
    except (KeyboardInterrupt, GeneratorExit):
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run.run_id, status)


def open_store(store: Path) -> Any:
    """An MLflow client on `store/mlflow.db`, which is created when it is missing.

    Raises `LabError` for a file that is no database or belongs to another version of MLflow.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    database = store / DATABASE
    if database.exists():
        reroot_store(store)
    try:
        client = mlflow.MlflowClient(f"sqlite:///{database.as_posix()}")
        client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise LabError(
            f"{database} cannot be opened as an MLflow store: {str(error).splitlines()[0]}",
            hint=f"move {database.name} to another folder and run the command again; a new store is made",
        ) from error
    return client


def create_store(store: Path, experiment: str, artifacts: Path) -> int:
    """Make an empty store with one experiment whose artifacts will lie in `artifacts`; returns the experiment's id."""
    store.mkdir(parents=True)
    return int(_create_experiment(open_store(store), experiment, artifacts))


def _find_or_create_experiment(client: Any, store: Path, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    return _create_experiment(client, name, store / ARTIFACTS / name)


def _create_experiment(client: Any, name: str, artifacts: Path) -> str:
    # An explicit location: otherwise MLflow freezes one that depends on the folder the command was started from.
    return client.create_experiment(name, artifact_location=artifacts.resolve().as_uri())
