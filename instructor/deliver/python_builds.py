"""Python itself for the medium: uv's managed builds, for laptops that have none, or one that no wheel is for.

uv knows where they are, and compares what comes with its own checksums, also for systems that this machine is not.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from uv import find_uv_bin

from instructor.deliver.resolving import PLATFORMS
from lab_code.errors import LabError

SUBFOLDER = "python"  # of a wheelhouse
USUAL_SIZE = 35_000_000  # bytes of one build, about; uv does not say before it comes
_CACHE = "UV_PYTHON_CACHE_DIR"


@dataclass(frozen=True)
class Build:
    """One version of Python for one kind of laptop: uv's name for it, and the file that it comes as."""

    key: str
    file: str


def find_build(platform: str, python: str) -> Build:
    """The newest build of 3.12, say, for a kind of laptop. Raises `LabError` where uv knows none."""
    command = [
        find_uv_bin(), "python", "list", python, "--no-config", "--all-platforms", "--all-arches",
        "--only-downloads", "--output-format", "json",
    ]  # fmt: skip
    listed = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    entries = json.loads(listed.stdout or "[]") if listed.returncode == 0 else []
    fitting = [entry for entry in entries if _fits(entry, PLATFORMS[platform].python)]
    if not fitting:
        raise LabError(
            f"uv knows no Python {python} for {PLATFORMS[platform].title}", hint="another --for-python, or no --python"
        )
    newest = max(fitting, key=lambda entry: int(entry["version_parts"]["patch"]))
    return Build(newest["key"], f"{SUBFOLDER}/{unquote(urlsplit(newest['url']).path.rpartition('/')[2])}")


def _fits(entry: dict[str, Any], system: str) -> bool:
    return entry["implementation"] == "cpython" and entry["key"] == f"cpython-{entry['version']}-{system}"


def fetch_builds(builds: Iterable[Build], folder: Path) -> None:
    """Bring builds into a wheelhouse. Raises `LabError` for one that cannot be had."""
    for build in builds:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _fetch(build, folder / build.file, Path(scratch))


def _fetch(build: Build, target: Path, scratch: Path) -> None:
    """uv installs it, which nobody needs here, and keeps the archive that it has compared."""
    command = [find_uv_bin(), "python", "install", build.key, "--no-config", "--no-bin", "--install-dir"]
    done = subprocess.run(
        [*command, str(scratch / "installed")], env={**os.environ, _CACHE: str(scratch / "archives")},
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    archives = sorted((scratch / "archives").glob("*.tar.*"))
    if done.returncode or not archives:
        raise LabError(
            f"{build.key} could not be fetched: {' '.join(done.stderr.split()[-40:])}",
            hint="is there a network? else go on without --python: laptops then need a Python of their own",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(archives[0], target)
