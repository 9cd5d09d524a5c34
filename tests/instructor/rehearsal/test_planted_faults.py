"""A fault that is planted in a copy of the product turns the verdict red, and the rehearsal says what it is."""

import shutil
from pathlib import Path

import pytest

from instructor.rehearsal.verdict import judge
from instructor.workshop import Workshop
from tests.conftest import PROJECT

pytestmark = pytest.mark.slow
_TREES = ("instructor", "lab_code", "locked", "notebooks", "quiz")
_FILES = ("LICENSE", "constraints.txt", "environment.yml", "pyproject.toml")

# What is broken -> the file, a line in it, what stands there instead, and what the verdict says.
FAULTS = {
    "a lock that does not open": (
        "lab_code/workshop/unlock.py",
        "files = open_with_answers(lock, answers, chain, words)",
        "files = open_with_answers(lock, ['0'] * 3, chain, words)",
        "opening stage 1 by its answers fails: error: these answers do not open stage 1",
    ),
    "a hand-in that loses a run": (
        "lab_code/workshop/handin.py",
        "runs = copy_own_runs(kit.root, scratch / DATABASE)",
        "runs = copy_own_runs(kit.root, scratch / DATABASE)\n"
        "    with sqlite3.connect(scratch / DATABASE) as database:\n"
        "        database.execute('DELETE FROM runs')",
        "group-1: what it did: finished runs: it had",
    ),
    "a collect that stops": (
        "instructor/collect/collect.py",
        "        advance = progress(\"merging\", len(handins.of_group))\n",
        "        raise RuntimeError(\"stopped\")\n",
        "instructor collect: it stops: error: unexpected RuntimeError: stopped",
    ),
}  # fmt: skip


def copy_product(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for tree in _TREES:
        shutil.copytree(PROJECT / tree, folder / tree, ignore=ignored)
    for name in _FILES:
        shutil.copy(PROJECT / name, folder)
    return folder


def plant(project: Path, name: str) -> None:
    path, line, instead, _ = FAULTS[name]
    code = (project / path).read_text(encoding="utf-8")
    assert code.count(line) == 1, f"{path} has changed: plant the fault anew"
    (project / path).write_text(code.replace(line, instead), encoding="utf-8")


@pytest.mark.parametrize(
    "names",
    [("a lock that does not open", "a hand-in that loses a run"), ("a collect that stops",)],
    ids=["before collecting", "collecting"],
)
def test_a_planted_fault_turns_the_verdict_red(
    tmp_path: Path, rehearse_tiny, lonely: Workshop, names: tuple[str, ...]
) -> None:
    project = copy_product(tmp_path / "product")
    for name in names:
        plant(project, name)
    verdict = judge(rehearse_tiny(lonely, tmp_path / "rehearsal", project))
    assert not verdict.fits and verdict.text.startswith("not ready")
    for name in names:
        assert any(FAULTS[name][3] in fault for fault in verdict.faults), verdict.faults
