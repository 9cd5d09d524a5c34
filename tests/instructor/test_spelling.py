"""Hints name a command that works where the person stands: `make …` in the project, `instructor …` elsewhere."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from instructor.cli.app import app, main
from instructor.spelling import spell_instructor, spell_make
from instructor.workshop import PROJECT, WORKSHOP_FILE

SAID = re.compile(r"\bmake (?:provision|rehearse|collect|clean)\b[^,;]*")


def list_texts() -> list[str]:
    """Every text of the instructor's program that names one of our Makefile's targets, as somebody may read it."""
    texts = set()
    for path in (PROJECT / "instructor").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
                texts.update(found[0] for found in SAID.finditer(node.value))
    return sorted(texts)


def test_every_hint_that_names_make_is_a_command_that_there_is(tmp_path: Path) -> None:
    texts, commands = list_texts(), get_command(app).commands  # type: ignore[attr-defined]
    assert len(texts) > 5
    for text in texts:
        said = spell_make(text, tmp_path)
        assert not re.search(r"make (?!-C)", said), said
        for name, options in re.findall(r"instructor (\w+)((?: --\w+)*)", said):
            known = {option for parameter in commands[name].params for option in parameter.opts}
            assert set(options.split()) <= known, said
        assert spell_make(text, PROJECT) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make provision", "instructor provision"),
        ("`make collect FROM=/media/usb`, then", "`instructor collect /media/usb`, then"),
        ("make rehearse DATA=path/to/ham10000", "instructor rehearse --data path/to/ham10000"),
        ("[make rehearse FAST=1 LAPTOPS=a.json]", "[instructor rehearse --fast --laptops a.json]"),
        ("make film SCENE=queue", "instructor film --scene queue"),
        ("again: make film RECORD=1", f"again: make -C {shlex.quote(str(PROJECT))} film RECORD=1"),
        (".venv/bin/instructor quiz check", "instructor quiz check"),
        ("make room; make it first; remake provision", "make room; make it first; remake provision"),
    ],
)
def test_a_target_is_spelled_as_the_command_that_it_runs(text: str, said: str) -> None:
    assert spell_instructor(text) == said


def test_whoever_has_no_such_command_on_the_path_reads_what_was_called(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["/a b/bin/instructor", "collect"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert spell_make("make collect", tmp_path) == "'/a b/bin/instructor' collect"


@pytest.mark.parametrize(
    "argv", [["ceremony"], ["rescue", "--group", "1", "--stage", "1"], ["board", "--room"], ["print"]]
)
def test_in_a_working_copy_nothing_asks_for_a_makefile(tmp_path: Path, capsys, monkeypatch, argv: list[str]) -> None:
    assert main(["new", str(tmp_path / "mine")]) == 0
    assert "make " not in re.sub("make (it|room)", "", (tmp_path / "mine" / "workshop.yaml").read_text())
    monkeypatch.chdir(tmp_path / "mine")
    assert main(argv) == 1
    said = capsys.readouterr().err
    assert "instructor " in said and not SAID.search(said)


def test_in_the_project_make_is_what_people_type(monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.chdir(PROJECT)
    arguments = ["ceremony", "--build", str(tmp_path), "--workshop", str(WORKSHOP_FILE)]
    assert main(arguments) == 1
    assert "make collect" in capsys.readouterr().err
