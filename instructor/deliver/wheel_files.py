"""Wheels as files: made of sources where nobody offers one, and listed for the laptops that will install them."""

import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from instructor.deliver.resolving import PLATFORMS
from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.workshop.environment import uv_environment, uv_flags
from lab_code.workshop.wheelhouse import FORMAT

_FIRST_TIME_OF_ZIP = "315532800"  # seconds since 1970: the same sources give the same wheel
_GLIBC_OF = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}  # manylinux1, manylinux2010, manylinux2014

Parts = Mapping[tuple[str, str], tuple[Sequence[str], str | None]]  # platform, Python -> wheels, Python's own build


def build_wheel(source: Path, into: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Make a wheel for everybody of an archive of sources; its name, SHA-256 and size. Raises `LabError`."""
    with tempfile.TemporaryDirectory(dir=source.parent) as made:
        told = {**os.environ, **uv_environment(settings), "SOURCE_DATE_EPOCH": _FIRST_TIME_OF_ZIP}
        command = [
            find_uv_bin(),
            "build",
            "--wheel",
            "--no-config",
            *uv_flags(settings),
            "--out-dir",
            made,
            str(source),
        ]
        done = subprocess.run(command, env=told, capture_output=True, text=True, encoding="utf-8")
        wheels = sorted(Path(made).glob("*.whl"))
        if done.returncode or not wheels:
            raise LabError(
                f"no wheel could be made of {source.name}: {' '.join(done.stderr.split()[-40:])}",
                hint="pin a version that has a wheel, in constraints.txt",
            )
        wheel = wheels[0]
        if not wheel.name.endswith("-none-any.whl"):
            raise LabError(
                f"{source.name} has no wheel, and the one made of it here ({wheel.name}) serves only such a machine",
                hint="pin a version that has wheels, in constraints.txt",
            )
        os.replace(wheel, into / wheel.name)
    return {"file": wheel.name, "sha256": sha256_file(into / wheel.name), "size": (into / wheel.name).stat().st_size}


def make_listing(folder: Path, parts: Parts) -> dict[str, Any]:
    """What stands in `wheelhouse.json`: the kinds of laptop, and every file with size and SHA-256."""
    platforms: dict[str, dict[str, Any]] = {}
    for (key, python), (wheels, build) in parts.items():
        platform = platforms.setdefault(key, {"title": PLATFORMS[key].title, "oldest": None, "pythons": {}})
        unpacked = sum(_measure_unpacked(folder / wheel) for wheel in wheels)
        platform["pythons"][python] = {"unpacked": unpacked, "wheels": list(wheels)}
        platform["pythons"][python] |= {"build": build} if build else {}
        platform["oldest"] = find_oldest(wheels)
    files = {name for wheels, build in parts.values() for name in (*wheels, *filter(None, [build]))}
    return {
        "format": FORMAT,
        "platforms": platforms,
        "files": {name: _describe(folder / name) for name in sorted(files)},
    }


def _describe(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": sha256_file(path)}


def _measure_unpacked(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(member.file_size for member in archive.infolist())


def find_oldest(wheels: Iterable[str]) -> str | None:
    """The oldest system that takes all of these: a version of macOS or of glibc; None where any does."""
    needs = [min(versions) for wheel in wheels if (versions := list(_versions_of(wheel)))]
    return ".".join(map(str, max(needs))) if needs else None


def _versions_of(wheel: str) -> Iterable[tuple[int, ...]]:
    """The systems for which a wheel says that it is made."""
    tags = wheel.removesuffix(".whl").rpartition("-")[2]
    yield from ((int(major), int(minor)) for major, minor in re.findall(r"(?:macosx|manylinux)_(\d+)_(\d+)", tags))
    yield from (_GLIBC_OF[year] for year in re.findall(r"manylinux(1|2010|2014)_", tags))
