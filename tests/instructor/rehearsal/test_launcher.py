"""Commands in processes of their own: at any time of the class, killed when asked, warm and cold alike."""

import sys
from datetime import datetime
from pathlib import Path

import pytest

from instructor.rehearsal.launcher import STOPPED, Launcher
from lab_code.errors import LabError
from tests.conftest import PROJECT
from tests.warm_launcher import warm_launcher

NOON = datetime(2030, 5, 1, 12).timestamp()
_TIME = "import time; from datetime import datetime; print(int(time.time()), datetime.now().year)"
_WAIT = "import time; from pathlib import Path; Path('begun').touch(); time.sleep(600)"

_PARTED = """
import multiprocessing
from lab_code.cli.progress_bar import start_bar
bar = start_bar("hand-ins", 3)  # with a thread of its own nothing could part any more
with multiprocessing.get_context("forkserver").Pool(1) as pool:
    print(pool.apply(eval, ("__import__('sys').modules.get('torch') is not None, 6 * 7",)))
"""


@pytest.fixture(params=["warm", "cold"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    return warm_launcher() if request.param == "warm" else Launcher()


def test_a_program_sees_the_time_that_it_is_told(tmp_path: Path, launcher: Launcher) -> None:
    done = launcher.run(["-c", _TIME], tmp_path, NOON)
    assert done.code == 0 and int(done.out.split()[0]) - NOON < 60 and done.out.split()[1] == "2030"
    assert launcher.run(["-c", _TIME], tmp_path).out.split()[1] == str(datetime.now().year)


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("import sys; sys.exit(3)", 3, "nothing"),
        ("import sys; sys.exit('error: so it is')", 1, "error: so it is"),
        (
            "import sys; print('note', file=sys.stderr); print('error: it fails', file=sys.stderr); 1 / 0",
            1,
            "error: it fails",
        ),
    ],
)
def test_how_a_program_ends_is_told(tmp_path: Path, launcher: Launcher, code: str, expected: int, said: str) -> None:
    done = launcher.run(["-c", code], tmp_path, NOON)
    assert (done.code, done.said) == (expected, said)


def test_a_program_is_killed_as_soon_as_it_should_be(tmp_path: Path, launcher: Launcher) -> None:
    done = launcher.run(["-c", _WAIT], tmp_path, NOON, kill_when=(tmp_path / "begun").exists)
    assert done.code == STOPPED and (tmp_path / "begun").exists()
    assert launcher.run(["-c", _WAIT], tmp_path, patience_s=0.01).code == STOPPED


def test_what_a_program_starts_parts_from_it_where_it_is_warm(tmp_path: Path, launcher: Launcher) -> None:
    done = launcher.run(["-c", _PARTED], tmp_path, environment={"PYTHONPATH": str(PROJECT)})
    assert (done.out.strip(), done.err) == (f"({launcher is warm_launcher()}, 42)", "")


def test_a_closed_launcher_begins_nothing_any_more(tmp_path: Path) -> None:
    with Launcher() as launcher:
        assert launcher.run(["-c", "print(1)"], tmp_path).out.split() == ["1"] and sys.executable
    with pytest.raises(LabError, match="was stopped"):
        launcher.run(["-c", "print(1)"], tmp_path)
