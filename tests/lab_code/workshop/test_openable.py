"""Files that a click opens, and the line at which one begins to read."""

from pathlib import Path

import pytest

from lab_code.workshop.openable import find_first_line, list_openable

PROJECT = Path(__file__).parent.parent.parent.parent


def test_what_can_be_read_is_listed_and_nothing_that_is_hidden_locked_or_made(kit) -> None:
    files = list_openable(kit.root)
    expected = ["README.md", "data/SOURCE.md", "lab_code/conf/train.yaml", "lab_code/experiment.py"]
    assert set(expected) <= set(files) and "notebooks/starter.ipynb" in files
    assert not [name for name in files if name.startswith((".", "locked/")) or ".jpg" in name or "__pycache__" in name]
    assert "lab_code/conf/experiment/baseline.yaml" not in files
    kit.lab("unlock", "--answers", kit.answers[0])
    assert set(list_openable(kit.root)) - set(files) == {"lab_code/conf/experiment/baseline.yaml"}


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("lab_code/experiment.py", "def run_experiment("),
        ("lab_code/training/trainer.py", "SELECTION_METRIC"),
        ("lab_code/workshop/kit.py", "KIT_FILE"),
        ("lab_code/workshop/points.py", "@dataclass"),
        ("lab_code/conf/train.yaml", "#"),
    ],
)
def test_reading_begins_after_docstring_and_imports(name: str, begins: str) -> None:
    path = PROJECT / name
    line = path.read_text(encoding="utf-8").splitlines()[find_first_line(path) - 1]
    assert line.startswith(begins)


@pytest.mark.parametrize("text", ["", "def broken(:\n", "\x00", '"""Only a docstring."""\n', "import os\n"])
def test_a_file_without_such_a_line_begins_at_its_first(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.py"
    path.write_text(text, encoding="utf-8")
    assert find_first_line(path) == 1
