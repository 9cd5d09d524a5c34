"""Hand-ins for tests: really made, and then changed as a file manager, a bad disk or an attacker would."""

import hashlib
import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lab_code.workshop.signature import SIGNATURE, sign

Files = dict[str, bytes]


def read_zip(path: Path) -> Files:
    """Names and contents."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, members: Files, method: int = zipfile.ZIP_DEFLATED) -> None:
    """The same, back."""
    path.write_bytes(zip_bytes(members, method))


def zip_bytes(members: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def edit_manifest(members: Files, **changes: object) -> None:
    """Other entries in the manifest."""
    members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()


def put(members: Files, name: str, content: bytes) -> None:
    """Another content of a member, and a manifest that agrees with it."""
    files = json.loads(members["manifest.json"])["files"]
    members[name] = content
    edit_manifest(members, files={**files, name: hashlib.sha256(content).hexdigest()})


def sign_again(members: Files, key: bytes) -> None:
    """As somebody does who has the kit."""
    members[SIGNATURE] = sign(members["manifest.json"], key).encode()


def edit_database(members: Files, *statements: str) -> None:
    """Change the MLflow database with SQL."""

    def change(database: sqlite3.Connection) -> None:
        for statement in statements:
            database.execute(statement)

    change_database(members, change)


def change_database(members: Files, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the MLflow database, and the manifest with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        path.write_bytes(members["mlflow.db"])
        with closing(sqlite3.connect(path)) as database, database:
            change(database)
        put(members, "mlflow.db", path.read_bytes())


def edit_config(members: Files, change: Callable[[str], str]) -> None:
    """Change the configuration of every run."""
    for name in [name for name in members if name.endswith("/config.yaml")]:
        put(members, name, change(members[name].decode()).encode())
