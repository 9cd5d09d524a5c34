"""A laptop on which every index leads nowhere: a kit from the wheelhouse, then lab doctor, an unlock and an epoch."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from instructor.deliver.resolving import PLATFORMS
from lab_code.workshop.wheelhouse import this_platform
from tests.conftest import KitOnDisk
from tests.wheel_files import make_wheelhouse

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(this_platform() not in PLATFORMS, reason="no wheelhouse is for this kind of machine"),
    pytest.mark.skipif(os.name == "nt", reason="Windows has setup.cmd, which needs another shell"),
]
NOWHERE = "http://127.0.0.1:9"


def without_network() -> list[str]:
    """What comes before a command so that it has no network at all, where this account may do that."""
    prefix = ["unshare", "-n"]
    can = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if can else []


def offline_laptop(home: Path) -> dict[str, str]:
    """The variables of an account that knows of this Python, and of indexes and proxies that do not answer."""
    addresses = ("PIP_INDEX_URL", "UV_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    base = getattr(sys, "_base_executable", sys.executable)
    paths = os.pathsep.join([str(Path(base).parent), "/usr/bin", "/bin"])
    kept = {name: value for name, value in os.environ.items() if name.startswith(("OPENBLAS", "OMP", "LC_", "LANG"))}
    return {**kept, **dict.fromkeys(addresses, NOWHERE), "PATH": paths, "HOME": str(home), "BROWSER": "true"}


def shorten_trial(root: Path) -> None:
    """Let lab doctor try its training with few photographs."""
    trial, usual = root / "lab_code" / "cli" / "trial.py", "_PHOTOGRAPHS, _SHARE = 800"
    text = trial.read_text(encoding="utf-8")
    assert usual in text
    trial.write_text(text.replace(usual, "_PHOTOGRAPHS, _SHARE = 80"), encoding="utf-8")


def test_a_kit_sets_itself_up_and_trains_where_no_index_answers(kit: KitOnDisk, tmp_path: Path) -> None:
    stick = tmp_path / "Stick für Übungen"
    try:
        make_wheelhouse(stick / "wheels", compiled=True)
        root = kit.root.rename(stick / "group-1")
        shorten_trial(root)

        def run(command: Sequence[str | Path], prefix: Sequence[str] = ()) -> str:
            done = subprocess.run(
                [*prefix, *command], cwd=root, env=offline_laptop(tmp_path), capture_output=True, text=True,
                encoding="utf-8", timeout=600,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            return done.stdout

        run(["sh", "setup.sh", "--no-doctor"], without_network())
        python = root / ".venv" / "bin" / "python"
        assert "FAIL" not in run([python, "lab", "doctor"])
        run([python, "lab", "unlock", "--answers", kit.answers[0]])
        run([python, "lab", "train", "experiment=baseline", "trainer.epochs=1"])
        assert (root / "mlflow.db").is_file()
    finally:
        shutil.rmtree(stick)  # three gigabytes, which nobody looks at afterwards
