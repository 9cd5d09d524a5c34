"""What people say about a run, beside what was measured: a bet before it and a sentence after, in MLflow's page.

    write_notes(kit.root, run.run_id, Notes(bet=0.45, why="rare ones count", sentence="…"))

It becomes the run's description (Markdown, which MLflow shows above everything else about the run) and tags
(`bet.balanced_accuracy`), which are columns of every table of runs. Written straight into the store, in milliseconds,
also while the run is being trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab_code.errors import LabError
from lab_code.tracking.store import DATABASE, open_database

DESCRIPTION = "mlflow.note.content"  # the tag; a run that was read has the text in `run.tags`
_LONGEST = 8000  # what MLflow takes


@dataclass(frozen=True)
class Notes:
    """The balanced accuracy that was bet on, why, and what was concluded; empty where nothing was said."""

    bet: float | None = None
    why: str = ""
    sentence: str = ""

    def to_markdown(self) -> str:
        """A line each."""
        bet = "" if self.bet is None else f"**Bet:** balanced accuracy {self.bet:.3f}"
        because = f"{bet}, because: {_one_line(self.why)}" if bet and self.why.strip() else bet
        said = f"**Afterwards:** {_one_line(self.sentence)}" if self.sentence.strip() else ""
        return "\n\n".join(filter(None, (because, said)))


def write_notes(store: Path, run_id: str, notes: Notes) -> None:
    """Set or replace what is said about a run. Raises `LabError` for a run that is not in the store."""
    write_description(store, run_id, notes.to_markdown())
    _write_tags(store, run_id, {"bet.balanced_accuracy": "" if notes.bet is None else f"{notes.bet:g}"})


def write_description(store: Path, run_id: str, markdown: str) -> None:
    """Set or replace the description of a run; an empty text removes it.

    Raises `LabError` for a run that is not in the store, and a text that is too long.
    """
    if len(markdown) > _LONGEST:
        raise LabError(
            f"the description of a run has {len(markdown)} characters", hint=f"at most {_LONGEST}: say it more briefly"
        )
    _write_tags(store, run_id, {DESCRIPTION: markdown})


def _write_tags(store: Path, run_id: str, tags: Mapping[str, str]) -> None:
    """Replace tags; those without a text are removed."""
    with open_database(store / DATABASE) as database, database:
        if not database.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone():
            raise LabError(f"there is no run {run_id[:8]} in {DATABASE}", hint="lab status lists all runs")
        for key, value in tags.items():
            database.execute("DELETE FROM tags WHERE run_uuid = ? AND key = ?", (run_id, key))
            if value:
                database.execute("INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)", (run_id, key, value))


def _one_line(text: str) -> str:
    return " ".join(text.split())
