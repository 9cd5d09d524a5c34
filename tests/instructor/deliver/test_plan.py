"""What a delivery would do to a place: new, changed, changed by the group, and everything that must stay."""

import json
from pathlib import Path

import pytest

from instructor.deliver import folder
from instructor.deliver.cargo import Cargo, read_cargos, read_kit_cargo
from instructor.deliver.plan import Plan, describe_left, plan_delivery, show_bytes
from lab_code.errors import LabError
from tests.instructor.deliver.conftest import STAGES, digest, edit_kit, tree, write_kit


@pytest.fixture
def place(tmp_path: Path, cargo: Cargo) -> Path:
    """A place with the kit as it was delivered."""
    root = tmp_path / "place"
    folder.deliver(cargo, root)
    return root


def plan(cargo: Cargo, root: Path) -> Plan:
    return plan_delivery(cargo, folder.look(root))


def put(root: Path, name: str, text: bytes = b"mine\n") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text)


def test_a_place_without_a_kit_gets_everything(cargo: Cargo, tmp_path: Path) -> None:
    found = plan(cargo, tmp_path / "nowhere")
    assert sorted(found.send) == sorted(cargo.files) and found.identity == cargo.identity
    assert found.size == cargo.size - len(cargo.identity or b"") and found.needs > found.size
    assert found.there == "nothing" and not (tmp_path / "nowhere").exists()


def test_a_second_delivery_has_nothing_to_do(cargo: Cargo, place: Path) -> None:
    again = plan(cargo, place)
    assert not again.changes and not again.work and len(again.same) == len(cargo.files)
    assert tree(place) == tree(cargo.folder)


def test_a_changed_file_travels_alone(tiny: Path, place: Path) -> None:
    new = edit_kit(tiny, **{"lab_code/config.py": b"lr = 0.2\n"})
    found = plan(new, place)
    assert found.send == ["lab_code/config.py"] and found.identity == new.identity


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("progress.jsonl", b"{}\n"),
        ("mlflow.db", b"SQLite"),
        ("mlartifacts/skin-lesions/1/model/weights.safetensors", b"w"),
        ("handin/group-1-20261126.zip", b"PK"),
        ("lab_code/opened_1.py", b"opened = 1\n"),
        ("locked/2-x.chain", b"00"),
        ("lab_code/mine.py", b"mine\n"),
        ("notes/my notes ü.txt", b"mine\n"),
        ("README.md", b"mine\n"),
        ("lab_code/config.py", b"lr = 9\n"),
        ("data/images/b.jpg", b"mine"),
    ],
)
def test_a_groups_work_is_never_overwritten(tiny: Path, place: Path, name: str, text: bytes) -> None:
    put(place, name, text)
    new = edit_kit(
        tiny, **{"README.md": b"New.\n", "lab_code/config.py": b"lr = 0.2\n", "lab_code/mine.py": b"ours\n"}
    )  # fmt: skip
    found = folder.deliver(new, place)
    assert (place / name).read_bytes() == text and name in found.work
    assert (name in found.kept) == (
        name in ("README.md", "lab_code/config.py", "lab_code/mine.py", "data/images/b.jpg")
    )
    assert not plan(new, place).changes, "what stays is no reason to deliver again"


def test_what_stays_is_said(tiny: Path, place: Path) -> None:
    put(place, "README.md")
    said = describe_left(plan(edit_kit(tiny, **{"README.md": b"New.\n"}), place))
    assert said == ["README.md stays as it is: changed by the group"]


def test_what_is_gone_comes_back_and_what_is_no_longer_shipped_goes(tiny: Path, place: Path) -> None:
    (place / "lab_code/config.py").unlink()
    put(place, "lab_code/data/mine.py")
    found = folder.deliver(edit_kit(tiny, **{"lab_code/data/lesions.py": None, "lab_code/new/a.py": b"1\n"}), place)
    assert sorted(found.send) == ["lab_code/config.py", "lab_code/new/a.py"]
    assert found.obsolete == ["lab_code/data/lesions.py"] and not (place / "lab_code/data/lesions.py").exists()
    assert (place / "lab_code/data/mine.py").exists()


def test_a_folder_that_has_become_empty_goes_as_well(tiny: Path, place: Path) -> None:
    folder.deliver(edit_kit(tiny, **{"lab_code/data/lesions.py": None}), place)
    assert not (place / "lab_code/data").exists()


def test_a_kit_that_was_begun_keeps_its_locks_and_gets_the_rest(tiny: Path, place: Path) -> None:
    put(place, "progress.jsonl", b"{}\n")
    before = {name: (place / name).read_bytes() for name in ("locked/1-x.lab", "locked/2-x.lab", "questions.json")}
    changes = {"locked/2-x.lab": b"another build", "questions.json": b"[1]\n", "lab_code/config.py": b"lr = 0.2\n"}
    found = folder.deliver(edit_kit(tiny, **changes), place)
    assert found.send == ["lab_code/config.py"] and "its locks" in describe_left(found)[0]
    assert {name: (place / name).read_bytes() for name in before} == before
    named = json.loads((place / "kit.json").read_text(encoding="utf-8"))["files"]
    assert all(named[name] == digest((place / name).read_bytes()) for name in named), "lab doctor is content"
    assert not plan(read_kit_cargo(tiny / "kits/group-1"), place).changes


def test_a_kit_that_nobody_has_begun_gets_new_locks(tiny: Path, place: Path) -> None:
    found = folder.deliver(edit_kit(tiny, **{"locked/2-x.lab": b"another build"}), place)
    assert found.send == ["locked/2-x.lab"] and not found.held


def test_another_groups_kit_gives_way_until_it_is_begun(tiny: Path, place: Path) -> None:
    other = read_kit_cargo(tiny / "kits" / "group-2")
    assert not plan(other, place).faults
    put(place, "mlflow.db")
    found = plan(other, place)
    assert "holds the work of group-1" in found.faults[0] and "reset" in found.hint and not found.send


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda root: put(root, "letter.docx"), "holds other things and no kit"),
        (lambda root: root.write_bytes(b""), "is a file, not a folder"),
    ],
)
def test_a_folder_of_somebody_else_is_left_alone(cargo: Cargo, tmp_path: Path, prepare, said: str) -> None:
    root = tmp_path / "place"
    prepare(root)
    with pytest.raises(LabError, match=said):
        folder.deliver(cargo, root)


def test_no_link_leads_a_delivery_out_of_the_kit(tiny: Path, place: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (place / "lab_code").rename(tmp_path / "moved")
    (place / "lab_code").symlink_to(tmp_path / "elsewhere")
    (place / "README.md").unlink()
    (place / "README.md").symlink_to(tmp_path / "elsewhere/readme")
    found = folder.deliver(edit_kit(tiny, **{"README.md": b"New.\n", "lab_code/config.py": b"lr = 2\n"}), place)
    assert {"README.md", "lab_code/config.py", "lab_code/data/lesions.py"} <= set(found.kept)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_where_a_folder_should_be_stays(tiny: Path, place: Path) -> None:
    put(place, "new", b"a file of mine")
    found = folder.deliver(edit_kit(tiny, **{"new/a.py": b"1\n"}), place)
    assert found.kept == {"new/a.py": "a file is where its folder should be"}


def test_too_little_room_is_said_before_anything_is_written(cargo: Cargo, tmp_path: Path) -> None:
    found = folder.look(tmp_path / "place")
    found.free = 1000
    full = plan_delivery(cargo, found)
    assert "are needed, 1.0 kB are free" in full.faults[0]


def test_what_has_arrived_is_not_sent_twice(cargo: Cargo, tmp_path: Path) -> None:
    root = tmp_path / "place"
    folder.send(cargo, root, ["README.md", "lab_code/config.py"])
    (root / ".delivery/files/README.md").write_bytes(b"half")
    found = plan(cargo, root)
    assert found.arrived == ["lab_code/config.py"] and "README.md" in found.send
    folder.deliver(cargo, root)
    assert tree(root) == tree(cargo.folder)


def test_what_another_delivery_has_left_behind_is_cleared_away(tiny: Path, place: Path, cargo: Cargo) -> None:
    put(place, ".delivery/files/lab_code/gone.py")
    assert plan(cargo, place).unsettled
    folder.deliver(cargo, place)
    assert tree(place) == tree(cargo.folder)


def test_a_delivery_that_broke_off_half_way_is_no_work_of_the_group(tiny: Path, place: Path) -> None:
    """Some files of the second kit are in place, its kit.json is not; then a third kit comes."""
    second = edit_kit(tiny, **{"README.md": b"Second.\n", "lab_code/config.py": b"lr = 2\n"})
    put(place, "README.md", b"Second.\n")
    put(place, f".delivery/kits/{folder.name_document(second.identity or b'')}.json", second.identity or b"")
    third = edit_kit(tiny, **{"README.md": b"Third.\n", "lab_code/config.py": b"lr = 3\n"})
    assert not folder.deliver(third, place).kept and tree(place) == tree(third.folder)


def test_everything_that_is_wrong_with_the_kits_is_said_at_once(tiny: Path) -> None:
    (tiny / "kits/group-1/README.md").write_bytes(b"tried\n")
    (tiny / "kits/group-1/lab_code/config.py").unlink()
    (tiny / "kits/group-2/data/images/b.jpg").write_bytes(b"")
    with pytest.raises(LabError) as error:
        read_cargos(tiny, ["group-1", "group-2", "group-3"])
    for said in ("README.md is not as", "config.py is missing", "b.jpg is not as", "there is no kit"):
        assert said in error.value.message


def test_what_somebody_tried_in_a_kit_here_does_not_travel(tiny: Path, tmp_path: Path) -> None:
    kit = tiny / "kits" / "group-1"
    for name in ("progress.jsonl", "mlflow.db", "lab_code/opened_1.py", "lab_code/__pycache__/x.pyc"):
        put(kit, name)
    cargo = read_kit_cargo(kit)
    assert not {"progress.jsonl", "mlflow.db", "lab_code/opened_1.py"} & set(cargo.files)
    assert {stage.lock for stage in STAGES} <= set(cargo.files)


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")])
def test_bytes_are_written_for_people(count: int, text: str) -> None:
    assert show_bytes(int(count)) == text


def test_a_kit_of_another_workshop_counts_as_another_kit(tiny: Path, place: Path) -> None:
    put(place, "progress.jsonl")
    other = read_kit_cargo(write_kit(tiny / "other", workshop="next-week"))
    assert "(tiny)" in plan(other, place).faults[0]


def test_a_kit_without_its_kit_json_is_still_a_kit(tiny: Path, place: Path, cargo: Cargo) -> None:
    (place / "kit.json").unlink()
    put(place, "README.md")
    found = folder.deliver(cargo, place)
    assert found.identity == cargo.identity and list(found.kept) == ["README.md"] and not found.send
