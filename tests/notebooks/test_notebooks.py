"""The notebooks, run from top to bottom by nbval in a kit, as a group would run them."""

import ast
import builtins
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab_code.cli.status import next_step
from lab_code.tracking.runs import Run, read_runs
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import read_journal
from tests.warm_kernel import run_warm

PROJECT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted([*PROJECT.glob("notebooks/*.ipynb"), *PROJECT.glob("locked/*/notebooks/*.ipynb")])


def fill_in(notebook: Path, answers: list[str]) -> None:
    """In place of every form, the command that it stands for: nobody clicks here."""
    document = json.loads(notebook.read_text(encoding="utf-8"))
    forms = [cell for cell in document["cells"] if "\nquiz(" in "".join(cell["source"])]
    begin = "from kit import quiz\n"
    assert ["".join(cell["source"]) for cell in forms] == [f"{begin}quiz({n})" for n in range(1, len(answers) + 1)]
    for number, (cell, text) in enumerate(zip(forms, answers, strict=True), 1):
        cell["source"] = f'from kit import lab, quiz\nlab("unlock --stage {number} --answers {text}")\nquiz({number})'
    (last,) = [cell for cell in document["cells"] if "".join(cell["source"]).endswith("\nhandin()")]
    last["source"] = "from kit import handin\nhandin().run()"
    notebook.write_text(json.dumps(document), encoding="utf-8")


def run_notebook(root: Path, name: str) -> subprocess.CompletedProcess[str]:
    return run_warm(
        ["pytest", "--nbval-lax", "--nbval-cell-timeout=300", "-p", "nbval.plugin", "-p", "no:cacheprovider", name],
        root / "notebooks",
        os.environ | {"JUPYTER_PLATFORM_DIRS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


@pytest.mark.slow
def test_the_starter_notebook_runs_when_the_answers_are_right(kit) -> None:
    fill_in(kit.root / "notebooks" / "starter.ipynb", kit.answers)
    done = run_notebook(kit.root, "starter.ipynb")
    assert done.returncode == 0, done.stdout[-3000:]
    assert [run.name for run in read_runs(kit.root)] == ["baseline", "balanced"]
    assert len(list((kit.root / "handin").glob("*.zip"))) == 1
    compared = run_notebook(kit.root, "compare.ipynb")
    assert compared.returncode == 0, compared.stdout[-3000:]


@pytest.mark.slow
def test_the_starter_notebook_stops_where_an_answer_is_wrong(kit) -> None:
    wrong = f"{int(kit.answers[0][0]) % 4 + 1}{kit.answers[0][1:]}"
    fill_in(kit.root / "notebooks" / "starter.ipynb", [wrong, *kit.answers[1:]])
    done = run_notebook(kit.root, "starter.ipynb")
    assert done.returncode == 1 and "lab unlock did not succeed" in done.stdout
    assert read_runs(kit.root) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_committed_without_outputs_in_short_cells(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert not cell["outputs"] and cell["execution_count"] is None
            assert len(source.splitlines()) <= 15 and "class " not in source


def find_unknown(source: str) -> set[str]:
    """The names that a cell uses and does not make or import itself."""
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    imported = [alias for node in ast.walk(ast.parse(source)) for alias in getattr(node, "names", ())]
    known = {node.id for node in names if not isinstance(node.ctx, ast.Load)} | set(dir(builtins))
    known |= {alias.asname or alias.name for alias in imported}
    known |= {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler) and node.name}
    return {node.id for node in names} - known


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_cell_stands_alone_so_that_a_restarted_kernel_needs_no_other(path: Path) -> None:
    """Nothing but Python knows a name that the cell does not bring: no cell must be run before."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    assert {source: unknown for source in sources if (unknown := find_unknown(source))} == {}
    assert len(sources[0].splitlines()) == 3


def test_the_notebook_proposes_the_third_experiment_that_the_sheet_and_lab_status_do(kit) -> None:
    (brought,) = [path for path in read_kit(kit.root).stages[-1].opens if "/experiment/" in path]
    notebook = (PROJECT / "notebooks/starter.ipynb").read_text(encoding="utf-8")
    assert re.findall(r'# lab\(\\"train experiment=(\w+) --once', notebook) == [Path(brought).stem]
    finished = [Run(name, name, "FINISHED", 0, 1, kit.root) for name in ("baseline", "balanced")]
    for answers in kit.answers:
        kit.lab("unlock", "--answers", answers)
    assert next_step(read_kit(kit.root), finished)[0] == f"lab train experiment={Path(brought).stem}"


@pytest.mark.slow
def test_without_answers_the_notebook_shows_the_form_and_stops_at_the_locked_experiment(kit) -> None:
    done = run_notebook(kit.root, "starter.ipynb")
    assert done.returncode == 1 and "experiment 'baseline' is still locked" in done.stdout
    assert read_runs(kit.root) == []
    assert [event["event"] for event in read_journal(kit.root).events] == ["began"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
@pytest.mark.parametrize("options", [[], ["-S"]], ids=["outside a kit", "a kernel without the packages"])
def test_a_notebook_in_the_wrong_place_or_kernel_says_what_to_do(
    kit, tmp_path: Path, path: Path, options: list[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-E", "-s", *options, "-c", first],
        cwd=kit.root / "notebooks" if options else tmp_path / "elsewhere",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "./lab start" in done.stderr and len(done.stderr.splitlines()) == 1
    assert ("lacks" if options else "is in no kit") in done.stderr
