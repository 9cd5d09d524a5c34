"""Hand-ins made to do harm, each signed by its kit: the group is named with the reason, the others are complete."""

import json
import os
import random
import re
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from instructor.collect import handins as reading
from instructor.collect.collect import Collected, collect_handins
from instructor.results import show
from instructor.vault import Vault
from instructor.workshop import HandinLimits, Workshop
from lab_code.tracking.runs import read_runs
from lab_code.tracking.tracker import open_store
from tests.conftest import find_once, no_progress
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.faulty_class import as_group, workshop_of
from tests.instructor.collect.hand_ins import (
    Files,
    change_database,
    edit_config,
    edit_database,
    edit_manifest,
    put,
    read_zip,
    sign_again,
    write_zip,
    zip_bytes,
)

pytestmark = pytest.mark.usefixtures("isolated")
CHANGING_VIEW = (
    "ALTER TABLE runs RENAME TO r",
    "CREATE VIEW runs AS SELECT CASE WHEN random() % 2 THEN run_uuid ELSE '../../../../escaped' END AS run_uuid, name,"
    " source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version,"
    " lifecycle_stage, artifact_uri, experiment_id, deleted_time FROM r",
)
GIANT_VIEW = (
    "DROP TABLE input_tags",
    "CREATE VIEW input_tags AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT i AS input_uuid, i AS name, i AS value FROM n",
)


def sql(*statements: str) -> Callable[[Files], object]:
    return lambda members: edit_database(members, *statements)


def rename_in_schema(members: Files) -> None:
    """A virtual table, and a table whose column is computed when it is read."""

    def change(database: sqlite3.Connection) -> None:
        database.execute("DROP TABLE tags")
        database.execute(
            "CREATE TABLE tags (key TEXT, run_uuid TEXT, value TEXT GENERATED ALWAYS AS (hex(zeroblob(1000000))))"
        )

    change_database(members, change)


def add_manifest_entry(name: str) -> Callable[[Files], object]:
    return lambda members: put(members, name, b"x")


def many_rows(members: Files) -> None:
    def change(database: sqlite3.Connection) -> None:
        run_id = database.execute("SELECT run_uuid FROM runs").fetchone()[0]
        rows = (("loss", 0.5, step, run_id, step, 0) for step in range(60_000))
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)

    change_database(members, change)


def damage_pages(members: Files) -> None:
    content = bytearray(members["mlflow.db"])
    content[4096:40960] = bytes(36864)
    put(members, "mlflow.db", bytes(content))


def multiply_runs(database: sqlite3.Connection, count: int) -> None:
    """Copies of the first run under other ids, all with its address."""
    row = database.execute("SELECT * FROM runs").fetchone()
    marks = ", ".join("?" * len(row))
    rows = ((f"{number:032x}", *row[1:]) for number in range(count))
    database.executemany(f"INSERT INTO runs VALUES ({marks})", rows)


def lie_about_size(method: int) -> Callable[[Path, Files], object]:
    """A member of 60 MB that says it has 100 bytes, in both headers."""

    def write(path: Path, members: Files) -> None:
        write_zip(path, members)
        with zipfile.ZipFile(path, "a", method) as archive:
            archive.writestr("mlartifacts/bomb.csv", bytes(60_000_000))
        size = struct.pack("<I", 60_000_000)
        path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 100)))

    return write


def name_bomb(members: Files) -> None:
    files = json.loads(members["manifest.json"])["files"]
    edit_manifest(members, files={**files, "mlartifacts/bomb.csv": "0" * 64})


def nest(depth: int, members: Files) -> Files:
    for _ in range(depth):
        members = {"inner.zip": zip_bytes(members)}
    return members


# How the zip is written, where that is the attack.
WRITTEN: dict[str, Callable[[Path, Files], object]] = {
    "a deflated member that lies about its size": lie_about_size(zipfile.ZIP_DEFLATED),
    "a bzip2 member that lies about its size": lie_about_size(zipfile.ZIP_BZIP2),
    "an LZMA member that lies about its size": lie_about_size(zipfile.ZIP_LZMA),
    "zips in zips": lambda path, members: write_zip(path, nest(10, members)),
}

REFUSED: dict[str, tuple[Callable[[Files], object], str]] = {
    "a view whose ids change between two reads": (sql(*CHANGING_VIEW), "holds the view runs, which MLflow never makes"),
    "a view without end": (sql(*GIANT_VIEW), "holds the view input_tags"),
    "a trigger": (
        sql("CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM params; END"),
        "holds the trigger t, which MLflow never makes",
    ),
    "MLflow's own trigger with another body": (
        sql(
            "DROP TRIGGER IF EXISTS prevent_secrets_aad_mutation",
            "CREATE TRIGGER prevent_secrets_aad_mutation BEFORE UPDATE ON secrets BEGIN SELECT 1; END",
        ),
        "holds the trigger prevent_secrets_aad_mutation",
    ),
    "a computed column": (rename_in_schema, "its table tags is none that MLflow makes"),
    "a virtual table": (
        sql("DROP TABLE tags", "CREATE VIRTUAL TABLE tags USING fts5(key, value, run_uuid)"),
        "its table tags is none that MLflow makes",
    ),
    "no table of runs": (sql("DROP TABLE runs"), "its database has no table runs"),
    "a run id that leads out of the store": (
        sql("UPDATE runs SET run_uuid = '../../../../escaped'"),
        "its run id '../../../../escaped' is none of MLflow's",
    ),
    "a run id that is a number": (sql("UPDATE runs SET run_uuid = 7"), "is none of MLflow's"),
    "a run id twice": (
        sql("PRAGMA writable_schema = ON", "UPDATE runs SET run_uuid = upper(run_uuid)"),
        "is none of MLflow's",
    ),
    "another version of MLflow": (
        sql("UPDATE alembic_version SET version_num = 'old\x1b[2J'"),
        "of another version of MLflow (old�[2J, not",
    ),
    "no version of MLflow": (sql("DELETE FROM alembic_version"), "of another version of MLflow"),
    "a damaged database": (damage_pages, "its MLflow database is damaged"),
    "no database": (lambda m: put(m, "mlflow.db", b"nothing of the kind" * 1000), "its MLflow database is damaged"),
    "more rows than a hand-in may have": (many_rows, "more rows than a hand-in may"),
    "a manifest of megabytes": (
        lambda m: m.update({"manifest.json": m["manifest.json"] + b" " * 6_000_000}),
        "its file manifest.json is larger than",
    ),
    "a journal of megabytes": (
        lambda m: put(m, "progress.jsonl", b'{"event": "x"}\n' * 700_000),
        "its file progress.jsonl is larger than",
    ),
    "feedback of megabytes": (lambda m: put(m, "feedback.json", b" " * 300_000), "its file feedback.json is larger"),
    "more bytes than a hand-in may have": (
        lambda m: put(m, "mlartifacts/x.csv", bytes(60_000_000)),
        "it unpacks to more than a hand-in may",
    ),
    **{
        f"a file at {name!r}": (add_manifest_entry(name), "which does not belong there")
        for name in (
            "../escaped", "/escaped", "mlartifacts/../../escaped", "mlartifacts//x", "mlartifacts/./x",
            "mlartifacts\\..\\escaped", "locked/x.lab", "store/mlflow.db", "mlartifacts", ".",
        )
    },
    "more runs than a hand-in may have": (
        lambda m: change_database(m, lambda database: multiply_runs(database, 2001)),
        "more than 2000 runs",
    ),
    "a table without a column": (sql("ALTER TABLE params RENAME COLUMN value TO worth"), "params has no column value"),
    "an identity with a number without end": (
        lambda m: put(m, "kit.json", m["kit.json"].replace(b'"minutes": 30', b'"minutes": Infinity')),
        "its kit.json cannot be read",
    ),
    "an identity that is a list": (lambda m: put(m, "kit.json", b"[]"), "its kit.json cannot be read"),
    **{name: (name_bomb, "bomb.csv is damaged") for name in WRITTEN if "lies" in name},
    "zips in zips": (lambda m: None, "zips in zips without end"),
    "an identity that nests without end": (lambda m: put(m, "kit.json", b"[" * 100_000), "its kit.json cannot be read"),
}  # fmt: skip


def limited(desk: Desk, **limits: int) -> Desk:
    return replace(desk, workshop=replace(desk.workshop, limits=HandinLimits(**{"unpacked_mb": 50, **limits})))


LEFT_OUT: dict[str, str] = {
    "a metric's name that is a blob": "UPDATE metrics SET key = x'00ff' WHERE key = 'accuracy'",
    "a metric's value that is text": "UPDATE latest_metrics SET value = 'many' WHERE key = 'accuracy'",
    "a metric without end": "UPDATE latest_metrics SET value = 9e999 WHERE key = 'accuracy'",
    "a run's name that is a number": "UPDATE runs SET name = zeroblob(3)",
    "a run's name in bytes that are no text": "UPDATE runs SET name = CAST(x'ff00fe' AS TEXT)",
    "a start that is a word": "UPDATE runs SET start_time = 'noon'",
    "a state that MLflow does not know": "UPDATE runs SET status = 'WON'",
    "a stage of life that MLflow does not know": "UPDATE runs SET lifecycle_stage = 'undead'",
    "a parameter as long as a book": "UPDATE params SET value = hex(zeroblob(500000)) WHERE key = 'seed'",
    "a tag with a zero in it": "UPDATE tags SET value = 'a' || char(0) || 'b' WHERE key = 'workshop'",
}


def no_number(members: Files) -> None:
    for name in [name for name in members if name.endswith("weights.safetensors")]:
        arrays = load(members[name])
        for array in arrays.values():
            if array.dtype == np.float32:
                array *= np.nan
        put(members, name, save(arrays))


def bomb(text: str) -> str:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    return f"l0: &l0 [x]\n{levels}{text}"


NOT_SCORED: dict[str, tuple[Callable[[Files], object], str]] = {
    "YAML that unfolds": (lambda m: edit_config(m, bomb), "not as a run writes it"),
    "an alias": (lambda m: edit_config(m, lambda t: t.replace("seed: 1", "seed: &a 1\nx: *a")), "not as a run writes"),
    "the instructor's environment": (
        lambda m: edit_config(m, lambda t: t.replace("name: mine", "name: ${oc.env:SECRET}")),
        "not as a run writes it",
    ),
    "the environment, spelled by an escape": (
        lambda m: edit_config(m, lambda t: t.replace("name: mine", 'name: "\\x24{oc.env:SECRET}"')),
        "not as a run writes it",
    ),
    "the environment, where a number belongs": (
        lambda m: edit_config(m, lambda t: t.replace("width: 2", 'width: "\\u0024{oc.env:SECRET}"')),
        "not as a run writes it",
    ),
    "the environment, on two lines": (
        lambda m: edit_config(m, lambda t: t.replace("name: mine", 'name: "$\\\n  {oc.env:SECRET}"')),
        "not as a run writes it",
    ),
    "a number": (lambda m: edit_config(m, lambda t: "3"), "not as a run writes it"),
    "a list": (lambda m: edit_config(m, lambda t: "- a\n- b"), "not as a run writes it"),
    "a reference": (lambda m: edit_config(m, lambda t: t.replace("width: 2", "width: ${seed}")), "not as a run writes"),
    "a configuration of megabytes": (lambda m: edit_config(m, lambda t: t + "#" * 200_000), "not as a run writes it"),
    "YAML that nests without end": (lambda m: edit_config(m, lambda t: "[" * 5000), "not as a run writes it"),
    "no YAML": (lambda m: edit_config(m, lambda t: "a: b: c"), "cannot read the configuration"),
    "an object of Python": (
        lambda m: edit_config(m, lambda t: "!!python/object/apply:os.system ['touch escaped']"),
        "cannot",
    ),
    "weights that are no numbers": (no_number, "are no numbers"),
    "weights that are none": (
        lambda m: [put(m, n, b"\xff" * 100) for n in list(m) if n.endswith("weights.safetensors")],
        "not a readable file of weights",
    ),
}


def statement(text: str) -> Callable[[Files], object]:
    return sql("PRAGMA ignore_check_constraints = ON", text)


ATTACKS: dict[str, Callable[[Files], object]] = {
    **{name: change for name, (change, _) in (*REFUSED.items(), *NOT_SCORED.items())},
    **{name: statement(text) for name, text in LEFT_OUT.items()},
}
GOOD = ["good-1", "good-2"]


@dataclass
class Attacked:
    """What came out of collecting all attacks at once, each of them from a group of its own."""

    folder: Path
    group_of: dict[str, str]
    collected: Collected

    @property
    def refused(self) -> dict[str, str]:
        """The reason, by group: of a zip in a zip, the outermost is named after it."""
        return {Path(shown.partition(" › ")[0]).stem: why for shown, why in self.collected.refused.items()}

    @property
    def said(self) -> list[str]:
        return [*self.collected.notes, *self.collected.incomplete, *self.collected.refused.values()]

    @property
    def scores(self) -> dict[str, float | None]:
        return {row.group: row.test_balanced_accuracy for row in self.collected.rows}


@pytest.fixture(scope="module")
def attacked(
    handins: dict[str, Path], build: Path, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Attacked:
    return find_once(
        tmp_path_factory, "attacked", lambda folder: attack_all(folder, handins["group-2"], build, workshop)
    )


def attack_all(folder: Path, good: Path, build: Path, workshop: Workshop) -> Attacked:
    inbox = folder / "build" / "handins"
    inbox.mkdir(parents=True)
    for name in ("vault", "data"):
        shutil.copytree(build / name, folder / "build" / name)
    for script in build.glob("mlflow-*.sql"):
        shutil.copyfile(script, folder / "build" / script.name)
    group_of = {attack: f"attack-{number}" for number, attack in enumerate(ATTACKS)}
    members = read_zip(good)
    for number, (name, group) in enumerate([*group_of.items(), *((group, group) for group in GOOD)]):
        key = Vault(folder / "build").handin_key(workshop.id, group)
        mine = as_group(members, group, number, key)
        ATTACKS.get(name, lambda members: None)(mine)
        sign_again(mine, key)
        WRITTEN.get(name, write_zip)(inbox / f"{group}.zip", mine)
    described = workshop_of(workshop, [*group_of.values(), *GOOD], unpacked_mb=50, memory_mb=1500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET", "what-nobody-may-see")
        patch.setattr(show, "write_figures", lambda results, folder: [])
        return Attacked(folder, group_of, collect_handins(described, [inbox], folder / "build", no_progress))


@pytest.mark.parametrize("attack", REFUSED)
def test_it_is_refused_with_the_reason(attacked: Attacked, attack: str) -> None:
    assert REFUSED[attack][1] in attacked.refused[attacked.group_of[attack]]
    assert attacked.group_of[attack] not in attacked.scores


def test_nothing_else_is_refused_and_nothing_is_written_elsewhere(attacked: Attacked) -> None:
    assert set(attacked.refused) == {attacked.group_of[attack] for attack in REFUSED}
    assert len(attacked.collected.refused) == len(REFUSED)
    assert not [*attacked.folder.rglob("escaped*")]
    assert not Path("/escaped").exists() and not Path("escaped").exists()


def test_the_others_are_complete(attacked: Attacked) -> None:
    assert all(attacked.scores[group] for group in GOOD)
    groups = [run.tags["group"] for run in read_runs(attacked.folder / "build" / "collected")]
    assert sorted(groups) == sorted([*GOOD, *(attacked.group_of[attack] for attack in NOT_SCORED)])


@pytest.mark.parametrize("fault", LEFT_OUT)
def test_a_run_with_a_value_that_mlflow_never_writes_is_left_out_and_named(attacked: Attacked, fault: str) -> None:
    group = attacked.group_of[fault]
    (entry,) = [line for line in attacked.said if group in re.findall(r"attack-\d+", line)]
    assert entry.startswith(f"{group}: run ") and "was left out: its " in entry
    assert entry in attacked.collected.incomplete and not attacked.scores.get(group)


@pytest.mark.parametrize("attack", NOT_SCORED)
def test_a_model_that_attacks_is_not_scored(attacked: Attacked, attack: str) -> None:
    group, reason = attacked.group_of[attack], NOT_SCORED[attack][1]
    said = [line for line in attacked.said if group in re.findall(r"attack-\d+", line)]
    assert any(reason in line for line in said), said
    assert attacked.scores[group] is None


def test_no_attack_tells_what_the_instructors_environment_holds(attacked: Attacked) -> None:
    assert not any("what-nobody-may-see" in line for line in attacked.said)


def test_two_hundred_runs_that_share_one_folder_take_its_room_once(desk: Desk) -> None:
    members = desk.members("group-2")
    change_database(members, lambda database: multiply_runs(database, 200))
    desk.replace("group-2", members)
    collected = desk.collect()
    assert len(collected.rows) == 3 and any("where no run's files belong" in note for note in collected.notes)
    sizes = [path.stat().st_size for path in (desk.build / "collected").rglob("*") if path.is_file()]
    assert sum(sizes) < 20_000_000


def test_what_is_said_of_one_hand_in_has_an_end(desk: Desk) -> None:
    members = desk.members("group-2")
    edit_database(members, "PRAGMA ignore_check_constraints = ON")
    change_database(members, lambda database: multiply_runs(database, 300))
    edit_database(members, "PRAGMA ignore_check_constraints = ON", "UPDATE runs SET end_time = 'noon'")
    desk.replace("group-2", members)
    collected = desk.collect()
    assert len(collected.incomplete) <= 11 and "more of that kind" in collected.incomplete[-1]
    scored = [row.group for row in collected.rows if row.test_balanced_accuracy is not None]
    assert sorted(scored) == ["group-1", "group-3"]


def same_links(database: sqlite3.Connection) -> None:
    for number, (identity,) in enumerate(database.execute("SELECT input_uuid FROM inputs ORDER BY rowid").fetchall()):
        for table in ("inputs", "input_tags"):
            database.execute(f"UPDATE {table} SET input_uuid = ? WHERE input_uuid = ?", (f"{number:032x}", identity))


def same_models(database: sqlite3.Connection) -> None:
    (identity,) = database.execute("SELECT model_id FROM logged_models").fetchone()
    for table, column in (
        ("logged_models", "model_id"),
        ("logged_model_params", "model_id"),
        ("inputs", "destination_id"),
    ):
        database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (f"m-{0:032x}", identity))


def other_data_set(database: sqlite3.Connection) -> None:
    database.execute("""UPDATE datasets SET dataset_source = '{"uri": "elsewhere"}' WHERE name = 'training'""")


SHARED_IDS = {"of links": same_links, "of models": same_models, "of data sets": other_data_set}


@pytest.mark.parametrize("what", SHARED_IDS)
def test_ids_that_another_group_has_used_cost_nobody_anything(desk: Desk, what: str) -> None:
    for group in ("group-2", "group-3")[: 1 if what == "of data sets" else 2]:
        members = desk.members(group)
        change_database(members, SHARED_IDS[what])
        desk.replace(group, members)
    collected = desk.collect()
    assert not collected.refused and not collected.incomplete and len(collected.rows) == 3
    client = open_store(desk.build / "collected")
    for run in read_runs(desk.build / "collected"):
        entry = client.get_run(run.run_id)
        assert {used.dataset.name for used in entry.inputs.dataset_inputs} == {"training", "validation"}
        (output,) = entry.outputs.model_outputs
        assert client.get_logged_model(output.model_id).source_run_id == run.run_id
        sources = {used.dataset.source for used in entry.inputs.dataset_inputs}
        mine = what == "of data sets" and run.tags["group"] == "group-2"
        assert any("elsewhere" in source for source in sources) == mine


def test_where_the_best_model_is_lost_the_next_best_counts_and_that_is_said(desk: Desk) -> None:
    before = next(row for row in desk.collect().rows if row.group == "group-1")
    members = desk.members("group-1")
    name = next(name for name in members if before.run_id in name and name.endswith("weights.safetensors"))
    put(members, name, b"\xff" * 100)
    desk.replace("group-1", members)
    collected = desk.collect()
    row = next(row for row in collected.rows if row.group == "group-1")
    assert row.rank and row.run_id != before.run_id
    (line,) = collected.incomplete
    assert "cannot be scored: weights.safetensors is not a readable" in line and str(desk.build) not in line


@pytest.mark.usefixtures("figures")
def test_names_that_a_terminal_would_obey_are_shown_and_not_obeyed(desk: Desk, capsys, monkeypatch) -> None:
    from instructor.cli import app
    from instructor.cli import collect as commands

    members = desk.members("group-2")
    edit_database(members, "UPDATE runs SET name = 'a' || char(27) || ']0;owned' || char(7, 13, 10, 155) || '[31mb'")
    desk.replace("group-2", members)
    write_zip(desk.inbox / "evil\x1b[2J.zip", {"a\x1b[2J": b"x"})
    write_zip(desk.inbox / "a\nerror: group-3 has copied.zip", {"a": b"x"})
    monkeypatch.setattr(commands, "read_workshop", lambda path: desk.workshop)
    assert app.main(["collect", "--show", "--build", str(desk.build), str(desk.inbox)]) == 1
    out, err = capsys.readouterr()
    assert "owned" in out and not {"\x1b", "\x07", "\x9b", "\r"} & set(out + err)
    assert "\nerror: group-3" not in err and "a error: group-3 has copied.zip" in err
    table = (desk.build / "collected" / "leaderboard.csv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 4


KINDS = ("zip", "database", "manifest", "yaml")
# What nobody can read without; damage anywhere else is refused, or read all the same, as the dice fall.
NEEDED = {"zip": slice(-22, -18), "database": slice(0, 16), "manifest": slice(0, 1)}


def mutate(members: Files, number: int, key: bytes) -> bytes:
    """A hand-in with one fault: the first of each kind where it is sure to be noticed, the others anywhere."""
    dice, kind = random.Random(number), KINDS[number % len(KINDS)]

    def damage(content: bytes, most: int) -> bytes:
        damaged = bytearray(content)
        if number < len(KINDS):
            damaged[NEEDED[kind]] = b"?" * len(damaged[NEEDED[kind]])
        else:
            for _ in range(dice.randint(1, most)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        return bytes(damaged)

    if kind == "database":
        put(members, "mlflow.db", damage(members["mlflow.db"], 40))
    elif kind == "manifest":
        members["manifest.json"] = damage(members["manifest.json"], 5)
    elif kind == "yaml":
        edit_config(
            members, lambda t: "".join(dice.choice("{}[]&*:$#\n\t \x00é") if dice.random() < 0.02 else c for c in t)
        )
    sign_again(members, key)
    return damage(zip_bytes(members), 20) if kind == "zip" else zip_bytes(members)


def test_mutated_hand_ins_leave_the_good_ones_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_OF_A_GROUP", 50)  # each of them is read
    good = {row.group: row for row in desk.collect().rows}
    for number in range(40):
        content = mutate(desk.members("group-2"), number, desk.key("group-2"))
        (desk.inbox / f"mutated-{number:02d}.zip").write_bytes(content)
    collected = limited(desk, seconds=30, memory_mb=1500).collect()
    rows = {row.group: row for row in collected.rows}
    assert rows["group-1"].test_balanced_accuracy == good["group-1"].test_balanced_accuracy
    assert rows["group-3"].test_balanced_accuracy == good["group-3"].test_balanced_accuracy and "group-2" in rows
    assert {str(desk.inbox / f"mutated-{number:02d}.zip") for number in range(len(NEEDED))} <= set(collected.refused)
    assert not [reason for reason in collected.refused.values() if "unexpected" in reason or "without a word" in reason]
    assert not [line for line in collected.incomplete if "unexpected" in line or "without a word" in line]
    assert os.listdir(desk.build / "collected")
