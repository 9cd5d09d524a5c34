"""README's blocks of the instructor's day, typed as they stand, one after the other, into a shell."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from instructor.vault import Vault
from tests.conftest import PROJECT

pytestmark = pytest.mark.slow
_DAY = ["Weeks before", "The evening before", "Ten minutes before class", "In class", "After class"]
# Lines that want laptops, a screen, a server or minutes; what holds each of them is elsewhere.
_ELSEWHERE = {
    "instructor fleet": "tests/instructor/deliver/test_over_ssh.py",
    "instructor reset": "tests/instructor/deliver/test_over_ssh.py",
    "instructor swap": "tests/instructor/deliver/test_over_ssh.py",
    "instructor board": "tests/instructor/classroom/test_board.py",
    "instructor run": "tests/instructor/classroom/test_clock.py",
    "instructor ui": "tests/instructor/collect/test_collect_command.py",
    "instructor ceremony": "tests/instructor/results/test_shown.py",
    "instructor room-code": "tests/instructor/locks/test_audit_and_room_code.py",
    "instructor locks audit": "tests/instructor/locks/test_audit_and_room_code.py",
    "instructor collect stick/": "tests/instructor/collect/test_server.py",
    "instructor collect --into": "tests/instructor/collect/test_publish.py",
    "instructor collect --repeat": "tests/instructor/collect/test_collect_command.py",
    "./lab train framework": "tests/lab_code",
    "./lab train model": "tests/lab_code",
    "./lab sweep": "tests/lab_code/test_experiment.py",
    "./lab resume": "tests/lab_code/cli/test_cli.py",
    "./lab repeat": "tests/lab_code/cli/test_cli.py",
    "./lab predict": "tests/lab_code/cli/test_cli.py",
    "./lab data path": "tests/lab_code/cli/test_cli.py",
}


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
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, copy / name)
    described = yaml.safe_load((copy / "instructor/workshop.yaml").read_text(encoding="utf-8"))
    described["groups"] = described["groups"][:3]
    described["data"] |= {"images": 300, "image_size": 32, "test_images": 140}
    described["locks"] |= {"memory_kib": 64, "iterations": 1}
    (copy / "instructor/workshop.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    for name, usual, few in (
        ("lab_code/conf/trainer/default.yaml", "epochs: 10 ", "epochs: 3 "),
        ("lab_code/cli/trial.py", "_PHOTOGRAPHS, _SHARE = 800", "_PHOTOGRAPHS, _SHARE = 80"),  # what lab doctor tries
    ):
        text = (copy / name).read_text(encoding="utf-8")
        assert usual in text
        (copy / name).write_text(text.replace(usual, few), encoding="utf-8")
    (copy / ".venv/bin").mkdir(parents=True)
    for name, package in (("instructor", "instructor"), ("lab", "lab_code")):
        script = copy / ".venv/bin" / name
        code = f"from {package} import main; raise SystemExit(main())"
        script.write_text(
            f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(copy))} exec {shlex.quote(sys.executable)} -c "{code}" "$@"\n'
        )
        script.chmod(0o755)
    return copy


def typed(line: str, project: Path, stick: Path) -> str:
    """The line with what its reader puts in: the stick that is there, the answers that are right."""
    line = line.replace("/media/usb-stick", shlex.quote(str(stick))).replace("/media/usb", shlex.quote(str(stick)))
    if "--answers" in line:
        answers = Vault(project / "build").read_key()["group-1"][0]["answers"]
        line = line.replace("3,1,4", answers)
    return f"cd build/kits/group-1 && {line}" if line.startswith("./lab") else line


def test_every_block_of_the_day_can_be_typed_one_after_the_other(project: Path, tmp_path: Path) -> None:
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
        "cd build/kits/group-2 && ./lab train --once framework=sklearn && ./lab handin"  # somebody to be reviewed
    )
    for line in ["make provision", second_group, *blocks()]:
        elsewhere = next((begin for begin in _ELSEWHERE if begin in line), None)
        if elsewhere is not None:
            left.pop(elsewhere, None)
            continue
        done = subprocess.run(
            ["sh", "-c", typed(line, project, stick)], cwd=project, env=environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert not left, "these are not in the README any more"
    for made in ("class/slides.html", "class/print.pdf", "class/plan.pdf", "quiz/quiz.html", "collected/ceremony.html"):
        assert (project / "build" / made).is_file(), made
    assert list(stick.iterdir())


def test_what_is_held_elsewhere_is_there() -> None:
    assert not [path for path in _ELSEWHERE.values() if not (PROJECT / path).exists()]
