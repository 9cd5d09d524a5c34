"""The project's own promises: its pages name what exists, its dependencies are pinned and named everywhere."""

import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", PROJECT / "docs" / "architecture.md", PROJECT / "CONTRIBUTING.md"]
TOP_LEVEL = {
    "notebooks", "lab_code", "locked", "instructor", "quiz", "tests", "docs",
    "environment.yml", "Makefile", "README.md", "pyproject.toml", "constraints.txt", "LICENSE",
    "CONTRIBUTING.md", "CHANGELOG.md",
}  # fmt: skip


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


def requirements() -> dict[str, list[Requirement]]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"students": project["dependencies"], **project["optional-dependencies"]}
    return {group: [Requirement(text) for text in texts] for group, texts in groups.items()}


def pins() -> dict[str, str]:
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in found}


def test_the_top_level_stays_as_designed() -> None:
    tops = {name.split("/")[0] for name in tracked_files()}
    assert {top for top in tops if not top.startswith(".")} == TOP_LEVEL


def test_environment_yml_has_a_python_that_the_project_takes() -> None:
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = next(entry for entry in environment["dependencies"] if str(entry).startswith("python="))
    assert SpecifierSet(project["requires-python"]).contains(python.removeprefix("python=") + ".0")


def test_ci_tries_the_oldest_python_that_the_project_takes() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    tried = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f">={tried[0]}" == project["requires-python"]


def test_every_dependency_is_pinned_to_a_version_that_fits() -> None:
    for group in requirements().values():
        for requirement in group:
            pin = pins()[canonicalize_name(requirement.name)]
            assert pin.startswith("==") and requirement.specifier.contains(pin.removeprefix("==")), requirement


def test_environment_yml_names_what_students_need() -> None:
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    pip = environment["dependencies"][-1]["pip"]
    named = {canonicalize_name(entry) for entry in pip if not entry.startswith("-")}
    assert named == {canonicalize_name(requirement.name) for requirement in requirements()["students"]}
    assert len(named) + 2 == len(pip), "nothing is named twice"
    assert pip == [*pip[:2], *sorted(pip[2:])]
    assert "-c constraints.txt" in pip and "-e ." in pip


# What is read -> the extras that it has no right to. Extras that are not named here must all be used.
IMPORTERS = {
    "students": (["lab_code", "locked", "notebooks"], "hub,instructor,media,test"),
    "instructor": (["lab_code", "locked", "notebooks", "instructor"], "test"),
    "tests": (["lab_code", "locked", "notebooks", "instructor", "tests"], ""),
}


def compare_imports(folders: list[str], foreign: str, root: Path = PROJECT) -> str:
    """What deptry finds: imported and not declared, declared and not imported, or declared for others only."""
    command = [sys.executable, "-m", "deptry", *folders, "--no-ansi"]
    command += ["--optional-dependencies-dev-groups", foreign] if foreign else []
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("who", IMPORTERS)
def test_what_is_imported_is_what_is_declared(who: str) -> None:
    assert not compare_imports(*IMPORTERS[who])


@pytest.mark.parametrize(
    ("who", "line", "found"),
    [
        ("students", "import sympy", "DEP003 'sympy'"),  # comes with torch, and may one day not
        ("students", "import nothing_like_this", "DEP001 'nothing_like_this'"),
        ("students", "import jinja2", "DEP004 'jinja2'"),  # a kit does not have what only the instructor has
        ("instructor", "import hypothesis", "DEP004 'hypothesis'"),
        ("students", "", "DEP002 'tqdm'"),  # declared, and imported nowhere in what is read here
    ],
)
def test_an_import_that_is_not_declared_is_found(tmp_path: Path, who: str, line: str, found: str) -> None:
    for name in ("lab_code", "locked", "notebooks", "instructor"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").write_bytes((PROJECT / "pyproject.toml").read_bytes())
    (tmp_path / "lab_code" / "one.py").write_text(line + "\n", encoding="utf-8")
    assert found in compare_imports(*IMPORTERS[who], root=tmp_path)


def test_no_pin_is_of_something_that_nobody_needs() -> None:
    """Every pin is of a declared package, of one that a declared package asks for, or of uv, which installs them."""
    needed, waiting = set(), ["uv", *(requirement.name for group in requirements().values() for requirement in group)]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in needed:
            continue
        needed.add(name)
        with suppress(metadata.PackageNotFoundError):  # of another system
            waiting += [Requirement(text).name for text in metadata.requires(name) or []]
    assert not set(pins()) - needed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_of_a_page_exists(page: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z]+)\b", page.read_text(encoding="utf-8")))
    assert not {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:lab_code|instructor|quiz|locked|tests|docs|notebooks)/[\w./-]*)`", text))
    assert paths
    assert not [path for path in paths if not list(PROJECT.glob(path.rstrip("/"))) and "<" not in path]


def test_make_lists_every_target() -> None:
    done = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True)
    for target in ("provision", "rehearse", "collect", "test", "lint", "bench", "pictures", "format", "clean"):
        assert re.search(rf"^  {target} ", done.stdout, re.MULTILINE)


def test_the_first_command_of_the_readme_is_within_twenty_lines() -> None:
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    assert any("make provision" in line for line in lines[:20])
    assert "never for clinical use" in " ".join(lines)
