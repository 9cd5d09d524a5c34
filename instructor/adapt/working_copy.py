"""A working copy of the workshop, outside this project, to be changed: `instructor new my-workshop`.

It holds what makes a workshop and nothing else: description, questions, locked files, notebooks, and with an example
its own photographs. The code that students read and the commands stay those of this project. The copy appears whole or
not at all, and what is there already is never touched.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from instructor.adapt.example_data import EXAMPLES, write_example
from instructor.spelling import spell_instructor
from instructor.workshop import PROJECT, WORKSHOP_FILE, read_workshop
from lab_code.errors import LabError, suggest
from lab_code.files import write_whole

_HERE = Path(__file__).parent
_IGNORE = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".*")
_CELLS = (
    "# $title\n\nRun the cells from top to bottom.",
    "from kit import progress\nprogress()",
    'from kit import lab\nlab("data")',
    "## Stage 1: where the settings live",
    "from kit import quiz\nquiz(1)",
    'from kit import lab\nlab("train experiment=baseline --once")',
    "## Stage 2: what the score hides",
    "from kit import quiz\nquiz(2)",
    'from kit import lab\nlab("train experiment=balanced --once")',
    'from kit import lab\nlab("compare baseline balanced")',
    "## Hand in",
    "from kit import handin\nhandin()",
)


def make_working_copy(folder: Path, example: str | None = None) -> Path:
    """Make `folder`, which must not be there yet or be empty. Raises `LabError` where it cannot be made."""
    if example is not None and example not in EXAMPLES:
        hint = f"{suggest(example, EXAMPLES)}examples: {', '.join(EXAMPLES)}"
        raise LabError(f"there is no example '{example}'", hint=hint)
    folder = Path(os.path.abspath(folder))
    _check_place(folder)
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:40] or "workshop"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            title = folder.name.replace("-", " ").replace("_", " ").strip().capitalize() or "A workshop"
            _fill_example(made, name, title, example) if example else _fill_copy(made, name)
            words = {"title": json.dumps(title, ensure_ascii=False)[1:-1]}
            readme = (_HERE / "README.template").read_text(encoding="utf-8")
            write_whole(made / "README.md", Template(readme).substitute(words))
            write_whole(made / ".gitignore", "build/\n")
            read_workshop(made / WORKSHOP_FILE.name)
            if folder.exists():
                folder.rmdir()  # it is empty
            made.rename(folder)
    except OSError as error:
        raise LabError(f"{folder} cannot be made: {error.strerror or error}", hint="choose another folder") from error
    return folder


def _check_place(folder: Path) -> None:
    if folder.is_file() or folder.is_symlink():
        raise LabError(f"{folder} is there already, and no folder", hint="choose another name")
    if folder.is_dir() and any(folder.iterdir()):
        raise LabError(f"{folder} is there already, and not empty", hint="choose another name; nothing was changed")
    if folder.resolve().is_relative_to(PROJECT):
        raise LabError(
            f"{folder} is inside the project", hint="a working copy lies outside: instructor new ../my-workshop"
        )


def _fill_copy(made: Path, name: str) -> None:
    """Everything as this project's workshop has it, under an id of its own: other answers, other codes."""
    for tree in ("quiz", "locked", "notebooks"):
        shutil.copytree(PROJECT / tree, made / tree, ignore=_IGNORE)
    text = spell_instructor(WORKSHOP_FILE.read_text(encoding="utf-8"))  # there is no Makefile
    write_whole(made / WORKSHOP_FILE.name, re.sub(r"^id: .*$", f"id: {name}", text, count=1, flags=re.MULTILINE))


def _fill_example(made: Path, name: str, title: str, example: str) -> None:
    template = _HERE / "example"
    for tree in ("quiz", "locked"):
        shutil.copytree(template / tree, made / tree, ignore=_IGNORE)
    text = (template / WORKSHOP_FILE.name).read_text(encoding="utf-8")
    words = {"id": name, "title": json.dumps(title, ensure_ascii=False)}
    write_whole(made / WORKSHOP_FILE.name, Template(text).substitute(words))
    (made / "notebooks").mkdir()
    shutil.copy(PROJECT / "notebooks" / "kit.py", made / "notebooks")
    write_whole(made / "notebooks" / "starter.ipynb", _make_notebook(title))
    write_example(example, made / "data")


def _make_notebook(title: str) -> str:
    """The shortest notebook that leads through both stages."""
    cells: list[dict[str, object]] = []
    for number, source in enumerate(_CELLS):
        kind = "markdown" if source.startswith("#") else "code"
        cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{number:02d}", "metadata": {}}
        cell |= {"source": source.replace("$title", title)}
        cells.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
