"""Who reviews whom, what is given to them, and what comes back: with hand-ins that were really made."""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from instructor.collect.collect import Collected, collect_handins, make_store
from instructor.collect.handins import HandIns, Terms, read_handins
from instructor.collect.review import MadeReviews, assign_reviews, bring_reviews, make_reviews, read_plan
from instructor.results import show
from instructor.vault import Vault
from lab_code.config import compose_config
from lab_code.errors import LabError
from lab_code.experiment import run_experiment
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.review import read_review, write_answers
from tests.conftest import find_once, make_once, no_progress
from tests.instructor.collect.conftest import stay_here
from tests.instructor.collect.faulty_class import as_group, workshop_of
from tests.instructor.collect.hand_ins import edit_database, read_zip, sign_again, write_zip

GROUPS = ["group-1", "group-2", "group-3", "group-4"]
RING = dict(zip(GROUPS, [*GROUPS[1:], GROUPS[0]], strict=True))
QUICK = ["trainer.epochs=1", "model.width=2", "data.image_size=16", "trainer.device=cpu"]


@pytest.mark.parametrize(
    ("here", "readable", "plan", "expected"),
    [
        ("1234", "1234", "12 23 34 41", "12 23 34 41"),
        ("1234", "1234", "13", "13 24 31 42"),  # whom the plan does not name shares out the others
        ("124", "124", "12 23 34 41", "12 24 41"),  # the reader of one that is missing gets whom nobody reads
        ("12", "12", "12 23 34 41", "12 21"),
        ("12", "1", "12 23 34 41", "21"),
        ("1", "1", "12 23 34 41", ""),
        ("134", "134", "31 41", "13 31 41"),  # the plan is kept, even where it leaves somebody out
        ("123", "123", "21", "13 21 32"),
        ("", "", "12", ""),
    ],
)
def test_whoever_handed_in_reads_somebody_else_and_is_read(here: str, readable: str, plan: str, expected: str) -> None:
    def pairs(text: str) -> dict[str, str]:
        return {f"group-{pair[0]}": f"group-{pair[1]}" for pair in text.split()}

    names = [f"group-{number}" for number in here]
    assert assign_reviews(names, {f"group-{number}" for number in readable}, pairs(plan)) == pairs(expected)


def test_the_plan_is_a_ring_until_the_instructor_changes_it(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert read_plan(vault, GROUPS) == RING
    path = vault.folder / "reviews.yaml"
    assert path.read_text(encoding="utf-8").startswith("# Which group reviews which")
    path.write_text("group-1: group-4\n", encoding="utf-8")
    assert read_plan(vault, GROUPS) == {"group-1": "group-4"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group-1: group-9", "there is no group 'group-9'"),
        ("group-1: group-1", "would review itself"),
        ("- group-1", "no list of groups"),
        ("a: b: c", "cannot be read"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    vault = Vault(tmp_path)
    read_plan(vault, GROUPS)
    (vault.folder / "reviews.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=message):
        read_plan(vault, GROUPS)


def train(root: Path, *names: str) -> None:
    for name in names:
        config = compose_config([*QUICK, f"name={name}", f"seed={len(name)}"])
        run_experiment(config, root, {"group": root.name, "workshop": "small"})


@pytest.fixture(scope="module")
def handed_in(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build folder in which group-1 has handed in two runs, group-2 one, and group-3 nothing."""
    return make_once(tmp_path_factory, "reviewed", lambda folder: hand_in_all(folder, build))


def hand_in_all(folder: Path, build: Path) -> None:
    for name in ("vault", "data", "kits"):
        shutil.copytree(build / name, folder / name)
    for script in build.glob("mlflow-*.sql"):
        shutil.copyfile(script, folder / script.name)
    for group, names in (("group-1", ("one", "secretive")), ("group-2", ("one",))):
        train(folder / "kits" / group, *names)
        write_handin(read_kit(folder / "kits" / group))


@pytest.fixture
def class_room(handed_in: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may write to."""
    return shutil.copytree(handed_in, tmp_path / "build")


def read_all(place: Path, workshop, scratch: Path) -> HandIns:
    make_store(scratch / "empty", scratch / "empty", place.parent)
    terms, empty = Terms(workshop, Vault(place.parent)), scratch / "empty" / "mlflow.db"
    return read_handins([place], terms, scratch, empty, no_progress)


def test_reviews_go_out_and_come_back(class_room: Path, workshop, tmp_path: Path) -> None:
    vault = Vault(class_room)
    found = read_all(class_room / "kits", workshop, tmp_path / "scratch")
    found.of_group["group-1"][0].facts["statements"] = {"sentence": "0.2 more\u202e", "bets": []}
    made = make_reviews(workshop, found, vault, class_room / "reviews")
    assert made.reviewed == {"group-1": "group-2", "group-2": "group-1"}
    assert made.notes == ["group-3 takes no part: nothing from it yet"]
    only = json.loads(
        made.files["group-1"].read_text(encoding="utf-8")
    )  # one run of theirs, beside the newest of its own
    assert [run["params"]["seed"] for run in only["runs"]] == ["3", "9"] and "group-2" not in str(only)
    text = made.files["group-2"].read_text(encoding="utf-8")
    assert "group-1" not in text and "secretive" not in text and str(tmp_path) not in text

    (class_room / "kits" / "a-damaged-one").mkdir()
    (class_room / "kits" / "a-damaged-one" / "kit.json").write_text("", encoding="utf-8")
    foreign = shutil.copytree(class_room / "kits" / "group-2", class_room / "kits" / "foreign")
    text = (foreign / "kit.json").read_text(encoding="utf-8").replace('"workshop": "small"', '"workshop": "other"')
    (foreign / "kit.json").write_text(text, encoding="utf-8")
    assert set(bring_reviews(made, workshop, class_room / "kits")) == {"group-1", "group-2"}
    assert not (foreign / "review.json").exists()
    assert [note for note in made.notes if "a-damaged-one" in note] and "workshop 'other'" in made.notes[-1]
    root = class_room / "kits" / "group-2"
    assert read_review(root).sentence == "0.2 more"
    write_answers(root, read_review(root), {"changed": "=1+1", "effect": "0.1\r=2", "doubt": "ünsure"}, stars=4)
    shutil.rmtree(root / "handin")
    write_handin(read_kit(root))
    collected = collect_handins(workshop, [class_room / "kits"], class_room, no_progress)
    assert collected.reviews == 1
    with (class_room / "collected" / "reviews.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    expected = {"reviewer": "group-2", "reviewed": "group-1", "changed": "'=1+1", "effect": "0.1 =2", "doubt": "ünsure"}
    assert row == expected | {"stars": "4"}


ANSWERS = ['{"id": 1}', "[" * 100_000, "\x00"]
STORES = {
    "UPDATE runs SET artifact_uri = NULL": "has no readable confusion matrix",
    "UPDATE latest_metrics SET value = 'many'": "needs 1 finished runs",
    "UPDATE metrics SET key = x'00ff' WHERE key = 'accuracy'": "needs 1 finished runs",
    "DROP TABLE params": None,
}


@dataclass
class Nonsense:
    """What came out of a class with all of these answers and stores, each of its own group, and two good groups."""

    folder: Path
    group_of: dict[str, str]
    read: HandIns
    made: MadeReviews
    collected: Collected


@pytest.fixture(scope="module")
def nonsense(handed_in: Path, workshop, tmp_path_factory: pytest.TempPathFactory) -> Nonsense:
    return find_once(tmp_path_factory, "nonsense", lambda folder: talk_nonsense(folder, handed_in, workshop))


def talk_nonsense(folder: Path, handed_in: Path, workshop) -> Nonsense:
    shutil.copytree(handed_in, folder, dirs_exist_ok=True)
    kit, place = folder / "kits" / "group-1", folder / "handins"
    place.mkdir()
    group_of = {what: f"nonsense-{number}" for number, what in enumerate([*ANSWERS, *STORES])}
    for number, (what, group) in enumerate([*group_of.items(), ("", "good-1"), ("", "good-2")]):
        (kit / "review-answers.json").unlink(missing_ok=True)
        if what in ANSWERS:
            (kit / "review-answers.json").write_text(what, encoding="utf-8")
        shutil.rmtree(kit / "handin")
        key = Vault(folder).handin_key(workshop.id, group)
        members = as_group(read_zip(write_handin(read_kit(kit))[0]), group, number, key)
        if what in STORES:
            edit_database(members, "PRAGMA ignore_check_constraints = ON", what)
            sign_again(members, key)
        write_zip(place / f"{group}.zip", members)
    described = workshop_of(workshop, [*group_of.values(), "good-1", "good-2"])
    with pytest.MonkeyPatch.context() as patch:
        stay_here(patch)
        patch.setattr(show, "write_figures", lambda results, folder: [])
        read = read_all(place, described, folder / "scratch")
        made = make_reviews(described, read, Vault(folder), folder / "reviews")
        return Nonsense(folder, group_of, read, made, collect_handins(described, [place], folder, no_progress))


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_that_cannot_be_read_are_one_groups_note(nonsense: Nonsense, text: str) -> None:
    group, collected = nonsense.group_of[text], nonsense.collected
    said = [note for note in collected.notes if note.startswith(f"{group}: ")]
    assert len(said) == 1 and "review-answers.json cannot be read" in said[0]
    assert group in {row.group for row in collected.rows} and collected.reviews == 0
    assert not (nonsense.folder / "collected" / "reviews.csv").exists()


@pytest.mark.parametrize("statement", STORES)
def test_a_store_of_nonsense_is_one_groups_affair(nonsense: Nonsense, statement: str) -> None:
    group, reason, made = nonsense.group_of[statement], STORES[statement], nonsense.made
    assert (group in made.reviewed) == bool(reason) and group not in made.reviewed.values()
    said = [note for note in made.notes if note.startswith(group)]
    assert (reason or "nothing from it yet") in said[0]
    assert reason or list(nonsense.read.refused) == [str(nonsense.folder / "handins" / f"{group}.zip")]


def test_whoever_handed_in_no_nonsense_is_reviewed_and_ranked(nonsense: Nonsense) -> None:
    whole = {"good-1", "good-2", *(nonsense.group_of[text] for text in ANSWERS)}
    assert set(nonsense.made.reviewed.values()) == whole <= {row.group for row in nonsense.collected.rows}
