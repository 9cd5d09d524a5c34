"""Runs of a live MLflow server, beside zips: all of a run arrives, for its group, and secrets stay where they were."""

import os
from pathlib import Path

import pytest

from instructor.collect.server import hide_secrets
from lab_code.tracking.runs import read_runs
from lab_code.workshop.desk import open_desk
from lab_code.workshop.kit import read_kit
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.faulty_class import read_class


def shown_by(client, run_id: str) -> dict[str, object]:
    run = client.get_run(run_id)
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    histories = {key: client.get_metric_history(run_id, key) for key in run.data.metrics}
    return {
        "run": (run.info.run_name, run.info.start_time, run.info.end_time, run.data.params, run.data.metrics),
        "points": {key: [(p.step, p.timestamp, p.value) for p in points] for key, points in histories.items()},
        "datasets": sorted((d.dataset.name, d.dataset.digest, d.tags[0].value) for d in run.inputs.dataset_inputs),
        "model": (model.name, model.params, model.status, model.creation_timestamp),
        "files": sorted((entry.path, entry.file_size) for entry in client.list_artifacts(run_id)),
    }  # fmt: skip


def test_a_kits_page_is_collected_as_its_zip_would_be(desk: Desk, worked_in: dict[str, Path]) -> None:
    from lab_code.tracking.tracker import open_store

    kit = read_kit(worked_in["group-2"])
    desk.zips["group-2"].unlink()
    page = open_desk(kit, ["mlflow"], lambda root: None, lambda said: None)
    try:
        address = page.servers[0].address
        found = read_class(desk.workshop, desk.build, desk.build / ".one", [desk.inbox, address])
        again = read_class(desk.workshop, desk.build, desk.build / ".two", [desk.inbox, address])
        closed = read_class(desk.workshop, desk.build, desk.build / ".three", [address.split("?")[0]])
    finally:
        page.stop()
    assert list(found.of_group) == ["group-1", "group-2", "group-3"] and not found.refused and not found.notes
    (handin,) = found.of_group["group-2"]
    (run,) = read_runs(worked_in["group-2"])
    theirs, ours = open_store(worked_in["group-2"]), open_store(handin.store)
    assert shown_by(ours, run.run_id) == shown_by(theirs, run.run_id)
    assert all(one.known for one in again.found)
    (reason,) = closed.refused.values()
    assert "lets nobody in" in reason and "give the address that lab ui prints" in reason
    token = page.servers[0].token
    assert not any(token in text for text in (*found.notes, *closed.refused, *closed.refused.values(), handin.shown))
    assert "MLFLOW_TRACKING_TOKEN" not in os.environ


def test_a_server_that_does_not_answer_costs_the_others_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")):
        monkeypatch.setenv(name, value)
    found = read_class(desk.workshop, desk.build, desk.build / ".one", [desk.inbox, "http://ada:secret@127.0.0.1:9"])
    ((shown, reason),) = found.refused.items()
    assert len(found.of_group) == 3 and shown == "http://127.0.0.1:9" and "does not answer" in reason
    assert "secret" not in reason


def test_a_database_that_is_no_server_is_read_too_and_strangers_are_counted(desk: Desk, worked_in) -> None:
    store = worked_in["group-3"] / "mlflow.db"
    desk.zips["group-3"].unlink()
    desk.workshop.groups[:], kept = ["group-1", "group-3"], list(desk.workshop.groups)
    try:
        read = read_class(desk.workshop, desk.build, desk.build / ".one", [f"sqlite:///{store}"])
        other = worked_in["group-2"] / "mlflow.db"
        none = read_class(desk.workshop, desk.build, desk.build / ".two", [f"sqlite:///{other}"])
    finally:
        desk.workshop.groups[:] = kept
    assert list(read.of_group) == ["group-3"]
    assert any("1 runs of 'group-2', which is no group here" in note for note in none.notes)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:20123/?token=abc#/experiments/1", "http://127.0.0.1:20123"),
        ("https://ada:secret@course.example/mlflow/", "https://course.example/mlflow"),
        ("postgresql://ada:secret@host/x", "postgresql://host/x"),
    ],
)
def test_no_secret_of_an_address_is_shown(address: str, shown: str) -> None:
    assert hide_secrets(address) == shown
