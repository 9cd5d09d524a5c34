"""Faults that a class survives, one group each, all collected at once: the reason is named, the others are complete."""

import json
import shutil
import sqlite3
import stat
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from instructor.collect.counting import count_rows, known_runs
from instructor.collect.handins import HandIns
from instructor.collect.merge import merge_store
from instructor.collect.stores import make_store
from instructor.collect.upgrade import make_older_store
from instructor.vault import Vault
from lab_code.tracking.runs import read_runs
from tests.conftest import find_once
from tests.instructor.collect.conftest import stay_here
from tests.instructor.collect.faulty_class import as_group, read_class, workshop_of
from tests.instructor.collect.hand_ins import (
    Files,
    change_database,
    edit_database,
    edit_manifest,
    put,
    read_zip,
    sign_again,
    write_zip,
    zip_bytes,
)

OLDER = "7f2a7d5fae7d"  # the schema of MLflow 2.3: without models, without workspaces
OLD_TABLES = (
    "experiments", "runs", "params", "metrics", "latest_metrics", "tags", "datasets", "inputs", "input_tags",
)  # fmt: skip
Make = Callable[[Path, Files, bytes], object]  # writes a hand-in; is given its members and the key that signs them


def plain(path: Path, members: Files, key: bytes) -> None:
    write_zip(path, members)


def changed(change: Callable[[Files], object]) -> Make:
    """A hand-in that the kit itself has signed as it is."""

    def make(path: Path, members: Files, key: bytes) -> None:
        change(members)
        sign_again(members, key)
        write_zip(path, members)

    return make


def sql(*statements: str) -> Make:
    return changed(lambda members: edit_database(members, *statements))


def cut_off(path: Path, members: Files, key: bytes) -> None:
    path.write_bytes(zip_bytes(members)[:-700])


def windows_paths(path: Path, members: Files, key: bytes) -> None:
    content = zip_bytes(members)
    for name in members:
        content = content.replace(name.encode(), name.replace("/", "\\").encode())
    path.write_bytes(content)


def macosx(path: Path, members: Files, key: bytes) -> None:
    write_zip(path, {**{f"hand-in/{n}": c for n, c in members.items()}, "__MACOSX/hand-in/._kit.json": b"\0\5\x16\7"})


def other_normal_form(path: Path, members: Files, key: bytes) -> None:
    """A file with an umlaut, which macOS spells in two signs where the manifest has one."""
    run = next(name.rpartition("/")[0] for name in members if name.endswith("config.yaml"))
    put(members, f"{run}/größe.txt", b"x")
    sign_again(members, key)
    write_zip(path, {unicodedata.normalize("NFD", name): content for name, content in members.items()})


def with_link(path: Path, members: Files, key: bytes) -> None:
    """A member that says it is a symbolic link, at a name of the manifest."""
    name = next(name for name in members if name.endswith("config.yaml"))
    content = members.pop(name)
    write_zip(path, members)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    assert content


def encrypted(path: Path, members: Files, key: bytes) -> None:
    content = bytearray(zip_bytes(members, zipfile.ZIP_STORED))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)


def wrong_hash(path: Path, members: Files, key: bytes) -> None:
    name = next(name for name in members if name.endswith("config.yaml"))
    write_zip(path, {**members, name: members[name] + b"# changed\n"})


def of_older_mlflow(members: Files) -> None:
    """The same rows in the tables that an older MLflow makes."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        make_older_store(OLDER, Path(folder))
        new, old = Path(folder) / "new.db", Path(folder) / "mlflow.db"
        new.write_bytes(members["mlflow.db"])
        database = sqlite3.connect(old)
        database.execute("ATTACH ? AS new", (str(new),))
        database.execute("DELETE FROM main.experiments")
        for table in (
            "experiments",
            "runs",
            "params",
            "metrics",
            "latest_metrics",
            "tags",
            "datasets",
            "inputs",
            "input_tags",
        ):
            theirs = {row[1] for row in database.execute(f"PRAGMA new.table_info({table})")}
            names = [row[1] for row in database.execute(f"PRAGMA main.table_info({table})") if row[1] in theirs]
            columns = ", ".join(names)
            where = " WHERE source_type = 'DATASET'" if table == "inputs" else ""
            database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}{where}")
        database.commit()
        database.close()
        put(members, "mlflow.db", old.read_bytes())


def many_points(members: Files) -> None:
    def change(database: sqlite3.Connection) -> None:
        (run_id,) = database.execute("SELECT run_uuid FROM runs").fetchone()
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60000)"
            " INSERT INTO metrics SELECT 'loss', 0.5, i, ?, i, 0 FROM n",
            (run_id,),
        )

    change_database(members, change)


def drop_run_file(name: str, *, listed: bool) -> Callable[[Files], object]:
    """Without a file of the run, which the manifest still lists or not."""

    def change(members: Files) -> None:
        full = next(key for key in members if key.endswith(name))
        del members[full]
        if not listed:
            files = json.loads(members["manifest.json"])["files"]
            del files[full]
            edit_manifest(members, files=files)

    return change


def rename_artifacts(members: Files) -> None:
    """A folder of files under the id of a run that does not exist."""
    files = json.loads(members["manifest.json"])["files"]
    for name in [name for name in files if name.startswith("mlartifacts/")]:
        parts = name.split("/")
        new = "/".join([*parts[:2], "f" * 32, *parts[3:]])
        members[new], files[new] = members.pop(name), files.pop(name)
    edit_manifest(members, files=files)


def add_artifacts(members: Files) -> None:
    run = next(name.rpartition("/")[0] for name in members if name.endswith("config.yaml"))
    put(members, f"{run}/extra.png", b"\x89PNG")
    put(members, f"mlartifacts/skin-lesions/{'e' * 32}/artifacts/of-nobody.txt", b"x")


def far_clock(members: Files) -> None:
    """A laptop whose clock stands three years in the future."""
    shift = 3 * 365 * 86_400_000
    edit_database(
        members,
        f"UPDATE runs SET start_time = start_time + {shift}, end_time = end_time + {shift}",
        f"UPDATE metrics SET timestamp = timestamp + {shift}",
    )
    edit_manifest(members, written="2029-05-05T10:00:00+00:00")


# What the group still has: a place in `of_group`, and what is said somewhere about it.
SURVIVED: dict[str, tuple[Make, str]] = {
    "renamed": (lambda path, m, key: write_zip(path.with_name("Handin (3) FINAL.zip"), m), ""),
    "nested": (lambda path, m, key: write_zip(path, {"a/b.zip": zip_bytes({"c.zip": zip_bytes(m)})}), ""),
    "doubled": (
        lambda path, m, key: [write_zip(path, m), write_zip(path.with_name("copy-of-it.zip"), m)],
        "are the same hand-in",
    ),
    "Windows paths": (windows_paths, ""),
    "__MACOSX": (macosx, ""),
    "names in another normal form": (other_normal_form, ""),
    "a schema of an older MLflow": (changed(of_older_mlflow), "it was upgraded in a copy"),
    "a metric that is no number": (
        sql(
            "UPDATE metrics SET value = 0, is_nan = 1 WHERE key = 'train_loss'",
            "UPDATE latest_metrics SET value = 0, is_nan = 1 WHERE key = 'train_loss'",
        ),
        "",
    ),
    "a metric without end": (sql("UPDATE metrics SET value = 1.7976931348623157e308 WHERE key = 'train_loss'"), ""),
    "a clock three years off": (changed(far_clock), ""),
    "a run edited by hand": (
        sql("UPDATE latest_metrics SET value = 0.987 WHERE key = 'best_balanced_accuracy'"),
        "claims balanced accuracy 0.9870, its predictions give 0.",
    ),
    "artifacts missing": (
        changed(drop_run_file("predictions.csv", listed=False)),
        "cannot be checked against its predictions: it has none",
    ),
    "artifacts extra": (changed(add_artifacts), ""),
    "artifacts renamed": (changed(rename_artifacts), "cannot be checked against its predictions: it has none"),
}  # fmt: skip

REFUSED: dict[str, tuple[Make, str]] = {
    "cut off": (cut_off, "not a zip, or cut off"),
    "of another workshop": (
        changed(lambda m: edit_manifest(m, workshop="another")), "it belongs to the workshop 'another', not to 'small'"
    ),
    "of a group that nobody knows": (
        changed(lambda m: edit_manifest(m, group="group-99")), "its group 'group-99' is not one of this workshop"
    ),
    "under the name of another group": (
        lambda path, m, key: [edit_manifest(m, group="good-1"), sign_again(m, key), write_zip(path, m)],
        "is a copy of",
    ),
    "path escape": (changed(lambda m: put(m, "../escaped.txt", b"x")), "which does not belong there"),
    "a symbolic link": (with_link, "config.yaml is damaged"),
    "a bomb": (changed(lambda m: put(m, "mlartifacts/x.csv", bytes(45_000_000))), "unpacks to more than a hand-in may"),
    "an encrypted member": (encrypted, "it is encrypted"),
    "a wrong hash": (wrong_hash, "config.yaml is damaged"),
    "a file that the manifest names and nobody packed": (
        changed(drop_run_file("predictions.csv", listed=True)), "predictions.csv is missing"
    ),
    "no database": (lambda path, m, key: [m.pop("mlflow.db"), write_zip(path, m)], "its file mlflow.db is missing"),
    "an empty database": (changed(lambda m: put(m, "mlflow.db", b"")), "has no table"),
    "a malformed database": (changed(lambda m: put(m, "mlflow.db", m["mlflow.db"][:9000])), "database is damaged"),
    "a schema of a newer MLflow": (
        sql("UPDATE alembic_version SET version_num = 'ffffffffffff'"),
        "of another version of MLflow (ffffffffffff, not",
    ),
    "a trigger": (sql("CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM params; END"), "the trigger t"),
    "a view": (sql("ALTER TABLE tags RENAME TO t", "CREATE VIEW tags AS SELECT * FROM t"), "the view tags"),
    "points without end": (changed(many_points), "more rows than a hand-in may"),
}  # fmt: skip

GOOD = ["good-1", "good-2"]


@dataclass
class Faulty:
    """What came out of reading them all, and where each fault's zip lay."""

    build: Path
    group_of: dict[str, str]
    sent: dict[str, Files]
    result: HandIns

    def said(self, fault: str) -> str:
        """Everything that is said about a group or its file."""
        group = self.group_of[fault]
        facts = [handin.facts for handin in self.result.of_group.get(group, [])]
        lines = [
            *self.result.notes,
            *self.result.incomplete,
            *(f"{group}: {m}" for f in facts for m in f["mismatches"]),
        ]
        refused = [f"{shown}: {reason}" for shown, reason in self.result.refused.items()]
        return "\n".join(line for line in (*lines, *refused) if f"{group}:" in line or f"/{group}." in line)


@pytest.fixture(scope="module")
def faulty(handins: dict[str, Path], build: Path, workshop, tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    return find_once(
        tmp_path_factory, "faults", lambda folder: send_all(folder / "build", handins["group-2"], build, workshop)
    )


def send_all(folder: Path, good: Path, build: Path, workshop) -> Faulty:
    (folder / "handins").mkdir(parents=True)
    for name in ("vault", "data"):
        shutil.copytree(build / name, folder / name)
    for script in build.glob("mlflow-*.sql"):
        shutil.copyfile(script, folder / script.name)
    faults = {**SURVIVED, **REFUSED}
    group_of = {fault: f"fault-{number}" for number, fault in enumerate(faults)}
    members, sent = read_zip(good), {}
    for number, (name, group) in enumerate([*group_of.items(), *((group, group) for group in GOOD)]):
        key = Vault(folder).handin_key(workshop.id, group)
        mine = as_group(members, group, number, key)
        sent[group] = dict(mine)
        (folder / "handins" / group).mkdir()
        make = faults[name][0] if name in faults else plain
        make(folder / "handins" / group / f"{group}.zip", mine, key)
    described = workshop_of(workshop, [*group_of.values(), "absent", *GOOD])
    with pytest.MonkeyPatch.context() as patch:
        stay_here(patch)
        result = read_class(described, folder, folder / ".scratch", [folder / "handins"])
    return Faulty(folder, group_of, sent, result)


@pytest.mark.parametrize("fault", SURVIVED)
def test_a_group_survives_its_fault_and_that_is_said(faulty: Faulty, fault: str) -> None:
    (handin,) = faulty.result.of_group[faulty.group_of[fault]]
    assert len(handin.counted) == 1 and not [line for line in faulty.result.incomplete if handin.group in line]
    assert SURVIVED[fault][1] in faulty.said(fault)
    assert SURVIVED[fault][1] or not faulty.said(fault)


@pytest.mark.parametrize("fault", REFUSED)
def test_a_hand_in_that_cannot_be_used_is_refused_with_the_reason(faulty: Faulty, fault: str) -> None:
    assert faulty.group_of[fault] not in faulty.result.of_group
    assert REFUSED[fault][1] in faulty.said(fault), faulty.said(fault)


def test_every_refusal_is_one_of_the_table_and_none_is_a_surprise(faulty: Faulty) -> None:
    assert len(faulty.result.refused) == len(REFUSED)
    assert not [reason for reason in faulty.result.refused.values() if "unexpected" in reason or "Error" in reason]
    assert not [*faulty.build.parent.rglob("escaped*")]


def test_the_other_groups_are_complete_to_the_last_row_and_file(faulty: Faulty, tmp_path: Path) -> None:
    store = tmp_path / "collected"
    make_store(store, store, faulty.build)
    for group in GOOD:
        (handin,) = faulty.result.of_group[group]
        (tmp_path / group).mkdir()
        (tmp_path / group / "mlflow.db").write_bytes(faulty.sent[group]["mlflow.db"])
        sent = count_rows(tmp_path / group, known_runs(tmp_path / group))
        files = [name for name in faulty.sent[group] if "/artifacts/" in name]
        assert merge_store(handin.store, store, store, group) == 1
        arrived = count_rows(store, {run.run_id for run in read_runs(store) if run.tags["group"] == group})
        assert arrived == {**sent, "files": len(files)} and len(files) > 5


def test_what_is_refused_is_not_kept_and_everything_else_is(faulty: Faulty) -> None:
    kept = {json.loads(path.read_text(encoding="utf-8"))["came_as"] for path in (faulty.build / "inbox").glob("*.json")}
    groups = {Path(came_as).parent.name for came_as in kept}
    assert groups == {*GOOD, *(faulty.group_of[fault] for fault in SURVIVED)}
    for path in (faulty.build / "inbox").glob("*.zip"):
        assert path.stat().st_mode & 0o777 == 0o444


def test_an_upgraded_store_holds_what_the_older_one_held(faulty: Faulty, tmp_path: Path) -> None:
    group = faulty.group_of["a schema of an older MLflow"]
    (handin,) = faulty.result.of_group[group]
    (tmp_path / "mlflow.db").write_bytes(faulty.sent[group]["mlflow.db"])
    before, after = (count_rows(store, known_runs(store)) for store in (tmp_path, handin.store))
    assert {name: after[name] for name in ("runs", "params", "metrics", "latest_metrics", "tags", "inputs")} == {
        name: before[name] for name in ("runs", "params", "metrics", "latest_metrics", "tags", "inputs")
    }
    store = tmp_path / "collected"
    make_store(store, store, faulty.build)
    assert merge_store(handin.store, store, store, group) == 1
