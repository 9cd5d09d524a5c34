"""A class with many groups, made of the hand-in of one: each group has its own ids, signature and fault."""

import json
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from instructor.collect.handins import HandIns, Terms, read_handins
from instructor.collect.stores import make_store
from instructor.vault import Vault
from instructor.workshop import HandinLimits, Workshop
from tests.conftest import no_progress
from tests.instructor.collect.hand_ins import Files, edit_manifest, put, sign_again

_COLUMNS = {
    "runs": ("run_uuid", "artifact_uri"), "params": ("run_uuid",), "metrics": ("run_uuid",),
    "latest_metrics": ("run_uuid",),
    "tags": ("run_uuid",), "logged_models": ("model_id", "source_run_id"), "logged_model_params": ("model_id",),
    "inputs": ("source_id", "destination_id", "input_uuid"), "input_tags": ("input_uuid",),
}  # fmt: skip


def as_group(members: Files, group: str, number: int, key: bytes) -> Files:
    """The same hand-in as another group would have made it: other ids, everything of it consistent."""
    changed = dict(members)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        path.write_bytes(members["mlflow.db"])
        with closing(sqlite3.connect(path)) as database, database:
            runs = [row[0] for row in database.execute("SELECT run_uuid FROM runs")]
            others = [row[0] for row in database.execute("SELECT model_id FROM logged_models")]
            others += [row[0] for row in database.execute("SELECT input_uuid FROM inputs")]
            ids = {identity: f"{identity[:-4]}{number:04x}" for identity in (*runs, *others)}
            for table, columns in _COLUMNS.items():
                for column in columns:
                    for old, new in ids.items():
                        database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
            database.execute("UPDATE tags SET value = ? WHERE key = 'group'", (group,))
        content = path.read_bytes()
    files: dict[str, str] = {}
    for name, digest in json.loads(members["manifest.json"])["files"].items():
        new = name
        for run_id in runs:
            new = new.replace(run_id, ids[run_id])
        changed[new] = changed.pop(name)
        files[new] = digest
    edit_manifest(changed, files=files, group=group)
    put(changed, "mlflow.db", content)
    before = json.loads(members["manifest.json"])["group"]
    put(
        changed,
        "kit.json",
        changed["kit.json"].replace(f'"group": "{before}"'.encode(), f'"group": "{group}"'.encode()),
    )
    sign_again(changed, key)
    return changed


def workshop_of(workshop: Workshop, groups: list[str], **limits: int) -> Workshop:
    """The small workshop with other groups."""
    return replace(workshop, groups=groups, limits=HandinLimits(**{"unpacked_mb": 40, "rows": 50_000, **limits}))


def read_class(workshop: Workshop, build: Path, scratch: Path, places: list, *, unsigned: bool = False) -> HandIns:
    """What `collect` reads and keeps, without scoring."""
    scratch.mkdir(parents=True, exist_ok=True)
    make_store(scratch / "empty", scratch / "empty", build)
    terms = Terms(workshop, Vault(build), unsigned)
    return read_handins(places, terms, scratch, scratch / "empty" / "mlflow.db", no_progress)
