"""The instructor's machine fails, killed or with a full disk: run again, nothing lacks, nothing comes twice."""

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from instructor.collect import gather
from instructor.collect.collect import collect_handins
from lab_code.errors import LabError
from lab_code.tracking.runs import read_runs
from tests.conftest import PROJECT, no_progress
from tests.instructor.collect.conftest import Desk
from tests.warm_launcher import warm_launcher


def test_killed_at_fifteen_instants_it_is_complete_when_it_is_run_again(desk: Desk) -> None:
    command = ["-m", "tests.instructor.collect.kill_collect", str(desk.build), str(desk.inbox), "15", "1"]
    done = warm_launcher().run(command, PROJECT, environment={"PYTHONPATH": str(PROJECT)})
    assert not done.code, done.err
    found = json.loads(done.out)
    assert found["killed"] == 15 and not found["faults"], found
    assert found["complete"] and found["runs"] == 5 and found["left"] in ([], [".lock"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 3 MB, where this account may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True)
    yield place if not made.returncode else None
    if not made.returncode:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no small disk can be made, the system says what it would say."""

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(gather, "copy_original", refuse)


@pytest.mark.usefixtures("isolated")
def test_a_full_disk_is_no_groups_fault_and_leaves_what_was_there(
    desk: Desk, small_disk: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = desk.build
    if small_disk is None:
        fill_by_hand(monkeypatch)
    else:
        build = small_disk / "build"
        build.mkdir()
        for name in ("vault", "data"):  # what collecting needs of the build folder
            os.symlink(desk.build / name, build / name)
        for script in desk.build.glob("mlflow-*.sql"):
            os.symlink(script, build / script.name)
    with pytest.raises(LabError, match=r"the disk that holds .* is full") as caught:
        collect_handins(desk.workshop, [desk.inbox], build, no_progress)
    assert "what was collected before is as it was" in str(caught.value.hint)
    assert not (build / "collected").exists()
    if small_disk is None:
        monkeypatch.undo()
    else:
        subprocess.run(["mount", "-o", "remount,size=300m", str(small_disk)], check=True)
    collected = collect_handins(desk.workshop, [desk.inbox], build, no_progress)
    assert len(collected.rows) == 3 and not collected.refused and len(read_runs(build / "collected")) == 5
    assert len([*(build / "inbox").glob("*.zip")]) == 3
