"""What MLflow's client tells of a run, as rows of MLflow's tables: every point of every metric, datasets, models."""

import math
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from instructor.collect.filling import folder_of, insert, place_of
from lab_code.tracking.store import ARTIFACTS, DATABASE, EXPERIMENT, find_own_experiment

_LARGEST = 1.7976931348623157e308  # MLflow writes infinity as the largest number there is


def write_run(client: Any, run: Any, experiment: str, at: Path, known_as: str = "") -> None:
    """A run with its parameters, tags and every point of every metric, its datasets and models, into our tables.

    `known_as` is its id where it was made, if the server holds a copy.
    """
    info, data = run.info, run.data
    identity = known_as or info.run_id
    histories = {key: client.get_metric_history(info.run_id, key) for key in sorted(data.metrics)}
    models = [client.get_logged_model(out.model_id) for out in (run.outputs.model_outputs if run.outputs else ())]
    with closing(sqlite3.connect(at / DATABASE)) as store, store:
        number = _find_experiment(store, experiment)
        row = {
            "run_uuid": identity, "name": info.run_name, "user_id": info.user_id, "status": info.status,
            "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "source_version": "",
            "start_time": info.start_time, "end_time": info.end_time, "lifecycle_stage": info.lifecycle_stage,
            "artifact_uri": place_of(identity, folder_of(experiment)).as_posix(), "experiment_id": number,
        }  # fmt: skip
        insert(store, "runs", [row])
        mine = {"run_uuid": identity}
        insert(store, "params", [mine | {"key": key, "value": value} for key, value in sorted(data.params.items())])
        insert(store, "tags", [mine | {"key": key, "value": value} for key, value in sorted(data.tags.items())])
        points = [mine | _describe_point(point) for history in histories.values() for point in history]
        insert(store, "metrics", points)
        points.sort(key=lambda point: (point["step"], point["timestamp"], point["value"]))
        insert(store, "latest_metrics", {point["key"]: point for point in points}.values())
        _insert_datasets(store, run, number)
        for model in models:
            _insert_model(store, model, number, info.run_id)


def _describe_point(point: Any) -> dict[str, Any]:
    """A point as MLflow's tables hold it: no number and infinity have their own spelling there."""
    nothing = math.isnan(point.value)
    value = 0.0 if nothing else max(-_LARGEST, min(_LARGEST, point.value))
    return {"key": point.key, "value": value, "timestamp": point.timestamp, "step": point.step, "is_nan": int(nothing)}


def _find_experiment(store: sqlite3.Connection, name: str) -> int:
    """Its number; without the time of now and this folder, so that the same runs give the same store."""
    row = store.execute("SELECT experiment_id FROM experiments WHERE name = ?", (name,)).fetchone()
    number = find_own_experiment(store) if name == EXPERIMENT else row and row[0]
    if number is not None:
        fixed = "creation_time = 0, last_update_time = 0, artifact_location = ?"
        values = (f"{ARTIFACTS}/{folder_of(name)}", number)
        store.execute(f"UPDATE experiments SET {fixed} WHERE experiment_id = ?", values)
        return int(number)
    insert(store, "experiments", [{"name": name, "artifact_location": "", "lifecycle_stage": "active"}])
    return store.execute("SELECT last_insert_rowid()").fetchone()[0]


def _insert_datasets(store: sqlite3.Connection, run: Any, number: int) -> None:
    for used in run.inputs.dataset_inputs if run.inputs else ():
        entry = used.dataset
        query = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?"
        known = store.execute(query, (number, entry.name, entry.digest)).fetchone()
        identity = known[0] if known else uuid.uuid5(uuid.NAMESPACE_OID, f"{entry.name}\0{entry.digest}").hex
        if not known:
            row = {
                "dataset_uuid": identity, "experiment_id": number, "name": entry.name, "digest": entry.digest,
                "dataset_source_type": entry.source_type, "dataset_source": entry.source,
                "dataset_schema": entry.schema, "dataset_profile": entry.profile,
            }  # fmt: skip
            insert(store, "datasets", [row])
        link = _insert_link(store, ("DATASET", identity, "RUN", run.info.run_id))
        insert(store, "input_tags", [{"input_uuid": link, "name": t.key, "value": t.value} for t in used.tags])


def _insert_link(store: sqlite3.Connection, ends: tuple[str, str, str, str], step: int = 0) -> str:
    identity = uuid.uuid5(uuid.NAMESPACE_OID, "\0".join(ends)).hex
    names = ("source_type", "source_id", "destination_type", "destination_id")
    insert(store, "inputs", [{"input_uuid": identity, "step": step, **dict(zip(names, ends, strict=True))}])
    return identity


def _insert_model(store: sqlite3.Connection, model: Any, number: int, run_id: str) -> None:
    mine = {"model_id": model.model_id, "experiment_id": number}
    row = mine | {
        "name": model.name, "artifact_location": "", "creation_timestamp_ms": model.creation_timestamp,
        "last_updated_timestamp_ms": model.last_updated_timestamp, "status": model.status.to_int(),
        "lifecycle_stage": "active", "model_type": model.model_type, "source_run_id": run_id,
        "status_message": model.status_message,
    }  # fmt: skip
    insert(store, "logged_models", [row])
    for table, pairs, key in (
        ("logged_model_params", model.params, "param"),
        ("logged_model_tags", model.tags, "tag"),
    ):
        rows = [mine | {f"{key}_key": name, f"{key}_value": value} for name, value in (pairs or {}).items()]
        insert(store, table, rows)
    _insert_link(store, ("RUN_OUTPUT", run_id, "MODEL_OUTPUT", model.model_id))
