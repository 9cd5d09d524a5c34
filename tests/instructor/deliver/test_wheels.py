"""The wheelhouse, from an index of files with tiny wheels: uv resolves for each kind of laptop, whatever goes wrong."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from instructor.cli.app import main
from instructor.deliver import wheels
from instructor.deliver.archives import apply_archives, plan_archives
from instructor.deliver.cargo import choose_for, read_extras
from instructor.deliver.python_builds import fetch_builds, find_build
from instructor.deliver.wheel_files import find_oldest
from instructor.deliver.wheels import Order, apply_wheels, plan_wheels
from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.workshop.wheelhouse import read_wheelhouse
from tests.conftest import no_progress
from tests.instructor.deliver.conftest import tree
from tests.wheel_files import write_index, write_sources, write_wheel

LINUX, MAC, WINDOWS = "manylinux_2_28_x86_64", "macosx_14_0_arm64", "win_amd64"
ALL = Order(["linux-x86_64", "macos-arm64", "windows-x86_64"], ["3.11"])
MACS = Order(["macos-arm64"], ["3.11"])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        patch.setenv("UV_HTTP_RETRIES", "0")
        for name in ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_FIND_LINKS"):
            patch.delenv(name, raising=False)
        yield


class Place:
    """A project whose kits need alpha (compiled) and beta (for everybody), an index of files, and what is built."""

    def __init__(self, root: Path) -> None:
        self.root, self.build, self.project, self.index = root, root / "build", root / "project", root / "simple"
        self.build.mkdir()
        self.project.mkdir()
        self.settings = {"index-url": self.index.as_uri()}
        self.want("alpha", "beta")
        files = [write_wheel(root / "files", name, "90") for name in ("setuptools", "pip", "uv")]
        files += [write_wheel(root / "files", "alpha", tag=f"cp311-cp311-{tag}") for tag in (LINUX, MAC, WINDOWS)]
        self.add(*files, write_wheel(root / "files", "beta"))

    def add(self, *files: Path) -> None:
        write_index(self.index, files)

    def want(self, *needed: str, pins: str = "alpha==1.0\nbeta==1.0\n") -> None:
        listed = "".join(f'"{name}", ' for name in needed)
        text = f'[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n'
        text += '[project.optional-dependencies]\ntensorflow = ["gamma"]\n'
        (self.project / "pyproject.toml").write_text(text, encoding="utf-8")
        (self.project / "constraints.txt").write_text(pins, encoding="utf-8")

    def plan(self, order: Order = ALL) -> wheels.WheelsPlan:
        return plan_wheels(order, self.build, no_progress, self.project)

    def apply(self, order: Order = ALL) -> wheels.WheelsPlan:
        plan = self.plan(order)
        apply_wheels(plan)
        return plan

    def names(self) -> set[str]:
        return {path.relative_to(self.build / "wheels").as_posix() for path in (self.build / "wheels").rglob("*.*")}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setattr(wheels, "read_settings", lambda: made.settings)
    return made


EVERY = {"beta-1.0-py3-none-any.whl", *(f"{name}-90-py3-none-any.whl" for name in ("setuptools", "pip", "uv"))}
COMPILED = {tag: f"alpha-1.0-cp311-cp311-{tag}.whl" for tag in (LINUX, MAC, WINDOWS)}


def test_every_kind_of_laptop_finds_its_wheels_with_their_hashes(place: Place) -> None:
    place.apply()
    assert place.names() == {*EVERY, *COMPILED.values(), "wheelhouse.json"}
    house = read_wheelhouse(place.build / "wheels")
    for kind, tag in (("linux-x86_64", LINUX), ("macos-arm64", MAC), ("windows-x86_64", WINDOWS)):
        assert set(house.part(kind, "3.11")["wheels"]) == {*EVERY, COMPILED[tag]}
    assert all(sha256_file(house.folder / name) == known["sha256"] for name, known in house.files.items())


def test_a_dry_run_writes_nothing_and_a_second_run_asks_nobody(place: Place) -> None:
    plan = place.plan()
    assert len(plan.fetch) == 7 and plan.size and not (place.build / "wheels").exists()
    place.apply()
    shutil.rmtree(place.index)
    shutil.rmtree(place.root / "files")
    before = tree(place.build)
    assert not place.apply().changes and tree(place.build) == before


def test_a_wheel_of_the_usual_kind_is_preferred_to_a_slow_or_a_large_one(place: Place) -> None:
    place.add(
        write_wheel(place.root / "files", "alpha"), write_wheel(place.root / "files", "alpha", tag=f"cp39-abi3-{MAC}")
    )
    place.apply(MACS)
    assert place.names() == {*EVERY, COMPILED[MAC], "wheelhouse.json"}


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9] + b"different")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [damage, cut, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_harmed_wheel_is_noticed_and_fetched_again_alone(place: Place, harm) -> None:
    place.apply(MACS)
    good = tree(place.build / "wheels")
    harm(place.build / "wheels" / COMPILED[MAC])
    plan = place.plan(MACS)
    assert list(plan.fetch) == [COMPILED[MAC]]
    apply_wheels(plan)
    assert tree(place.build / "wheels") == good


def test_sources_without_a_wheel_anywhere_are_made_into_one(place: Place) -> None:
    place.want("alpha", "delta")
    place.add(write_sources(place.root / "files", "delta"))
    assert [package.name for package in place.plan(MACS).make.values()] == ["delta"]
    place.apply(MACS)
    assert "delta-1.0-py3-none-any.whl" in place.names() and not place.plan(MACS).changes
    damage(place.build / "wheels" / "delta-1.0-py3-none-any.whl")
    assert list(place.apply(MACS).make) == ["delta-1.0.tar.gz"] and not place.plan(MACS).changes


def no_wheel_for_mac(place: Place) -> Order:
    shutil.rmtree(place.index / "alpha")
    place.add(place.root / "files" / COMPILED[LINUX], place.root / "files" / COMPILED[WINDOWS])
    return ALL


def two_lack_wheels(place: Place) -> Order:
    place.want("alpha", "epsilon")
    place.add(write_wheel(place.root / "files", "epsilon", tag=f"cp311-cp311-{LINUX}"))
    return Order(["linux-x86_64", "macos-x86_64", "windows-arm64"], ["3.11"])


def sources_where_others_have_wheels(place: Place) -> Order:
    no_wheel_for_mac(place)
    place.add(write_sources(place.root / "files", "alpha"))
    return MACS


def another_python(place: Place) -> Order:
    return Order(["linux-x86_64"], ["3.14"])


def no_room(place: Place) -> Order:
    wheels.shutil = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=1000), rmtree=shutil.rmtree)
    return ALL


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (no_wheel_for_mac, ["macOS arm64 with Python 3.11: no wheel of alpha"]),
        (
            two_lack_wheels,
            ["Intel Mac with Python 3.11: no wheel of alpha, epsilon", "Windows on Arm with Python 3.11"],
        ),
        (sources_where_others_have_wheels, ["macOS arm64 with Python 3.11: no wheel of alpha"]),
        (another_python, ["Linux x86-64 with Python 3.14: no wheel of alpha"]),
        (no_room, ["200.0 MB are needed, 1.0 kB are free"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_in_the_way_is_said_by_name_before_anything_is_written(
    place: Place, harm, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "shutil", shutil)  # put back whatever `harm` has put in its place
    plan = place.plan(harm(place))
    with pytest.raises(LabError) as error:
        apply_wheels(plan)
    assert all(line in str(error.value) for line in said) and not list(place.build.iterdir())


def index_off(place: Place) -> None:
    place.settings["index-url"] = "http://127.0.0.1:9/simple"


def not_on_the_index(place: Place) -> None:
    place.want("alpha", "zeta")


def versions_that_quarrel(place: Place) -> None:
    place.add(write_wheel(place.root / "files", "eta", needs=["beta<1"]))
    place.want("beta", "eta")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (index_off, "could not be looked up: http://127.0.0.1:9/simple"),
        (not_on_the_index, "zeta was not found"),
        (versions_that_quarrel, "eta"),
    ],
)
def test_an_index_that_cannot_answer_is_named_with_the_package(place: Place, harm, said: str) -> None:
    harm(place)
    with pytest.raises(LabError, match=said) as error:
        place.plan()
    assert error.value.hint and not list(place.build.iterdir())


def test_what_was_interrupted_goes_on_with_what_is_missing(place: Place) -> None:
    plan = place.plan()
    beta = place.root / "files" / "beta-1.0-py3-none-any.whl"
    hidden = beta.rename(place.root / "hidden.whl")
    with pytest.raises(LabError, match=r"beta 1\.0 could not be fetched: .* of 7 files are still to come"):
        apply_wheels(plan)
    assert not (place.build / "wheels" / "wheelhouse.json").exists()
    hidden.rename(beta)
    shutil.rmtree(place.index)  # what is wanted is known already
    assert beta.name in place.apply().fetch and not place.plan().changes


def test_other_pins_take_the_place_of_earlier_ones(place: Place) -> None:
    place.apply(MACS)
    place.add(write_wheel(place.root / "files", "beta", "2.0"))
    place.want("alpha", "beta", pins="alpha==1.0\nbeta==2.0\n")
    plan = place.apply(MACS)
    assert list(plan.fetch) == ["beta-2.0-py3-none-any.whl"] and plan.obsolete == ["beta-1.0-py3-none-any.whl"]
    assert not place.plan(MACS).changes and "beta-1.0-py3-none-any.whl" not in place.names()


def test_extras_come_where_they_are_asked_for(place: Place) -> None:
    place.add(write_wheel(place.root / "files", "gamma"))
    place.apply(Order(["linux-x86_64"], ["3.11"], ["tensorflow"]))
    assert "gamma-1.0-py3-none-any.whl" in place.names()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--platform", "amiga"], "there is no platform 'amiga'"),
        (["--for-python", "3.9"], "the kits do not run on Python '3.9'"),
        (["--for-python", "new"], "the kits do not run on Python 'new'"),
        (["--extra", "keras"], "a kit has no extra 'keras'"),
    ],
)
def test_a_word_that_means_nothing_is_named(tmp_path: Path, argv: list[str], said: str, capsys) -> None:
    assert main(["wheels", "--dry-run", "--build", str(tmp_path / "b"), *argv]) == 1
    assert said in capsys.readouterr().err


def test_the_command_shows_sizes_and_what_there_is_to_do(place: Place, monkeypatch, capsys) -> None:
    monkeypatch.setattr(wheels, "PROJECT", place.project)
    monkeypatch.setattr(wheels.plan_wheels, "__defaults__", (place.project,))
    argv = ["wheels", "--build", str(place.build), "--platform", "linux", "--platform", "macos", "--for-python", "3.11"]
    assert main([*argv, "--dry-run"]) == 0
    assert "macOS arm64" in (said := capsys.readouterr().out) and "to fetch" in said
    assert not (place.build / "wheels").exists()
    assert main(argv) == 0 and main([*argv, "--dry-run", "--json"]) == 0
    said = capsys.readouterr().out
    assert json.loads(said[said.rindex("\n{") :])["fetch"] == 0


def test_a_medium_carries_what_is_listed_and_a_laptop_gets_its_own(place: Place) -> None:
    place.apply()
    (place.build / "wheels" / "notes.txt").write_text("mine", encoding="utf-8")
    (extra,) = read_extras(place.build)
    assert set(extra.files) == {*EVERY, *COMPILED.values(), "wheelhouse.json"}
    assert set(choose_for(extra, "macos").files) == {*EVERY, COMPILED[MAC], "wheelhouse.json"}
    damage(place.build / "wheels" / COMPILED[MAC])
    (place.build / "wheels" / COMPILED[LINUX]).unlink()
    with pytest.raises(LabError) as error:
        read_extras(place.build)
    assert f"{COMPILED[MAC]} is damaged" in str(error.value) and f"{COMPILED[LINUX]} is missing" in str(error.value)


def test_one_wheelhouse_lies_beside_the_archives(place: Place) -> None:
    place.apply()
    apply_archives(plan_archives(read_extras(place.build), place.build / "archives"))
    assert (place.build / "archives" / "wheels.zip").is_file()
    assert plan_archives(read_extras(place.build), place.build / "archives").current == ["wheels.zip"]


@pytest.mark.parametrize(
    ("files", "oldest"),
    [
        ([COMPILED[LINUX], "a-1-py3-none-any.whl"], "2.28"),
        (
            ["a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", "b-1-cp311-abi3-manylinux1_x86_64.whl"],
            "2.17",
        ),
        (["a-1-cp311-cp311-macosx_10_9_universal2.whl", COMPILED[MAC]], "14.0"),
        ([COMPILED[WINDOWS]], None),
    ],
)
def test_the_oldest_system_that_will_do_follows_from_the_wheels(files: list[str], oldest: str | None) -> None:
    assert find_oldest(files) == oldest


def test_python_itself_comes_as_uv_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv finds and compares; the archive here is a small one of ours, since the real ones need a network."""
    (tmp_path / "python" / "bin").mkdir(parents=True)
    (tmp_path / "python" / "bin" / "python3.12").touch()
    settings = tmp_path / "python" / "lib" / "python3.12" / "_sysconfigdata__darwin_darwin.py"
    settings.parent.mkdir(parents=True)
    settings.write_text("# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n")
    archive = shutil.make_archive(str(tmp_path / "python-9"), "gztar", tmp_path, "python")
    url, entry = Path(archive).as_uri(), {"name": "cpython", "arch": {"family": "aarch64", "variant": None}}
    entry |= {"os": "darwin", "libc": "none", "major": 3, "minor": 12, "patch": 1, "prerelease": "", "variant": None}
    entry |= {"url": url, "sha256": sha256_file(Path(archive)), "build": "20250101"}
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(tmp_path / "downloads.json"))
    (tmp_path / "downloads.json").write_text(json.dumps({"cpython-3.12.1-darwin-aarch64-none": entry}))
    build = find_build("macos-arm64", "3.12")
    assert build.file == "python/python-9.tar.gz"
    with pytest.raises(LabError, match=r"no Python 3\.12 for Windows x86-64"):
        find_build("windows-x86_64", "3.12")
    fetch_builds([build], tmp_path)
    assert sha256_file(tmp_path / build.file) == entry["sha256"]
    (tmp_path / "downloads.json").write_text(
        json.dumps({"cpython-3.12.1-darwin-aarch64-none": entry | {"sha256": "0" * 64}})
    )
    with pytest.raises(LabError, match="could not be fetched"):
        fetch_builds([build], tmp_path)
