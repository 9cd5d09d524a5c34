"""The first moments of `lab` and `instructor`: Ctrl-C while they are being imported ends them in one line."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab_code import main
from lab_code.cli import app as cli

PROJECT = Path(__file__).parent.parent
LAUNCHER = PROJECT / "instructor" / "provision" / "kit_files" / "lab"
INTERRUPTED = "raise KeyboardInterrupt\n"


@pytest.mark.parametrize("broken", ["lab_code/cli/app.py", "lab_code/__init__.py", "pathlib.py"])
def test_the_launcher_is_short_about_ctrl_c_wherever_it_comes(tmp_path: Path, broken: str) -> None:
    shutil.copyfile(LAUNCHER, tmp_path / "lab")
    (tmp_path / "lab_code" / "cli").mkdir(parents=True)
    for package in ("lab_code", "lab_code/cli"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / broken).write_text(INTERRUPTED, encoding="utf-8")
    done = subprocess.run([sys.executable, "-S", str(tmp_path / "lab"), "status"], capture_output=True, text=True)
    assert done.stderr == "error: interrupted\n" and done.returncode in (130, -signal.SIGINT)


@pytest.mark.parametrize("text", [INTERRUPTED, f"def main():\n    {INTERRUPTED}"], ids=["importing", "beginning"])
def test_an_installed_command_is_short_about_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "a_program_that_is_stopped.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert main("a_program_that_is_stopped") == 130 and capsys.readouterr().err == "error: interrupted\n"
    sys.modules.pop("a_program_that_is_stopped", None)


@pytest.mark.parametrize("line", ['lab = "lab_code:main"', 'instructor = "instructor:main"'])
def test_the_installed_commands_begin_there(line: str) -> None:
    assert line in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_is_for_the_kits_own_launcher_which_ends_in_its_own_time(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(7)"
    assert cli._hand_over([sys.executable, "-c", code]) == 7
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
