"""docs/adapting.md, typed as it stands: from a working copy about digits to the leaderboard."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from instructor.cli.app import main as instructor
from instructor.results.evidence import read_evidence
from instructor.vault import Vault
from instructor.workshop import PROJECT
from lab_code.data.ham10000 import read_dataset
from tests.conftest import KitOnDisk

PAGE = PROJECT / "docs" / "adapting.md"


def read_commands() -> list[list[str]]:
    """Every indented line of the page, in order, without its comment."""
    lines = re.findall(r"^    (\S.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_every_line_of_the_page_works_as_it_stands(
    tmp_path: Path, store_script: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    home, kit, opened = tmp_path / "my-digits", None, 0
    for program, *words in read_commands():
        if program == "cd":
            monkeypatch.chdir(words[0])
        elif program == "instructor":
            assert instructor(words) == 0, capsys.readouterr().err
            if words[0] == "new":  # what costs seconds and is tried elsewhere
                with (home / "workshop.yaml").open("a") as file:
                    file.write("\nlocks: {memory_kib: 64, iterations: 1, lanes: 1}\n")
                (home / "build").mkdir()
                shutil.copy(store_script, home / "build")
        elif program == "./lab":
            key = [entry["answers"] for entry in Vault(home / "build").read_key()["group-1"]]
            kit = kit or KitOnDisk(home / "build" / "kits" / "group-1", "group-1", key, [], [])
            if words[0] == "unlock":
                words[-1], opened = key[opened], opened + 1
            kit.lab(*words)
        else:
            assert program == "export"
    assert opened == 2 and kit is not None
    with (home / "build" / "collected" / "leaderboard.csv").open(newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert row["group"] == "group-1" and row["best_run"] in ("baseline", "balanced")
    assert float(row["test_balanced_accuracy"]) > 0 and row["stages_open"] == "2"
    page = (home / "build" / "collected" / "leaderboard.html").read_text(encoding="utf-8")
    assert "of the 10 digits; guessing gives 0.100" in page and "clinical" not in page
    evidence = read_evidence(home / "build" / "collected")
    assert evidence.dataset.name == "Handwritten digits" and set(evidence.labels) == set(range(10))
    (run, *_) = (kit.root / "mlartifacts").rglob("dataset.yaml")
    assert read_dataset(run.parent).codes == tuple("0123456789")
    document = json.loads((kit.root / "kit.json").read_text())
    assert document["title"] == "My digits" and not list((kit.root / "data").glob("HAM*"))
