"""A laptop without a network: what its wheelhouse lacks is said by name, and what it has becomes an environment."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from instructor.deliver.wheel_files import make_listing
from instructor.deliver.wheels import PLATFORMS
from instructor.workshop import PROJECT
from lab_code.workshop import install, wheelhouse
from lab_code.workshop.environment import SetupError, is_made, venv_program
from lab_code.workshop.wheelhouse import find_faults, find_wheelhouse, read_wheelhouse, this_platform, this_python
from tests.conftest import make_once
from tests.wheel_files import repack, write_wheel

pytestmark = [
    pytest.mark.skipif(this_platform() not in PLATFORMS, reason="no wheelhouse is for this kind of machine"),
    pytest.mark.skipif(os.name == "nt", reason="stand-ins for a laptop's programs are shell scripts"),
]
KIT_FILES, HERE = PROJECT / "instructor" / "provision" / "kit_files", this_platform()
PYTHON_FILE = "cpython-3.99.0+1-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
ENVIRONMENT = ("environment.py", "install.py", "wheelhouse.py", "__init__.py")


def write_listing(folder: Path, build: str | None = None, python: str = "") -> None:
    names = sorted(path.name for path in folder.glob("*.whl"))
    listing = make_listing(folder, {(HERE, python or this_python()): (names, build)})
    (folder / "wheelhouse.json").write_text(json.dumps(listing), encoding="utf-8")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheelhouse with a tiny package, and the real uv, pip and setuptools; tests link to it."""

    def make(folder: Path) -> None:
        for name in ("uv", "pip", "setuptools"):
            repack(name, folder)
        write_wheel(folder, "alpha")
        write_listing(folder)

    return make_once(tmp_path_factory, "tiny-wheels", make)


@pytest.fixture
def root(tmp_path: Path, wheels: Path) -> Path:
    """The installer's part of a kit on a stick, in a folder that is called as people call theirs; wheels beside it."""
    kit = tmp_path / "Für Übung 1" / "group-1"
    for name in ("lab", "setup.sh", "no-python.html"):
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(KIT_FILES / name, kit / name)
    for name in ("lab_code/__init__.py", *(f"lab_code/workshop/{name}" for name in ENVIRONMENT)):
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, kit / name)
    pyproject = (KIT_FILES / "pyproject.template").read_text(encoding="utf-8")
    for key, value in {"version": "0.1", "python": ">=3.11", "dependencies": '"alpha",\n', "extras": ""}.items():
        pyproject = pyproject.replace(f"${key}", value)
    (kit / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    (kit / "constraints.txt").write_text("# pins\nalpha==1.0\n", encoding="utf-8")
    shutil.copytree(wheels, kit.parent / "wheels", copy_function=os.link)
    return kit


def change(path: Path, content: bytes) -> None:
    """Another content for what is a link to the file of all tests."""
    path.unlink()
    path.write_bytes(content)


def edit(root: Path, **changes: object) -> None:
    """Another word in the listing about this kind of laptop."""
    path = root.parent / "wheels" / "wheelhouse.json"
    listing = json.loads(path.read_text(encoding="utf-8"))
    listing["platforms"][HERE] |= changes
    change(path, json.dumps(listing).encode())


ALPHA = "alpha-1.0-py3-none-any.whl"
HARM: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a wheel is missing": (lambda root, wheels: (wheels / ALPHA).unlink(), f"{ALPHA} is missing"),
    "a wheel is cut off": (lambda root, wheels: change(wheels / ALPHA, b"PK"), f"{ALPHA} is damaged"),
    "a wheel has another byte": (
        lambda root, wheels: change(wheels / ALPHA, (wheels / ALPHA).read_bytes()[:-1] + b"!"),
        f"{ALPHA} is damaged",
    ),
    "other pins": (
        lambda root, wheels: (root / "constraints.txt").write_text("alpha==2.0\n"),
        "made for another kit: it has alpha 1.0 instead of 2.0",
    ),
    "a package more": (
        lambda root, wheels: (root / "pyproject.toml").write_text('[project]\ndependencies = ["alpha", "beta>=1"]\n'),
        "made for another kit: it has no beta",
    ),
    "an older system": (lambda root, wheels: edit(root, oldest="999.0"), "this system is too old"),
    "no space": (
        lambda root, wheels: edit(root, pythons={this_python(): {"unpacked": 10**18, "wheels": [ALPHA]}}),
        "1000000000.0 GB are needed",
    ),
    "another Python": (lambda root, wheels: edit(root, pythons={"3.99": {}}), "serves Python 3.99"),
    "another kind of laptop": (
        lambda root, wheels: change(
            wheels / "wheelhouse.json",
            b'{"format": 1, "files": {}, "platforms": {"amiga": {"title": "Amiga", "pythons": {}}}}',
        ),
        f"serves Amiga, and this laptop's Python is made for {HERE}",
    ),
}


@pytest.mark.parametrize("case", HARM)
def test_what_a_wheelhouse_lacks_is_said_before_anything_is_made(root: Path, case: str, capsys) -> None:
    harm, said = HARM[case]
    harm(root, root.parent / "wheels")
    assert install.main(["--no-doctor"], root) == 1
    error = capsys.readouterr().err
    assert said in error and "hint: " in error and not (root / ".venv").exists()


def test_everything_that_is_wrong_is_said_at_once(root: Path) -> None:
    (root / "constraints.txt").write_text("alpha==2.0\n", encoding="utf-8")
    edit(root, oldest="999.0")
    faults = find_faults(read_wheelhouse(root.parent / "wheels"), HERE, root)
    assert len(faults) == 2


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (None, "is no wheelhouse: it has no wheelhouse.json"),
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format": 1}', "cannot be read"),
        (b'{"format": 2, "files": {}, "platforms": {}}', "of a newer kind"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_listing_that_is_none_is_named(tmp_path: Path, listing: bytes | None, said: str) -> None:
    if listing is not None:
        (tmp_path / "wheelhouse.json").write_bytes(listing)
    with pytest.raises(SetupError, match=said):
        read_wheelhouse(tmp_path)


@pytest.mark.parametrize("place", ["kit/wheels", "wheels", "../wheels"])
def test_a_wheelhouse_is_found_in_the_kit_beside_it_and_above(tmp_path: Path, place: str, monkeypatch) -> None:
    monkeypatch.setattr(wheelhouse, "_MEDIA", ())
    root = tmp_path / "kits" / "kit"
    root.mkdir(parents=True)
    assert find_wheelhouse(root) is None
    folder = (root.parent / place).resolve()
    folder.mkdir()
    (folder / "wheelhouse.json").touch()
    assert find_wheelhouse(root) == folder


@pytest.mark.parametrize("place", ["wheels", "For class/wheels"])
def test_a_wheelhouse_is_found_on_a_stick(tmp_path: Path, place: str, monkeypatch) -> None:
    monkeypatch.setattr(wheelhouse, "_MEDIA", (f"{tmp_path}/media/*/*",))
    folder = tmp_path / "media" / "me" / "STICK" / place
    folder.mkdir(parents=True)
    (folder / "wheelhouse.json").touch()
    assert find_wheelhouse(tmp_path / "home" / "kits" / "group-1") == folder


@pytest.mark.parametrize(
    ("system", "machine", "soabi", "named"),
    [
        ("Linux", "x86_64", "cpython-311-x86_64-linux-gnu", "linux-x86_64"),
        ("Linux", "aarch64", "cpython-311-aarch64-linux-gnu", "linux-arm64"),
        ("Linux", "x86_64", "cpython-311-x86_64-linux-musl", "linux-musl-x86_64"),
        ("Darwin", "arm64", "cpython-311-darwin", "macos-arm64"),
        ("Darwin", "x86_64", "cpython-311-darwin", "macos-x86_64"),
        ("Windows", "win-amd64", None, "windows-x86_64"),
        ("Windows", "win-arm64", None, "windows-arm64"),
        ("FreeBSD", "amd64", None, "FreeBSD-x86_64"),
    ],
)
def test_laptops_are_called_as_wheelhouses_call_them(
    system: str, machine: str, soabi: str | None, named: str, monkeypatch
) -> None:
    monkeypatch.setattr(wheelhouse, "platform", SimpleNamespace(system=lambda: system, machine=lambda: machine))
    stand_in = SimpleNamespace(get_platform=lambda: machine, get_config_var=lambda name: soabi)
    monkeypatch.setattr(wheelhouse, "sysconfig", stand_in)
    assert this_platform() == named


def offline(**more: str) -> dict[str, str]:
    """The variables of a laptop on which every index and every proxy leads nowhere."""
    nowhere = "http://127.0.0.1:9"
    names = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return {**kept, **dict.fromkeys(names, nowhere), **more}


def set_up(root: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    python = getattr(sys, "_base_executable", sys.executable)
    return subprocess.run(
        [python, str(root / "lab"), "setup", "--no-doctor", *argv], cwd=root.parent, env=offline(**more),
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


def says_version(root: Path) -> str:
    command = [venv_program(root, "python"), "-c", "import alpha, lab_code; print(alpha.version, lab_code.__file__)"]
    return subprocess.run(command, capture_output=True, text=True, cwd="/").stdout


def leave_half(root: Path) -> None:
    """What an installation leaves that was killed."""
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "pyvenv.cfg").touch()
    (root / ".cache" / "setup" / "cache").mkdir(parents=True)
    (root / ".cache" / "setup" / "uv").write_bytes(b"half")


def test_uv_of_the_wheelhouse_mends_what_was_half_made_and_again_nothing_happens(root: Path) -> None:
    leave_half(root)
    before = sorted(path.stat().st_mtime_ns for path in (root.parent / "wheels").iterdir())
    done = set_up(root)
    assert done.returncode == 0, done.stderr
    assert says_version(root) == f"1.0 {root / 'lab_code' / '__init__.py'}\n"
    assert is_made(root, set()) and not list((root / ".cache").iterdir())
    assert sorted(path.stat().st_mtime_ns for path in (root.parent / "wheels").iterdir()) == before
    stamp = (root / ".venv" / "made.json").stat().st_mtime_ns
    shutil.rmtree(root.parent / "wheels")  # the stick may be gone by then
    assert set_up(root).returncode == 0 and (root / ".venv" / "made.json").stat().st_mtime_ns == stamp


def test_where_uv_does_not_run_pip_makes_the_environment(root: Path) -> None:
    folder = root.parent / "wheels"
    next(folder.glob("uv-*.whl")).unlink()
    write_wheel(folder, "uv", "9")
    (folder / "wheelhouse.json").unlink()
    write_listing(folder)
    done = set_up(root)
    assert done.returncode == 0, done.stderr
    assert says_version(root).startswith("1.0 ") and "pip does it" in done.stderr


def bare_programs(folder: Path) -> Path:
    """A PATH with the programs of any system, and no Python."""
    folder.mkdir()
    for name in ("sh", "uname", "dirname", "tar", "gzip", "mkdir", "mv", "rm"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python as it lies on a medium: this machine's own in an archive, without what nobody needs here."""
    return make_once(tmp_path_factory, "python", lambda folder: make_python(folder / PYTHON_FILE)) / PYTHON_FILE


def make_python(archive: Path) -> None:
    base = Path(sys.base_prefix)
    library = f"lib/python{this_python()}"
    left_out = {"test", "site-packages", "idlelib", "tkinter", "__pycache__", "turtledemo", "pydoc_data", "lib2to3"}

    def choose(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = set(member.name.split("/"))
        return None if parts & left_out or any(part.startswith("config-") for part in parts) else member

    with tarfile.open(archive, "w:gz", compresslevel=0) as file:
        file.add(os.path.realpath(sys.executable), "python/bin/python3")
        file.add(base / library, f"python/{library}", filter=choose)
        for shared in base.glob("lib/libpython3*"):
            file.add(shared, f"python/lib/{shared.name}")


@pytest.mark.skipif(HERE != "linux-x86_64", reason="the archive here is called as one for Linux x86-64")
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut off"])
def test_a_laptop_without_python_gets_the_one_of_the_medium(
    root: Path, cut: bool, python: Path, tmp_path: Path
) -> None:
    archive = root.parent / "wheels" / "python" / PYTHON_FILE
    archive.parent.mkdir()
    archive.write_bytes(python.read_bytes()[: 100_000 if cut else None])
    command = [shutil.which("sh") or "sh", str(root / "setup.sh"), "--no-doctor"]
    done = subprocess.run(
        command, env={"PATH": str(bare_programs(tmp_path / "bin"))}, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == int(cut), done.stderr
    if cut:
        assert "could not be unpacked" in done.stderr and not (root / ".cache" / "python").exists()
    else:
        assert says_version(root).startswith("1.0 ") and "source .venv/bin/activate" in done.stderr


def test_a_laptop_without_python_and_without_one_on_the_medium_is_shown_a_page(root: Path, tmp_path: Path) -> None:
    old = bare_programs(tmp_path / "bin") / "python3"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")  # as one does that is too old
    old.chmod(0o755)
    command = [shutil.which("sh") or "sh", str(root / "setup.sh")]
    done = subprocess.run(command, env={"PATH": str(old.parent)}, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1 and str(root / "no-python.html") in done.stderr and not (root / ".venv").exists()


@pytest.mark.parametrize("harmed", [False, True])
def test_a_python_that_no_wheel_is_for_hands_over_to_the_one_of_the_medium(
    root: Path, python: Path, harmed: bool, monkeypatch, capsys
) -> None:
    wheels = root.parent / "wheels"
    (wheels / "python").mkdir()
    os.link(python, wheels / "python" / PYTHON_FILE)
    (wheels / "wheelhouse.json").unlink()
    write_listing(wheels, f"python/{PYTHON_FILE}")
    if harmed:
        change(wheels / "python" / PYTHON_FILE, b"half")
    unpacked = root / install.PYTHON / "python" / "bin" / "python3"
    monkeypatch.setattr(install, "this_python", lambda: "3.99")
    monkeypatch.setattr(install, "_pythons_here", lambda version, root: iter([str(unpacked)]))
    monkeypatch.setattr(install, "_go_on_with", lambda python, root, argv: 0 if python == str(unpacked) else 2)
    assert install.main(["--no-doctor"], root) == int(harmed)
    assert install._has_version(str(unpacked), this_python()) != harmed
    assert (f"{PYTHON_FILE} is damaged" in capsys.readouterr().err) == harmed
