"""Working copies: what `instructor new` makes, which workshop a command means, and how many groups and stages fit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from instructor.cli.app import main
from instructor.collect.collect import collect_handins
from instructor.provision.kit import list_shared, plan_kit
from instructor.provision.workshop_kits import provision
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import make_variants
from instructor.vault import Vault
from instructor.workshop import PROJECT, WORKSHOP_FILE, find_workshop, read_workshop
from lab_code.cli.app import main as lab
from lab_code.data.ham10000 import read_dataset
from lab_code.data.lesions import read_folder
from lab_code.errors import LabError
from lab_code.workshop.kit import read_kit
from tests.conftest import KitOnDisk, no_progress
from tests.instructor.collect.conftest import few_processes, no_figures

__all__ = ["few_processes", "no_figures"]
CHEAP = "\nlocks: {memory_kib: 64, iterations: 1, lanes: 1}\n"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "My shapes"
    assert main(["new", str(folder), "--example", "shapes"]) == 0
    return folder


def test_an_example_describes_itself_and_belongs_together_as_it_says(shapes: Path) -> None:
    workshop, reading = read_workshop(shapes / "workshop.yaml"), read_folder(shapes / "data")
    assert (workshop.id, workshop.title, workshop.home) == ("my-shapes", "My shapes", shapes)
    assert workshop.data.source == str(shapes / "data")
    assert read_dataset(shapes / "data").codes == ("circle", "square", "triangle", "star", "cross", "ring")
    assert len(reading.photographs) == 3 * len({photograph.lesion_id for photograph in reading.photographs}) == 600


def test_the_same_example_has_the_same_bytes(shapes: Path, tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "again"), "--example", "shapes"]) == 0
    for path in (shapes / "data").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(shapes)).read_bytes()


def test_a_copy_without_an_example_is_this_workshop_under_another_id(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "mine")]) == 0
    workshop, ours = read_workshop(tmp_path / "mine" / "workshop.yaml"), read_workshop(WORKSHOP_FILE)
    assert workshop.id == "mine" and workshop.stages == ours.stages and workshop.groups == ours.groups
    for tree in ("quiz", "locked", "notebooks"):
        for path in (PROJECT / tree).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".yaml", ".ipynb") and "." not in path.parent.name:
                assert (tmp_path / "mine" / path.relative_to(PROJECT)).read_bytes() == path.read_bytes()


def test_a_command_means_the_nearest_workshop_and_else_this_projects(shapes: Path, tmp_path: Path, monkeypatch) -> None:
    assert find_workshop(shapes / "data" / "images") == shapes / "workshop.yaml"
    assert find_workshop(tmp_path) == WORKSHOP_FILE == find_workshop(PROJECT / "lab_code" / "data")


def full(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")


@pytest.mark.parametrize(
    ("prepare", "arguments", "said"),
    [
        (full, [], "is there already, and not empty"),
        (lambda folder: folder.write_text("mine"), [], "is there already, and no folder"),
        (lambda folder: None, ["--example", "digit"], "there is no example 'digit'"),
    ],
)
def test_what_is_there_is_never_touched(tmp_path: Path, capsys, prepare, arguments: list[str], said: str) -> None:
    prepare(tmp_path / "w")
    before = sorted((path.name, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    assert main(["new", str(tmp_path / "w"), *arguments]) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert before == sorted((path.name, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))


def test_a_copy_inside_the_project_is_refused(capsys) -> None:
    assert main(["new", str(PROJECT / "build" / "w")]) == 1
    assert "inside the project" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": []}, "stages must be there"),
        ({"stages": [{"id": f"s{n}", "title": "T", "questions": 1} for n in range(9)]}, "9 stages, at most 8"),
        ({"groups": []}, "groups must be there"),
        ({"groups": [f"group-{n}" for n in range(61)]}, "61 groups, at most 60"),
        ({"groups": ["a", "a"]}, "differ from each other"),
        ({"home": "/tmp"}, "home"),
    ],
)
def test_too_few_and_too_many_are_refused(shapes: Path, tmp_path: Path, change: dict, said: str) -> None:
    document = yaml.safe_load((shapes / "workshop.yaml").read_text()) | change
    (tmp_path / "workshop.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(LabError, match=said):
        read_workshop(tmp_path / "workshop.yaml")


def make_workshop(folder: Path, groups: int, stages: int) -> Path:
    """A workshop with one question a stage, on twelve photographs of two classes."""
    for number in range(1, stages + 1):
        experiments = folder / "locked" / f"s{number}" / "lab_code" / "conf" / "experiment"
        experiments.mkdir(parents=True)
        (experiments / f"e{number}.yaml").write_text(f"# @package _global_\nname: e{number}\n")
    (folder / "quiz").mkdir()
    question = yaml.safe_load((PROJECT / "instructor/adapt/example/quiz/bank.yaml").read_text())["questions"][2]
    bank = [
        question | {"id": f"q{number}", "stage": f"s{number}", "text": f"Stage {number}: {question['text']}"}
        for number in range(1, stages + 1)
    ]
    (folder / "quiz" / "bank.yaml").write_text(yaml.safe_dump({"questions": bank}))
    for number in range(12):
        path = folder / "data" / "cd"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 20 * number).save(path)
    (folder / "data" / "dataset.yaml").write_text("name: Two\nkind: grey\nclasses: [c, d]\n")
    document = {
        "id": "sized",
        "title": "Sized",
        "seed": 1,
        "groups": [f"group-{n}" for n in range(1, groups + 1)],
        "stages": [{"id": f"s{n}", "title": f"Stage {n}", "questions": 1} for n in range(1, stages + 1)],
        "data": {"source": "data", "stored_size": 16},
    }
    (folder / "workshop.yaml").write_text(yaml.safe_dump(document) + CHEAP)
    return folder


@pytest.fixture
def open_all(tmp_path: Path, store_script: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """A function that provisions a workshop of so many stages for one group, opens them all, and gives its folder."""

    def make(stages: int) -> Path:
        home = make_workshop(tmp_path / "w", 1, stages)
        build, kit = home / "build", home / "build" / "kits" / "group-1"
        build.mkdir()
        shutil.copy(store_script, build)
        assert not provision(read_workshop(home / "workshop.yaml"), build, no_progress).failed
        assert len(read_kit(kit).stages) == stages
        monkeypatch.chdir(kit)
        for entry in Vault(build).read_key()["group-1"]:
            assert lab(["unlock", "--answers", entry["answers"]]) == 0
        assert (kit / "lab_code" / "conf" / "experiment" / f"e{stages}.yaml").is_file()
        return home

    return make


def test_eight_stages_are_opened_one_after_the_other(open_all: Callable[[int], Path]) -> None:
    assert open_all(8)


@pytest.mark.parametrize("stages", [1, 5])
def test_any_number_of_stages_is_opened_handed_in_and_collected(open_all: Callable[[int], Path], stages: int) -> None:
    home = open_all(stages)
    workshop, build = read_workshop(home / "workshop.yaml"), home / "build"
    kit = build / "kits" / "group-1"
    quick = ("trainer.epochs=1", "data.image_size=16", "model.width=4", "trainer.batch_size=4")
    KitOnDisk(kit, "group-1", [], [], []).lab("train", f"experiment=e{stages}", *quick)
    assert lab(["handin"]) == 0
    collected = collect_handins(workshop, [kit / "handin"], build, no_progress)
    assert [(row.group, row.stages_open) for row in collected.rows] == [("group-1", stages)]


def test_sixty_groups_have_kits_answers_and_codes_of_their_own(tmp_path: Path, store_script: Path) -> None:
    home = make_workshop(tmp_path / "w", 60, 2)
    (home / "build").mkdir()
    shutil.copy(store_script, home / "build")
    workshop = read_workshop(home / "workshop.yaml")
    data = provision(
        read_workshop(make_workshop(tmp_path / "one", 1, 2) / "workshop.yaml"), home / "build", no_progress
    )
    bank = load_bank(workshop, data=data.data.folder)
    variants = make_variants(workshop, bank, Vault(home / "build").answer_secret(workshop.id))
    shared = list_shared(data.data, workshop.home)
    plans = [plan_kit(workshop, group, variants[group], data.data, workshop.home, shared) for group in workshop.groups]
    assert [plan.number for plan in plans] == list(range(1, 61))
    assert len({plan.fingerprint() for plan in plans}) == 60
    assert len({Vault(home / "build").rescue_code("sized", group, "s1") for group in workshop.groups}) == 60
