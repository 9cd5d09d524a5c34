"""The script that makes a kit's MLflow store at once: it comes with the project, or MLflow writes it.

The project brings the one of the MLflow in `constraints.txt` (`keep.py`). Another MLflow writes its script in a process
of its own, `python -m … PATH`: it needs seconds and memory that nobody else here does, so `begin_script` lets it work
beside the photographs. In a thread of the same process an interrupt would find both importing, and leave one of them
waiting for ever.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instructor.workshop import PROJECT
from lab_code.errors import LabError
from lab_code.files import write_whole
from lab_code.tracking.empty_store import script_name

BROUGHT = Path(__file__).parents[1] / "kept"


@contextmanager
def begin_script(path: Path) -> Iterator[None]:
    """Have `path` written by the end of the block, where it is missing. Raises `LabError` where MLflow cannot do it."""
    if not path.is_file() and (brought := find_brought()):
        write_whole(path, brought.read_bytes())
    if path.is_file():
        yield
        return
    command = [sys.executable, "-m", "instructor.provision.store_script", str(path.resolve())]
    writing = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield
        _, said = writing.communicate()
    finally:
        writing.kill()
        writing.wait()
        if writing.stderr:
            writing.stderr.close()
    if writing.returncode:
        reason = (said.strip().splitlines() or ["it said nothing"])[-1]
        raise LabError(f"MLflow cannot describe its store: {reason}", hint="make clean, then: make provision")


def find_brought() -> Path | None:
    """The script of the MLflow that is installed, where the project brings it."""
    brought = BROUGHT / Path(script_name()).name
    return brought if brought.is_file() else None


def main(path: str) -> None:
    """Write the script of the MLflow that is installed."""
    from lab_code.tracking.tracker import describe_empty_store

    write_whole(Path(path), describe_empty_store())


if __name__ == "__main__":
    main(sys.argv[1])
