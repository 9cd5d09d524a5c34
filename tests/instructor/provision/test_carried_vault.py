"""What follows from the vault alone: it is carried along, comes without a part, is old, or is another one."""

import json
import shutil
from pathlib import Path

import pytest

from instructor import vault as vault_module
from instructor.dataset.prepare import CHECKSUMS, PreparedData, is_divided_publicly, prepare_data
from instructor.provision.workshop_kits import Provisioned, provision
from instructor.vault import Vault
from instructor.workshop import DataSource
from lab_code.data.ham10000 import read_photographs
from lab_code.errors import LabError
from tests.conftest import make_small_workshop, no_progress
from tests.instructor.dataset.test_prepare import make_real_folder

SMALL = DataSource(images=140, image_size=16, test_images=21, seed=5)
WORKSHOP = make_small_workshop(groups=["group-1", "group-2"], data=SMALL)


@pytest.fixture(scope="module")
def home(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A provisioned folder that tests only read."""
    folder = tmp_path_factory.mktemp("home")
    provision_in(folder, build)
    return folder


def provision_in(folder: Path, build: Path, **changes: object) -> Provisioned:
    for script in build.glob("*.sql"):  # MLflow needs seconds to make it
        shutil.copyfile(script, folder / script.name)
    done = provision(make_small_workshop(**{"groups": WORKSHOP.groups, "data": SMALL, **changes}), folder, no_progress)
    assert not done.failed
    return done


def what_groups_see(build: Path) -> list[bytes]:
    return [(build / "kits" / group / "questions.json").read_bytes() for group in WORKSHOP.groups]


def hidden(build: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (build / "vault" / "test").rglob("*.jpg")}


@pytest.mark.parametrize("lost", [[], ["test", "kits.json", "key.json"]], ids=["whole", "its secret alone"])
def test_a_vault_gives_the_same_on_another_machine(home: Path, build: Path, tmp_path: Path, lost: list[str]) -> None:
    """… also with another seed in workshop.yaml, which decides about exports only."""
    shutil.copytree(home / "vault", tmp_path / "vault")
    for name in lost:
        place = tmp_path / "vault" / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    done = provision_in(tmp_path, build, seed=8)
    assert done.built == WORKSHOP.groups and not done.notes
    assert Vault(tmp_path).read_key() == Vault(home).read_key()
    assert what_groups_see(tmp_path) == what_groups_see(home)
    assert hidden(tmp_path) == hidden(home) and len(hidden(home)) == 21


def test_another_vault_gives_other_answers_codes_and_hidden_photographs(home, build, tmp_path, monkeypatch) -> None:
    """From the same public source: only what ships anyway is the same."""
    monkeypatch.setattr(vault_module, "draw_master", lambda: bytes(range(32)))
    provision_in(tmp_path, build)
    for here, there in zip(Vault(home).read_key().values(), Vault(tmp_path).read_key().values(), strict=True):
        assert here != there and not {entry["rescue"] for entry in here} & {entry["rescue"] for entry in there}
    assert what_groups_see(tmp_path) != what_groups_see(home)
    assert not set(hidden(tmp_path).values()) & set(hidden(home).values())
    assert (tmp_path / "data" / CHECKSUMS).read_bytes() == (home / "data" / CHECKSUMS).read_bytes()


def test_another_id_gives_other_answers_and_the_earlier_key_is_kept(home: Path, build: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "build")
    done = provision_in(tmp_path / "build", build, id="next-week")
    (note,) = done.notes
    (kept,) = (tmp_path / "build" / "vault" / "earlier-keys").iterdir()
    assert str(kept) in note and "keep their answers" in note
    assert (
        json.loads(kept.read_text(encoding="utf-8")) == Vault(home).read_key() != Vault(tmp_path / "build").read_key()
    )


def make_old(build: Path) -> None:
    """As a version left it that knew no seeds of the vault: its answers and hidden photographs were those of a seed."""
    for folder in (build / "data", build / "vault" / "test"):
        stamp = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))["made_from"] | {"made_by": 1}
        del stamp["vault"]
        (folder / "prepared.json").write_text(json.dumps(stamp), encoding="utf-8")
    key = Vault(build).read_key()
    key["group-1"][0]["answers"] = "1,2,64"  # of another bank, by another order
    (build / "vault" / "key.json").write_text(json.dumps(key), encoding="utf-8")


def test_an_old_vault_keeps_its_key_and_codes_and_says_what_changes(home: Path, build: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "build")
    make_old(tmp_path / "build")
    old = Vault(tmp_path / "build").read_key()
    done = provision_in(tmp_path / "build", build)
    (note,) = done.notes
    (kept,) = (tmp_path / "build" / "vault" / "earlier-keys").iterdir()
    assert str(kept) in note and json.loads(kept.read_text(encoding="utf-8")) == old
    assert Vault(tmp_path / "build").read_key() == Vault(home).read_key()
    assert hidden(tmp_path / "build") == hidden(home)
    assert not provision_in(tmp_path / "build", build).notes  # once is enough


def divide(folder: Path, build: Path) -> tuple[PreparedData, set[str]]:
    prepared = prepare_data(DataSource(source=str(folder), stored_size=16, seed=3), build)
    return prepared, {photograph.lesion_id for photograph in read_photographs(prepared.test_folder)}


def test_which_real_photographs_are_hidden_is_the_vaults_secret(tmp_path: Path, monkeypatch) -> None:
    folder = make_real_folder(tmp_path / "real", per_class=6)
    first = divide(folder, tmp_path / "one")[1]
    shutil.copytree(tmp_path / "one" / "vault", tmp_path / "carried" / "vault")
    assert divide(folder, tmp_path / "carried")[1] == first
    monkeypatch.setattr(vault_module, "draw_master", lambda: bytes(range(32)))
    assert divide(folder, tmp_path / "two")[1] != first


def test_real_photographs_that_an_old_version_divided_stay_divided(tmp_path: Path, monkeypatch) -> None:
    """Kits that are out there were trained on the others; new ones are drawn once the old ones are removed."""
    folder = make_real_folder(tmp_path / "real", per_class=6)
    monkeypatch.setattr(Vault, "hidden_seed", lambda self: 3)  # as data.seed had it
    old = divide(folder, tmp_path / "build")[1]
    monkeypatch.undo()
    Vault(tmp_path / "build").write_key({"group-1": [{"stage": "s", "answers": "1", "rescue": "A"}]})
    make_old(tmp_path / "build")
    prepared, lesions = divide(folder, tmp_path / "build")
    assert prepared.changed and lesions == old and is_divided_publicly(prepared)
    assert not divide(folder, tmp_path / "build")[0].changed
    (folder / "more.jpg").write_bytes((folder / "HAM10000_images_part_1" / "ISIC_0.jpg").read_bytes())
    prepared, lesions = divide(folder, tmp_path / "build")
    assert prepared.changed and lesions == old and is_divided_publicly(prepared)
    shutil.rmtree(prepared.test_folder)
    prepared, lesions = divide(folder, tmp_path / "build")
    assert lesions != old and not is_divided_publicly(prepared)


def test_a_vault_without_its_secret_stops_before_anything_changes(home: Path, tmp_path: Path, build: Path) -> None:
    shutil.copytree(home, tmp_path / "build")
    (tmp_path / "build" / "vault" / "master.key").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "build").rglob("*") if path.is_file()}
    with pytest.raises(LabError, match=r"master\.key is missing"):
        provision(WORKSHOP, tmp_path / "build", no_progress)
    after = {path: path.read_bytes() for path in (tmp_path / "build").rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
