"""README's blocks of the instructor's day, typed as they stand, one after the other, into a shell."""

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path

import pytest
import yaml

from instructor.cli.app import main as instructor_main
from instructor.vault import Vault
from lab_code.cli.app import main as lab_main
from tests.conftest import PROJECT, hear_interrupts
from tests.e2e.warm_path import warm_python
from tests.instructor.deliver.laptops import find_port

pytestmark = pytest.mark.slow
_DAY = ["Weeks before", "The evening before", "Ten minutes before class", "In class", "After class"]
# Lines that want laptops, a screen, a server or minutes: the test that holds each of them, and what is typed there.
_ELSEWHERE = {
    "make rehearse": ("instructor/rehearsal/test_cast_and_bad_input.py", "list_shows_every", '["rehearse", "--list"'),
    "instructor duel": ("instructor/classroom/test_duel.py", "a_duel_from_hidden_photographs", "prepare_duel("),
    "instructor server up": (
        "instructor/server/test_server.py", "many_clients_finish_at_once", "run_clients(course"
    ),
    "instructor wheels": ("instructor/deliver/test_wheels.py", "the_command_shows_sizes", "main(argv) == 0"),
    "instructor fleet": ("instructor/deliver/test_cli.py", "laptops_are_shown_and_served", 'run("fleet"'),
    "instructor reset": ("instructor/deliver/test_cli.py", "laptops_are_shown_and_served", 'run("reset", "ssh"'),
    "instructor swap": ("instructor/deliver/test_cli.py", "laptops_are_shown_and_served", 'run("swap", "--group"'),
    "instructor run": ("instructor/classroom/test_clock.py", "the_screen_is_driven_by_keys", "ClockScreen("),
    "instructor ceremony": (
        "instructor/collect/test_shown_and_reported.py", "what_was_collected_is_shown", '["ceremony", "--no-open"'
    ),
    "instructor room-code": (
        "instructor/locks/test_audit_and_room_code.py", "the_command_shows_the_code", '["room-code", "--stage"'
    ),
    "instructor locks audit": (
        "instructor/locks/test_audit_and_room_code.py", "the_command_prints_both", '["locks", "audit"'
    ),
    "instructor collect stick/": (
        "instructor/collect/test_server.py", "a_kits_page_is_collected", "MLFLOW_TRACKING_TOKEN"
    ),
    "instructor collect --into": ("instructor/collect/test_collect_command.py", "who_has_won", '"--into"'),
    "instructor collect --repeat": ("instructor/collect/test_collect_command.py", "who_has_won", '"--repeat"'),
    "./lab train framework": ("lab_code/test_sweep.py", "the_other_commands_about_runs", '"framework=sklearn"'),
    "./lab train model": ("lab_code/analysis/test_dry_run.py", "the_command_shows_it", '"--dry-run"'),
    "./lab train --on gpu1": ("lab_code/jobs/test_far_server.py", "a_run_goes_to_the_queue", '"train", "--on"'),
    "./lab sweep --search": ("lab_code/jobs/test_search.py", "a_stopped_search_goes_on", '"sweep", "--search"'),
    "./lab card": ("lab_code/cli/test_relay.py", "a_run_repeated_by_another_group", 'lab("card"'),
    "./lab sweep": ("lab_code/test_sweep.py", "a_sweep_trains_its_children", '"sweep"'),
    "./lab resume": ("lab_code/test_sweep.py", "misuse_of_the_other_commands", '"resume"'),
    "./lab repeat": ("lab_code/test_sweep.py", "the_other_commands_about_runs", '"repeat"'),
    "./lab predict": ("lab_code/test_sweep.py", "the_other_commands_about_runs", '"predict"'),
    "./lab data path": ("lab_code/test_sweep.py", "the_other_commands_about_runs", '"data"'),
}  # fmt: skip
_SERVERS = ("instructor board", "instructor ui")  # that end when they are interrupted


def blocks() -> list[str]:
    """Every line of the day's blocks, without its remark."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", text, re.MULTILINE))
    lines = [line for name in _DAY for line in sections[name].splitlines() if line.startswith("    ")]
    return [re.split(r"\s+# ", line.strip())[0] for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with little data, few epochs, three groups and cheap locks; its commands run this copy."""
    copy = tmp_path / "project"
    known = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in known.splitlines():
        if (PROJECT / name).is_file() and not name.startswith("tests/"):
            copy_compiled(PROJECT / name, copy / name)
    described = yaml.safe_load((copy / "instructor/workshop.yaml").read_text(encoding="utf-8"))
    described["groups"] = described["groups"][:3]
    described["data"] |= {"images": 280, "image_size": 32, "test_images": 70}
    described["locks"] |= {"memory_kib": 64, "iterations": 1}
    (copy / "instructor/workshop.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    for name, usual, few in (
        ("lab_code/conf/trainer/default.yaml", "epochs: 10 ", "epochs: 2 "),
        ("lab_code/cli/trial.py", "_PHOTOGRAPHS, _SHARE = 800", "_PHOTOGRAPHS, _SHARE = 80"),  # what lab doctor tries
    ):
        text = (copy / name).read_text(encoding="utf-8")
        assert usual in text
        (copy / name).write_text(text.replace(usual, few), encoding="utf-8")
    (copy / ".venv/bin").mkdir(parents=True)
    for name, package in (("instructor", "instructor"), ("lab", "lab_code")):
        script = copy / ".venv/bin" / name
        same = "import sys, shutil; sys.executable = shutil.which('python3')"  # for what it starts itself
        code = f"{same}; from {package} import main; raise SystemExit(main())"
        script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(copy))} exec python3 -c "{code}" "$@"\n')
        script.chmod(0o755)
    return copy


def copy_compiled(path: Path, to: Path) -> None:
    """Copy a file and, of a program, what Python has compiled of it: it would take seconds to do so again."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, to)
    compiled = Path(cache_from_source(str(path)))
    if path.suffix == ".py" and compiled.is_file():
        (to.parent / compiled.parent.name).mkdir(exist_ok=True)
        shutil.copy2(compiled, to.parent / compiled.parent.name)


def typed(line: str, project: Path, stick: Path) -> str:
    """The line with what its reader puts in: the stick that is there, the answers that are right."""
    line = line.replace("/media/usb-stick", shlex.quote(str(stick))).replace("/media/usb", shlex.quote(str(stick)))
    if "--answers" in line:
        answers = Vault(project / "build").read_key()["group-1"][0]["answers"]
        line = line.replace("3,1,4", answers)
    return f"cd build/kits/group-1 && {line}" if line.startswith("./lab") else line


@pytest.fixture
def warm() -> Iterator[str]:
    """Where a `python3` lies that has PyTorch and MLflow at hand."""
    with warm_python() as folder:
        yield f"{folder}{os.pathsep}"


def test_every_block_of_the_day_can_be_typed_one_after_the_other(project: Path, tmp_path: Path, warm: str) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": "SETUP=:",  # the environment is there
        "COLUMNS": "200",
        "BROWSER": "true",  # lab doctor wants one, and nothing here opens a page
        "PYTHONPATH": "",
    }
    left = dict(_ELSEWHERE)
    second_group = (
        "cd build/kits/group-2 && ./lab train --once trainer.epochs=1 && ./lab handin"  # somebody to be reviewed
    )
    for line in ["make provision", second_group, *blocks()]:
        elsewhere = next((begin for begin in _ELSEWHERE if begin in line), None)
        if elsewhere is not None:
            left.pop(elsewhere, None)
            continue
        if any(server in line for server in _SERVERS):
            serve_and_interrupt(line, project, environment)
            continue
        done = subprocess.run(
            ["sh", "-c", typed(line, project, stick)], cwd=project, capture_output=True, text=True, timeout=300,
            env=environment | {"PATH": warm + environment["PATH"]}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert not left, "these are not in the README any more"
    for made in ("class/slides.html", "class/print.pdf", "class/plan.pdf", "quiz/quiz.html", "collected/ceremony.html"):
        assert (project / "build" / made).is_file(), made
    assert list(stick.iterdir())


def serve_and_interrupt(line: str, project: Path, environment: dict[str, str]) -> None:
    """Type a line that serves pages until Ctrl-C, on a port that is free; look at a page, then interrupt."""
    command = [*shlex.split(line), *(["--port", str(find_port("127.0.0.1"))] if "board" in line else [])]
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    ) as server:
        assert server.stdout is not None
        said = ""
        for said_now in server.stdout:
            said += said_now
            if address := re.search(r"http://127[^ \n]+", said_now):
                with urllib.request.urlopen(address[0], timeout=60) as page:
                    assert page.status == 200
                break
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130, -signal.SIGINT), said


@pytest.mark.parametrize("line", _ELSEWHERE)
def test_what_is_held_elsewhere_is_typed_there_and_its_options_exist(line: str) -> None:
    path, name, words = _ELSEWHERE[line]
    text = (PROJECT / "tests" / path).read_text(encoding="utf-8")
    (found,) = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name.startswith(f"test_{name}")]
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    assert words in "\n".join(text.splitlines()[first - 1 : found.end_lineno])
    (written, *_) = [one for one in blocks() if line in one]
    program, *argv = shlex.split(written)
    main = {"instructor": instructor_main, "lab": lab_main, "make": instructor_main}[Path(program).name]
    argv = argv[:1] if program == "make" else argv  # FAST=1 is the Makefile's
    assert main([*argv, "--help"]) == 0, written  # an option that is not there is refused before the help is shown
