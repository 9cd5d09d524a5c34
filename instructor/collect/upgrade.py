"""Stores of an older MLflow: read as what they are, then upgraded in a copy that holds nothing foreign.

MLflow's own migrations run over a store that we made and filled with checked rows, never over a group's file: a
migration would execute whatever that file brings along. A newer MLflow's store is refused by name.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.runs import ARTIFACTS, DATABASE, EXPERIMENT

_REVISION = re.compile(r"[0-9a-f]{8,16}")


def read_revision(folder: Path, name: str = DATABASE) -> str:
    """The schema of a store, as it says itself; empty where it does not."""
    path = folder / name
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as store:
            store.execute("PRAGMA trusted_schema = OFF")
            kind = store.execute("SELECT type FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = store.execute("SELECT version_num FROM alembic_version").fetchone() if kind == ("table",) else None
    except (sqlite3.Error, UnicodeDecodeError):  # SQLite may quote bytes that are no text
        return ""  # whoever reads it says what is wrong
    return str(row[0]) if row else ""


def make_older_store(revision: str, store: Path) -> None:
    """An empty store as the MLflow of that schema made it, with the lab's experiment.

    Raises `LabError` for a schema that the MLflow which is installed here does not know.
    """
    if not _REVISION.fullmatch(revision) or not _is_known(revision):
        raise LabError(
            f"its MLflow store is of another version of MLflow ({one_line(revision, 40)}, not one that is known here)",
            hint="install here the MLflow that made it, or on that laptop the versions of constraints.txt",
        )
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{(store / DATABASE).as_posix()}")
    try:
        Base.metadata.create_all(engine)
        config = _get_alembic_config(str(engine.url))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()
    with closing(sqlite3.connect(store / DATABASE)) as database, database:
        place = f"{ARTIFACTS}/{EXPERIMENT}"
        database.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage) VALUES (?, ?, 'active')",
            (EXPERIMENT, place),
        )


def upgrade_store(store: Path) -> None:
    """Bring a store that we have filled to the schema of the MLflow which is installed here."""
    from lab_code.tracking.tracker import import_quietly

    import_quietly()
    from mlflow.store.db.utils import _upgrade_db
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{(store / DATABASE).as_posix()}")
    try:
        _upgrade_db(engine)
    finally:
        engine.dispose()


def _is_known(revision: str) -> bool:
    """Whether the MLflow that is installed here has a migration to this schema."""
    from lab_code.tracking.tracker import import_quietly

    import_quietly()
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    script = ScriptDirectory.from_config(_get_alembic_config(""))
    return any(entry.revision == revision for entry in script.walk_revisions())
