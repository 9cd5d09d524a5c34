"""A run's description: Markdown that MLflow's page shows above everything else about the run.

    write_description(kit.root, run.run_id, "**We bet** 0.45: …")

It is written straight into the store, in milliseconds, also while the run is being trained.
"""

from pathlib import Path

from lab_code.errors import LabError
from lab_code.tracking.store import DATABASE, open_database

DESCRIPTION = "mlflow.note.content"  # the tag; a run that was read has the text in `run.tags`
_LONGEST = 8000  # what MLflow takes


def write_description(store: Path, run_id: str, markdown: str) -> None:
    """Set or replace the description of a run; an empty text removes it.

    Raises `LabError` for a run that is not in the store, and a text that is too long.
    """
    if len(markdown) > _LONGEST:
        raise LabError(
            f"the description of a run has {len(markdown)} characters", hint=f"at most {_LONGEST}: say it more briefly"
        )
    with open_database(store / DATABASE) as database, database:
        if not database.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone():
            raise LabError(f"there is no run {run_id[:8]} in {DATABASE}", hint="lab status lists all runs")
        database.execute("DELETE FROM tags WHERE run_uuid = ? AND key = ?", (run_id, DESCRIPTION))
        if markdown:
            written = "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)"
            database.execute(written, (run_id, DESCRIPTION, markdown))
