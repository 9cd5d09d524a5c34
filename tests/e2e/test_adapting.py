"""docs/adapting.md, typed as it stands: from a working copy about digits to the leaderboard."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from pypdf import PdfReader

from instructor.classroom import pictures as pictures_module
from instructor.classroom.papers import write_plan, write_run_sheet
from instructor.classroom.pictures import make_pictures
from instructor.classroom.slides import write_slides
from instructor.cli.app import main as instructor
from instructor.results.evidence import read_evidence
from instructor.vault import Vault
from instructor.workshop import PROJECT, read_workshop
from lab_code.data.ham10000 import read_dataset
from lab_code.tracking.runs import read_runs, reroot_store
from lab_code.tracking.store import open_database
from tests.conftest import KitOnDisk, make_once
from tests.instructor.adapt.test_other_subjects import LEFT_OUT, find_skin

PAGE = PROJECT / "docs" / "adapting.md"


def read_commands() -> list[list[str]]:
    """Every indented line of the page, in order, without its comment."""
    lines = re.findall(r"^    (\S.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, store_script: Path) -> Path:
    """The folder `my-digits` after every line of the page was typed as it stands; tests only read it."""

    def make(folder: Path) -> None:
        (folder / "project").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder / "project")
            type_page(folder / "my-digits", store_script, patch)

    return make_once(tmp_path_factory, "adapting", make) / "my-digits"


def type_page(home: Path, store_script: Path, patch: pytest.MonkeyPatch) -> None:
    kit, opened = None, 0
    for program, *words in read_commands():
        if program == "cd":
            patch.chdir(words[0])
        elif program == "instructor":
            assert instructor(words) == 0
            if words[0] == "new":  # what costs seconds and is tried elsewhere
                with (home / "workshop.yaml").open("a") as file:
                    file.write("\nlocks: {memory_kib: 64, iterations: 1, lanes: 1}\n")
                (home / "build").mkdir()
                shutil.copy(store_script, home / "build")
        elif program == "./lab":
            key = [entry["answers"] for entry in Vault(home / "build").read_key()["group-1"]]
            kit = kit or KitOnDisk(home / "build" / "kits" / "group-1", "group-1", key, [], [])
            if words[0] == "unlock":
                words[-1], opened = key[opened], opened + 1
            kit.lab(*words)
        else:
            assert program == "export"
    assert opened == 2


@pytest.fixture
def kit(home: Path) -> Path:
    return home / "build" / "kits" / "group-1"


def test_every_line_of_the_page_works_as_it_stands(home: Path, kit: Path) -> None:
    with (home / "build" / "collected" / "leaderboard.csv").open(newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert row["group"] == "group-1" and row["best_run"] in ("baseline", "balanced")
    assert float(row["test_balanced_accuracy"]) > 0 and row["stages_open"] == "2"
    page = (home / "build" / "collected" / "leaderboard.html").read_text(encoding="utf-8")
    assert "of the 10 digits; guessing gives 0.100" in page and "clinical" not in page
    evidence = read_evidence(home / "build" / "collected")
    assert evidence.dataset.name == "Handwritten digits" and set(evidence.labels) == set(range(10))
    (run, *_) = (kit / "mlartifacts").rglob("dataset.yaml")
    assert read_dataset(run.parent).codes == tuple("0123456789")
    document = json.loads((kit / "kit.json").read_text())
    assert document["title"] == "My digits" and not list((kit / "data").glob("HAM*"))


def test_no_file_of_the_kit_speaks_of_skin(kit: Path) -> None:
    said = {}
    for path in kit.rglob("*"):
        if path.is_file() and not LEFT_OUT & {*path.relative_to(kit).parts, path.suffix}:
            pages = PdfReader(path).pages if path.suffix == ".pdf" else []
            text = "\n".join(page.extract_text() for page in pages) or path.read_text("utf-8", "ignore")
            said |= {path.name: lines} if (lines := find_skin(text)) else {}
    assert not said
    assert "photographs of handwritten digits" in (kit / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["kits/group-1", "collected"])
def test_mlflow_calls_the_experiment_after_the_subject(home: Path, tmp_path: Path, where: str) -> None:
    shutil.copytree(home / "build" / where, tmp_path / "copy")
    reroot_store(tmp_path / "copy")  # as `instructor ui` and `lab ui` do
    with open_database(tmp_path / "copy" / "mlflow.db") as database:
        named = database.execute(
            "SELECT DISTINCT experiments.name FROM experiments JOIN runs USING (experiment_id)"
        ).fetchall()
    assert named == [("handwritten-digits",)]


def test_what_the_instructor_shows_and_prints_speaks_of_the_subject(home: Path, tmp_path: Path) -> None:
    workshop = read_workshop(home / "workshop.yaml")
    for page in (home / "build" / "collected").glob("*.html"):
        assert not find_skin(page.read_text(encoding="utf-8"))
    write_run_sheet(workshop, Vault(home / "build"), tmp_path / "run-sheet.pdf")
    write_plan(workshop, tmp_path)
    for path in (*tmp_path.glob("*.pdf"), *(home / "build" / "vault").glob("*.pdf")):
        assert not find_skin("\n".join(page.extract_text() for page in PdfReader(path).pages))


@pytest.mark.parametrize("names", [[], ["balanced"], ["baseline", "balanced"]], ids=len)
def test_pictures_and_slides_take_the_experiments_that_there_are(
    home: Path, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    runs = {run.name: run for run in read_runs(kit)}
    shown = names or ["default"]
    made = {name: runs.get(name, runs["baseline"]) for name in shown}
    monkeypatch.setattr(pictures_module, "train_experiments", lambda *_: made)
    (tmp_path / "kits" / "group-1").mkdir(parents=True)
    shutil.copy(kit / "kit.json", tmp_path / "kits" / "group-1")
    pictures = make_pictures(tmp_path, "group-1", names, again=True)
    assert make_pictures(tmp_path, "group-1", names) == pictures  # kept
    described = " ".join([*pictures.figures.values(), *(picture.alt for picture in pictures.pictures.values())])
    assert all(name in described for name in shown) and ("baseline" in described) == ("baseline" in names)
    _, html = write_slides(read_workshop(home / "workshop.yaml"), pictures, tmp_path, read_dataset(home / "data"))
    page = html.read_text(encoding="utf-8")
    assert not find_skin(page) and "tell zeros from nines" in page and "rare digits" in page
