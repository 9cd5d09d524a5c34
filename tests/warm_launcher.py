"""The launcher of a kit, in a process that parts from one which has imported PyTorch and MLflow already.

    run_launcher(root, ["train", "trainer.epochs=1"], environment, timeout_s=300)

Importing them takes longer than the tiny runs of tests. It is the rehearsal's launcher (`instructor/rehearsal`), one
for all tests of a process. The kit's own code is imported anew each time, from the kit. Where processes cannot part
(Windows) the launcher is started as usual.
"""

import atexit
import subprocess
from functools import cache
from pathlib import Path

from instructor.rehearsal.launcher import Launcher


def run_launcher(
    root: Path, argv: list[str], environment: dict[str, str], timeout_s: int
) -> subprocess.CompletedProcess[str]:
    """What the command said, and its exit code; one that takes too long is killed."""
    command = [str(root / "lab"), *argv]
    done = warm_launcher().run(command, root, environment=environment, patience_s=timeout_s)
    return subprocess.CompletedProcess(command, done.code, done.out, done.err)


@cache
def warm_launcher() -> Launcher:
    """The one of this process."""
    launcher = Launcher(warm=True)
    atexit.register(launcher.close)
    return launcher
