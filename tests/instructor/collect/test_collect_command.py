"""`instructor collect` in the terminal: who is in and what is wrong, who has won only where it is asked for."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from instructor.cli import app
from instructor.cli import collect as commands
from tests.instructor.collect.conftest import Desk
from tests.instructor.collect.hand_ins import edit_database, write_zip


@pytest.fixture
def run(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(commands, "read_workshop", lambda path: desk.workshop)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*options: str) -> tuple[int, str, str]:
        code = app.main(["collect", "--build", str(desk.build), str(desk.inbox), *options])
        return code, *capsys.readouterr()

    return call


def test_who_has_won_is_not_said_before_the_ceremony_but_in_json_and_where_it_is_asked_for(desk: Desk, run) -> None:
    desk.zips.pop("group-3").unlink()  # each that is repeated takes seconds
    code, out, err = run()
    assert code == 0 and all(f"{group}" in out for group in desk.zips) and " new " in out
    assert "rank" not in out + err and "hidden test" not in out and "instructor ceremony" in out
    (desk.inbox / "empty.zip").write_bytes(b"")
    with sqlite3.connect(desk.build / "course.db") as course:  # where MLflow has made its tables: it takes seconds
        course.executescript(next(desk.build.glob("mlflow-*.sql")).read_text(encoding="utf-8"))
    course.close()
    code, out, err = run("--show", "--repeat", "--into", f"sqlite:///{desk.build / 'course.db'}")
    assert code == 1 and "hidden test" in out and " known " in out and "not a zip" in err
    assert out.count("is the same to the last digit") == 2 and "4 runs added" in out
    with sqlite3.connect(desk.build / "course.db") as course:
        assert course.execute("SELECT count(*) FROM runs").fetchone() == (4,)
    course.close()
    repeats = json.loads((desk.build / "collected" / "repeats.json").read_text(encoding="utf-8"))
    assert [entry["same"] for entry in repeats.values()] == [True] * 2


def test_a_program_reads_everything_as_json(desk: Desk, run) -> None:
    members = desk.members("group-2")
    edit_database(members, "UPDATE latest_metrics SET value = 0.987 WHERE key = 'best_balanced_accuracy'")
    desk.replace("group-2", members)
    desk.zips["group-3"].unlink()
    write_zip(desk.inbox / "holiday.zip", {"a.jpg": b"x"})
    code, out, err = run("--json")
    said = json.loads(out)
    assert code == 1 and said["missing"] == ["group-3"] and list(said["refused"]) == [str(desk.inbox / "holiday.zip")]
    (line,) = said["mismatches"]
    assert (
        line.startswith("group-2: run 'mine' claims balanced accuracy 0.9870, its predictions give 0.") and line in err
    )
    assert all(counts["went_in"] == counts["came_out"] for counts in said["counts"].values())
    assert said["counts"]["group-1"]["came_out"]["runs"] == 3 and said["found"][0]["taken"]
    row = next(row for row in said["groups"] if row["group"] == "group-2")
    assert row["validation_balanced_accuracy"] < 0.9


def test_without_any_hand_in_the_error_says_where_they_belong(desk: Desk, run) -> None:
    shutil.rmtree(desk.inbox)
    desk.inbox.mkdir()
    code, _, err = run()
    assert code == 1 and "no hand-in was found" in err and "nothing from group-1 yet" in err


def test_rows_that_get_lost_are_counted_and_named(desk: Desk, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from instructor.collect import collect as module

    real = module.settle_points

    def lose(store: Path) -> None:
        real(store)
        with sqlite3.connect(store / "mlflow.db") as database:
            database.execute("DELETE FROM metrics WHERE rowid = (SELECT max(rowid) FROM metrics)")
        database.close()

    monkeypatch.setattr(module, "settle_points", lose)
    code, _, err = run()
    assert code == 1 and "rows of metrics went in" in err
