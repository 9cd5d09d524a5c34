"""Every file of the project that a document, a sheet, a question, a notebook or a docstring names is there."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
_ENDINGS = "py|yaml|md|ipynb|typ|js|css|toml|template"
_NAMED = re.compile(rf"(?<![\w/.<>*{{}}$-])((?:[\w.-]+/)*[\w-]+\.(?:{_ENDINGS}))\b(?![\w/*])")
# Where a path may begin: documents leave out what is clear from where they speak.
_STAGES = ("locked/1-configuration", "locked/2-imbalance", "locked/3-your-own")
_ROOTS = ("", "lab_code", "instructor", "docs", "tests", "quiz", "instructor/provision/kit_files", *_STAGES)
# Files that are made, or that other programs and people write.
_MADE = ("build/", "data/", "reviews.yaml", "config.yaml", "SOURCE.md", "helpers.js")
_STORY = ("train.ipynb", "train_copy", "conf/experiment/baseline.yaml")  # what the slides tell of
_MADE += ("inventory.yaml", "instructor/inventory.yaml", "dataset.yaml", "pneumoniamnist.yaml")
_TREES = ("README.md", "CONTRIBUTING.md", "docs", "quiz", "notebooks", "locked", "lab_code", "instructor", "tests")


def read_docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


@cache
def texts() -> list[tuple[Path, str]]:
    """Read once for all trees."""
    return list(read_texts())


def read_texts() -> Iterator[tuple[Path, str]]:
    """What people read: whole documents, and of code the docstrings."""
    known = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for path in (PROJECT / name for name in known.splitlines()):
        if path.suffix == ".py" and path.parts[-2] != "vectors":
            yield path, "\n".join(read_docstrings(path))
        elif path.suffix in (".md", ".typ", ".yaml", ".yml") and path.name != "CHANGELOG.md":
            yield path, path.read_text(encoding="utf-8")
        elif path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            yield path, "\n".join("".join(cell["source"]) for cell in cells)


def exists(name: str, said_in: Path) -> bool:
    if any((PROJECT / root / name).is_file() for root in _ROOTS) or (said_in.parent / name).is_file():
        return True
    return name in _ALL_NAMES  # without a folder: clear from where it stands


_ALL_NAMES = {
    Path(name).name
    for name in subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True).stdout.splitlines()
}


@pytest.mark.parametrize("tree", _TREES)
def test_every_path_that_is_named_is_there(tree: str) -> None:
    missing = [
        f"{path.relative_to(PROJECT)}: {name}"
        for path, text in texts()
        if path.relative_to(PROJECT).parts[0] == tree
        for name in _NAMED.findall(text)
        if not name.startswith(_MADE + _STORY) and not exists(name, path)
    ]
    assert not missing
