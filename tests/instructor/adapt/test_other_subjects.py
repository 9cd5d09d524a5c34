"""A workshop about something else says so: what programs and pages say by themselves does not speak of skin.

tests/e2e/test_adapting.py reads what is made of a whole workshop.
"""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from instructor.classroom.board import Board
from instructor.classroom.clock import Clock
from instructor.classroom.pictures import Picture, Pictures
from instructor.classroom.room import Room
from instructor.classroom.slides import write_slides
from instructor.results.points import _name_baseline
from instructor.workshop import PROJECT, StageSpec, Workshop, find_experiments, read_workshop
from lab_code.data.ham10000 import HAM10000
from tests.instructor.adapt.test_working_copy import make_workshop

SKIN = re.compile(
    r"lesion|\bskin\b|dermat|melanom|HAM10000|\bnaev|\bnevi|\bmoles?\b|diagnos|patient|clinic", re.IGNORECASE
)
SCHEDULE = "schedule: {minutes: 30, parts: [{id: groups, title: Stripes, kind: groups, minutes: 30}]}\n"
NAMES = {  # of things that are called the same whatever the subject (docs/adapting.md); no sentence about skin
    "lesion_id": "a column",
    "lesions.yaml": "the folder of settings `data`",
    "lesions.py": "the module that reads photographs",
    "ham10000.py": "the module of the data set that a folder without a description holds",
    "diagnoses.py": "the module that recognises classes",
    "mlartifacts/skin-lesions": "the folder of the lab's own runs",
    "data: lesions": "the file of settings",
    "{% else %}For learning about experiments only, never for clinical use": "where there is no other notice",
}
LEFT_OUT = {"lab_code", "code.json", ".db", ".zip"}  # the package, which is read below, and stores of what is here
# Strings of the package that are about HAM10000 itself, or columns that tables are known by.
ABOUT_HAM10000 = ("data/ham10000.py", "data/diagnoses.py", "data/medmnist.py", "data/image_table.py")


def find_skin(text: str) -> list[str]:
    """The lines in which there is a word of skin, but for names."""
    for name in NAMES:
        text = text.replace(name, "")
    return [line.strip()[:120] for line in text.splitlines() if SKIN.search(line)]


def test_nothing_that_the_package_says_on_a_screen_speaks_of_skin() -> None:
    said = {}
    for path in sorted((PROJECT / "lab_code").rglob("*.py")):
        name = path.relative_to(PROJECT / "lab_code").as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
        ]
        if name.startswith("cli/"):  # the help of a command is its docstring
            commands = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
            texts += [ast.get_docstring(node) or "" for node in commands]
        lines = [line for text in texts if " " in text for line in find_skin(text)]
        said |= {name: lines} if lines and name not in ABOUT_HAM10000 else {}
    assert not said


@pytest.mark.parametrize("kind", [".html", ".typ", ".js", ".template"])
def test_no_page_or_sheet_has_a_word_of_skin_of_its_own(kind: str) -> None:
    pages = [path for tree in ("instructor", "lab_code") for path in (PROJECT / tree).rglob(f"*{kind}")]
    assert pages and not {path.name: lines for path in pages if (lines := find_skin(path.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("stages", [1, 2, 8])
def test_slides_and_board_of_any_number_of_stages_name_their_own(tmp_path: Path, stages: int) -> None:
    home = make_workshop(tmp_path / "w", 1, stages)
    with (home / "workshop.yaml").open("a") as file:
        file.write(SCHEDULE)
    workshop = read_workshop(home / "workshop.yaml")
    assert list(find_experiments(workshop)) == [f"e{n}" for n in range(1, stages + 1)]
    assert _name_baseline(workshop) == "e1"
    clock = Clock.open(tmp_path / "clock.json", workshop.schedule)
    shown = Board(workshop, clock, Room(workshop), list, {}, lambda group: b"", "token").describe(secret=True)
    assert [group["stages"] for group in shown["groups"]] == [stages]
    page = " ".join(pages_of(workshop, tmp_path))
    assert "conf/experiment/e1.yaml" in page and "experiment=e1" in page and "baseline.yaml" not in page
    assert f"{stages} stage{'s' * (stages > 1)}, 30 minutes" in page
    assert ("What the two experiments showed" in page) == (stages > 1)


def test_slides_without_an_experiment_show_how_one_would_look(tmp_path: Path) -> None:
    home = make_workshop(tmp_path / "w", 1, 1)
    workshop = replace(read_workshop(home / "workshop.yaml"), stages=[StageSpec("other", "T", 1)])
    assert "conf/experiment/my-idea.yaml" in " ".join(pages_of(workshop, tmp_path))


def test_the_slides_of_this_workshop_say_what_they_always_said(tmp_path: Path) -> None:
    page = " ".join(pages_of(read_workshop(), tmp_path))
    assert "It learns to tell moles from melanomas." in page
    assert "- override /optimizer: sgd name: baseline" in page.replace("\xa0", " ")
    assert (HAM10000.shown, HAM10000.rare) == ("skin lesions", "melanomas")


def pages_of(workshop: Workshop, folder: Path) -> list[str]:
    """The text of every slide."""
    names = ("curves", "sensitivities", "confusions")
    for name in names:
        Image.new("L", (100, 46)).save(folder / f"{name}.png")
    shown = {name: Picture(f"{name}.png", "a picture") for name in names}
    pdf, _ = write_slides(workshop, Pictures(folder, "", shown, {"runs": "", "gain": ""}), folder)
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(pdf).pages]
