"""Wheels for tests: tiny ones in an index of files, and real ones, packed again from what this environment has."""

import hashlib
import io
import json
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from instructor.deliver.wheel_files import make_listing
from instructor.provision.kit import student_pyproject
from instructor.workshop import PROJECT
from lab_code.workshop.wheelhouse import this_platform, this_python

_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
_NOT_RUN = {"tests", "test", "include"}  # folders of what nobody imports: half of all files, a fifth of all bytes


def write_wheel(
    folder: Path, name: str, version: str = "1.0", tag: str = "py3-none-any", needs: Iterable[str] = ()
) -> Path:
    """A wheel with one module that says its version."""
    info = f"{name}-{version}.dist-info"
    head = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        *(f"Requires-Dist: {need}\n" for need in needs),
    ]
    files = {
        f"{name}.py": f"version = {version!r}\n".encode(),
        f"{info}/METADATA": "".join(head).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    return pack(folder / f"{name}-{version}-{tag}.whl", info, files)


def pack(wheel: Path, info: str, files: Mapping[str, bytes | Path]) -> Path:
    """A wheel of these files, without compression."""
    wheel.parent.mkdir(parents=True, exist_ok=True)
    record = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            mode = 0o755 if ".data/scripts/" in name else 0o644
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o100000 | mode) << 16
            archive.writestr(member, data)
            record.append(f"{name},,\n")
        archive.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return wheel


def write_index(folder: Path, files: Iterable[Path]) -> str:
    """An index as pip and uv read it, of these files; its address."""
    for path in files:
        name = canonicalize_name(path.name.split("-")[0])
        page = folder / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with page.open("a", encoding="utf-8") as file:
            file.write(f'<a href="{path.as_uri()}#sha256={digest}">{path.name}</a>\n')
    return folder.as_uri()


def write_sources(folder: Path, name: str, version: str = "1.0", tag: str = "py3-none-any") -> Path:
    """An archive of sources that builds by itself, without any other package, into a wheel of this tag."""
    info, wheel = f"{name}-{version}.dist-info", f"{name}-{version}-{tag}.whl"
    backend = f"""
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    with zipfile.ZipFile(folder + "/{wheel}", "w") as archive:
        archive.writestr("{name}.py", "version = '{version}'")
        archive.writestr("{info}/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        archive.writestr("{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        archive.writestr("{info}/RECORD", "{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
    return "{wheel}"
"""
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    project += f'[project]\nname = "{name}"\nversion = "{version}"\n'
    head = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for path, text in (("pyproject.toml", project), ("backend.py", backend), ("PKG-INFO", head)):
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return folder / f"{name}-{version}.tar.gz"


def repack(name: str, folder: Path, *, compiled: bool = False) -> Path:
    """The wheel of a package of this environment, as it was before it was installed, but for tests and headers."""
    found = distribution(name)
    info = PurePosixPath(str(next(path for path in found.files or () if path.name == "METADATA"))).parent.name
    files: dict[str, bytes | Path] = dict(_files_of(found, info.removesuffix(".dist-info")))
    if compiled:
        files |= dict(_compiled(files))
    return pack(folder / f"{info.removesuffix('.dist-info')}-{_tag_of(found)}.whl", info, files)


def _compiled(files: Mapping[str, bytes | Path]) -> Iterator[tuple[str, bytes]]:
    """What Python has compiled here already, marked as good whatever the time of its source (PEP 552)."""
    for name, path in files.items():
        if isinstance(path, Path) and path.suffix == ".py":
            there = Path(cache_from_source(str(path)))
            if there.is_file():
                content = there.read_bytes()
                place = PurePosixPath(name).parent / "__pycache__" / there.name
                yield str(place), content[:4] + (1).to_bytes(4, "little") + bytes(8) + content[16:]


def _files_of(found: Distribution, stem: str) -> Iterator[tuple[str, Path]]:
    made = {entry.name for entry in found.entry_points if entry.group in ("console_scripts", "gui_scripts")}
    for path in found.files or ():
        parts = path.parts
        if "__pycache__" in parts or _NOT_RUN & set(parts[:-1]) or path.suffix == ".pyi":
            continue
        if path.name in _LEFT_OUT and ".dist-info" in str(path):
            continue
        lies = Path(str(found.locate_file(path)))
        if not lies.is_file():
            continue
        if parts[0] != "..":
            yield str(path), lies
            continue
        place = [part for part in parts if part != ".."]
        if place[0] in ("bin", "Scripts"):
            if place[1].removesuffix(".exe") not in made and not place[1].startswith("pip"):
                yield f"{stem}.data/scripts/{place[1]}", lies
        else:
            yield f"{stem}.data/data/{'/'.join(place)}", lies


def _tag_of(found: Distribution) -> str:
    """The tags of a wheel in the form of its name: python-abi-platform, several with dots."""
    tags = [line.split(": ")[1].split("-") for line in (found.read_text("WHEEL") or "").splitlines() if "Tag: " in line]
    return "-".join(".".join(dict.fromkeys(tag[at] for tag in tags)) for at in range(3))


def needed_by(requirements: Iterable[str]) -> list[str]:
    """What these packages need, and what that needs, of what is in this environment; by name, in order."""
    waiting, known = [Requirement(line) for line in requirements], {}
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), wanted.extras or {""}
        if extras <= known.get(name, set()):
            continue
        known[name] = known.get(name, set()) | extras
        for line in distribution(name).requires or ():
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                waiting.append(need)
    return sorted(known)


def make_wheelhouse(folder: Path, *, compiled: bool = False) -> None:
    """Every package that a kit needs, really working, from what this environment has of them; `compiled`, as after a
    first start, which takes as long as everything else together."""
    document = tomllib.loads(student_pyproject(PROJECT))
    wanted = [*document["project"]["dependencies"], *document["build-system"]["requires"], "pip", "uv"]
    names = [repack(name, folder, compiled=compiled).name for name in needed_by(wanted)]
    listing = make_listing(folder, {(this_platform(), this_python()): (sorted(names), None)})
    (folder / "wheelhouse.json").write_text(json.dumps(listing), encoding="utf-8")
