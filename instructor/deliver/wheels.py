"""The wheelhouse: a folder with every package of the kits, for the kinds of laptop that are expected.

    plan = plan_wheels(order, build)         # asks indexes what there is, and fetches nothing
    apply_wheels(plan, tell)                 # fetches what is not there yet, and writes the listing

`build/wheels/` travels with the kits; `lab_code/workshop/wheelhouse.py` reads it. Where each file came from stands
beside it, in `build/wheels.json`: a second run asks nobody, compares, and fetches again what was damaged.
"""

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from instructor.deliver.cargo import refuse
from instructor.deliver.plan import show_bytes
from instructor.deliver.python_builds import USUAL_SIZE, Build, fetch_builds, find_build
from instructor.deliver.resolving import PLATFORMS, Package, Wish, read_settings, resolve
from instructor.deliver.wheel_files import build_wheel, make_listing
from instructor.fetching import Address, Fetcher, logins_in
from instructor.provision.kit import student_pyproject
from instructor.workshop import PROJECT
from lab_code.errors import LabError
from lab_code.files import canonical_json, sha256_file, to_json, write_whole
from lab_code.workshop.wheelhouse import FOLDER, LISTING

RECIPE, PARTS = "wheels.json", ".wheels-parts"
_INSTALLERS = ("pip", "uv")
_AT_ONCE = 4
_REFERENCE = "linux-x86_64"  # what has a wheel for nobody has none for these
_SPARE = 200_000_000  # bytes that stay free
_OTHER_WAY = "see whether the index is the right one (pip config list), and its login"
_OTHER_FOLDER = "choose another folder with --build"
_LEAVE_OUT = "leave such laptops out (--platform, --for-python): they need others in their place, or a network"


@dataclass(frozen=True)
class Order:
    """For which laptops, with which Pythons, with which extras of a kit, and whether Python itself comes along."""

    platforms: Sequence[str]
    pythons: Sequence[str]
    extras: Sequence[str] = ()
    bring_python: bool = False

    def requirements(self, project: Path) -> list[str]:
        """What a kit needs, what its installation needs, and the programs that install."""
        document = tomllib.loads(student_pyproject(project))
        wanted = document["project"]["optional-dependencies"]
        unknown = [extra for extra in self.extras if extra not in wanted]
        refuse([f"a kit has no extra '{extra}'" for extra in unknown], f"extras: {', '.join(wanted)}")
        extra_ones = [line for extra in self.extras for line in wanted[extra]]
        return [*document["project"]["dependencies"], *extra_ones, *document["build-system"]["requires"], *_INSTALLERS]


@dataclass
class Part:
    """What laptops of one kind need with one Python."""

    platform: str
    python: str
    packages: list[Package]
    build: Build | None = None

    @property
    def title(self) -> str:
        return PLATFORMS[self.platform].title


@dataclass
class WheelsPlan:
    """What is wanted, and what that takes. `made`: wheels made here, by the SHA-256 of their sources."""

    folder: Path
    described: str
    settings: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    fetch: dict[str, Package] = field(default_factory=dict)
    make: dict[str, Package] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    obsolete: list[str] = field(default_factory=list)
    listed: bool = False  # the listing is of these very files
    free: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        return bool(self.fetch or self.make or self.builds or self.obsolete or not self.listed)

    @property
    def size(self) -> int:
        """Bytes that will be fetched, as far as anybody says before."""
        return sum(package.size for package in (*self.fetch.values(), *self.make.values())) + USUAL_SIZE * len(
            self.builds
        )


Progress = Callable[[str, int], Callable[[], object]]


def plan_wheels(order: Order, build: Path, progress: Progress, project: Path = PROJECT) -> WheelsPlan:
    """What there is, what would be fetched, and what is in the way. Raises `LabError` where no index answers."""
    requirements, constraints = order.requirements(project), project / "constraints.txt"
    inputs = [1, requirements, constraints.read_text(encoding="utf-8"), asdict(order)]
    plan = WheelsPlan(build / FOLDER, hashlib.sha256(canonical_json(inputs)).hexdigest(), read_settings())
    recipe = _read_recipe(build)
    plan.made = recipe.get("made", {})
    if recipe.get("described") == plan.described:
        plan.parts = [_part_from_json(part) for part in recipe["parts"]]
    else:
        wishes = [
            Wish(PLATFORMS[platform], python, requirements, constraints)
            for platform in order.platforms
            for python in order.pythons
        ]
        _look_up(plan, wishes, progress("kinds of laptop", len(wishes)))
        _find_builds(plan, order)
    _compare(plan)
    plan.free = shutil.disk_usage(build).free
    if plan.size + _SPARE > plan.free:
        plan.faults.append(
            f"{plan.folder}: {show_bytes(plan.size + _SPARE)} are needed, {show_bytes(plan.free)} are free"
        )
    return plan


def _look_up(plan: WheelsPlan, wishes: Sequence[Wish], advance: Callable[[], object]) -> None:
    """Ask for every kind of laptop; sources are good enough only for what has no wheel anywhere."""
    lacking: dict[str, list[str]] = {}
    for wish in wishes:
        packages, missing = resolve(wish, plan.settings)
        plan.parts.append(Part(wish.platform.key, wish.python, packages))
        lacking[f"{wish.platform.title} with Python {wish.python}"] = missing
        advance()
    sources = {package.name for part in plan.parts for package in part.packages if package.is_source}
    compiled = {package.name for part in plan.parts for package in part.packages if not package.is_source}
    if sources - compiled and all(wish.platform.key != _REFERENCE for wish in wishes):
        reference = replace(wishes[0], platform=PLATFORMS[_REFERENCE])
        compiled |= {package.name for package in resolve(reference, plan.settings)[0] if not package.is_source}
    for part, (where, missing) in zip(plan.parts, lacking.items(), strict=True):
        missing += [package.name for package in part.packages if package.is_source and package.name in compiled]
        if missing:
            plan.faults.append(f"{where}: no wheel of {', '.join(missing)}")


def _find_builds(plan: WheelsPlan, order: Order) -> None:
    for part in plan.parts if order.bring_python else []:
        try:
            part.build = find_build(part.platform, part.python)
        except LabError as error:
            plan.faults.append(error.message)


def _compare(plan: WheelsPlan) -> None:
    """What of all that is here, and whole; what has to come; and what nobody needs any more."""
    wanted = {package.file: package for part in plan.parts for package in part.packages}
    builds = {part.build.file: part.build for part in plan.parts if part.build}
    listing = _read_listing(plan.folder)
    known = {file: package.address.sha256 for file, package in wanted.items() if not package.is_source}
    known |= {made["file"]: made["sha256"] for made in plan.made.values()}
    known |= {file: entry["sha256"] for file, entry in listing.get("files", {}).items() if file in builds}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        whole = dict(zip(known, pool.map(lambda file: _is_whole(plan.folder / file, known[file]), known), strict=True))
    for file, package in wanted.items():
        here = plan.made.get(package.address.sha256, {}).get("file", file) if package.is_source else file
        if not whole.get(here):
            (plan.make if package.is_source else plan.fetch)[file] = package
    plan.builds = {file: build for file, build in builds.items() if not whole.get(file)}
    plan.damaged = [file for file, right in whole.items() if not right and (plan.folder / file).exists()]
    needed = {*known, *builds}
    plan.obsolete = sorted(file for file in listing.get("files", {}) if file not in needed)
    plan.listed = listing.get("described") == plan.described


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256


def apply_wheels(plan: WheelsPlan, tell: Callable[[int], object] = lambda count: None) -> None:
    """Fetch and make what is missing, then write the listing. What has come stays for the next try.

    `tell` hears how many bytes have come. Raises `LabError` for the plan's faults and for the first file that fails.
    """
    refuse(plan.faults, _LEAVE_OUT)
    if not plan.changes:
        return
    build = plan.folder.parent
    plan.folder.mkdir(parents=True, exist_ok=True)
    for file in plan.damaged:
        (plan.folder / file).unlink()
    _write_recipe(plan)
    logins = logins_in(" ".join(plan.settings.get(key, "") for key in ("index-url", "extra-index-url")).split())
    fetcher = Fetcher(
        build / PARTS, lambda name, size: tell, logins, plan.settings.get("cert"),
        other_way=_OTHER_WAY, other_folder=_OTHER_FOLDER,
    )  # fmt: skip
    for file, package in plan.make.items():  # first: these can turn out not to serve everybody
        fetcher.fetch(package.address, build / PARTS / file)
        plan.made[package.address.sha256] = build_wheel(build / PARTS / file, plan.folder, plan.settings)
        _write_recipe(plan)
    _fetch_all(plan, fetcher)
    fetch_builds(plan.builds.values(), plan.folder)
    write_whole(plan.folder / LISTING, to_json(_list(plan)))
    for file in plan.obsolete:
        (plan.folder / file).unlink(missing_ok=True)
    shutil.rmtree(build / PARTS, ignore_errors=True)


def _fetch_all(plan: WheelsPlan, fetcher: Fetcher) -> None:
    """Several at a time; the first that fails ends it, since a network that is gone is gone for all."""

    def fetch(package: Package) -> None:
        try:
            fetcher.fetch(package.address, plan.folder / package.file)
        except LabError as error:
            left = sum(not (plan.folder / file).is_file() for file in plan.fetch)
            raise LabError(
                f"{package.name} {package.version} could not be fetched: {error.message}; {left} of {len(plan.fetch)} "
                "files are still to come", hint=error.hint,
            ) from error  # fmt: skip

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(fetch, package) for package in plan.fetch.values()]
        try:
            for job in jobs:
                job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _list(plan: WheelsPlan) -> dict[str, Any]:
    """The listing: for each kind of laptop and each Python the names of files, and of every file its SHA-256."""
    parts: dict[tuple[str, str], tuple[list[str], str | None]] = {}
    for part in plan.parts:
        files = [
            plan.made[package.address.sha256]["file"] if package.is_source else package.file
            for package in part.packages
        ]
        parts[part.platform, part.python] = sorted(files), part.build.file if part.build else None
    return {**make_listing(plan.folder, parts), "described": plan.described}


def _read_listing(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / LISTING).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write_recipe(plan: WheelsPlan) -> None:
    recipe = {"described": plan.described, "parts": [asdict(part) for part in plan.parts], "made": plan.made}
    write_whole(plan.folder.parent / RECIPE, to_json(recipe), mode=0o600)  # addresses may hold a login


def _read_recipe(build: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((build / RECIPE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _part_from_json(part: Mapping[str, Any]) -> Part:
    packages = [Package(**{**package, "address": Address(**package["address"])}) for package in part["packages"]]
    return Part(part["platform"], part["python"], packages, Build(**part["build"]) if part["build"] else None)


def count_parts(plan: WheelsPlan) -> Iterator[tuple[Part, int, int]]:
    """For each kind of laptop: how many bytes it needs, and how many of them have to come."""
    for part in plan.parts:
        coming = {*plan.fetch, *plan.make}
        yield (
            part,
            sum(package.size for package in part.packages),
            sum(package.size for package in part.packages if package.file in coming),
        )
