"""From real hand-ins to the ceremony and the report, by the commands that an instructor types."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from instructor.cli.app import main
from tests.conftest import PROJECT
from tests.instructor.collect.conftest import Desk


@pytest.mark.usefixtures("figures")
def test_what_was_collected_is_shown_and_reported(desk: Desk, tmp_path: Path, capsys) -> None:
    folder, build = desk.build / "collected", ["--build", str(desk.build)]
    assert main(["ceremony", *build]) == 1 and "nothing is collected yet" in capsys.readouterr().err
    workshop = write_workshop(desk, tmp_path)
    desk.collect()
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if "mlartifacts" not in path.parts}
    assert {"ceremony.html", "leaderboard.csv", "runs.csv", "runs.parquet", "figures/runs.pdf"} <= made

    assert main(["report", "--json", *build, *workshop]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["groups"][0]["place"] == 1 and len(report["groups"]) == 3
    first = next(group for group in report["groups"] if group["group"] == "group-1")
    assert [run["run"] for run in first["runs"]] == ["mine", "second", "cut-off"]
    assert all(run["test_balanced_accuracy"] for run in first["runs"][:2]), "asked about hidden photographs, too"
    assert main(["report", *build, *workshop]) == 0
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")

    (desk.build / "quiz").mkdir()
    (desk.build / "quiz" / "kahoot-ranking.csv").write_text("rank,group\n1,group-3\n", encoding="utf-8")
    assert main(["ceremony", "--no-open", *build, *workshop]) == 0
    assert "Kahoot (of 10)" in (folder / "ceremony.html").read_text(encoding="utf-8")
    assert ",10.000000" in next(
        line for line in (folder / "leaderboard.csv").read_text("utf-8").split("\n") if "group-3" in line
    )
    run_notebook(folder, tmp_path)


def write_workshop(desk: Desk, tmp_path: Path) -> list[str]:
    """The small workshop as the file that a command reads."""
    import yaml

    groups, stages = desk.workshop.groups, [vars(stage) for stage in desk.workshop.stages]
    small = {"id": desk.workshop.id, "title": desk.workshop.title, "seed": 7, "groups": groups, "stages": stages}
    path = tmp_path / "workshop.yaml"
    path.write_text(yaml.safe_dump(small), encoding="utf-8")
    return ["--workshop", str(path)]


def run_notebook(collected: Path, scratch: Path) -> None:
    """The instructor's notebook about what was collected, from its first cell to its last."""
    notebook = Path(shutil.copy(PROJECT / "instructor" / "notebooks" / "course.ipynb", scratch))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", notebook.name],
        cwd=scratch, capture_output=True, text=True, timeout=300,
        env=os.environ | {"JUPYTER_PLATFORM_DIRS": "1", "COLLECTED": str(collected)},
    )  # fmt: skip
    assert done.returncode == 0 and "11 passed" in done.stdout, done.stdout[-3000:]


@pytest.mark.parametrize("command", ["ceremony", "report"])
def test_help_shows_an_example(command: str, capsys) -> None:
    assert main([command, "--help"]) == 0
    assert f"Example: instructor {command}" in capsys.readouterr().out


def test_the_course_notebook_has_short_cells_without_outputs() -> None:
    document = json.loads((PROJECT / "instructor" / "notebooks" / "course.ipynb").read_text(encoding="utf-8"))
    questions = [cell for cell in document["cells"] if "".join(cell["source"]).startswith("## ")]
    assert len(questions) == 10
    for cell in document["cells"]:
        assert cell["cell_type"] == "markdown" or (not cell["outputs"] and len(cell["source"]) <= 16)
