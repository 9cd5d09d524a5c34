"""`./lab setup`, and what setup.sh, setup.command and setup.cmd end in: this kit's environment, then `lab doctor`.

    ./lab setup                          # from a folder `wheels` beside the kit or on a stick; else by the network
    ./lab setup --wheels /media/usb/wheels

With a wheelhouse nothing asks a network: `wheelhouse.py` says whether it serves this laptop, `environment.py` installs.
Where its packages are for another Python than this one, a fitting one is looked for on the laptop, then on the medium.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab_code.workshop.environment import (
    SetupError,
    Source,
    explain_failures,
    is_made,
    make_environment,
    run_quietly,
    venv_program,
)
from lab_code.workshop.wheelhouse import (
    ONLINE,
    Wheelhouse,
    find_damaged,
    find_faults,
    find_wheelhouse,
    read_wheelhouse,
    this_platform,
    this_python,
)

PYTHON = ".cache/python"  # where Python from the medium is unpacked; setup.sh and setup.cmd do the same
_SCRATCH = ".cache/setup"  # uv, and what it unpacks: on the disk of .venv, so that files are linked
_NO_INSTALLER = "uv is not among them, so pip does it (a minute or two)"


def main(argv: list[str], root: Path) -> int:
    """Exit code 0: the environment stands and `lab doctor` is content; else the reason and the fix are on stderr."""
    parser = argparse.ArgumentParser(prog="lab setup", description="Make or mend this kit's environment.")
    parser.add_argument("--wheels", type=Path, help="a wheelhouse, such as /media/usb/wheels")
    parser.add_argument("--online", action="store_true", help="from a package index, whatever wheels are at hand")
    parser.add_argument("--extras", default="", help="tensorflow, where the wheelhouse or the index has it")
    parser.add_argument("--no-doctor", action="store_true", help="do not try the laptop afterwards")
    chosen = parser.parse_args(argv)
    extras = set(filter(None, chosen.extras.split(",")))
    folder = None if chosen.online else (chosen.wheels or find_wheelhouse(root))

    def make() -> int:
        if not is_made(root, extras):
            other = _install(root, extras, folder)
            if other is not None:
                return _go_on_with(other, root, argv)
        print("the environment stands: .venv", file=sys.stderr)
        return 0 if chosen.no_doctor else _ask_doctor(root)

    return explain_failures(root, make)


def _ask_doctor(root: Path) -> int:
    return subprocess.call([venv_program(root, "python"), str(root / "lab"), "doctor"], cwd=root)


def _install(root: Path, extras: set[str], folder: Path | None) -> str | None:
    """Make the environment; returns another Python where it takes one."""
    if folder is None:
        make_environment(root, extras, run_quietly(root))
        return None
    wheelhouse, kind = read_wheelhouse(folder.resolve()), this_platform()
    served = wheelhouse.pythons(kind)
    if served and this_python() not in served and (other := _find_python(wheelhouse, kind, root)):
        return other
    print(f"packages come from {wheelhouse.folder}, no network is asked; comparing them …", file=sys.stderr)
    if faults := find_faults(wheelhouse, kind, root):
        raise SetupError("; ".join(faults), f"ask the instructor for a wheelhouse that fits; with a network: {ONLINE}")
    with unpack_uv(wheelhouse, kind, root) as source:
        make_environment(root, extras, run_quietly(root), this_python=True, source=source)
    return None


@contextmanager
def unpack_uv(wheelhouse: Wheelhouse, kind: str, root: Path) -> Iterator[Source]:
    """The wheelhouse as a source of packages, with the uv that is in it."""
    scratch = root / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    wheels = wheelhouse.part(kind, this_python())["wheels"]
    wheel = next((name for name in wheels if name.startswith("uv-")), None)
    try:
        uv = _unpack_program(wheelhouse.folder / wheel, scratch) if wheel else None
        if uv is None:
            print(f"note: {_NO_INSTALLER}", file=sys.stderr)
        yield Source(wheelhouse.folder, uv, scratch / "cache")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack_program(wheel: Path, into: Path) -> str | None:
    """The program `uv` out of its wheel; None where it does not run here."""
    name = "uv.exe" if os.name == "nt" else "uv"
    with zipfile.ZipFile(wheel) as archive:
        inside = next((each for each in archive.namelist() if each.endswith(f".data/scripts/{name}")), None)
        if inside is None:
            return None
        into.mkdir(parents=True)
        with archive.open(inside) as source, (into / name).open("wb") as target:
            shutil.copyfileobj(source, target)
    (into / name).chmod(0o755)
    with suppress(OSError, subprocess.TimeoutExpired):
        if subprocess.run([str(into / name), "--version"], capture_output=True, timeout=60).returncode == 0:
            return str(into / name)
    return None


def _find_python(wheelhouse: Wheelhouse, kind: str, root: Path) -> str | None:
    """A Python that the wheelhouse serves: one of this laptop, or the one on the medium, unpacked into the kit."""
    for version in wheelhouse.pythons(kind):
        found = next((path for path in _pythons_here(version, root) if _has_version(path, version)), None)
        if found is not None:
            return found
    for version in wheelhouse.pythons(kind):
        if build := wheelhouse.part(kind, version).get("build"):
            return _unpack_python(wheelhouse, build, root)
    return None


def _pythons_here(version: str, root: Path) -> Iterator[str]:
    unpacked = root / PYTHON / "python"
    yield from (str(unpacked / name) for name in ("bin/python3", "python.exe"))
    yield from filter(None, [shutil.which(f"python{version}")])
    with suppress(OSError):  # Windows' own way to choose one
        found = subprocess.run(["py", f"-{version}", "-c", "import sys; print(sys.executable)"], capture_output=True)
        yield from filter(None, [found.stdout.decode(errors="replace").strip()])


def _has_version(python: str, version: str) -> bool:
    try:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip() == version
    except OSError:
        return False


def _unpack_python(wheelhouse: Wheelhouse, build: str, root: Path) -> str:
    """Python itself from the medium into the kit; a half-unpacked one is made anew. Raises `SetupError`."""
    if damaged := find_damaged(wheelhouse, [build]):
        raise SetupError(damaged[0], f"copy the folder `wheels` again; with a network: {ONLINE}")
    place, half = root / PYTHON, root / f"{PYTHON}.half"
    print(f"unpacking Python from {wheelhouse.folder / build} …", file=sys.stderr)
    for folder in (half, place):
        shutil.rmtree(folder, ignore_errors=True)
    half.mkdir(parents=True)
    with tarfile.open(wheelhouse.folder / build) as archive:
        archive.extractall(half, filter="tar")
    half.rename(place)
    return next(path for path in _pythons_here("", root) if Path(path).is_file())


def _go_on_with(python: str, root: Path, argv: list[str]) -> int:
    """The same once more, by a Python that the wheels are for."""
    print(f"going on with {python}", file=sys.stderr)
    return subprocess.call([python, str(root / "lab"), "setup", *argv])
