"""One tidy table of everything: a row a run of every group, for pandas, spreadsheets and the years to come.

    table = make_runs_table(runs, evidence)        the runs of the collected store, and what else is known
    write_runs_table(folder, table)                runs.csv and runs.parquet; read_runs_table(folder) reads it back

    group, run, run_id, status, started, seconds   which run
    stage                  how many stages were open when it began
    loss.name, seed, …     settings; numbers where they are numbers
    validation_…, test_…   scores on the group's own validation photographs, and on the hidden ones (empty: not asked)
    reference              the earlier run that it is nearest to
    changes, changed       in how many choices it differs from that one, and in which
    gain                   by how much its balanced accuracy differs (hidden where both were asked, else validation)
    given                  a run of an experiment that the workshop brings, or the repetition of another run
    repeats, relay         the run of its own group, or of another one, that it repeats
    counts                 whether its group is ranked by it

Ranking, figures and report are made from it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from instructor.collect.table import write_table
from instructor.results.evidence import Evidence, GroupEvidence
from instructor.results.settings import find_changes, setting_keys
from instructor.workshop import PROJECT
from lab_code.cli.printable import one_line
from lab_code.files import open_whole
from lab_code.tracking.runs import RELAY_OF, Run

CSV, PARQUET = "runs.csv", "runs.parquet"
_MOST_COMPARED = 60  # earlier runs that a run is compared with, the latest of them: a sweep may have made thousands
_SCORES = ("balanced_accuracy", "accuracy", "macro_auc")
_TEXTS = ("group", "run", "run_id", "status", "reference", "changed", "repeats", "relay", *(
    "framework", "data.folder", "data.augment", "data.sampling", "data.on_fault", "model.name", "model.stem",
    "model.weights", "loss.name", "optimizer.name", "trainer.schedule", "trainer.device", "trainer.precision",
))  # fmt: skip


def make_runs_table(runs: Sequence[Run], evidence: Evidence, home: Path = PROJECT) -> pd.DataFrame:
    """The table of these runs, oldest first, the groups in their order; what only holds others together is none.

    `home` is the workshop's folder: what its stages bring is nobody's own idea.
    """
    given, rows = given_experiments(home), []
    for entry in evidence.groups:
        mine = [run for run in runs if run.tags.get("group") == entry.group and not run.is_group]
        rows += _describe_group(entry, mine, given)
    return _type_columns(pd.DataFrame(rows, columns=_columns(evidence)))


def write_runs_table(folder: Path, table: pd.DataFrame) -> None:
    """Write `runs.csv`, in which no text is a spreadsheet's formula, and `runs.parquet` with the true types."""
    plain = table.assign(started=table["started"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    records = [{str(key): _cell(value) for key, value in row.items()} for row in plain.to_dict("records")]
    write_table(folder / CSV, list(table.columns), records)
    with open_whole(folder / PARQUET) as file:
        table.to_parquet(file, engine="pyarrow", index=False)


def read_runs_table(folder: Path) -> pd.DataFrame:
    """The table that `write_runs_table` has written into `folder`."""
    return pd.read_parquet(folder / PARQUET, engine="pyarrow")


def given_experiments(project: Path = PROJECT) -> frozenset[str]:
    """The names of the experiments that the workshop's stages bring: running them is no idea of a group."""
    paths = project.glob("locked/*/lab_code/conf/experiment/*.yaml")
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]
    return frozenset(str(document["name"]) for document in documents if "name" in document)


def _columns(evidence: Evidence) -> list[str]:
    sensitivities = [f"sensitivity_{dx}" for dx in evidence.diagnoses]
    scores = [f"{kind}_{name}" for kind in ("validation", "test") for name in (*_SCORES, *sensitivities)]
    settings = [key for key in setting_keys() if key != "name"]
    which = ["group", "run", "run_id", "status", "started", "seconds", "stage"]
    return [
        *which,
        *settings,
        *scores,
        "reference",
        "changes",
        "changed",
        "gain",
        "given",
        "repeats",
        "relay",
        "counts",
    ]


def _describe_group(entry: GroupEvidence, runs: list[Run], given: frozenset[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    earlier: list[Run] = []
    for run in runs:
        row = _describe_run(entry, run)
        repeated = bool(run.tags.get("repeats")) or run.is_relay
        row["given"] = run.name in given or repeated
        row |= _describe_changes(entry, run, [] if run.is_relay else earlier)
        rows.append(row)
        earlier += [run] if run.status == "FINISHED" and not repeated else []
    return rows


def _describe_run(entry: GroupEvidence, run: Run) -> dict[str, Any]:
    opened = [stage["opened_ms"] for stage in entry.stages if stage["opened_ms"] is not None]
    row: dict[str, Any] = {
        "group": entry.group,
        "run": one_line(run.name, 80),
        "run_id": run.run_id,
        "status": run.status,
        "started": run.started_ms,
        "seconds": run.seconds,
        "stage": sum(moment <= run.started_ms for moment in opened),
        "repeats": run.tags.get("repeats", ""),
        "relay": run.tags.get(RELAY_OF, ""),
        "counts": run.run_id == entry.run_id,
    }
    row |= {key: one_line(run.params[key], 80) for key in setting_keys() if key in run.params and key != "name"}
    row |= {f"validation_{key[5:]}": value for key, value in run.metrics.items() if key.startswith("best_")}
    return row | {f"test_{key}": value for key, value in entry.tested.get(run.run_id, {}).items()}


def _describe_changes(entry: GroupEvidence, run: Run, earlier: Sequence[Run]) -> dict[str, Any]:
    """The nearest earlier run (of equally near ones the latest), what differs from it, and what that did."""
    compared = [(find_changes(other.params, run.params), other) for other in earlier[-_MOST_COMPARED:]]
    compared = [(changes, other) for changes, other in compared if changes]
    if not compared:
        return {"reference": "", "changes": 0, "changed": "", "gain": np.nan}
    changes, reference = min(reversed(compared), key=lambda pair: len(pair[0]))
    text = ", ".join(one_line(change, 120) for change in changes[:6])
    return {
        "reference": reference.run_id,
        "changes": len(changes),
        "changed": text + (f", and {len(changes) - 6} more" if len(changes) > 6 else ""),
        "gain": _score(entry, run, reference) - _score(entry, reference, run),
    }


def _score(entry: GroupEvidence, run: Run, other: Run) -> float:
    """Balanced accuracy on the hidden photographs where both runs were asked, else on the validation ones."""
    if run.run_id in entry.tested and other.run_id in entry.tested:
        return entry.tested[run.run_id]["balanced_accuracy"]
    return run.metrics.get("best_balanced_accuracy", np.nan)


def _type_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Times as times, numbers as numbers wherever all of a column's values are some, the rest as text."""
    typed = {"started": pd.to_datetime(table["started"], unit="ms", utc=True, errors="coerce")}
    for name in table.columns:
        column = table[name]
        if name in _TEXTS:
            typed[name] = column.astype(object).where(column.notna(), "").astype(str)
        elif name in ("given", "counts"):
            typed[name] = column.astype(bool)
        elif name != "started":
            typed[name] = pd.to_numeric(column, errors="coerce")
    return pd.DataFrame(typed)[list(table.columns)]


def _cell(value: Any) -> Any:
    return "" if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)) else value
