"""The project's own promises: its pages name what exists, its dependencies are pinned and named everywhere."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", PROJECT / "docs" / "architecture.md"]
TOP_LEVEL = {
    "notebooks", "lab_code", "locked", "instructor", "quiz", "tests", "docs",
    "environment.yml", "Makefile", "README.md", "pyproject.toml", "constraints.txt", "LICENSE",
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
    assert "-c constraints.txt" in pip and "-e ." in pip


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
    for target in ("provision", "collect", "test", "bench"):
        assert re.search(rf"^  {target} ", done.stdout, re.MULTILINE)


def test_the_first_command_of_the_readme_is_within_twenty_lines() -> None:
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    assert any("make provision" in line for line in lines[:20])
    assert "never for clinical use" in " ".join(lines)
