"""Which files a kit's packages are for another kind of laptop: asked of uv, which looks where pip is told to look.

    packages, missing = resolve(Wish(PLATFORMS["macos-arm64"], "3.12", requirements, constraints), settings)

Nothing is downloaded but what indexes say. All packages that have no wheel for that laptop are named at once.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from uv import find_uv_bin

from instructor.fetching import Address
from lab_code.errors import LabError
from lab_code.workshop.environment import parse_pip_settings, uv_environment, uv_flags

_MOST_MISSING = 25
_NO_WHEEL = re.compile(r"([\w.-]+?)(?:[=<>!~]\S*)? ha(?:s|ve) no wheels with a matching")
_NOT_FETCHED = re.compile(r"Failed to (?:fetch|download)\S* ?`?(\S+?)`?(?:\s|$)")
_FOR_MAC = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # PyTorch needs it
_EXTRA_INDEXES = "UV_EXTRA_INDEX_URL"


@dataclass(frozen=True)
class Platform:
    """A kind of laptop: as a wheelhouse names it, as people do, and as uv does (packages, Python itself)."""

    key: str
    title: str
    target: str
    python: str


PLATFORMS = {
    platform.key: platform
    for platform in (
        Platform("linux-x86_64", "Linux x86-64", "x86_64-manylinux_2_28", "linux-x86_64-gnu"),
        Platform("linux-arm64", "Linux on Arm", "aarch64-manylinux_2_28", "linux-aarch64-gnu"),
        Platform("linux-musl-x86_64", "Linux with musl", "x86_64-unknown-linux-musl", "linux-x86_64-musl"),
        Platform("macos-arm64", "macOS arm64", "aarch64-apple-darwin", "macos-aarch64-none"),
        Platform("macos-x86_64", "Intel Mac", "x86_64-apple-darwin", "macos-x86_64-none"),
        Platform("windows-x86_64", "Windows x86-64", "x86_64-pc-windows-msvc", "windows-x86_64-none"),
        Platform("windows-arm64", "Windows on Arm", "aarch64-pc-windows-msvc", "windows-aarch64-none"),
    )
}
USUAL = {"linux": "linux-x86_64", "macos": "macos-arm64", "windows": "windows-x86_64"}  # as an inventory names them


@dataclass(frozen=True)
class Package:
    """One file of a package: its wheel, or its sources where there is no wheel for anybody (`is_source`)."""

    name: str
    version: str
    file: str
    address: Address
    size: int  # 0 where the index does not say
    is_source: bool = False


@dataclass(frozen=True)
class Wish:
    """What is wanted for whom. `constraints` is a file of pins."""

    platform: Platform
    python: str
    requirements: Sequence[str]
    constraints: Path


class _NoWheelsError(LabError):
    """Packages of which uv says that no wheel fits, those that it noticed first."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"no wheel of {', '.join(names)}")
        self.names = list(names)


def read_settings() -> dict[str, str]:
    """Where pip looks, and how."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, encoding="utf-8"
    )
    try:
        return {} if listed.returncode else parse_pip_settings(listed.stdout)
    except (ValueError, SyntaxError):
        return {}


def resolve(wish: Wish, settings: Mapping[str, str]) -> tuple[list[Package], list[str]]:
    """The files that fit, and which packages have none. Raises `LabError` where an index cannot be asked."""
    told, flags = {**uv_environment(settings), **_FOR_MAC}, uv_flags(settings)
    main_index_alone = {key: value for key, value in told.items() if key != _EXTRA_INDEXES}
    missing: list[str] = []
    while True:
        try:
            packages = _ask(wish, told, flags, missing)
            return _for_processors_alone(wish, packages, told, flags) if not missing else packages, missing
        except _NoWheelsError as error:
            if told != main_index_alone:  # uv believes the first index that has a version, though it lacks this wheel
                told = main_index_alone
                continue
            missing += error.names
            if len(missing) >= _MOST_MISSING:
                return [], missing


def _for_processors_alone(
    wish: Wish, packages: list[Package], told: Mapping[str, str], flags: Sequence[str]
) -> list[Package]:
    """The same without the two gigabytes by which PyTorch for Linux speaks to graphics cards."""
    if not any(package.name.startswith("nvidia-") for package in packages):
        return packages
    try:
        return _ask(wish, told, [*flags, "--torch-backend", "cpu"])
    except LabError as error:
        raise LabError(
            f"{wish.platform.title}: PyTorch is to be had for graphics cards only (2 GB more), and the index that has "
            f"it for processors does not answer: {error.message}",
            hint="put that wheel of torch into a folder, and name the folder to pip: PIP_FIND_LINKS=folder",
        ) from error


def _ask(wish: Wish, told: Mapping[str, str], flags: Sequence[str], left_out: Sequence[str] = ()) -> list[Package]:
    """What uv answers; it goes on without what is left out, so that one hears of everything that is missing."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = Path(folder) / "left-out.txt"
        overrides.write_text("".join(f"{name}; python_version < '0'\n" for name in left_out), encoding="utf-8")
        command = [
            find_uv_bin(), "pip", "compile", "-", "--no-config", "--quiet", "--format", "pylock.toml",
            "--generate-hashes", "--constraints", str(wish.constraints.resolve()), "--overrides", str(overrides),
            "--python-platform", wish.platform.target, "--python-version", wish.python, *flags,
        ]  # fmt: skip
        asked = subprocess.run(
            command, input="\n".join(wish.requirements), env={**os.environ, **told}, cwd=folder,
            capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
    if asked.returncode:
        raise _explain(wish, " ".join(asked.stderr.split()))
    return [_choose(entry, wish.python) for entry in tomllib.loads(asked.stdout).get("packages", [])]


def _explain(wish: Wish, said: str) -> LabError:
    """Why uv has found no answer."""
    if names := _NO_WHEEL.findall(said):
        return _NoWheelsError(list(dict.fromkeys(names)))
    if fetched := _NOT_FETCHED.search(said):
        address = Address(fetched[1], "")
        name = urlsplit(address.url).path.rstrip("/").rpartition("/")[2]
        return LabError(
            f"{wish.platform.title}: {name} could not be looked up: {address.shown} cannot be reached",
            hint="is there a network, and is the index the right one (pip config list)? then the same command again",
        )
    because = said[said.find("Because ") :] if "Because " in said else said
    return LabError(
        f"{wish.platform.title}, Python {wish.python}: these packages do not go together: {because}",
        hint="compare constraints.txt and pyproject.toml with what the index has",
    )


def _choose(entry: Mapping[str, Any], python: str) -> Package:
    """The wheel for this very Python, else one for several, else one for all; sources where there is none."""
    wheels = sorted(entry.get("wheels", []), key=lambda wheel: _rank(_file_of(wheel), python, wheel.get("size", 0)))
    found = wheels[0] if wheels else entry.get("sdist")
    if found is None:
        raise LabError(
            f"{entry['name']} is neither a wheel nor sources",
            hint="pin a version in constraints.txt that is on an index",
        )
    address = Address(found["url"], found["hashes"]["sha256"])
    size = int(found.get("size") or (address.path.stat().st_size if address.is_local else 0))
    return Package(entry["name"], entry["version"], _file_of(found), address, size, not wheels)


def _file_of(found: Mapping[str, Any]) -> str:
    return unquote(urlsplit(found["url"]).path.rpartition("/")[2])


def _rank(file: str, python: str, size: int) -> tuple[bool, bool, int, str]:
    """Where several wheels fit: compiled ones run faster, and of the same kind the smaller one does."""
    interpreter = file.split("-")[-3]
    return file.endswith("-any.whl"), interpreter != f"cp{python.replace('.', '')}", size, file
