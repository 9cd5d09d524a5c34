"""The collected store in any database of MLflow: PostgreSQL, really started, and SQLite."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from instructor.collect.publish import publish
from instructor.collect.stores import make_store
from lab_code.errors import LabError
from lab_code.tracking.runs import read_runs
from lab_code.tracking.tracker import open_client
from tests.conftest import no_progress
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.faulty_class import read_class
from tests.postgres import find_program, start_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of an empty database."""
    if not find_program("pg_ctl"):
        pytest.skip("PostgreSQL is not installed; .ci/run installs it")
    with start_postgres() as address:
        yield address


@pytest.fixture
def collected(desk: Desk) -> Path:
    """The collected store of three groups, without their scores."""
    from instructor.collect.merge import merge_store

    found = read_class(desk.workshop, desk.build, desk.build / ".scratch", [desk.inbox])
    store = desk.build / "collected"
    make_store(store, store, desk.build)
    for group, handins in found.of_group.items():
        for handin in handins:
            merge_store(handin.store, store, store, group)
    return store


def describe(client, run_id: str) -> dict[str, object]:
    """All that MLflow says of a run, but for where its files lie."""
    run = client.get_run(run_id)
    points = {
        key: [(point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, key)]
        for key in run.data.metrics
    }
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    return {
        "info": (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time, run.info.user_id),
        "params": run.data.params,
        "tags": run.data.tags,
        "points": points,
        "datasets": sorted((d.dataset.name, d.dataset.digest, d.dataset.profile) for d in run.inputs.dataset_inputs),
        "model": (model.model_id, model.name, model.params, model.source_run_id, model.creation_timestamp),
        "files": sorted(entry.path for entry in client.list_artifacts(run_id)),
    }


def test_a_course_keeps_everything_in_postgresql_and_again_adds_nothing(
    collected: Path, postgres: str, tmp_path: Path
) -> None:
    first = publish(collected, postgres, tmp_path / "course", no_progress)
    assert (first.added, first.known, first.conflicts, first.faults) == (5, 0, [], [])
    ours, theirs = open_client(f"sqlite:///{collected / 'mlflow.db'}"), open_client(postgres)
    runs = read_runs(collected)
    for run in runs:
        assert describe(theirs, run.run_id) == describe(ours, run.run_id)
        assert theirs.get_run(run.run_id).info.artifact_uri.startswith((tmp_path / "course").as_uri())
    again = publish(collected, postgres, tmp_path / "course", no_progress)
    assert (again.added, again.replaced, again.known) == (0, 0, 5)

    cut = next(run for run in runs if run.status == "KILLED")
    whole = next(run for run in runs if run.status == "FINISHED")
    with sqlite3.connect(collected / "mlflow.db") as database:
        database.execute("INSERT INTO metrics VALUES ('late', 0.5, 1, ?, 9, 0)", (cut.run_id,))
        database.execute("UPDATE metrics SET value = value + 1 WHERE run_uuid = ?", (whole.run_id,))
    database.close()
    later = publish(collected, postgres, tmp_path / "course", no_progress)
    assert (later.added, later.replaced, later.known) == (0, 1, 3) and "with other content" in later.conflicts[0]
    assert theirs.get_metric_history(cut.run_id, "late") and len(theirs.search_runs(["1", "2"])) == 5
    engine = create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'old'"))
    engine.dispose()
    with pytest.raises(LabError, match="has MLflow's schema old, not"):
        publish(collected, postgres, tmp_path / "course", no_progress)


def test_what_one_group_cannot_write_costs_the_others_nothing(collected: Path, tmp_path: Path) -> None:
    """A database of the course in which one group's run id belongs to something else."""
    course = tmp_path / "course.db"
    shutil.copyfile(collected / "mlflow.db", course)
    with sqlite3.connect(course) as database:
        for table in ("runs", "params", "metrics", "latest_metrics", "tags"):
            database.execute(f"DELETE FROM {table}")
        database.execute("DELETE FROM inputs")
        database.execute("DELETE FROM input_tags")
        owner = database.execute("SELECT source_run_id, model_id FROM logged_models").fetchall()
        database.execute("DELETE FROM logged_models WHERE model_id <> ?", (owner[0][1],))
        database.execute("DELETE FROM logged_model_params")
    database.close()
    published = publish(collected, f"sqlite:///{course}", tmp_path / "files", no_progress)
    (fault,) = published.faults
    assert "nothing of it could be written" in fault and 2 <= published.added < 5


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://127.0.0.1:1", "is a server, and its interface gives every run another id"),
        ("no address", "'no address' is no address of a database"),
        ("nosuch://host/x", "there is no driver for nosuch://host/x"),
        ("postgresql://ada:secret@127.0.0.1:1/x", r"postgresql://ada:\*\*\*@127.0.0.1:1/x cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    collected: Path, tmp_path: Path, uri: str, reason: str
) -> None:
    with pytest.raises(LabError, match=reason) as caught:
        publish(collected, uri, tmp_path, no_progress)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
