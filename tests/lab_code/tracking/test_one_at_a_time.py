"""Commands that would spoil each other's work wait for each other, or say so."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from instructor.cli import app as instructor_cli
from instructor.cli import waiting
from lab_code.errors import LabError
from lab_code.tracking.one_at_a_time import one_at_a_time
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import read_journal
from lab_code.workshop.unlock import unlock_with_answers, unlock_with_rescue
from tests.lab_code.workshop.test_handin import log_run
from tests.lab_code.workshop.test_kit_unlock_quiz import wrong_answers

HOLD = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"


def test_the_second_one_says_so_waits_and_goes_on(tmp_path: Path) -> None:
    said, order, inside = [], [], threading.Event()

    def second() -> None:
        inside.wait(60)
        with one_at_a_time(tmp_path / "lock", "cooking", 60, lambda text: (said.append(text), release.set())):
            order.append("second")

    release = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second)
        with one_at_a_time(tmp_path / "lock", "cooking", 60):
            inside.set()
            release.wait(60)
            order.append("first")
        waiting.result(60)
    assert order == ["first", "second"] and said == ["another window is cooking; waiting for it …"]


def test_patience_ends_in_a_sentence_and_a_kill_leaves_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(LabError, match="another window is cooking"), one_at_a_time(lock, "cooking", 0, len):
            pass
        other.kill()
    with one_at_a_time(lock, "cooking", 0, lambda text: pytest.fail("nobody is there")):
        pass


def test_where_a_disk_knows_no_locks_nobody_waits(tmp_path: Path) -> None:
    entered, told = False, []
    with one_at_a_time(tmp_path / "no-such-folder" / "x" / "lock", "cooking", 0, told.append):
        entered = True
    assert entered and not told


def test_guessers_in_many_windows_share_one_pause(kit) -> None:
    identity, waited = read_kit(kit.root), []
    stage = identity.stages[0]
    trying, most = [], []

    def pause(seconds: float) -> None:
        waited.append(round(seconds, -1))

    def guess(_: int) -> None:
        def on_try() -> None:
            trying.append(1)
            most.append(len(trying))

        try:
            unlock_with_answers(identity, stage, wrong_answers(kit.answers[0]), pause=pause, on_try=on_try)
        except LabError:
            trying.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(guess, range(8)))
    assert waited == [10, 20, 40, 60, 60, 60] and max(most) == 1
    assert len(read_journal(kit.root).of("unlock_failed")) == 8


def test_a_rescue_code_does_not_wait_for_a_guesser(kit) -> None:
    with one_at_a_time(kit.root / ".unlock.lock", "trying answers", 0):
        unlock_with_rescue(read_kit(kit.root), None, kit.rescue[0])
    assert read_journal(kit.root).unlocked("1-configuration")


def test_the_same_stage_opened_in_several_windows_is_opened_once(kit) -> None:
    identity = read_kit(kit.root)

    def open_it(number: int) -> list[str]:
        return unlock_with_rescue(identity, identity.stages[0], kit.rescue[0]).written

    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(open_it, range(4)))
    assert sorted(name for names in written for name in names if name in identity.stages[0].opens) == sorted(
        identity.stages[0].opens
    )
    journal = read_journal(kit.root)
    assert len(journal.of("unlocked")) == 1 and not journal.faults


def test_hand_ins_from_several_windows_are_all_whole(kit) -> None:
    log_run(kit.root)
    with ThreadPoolExecutor(3) as pool:
        made = [done.result() for done in [pool.submit(write_handin, read_kit(kit.root)) for _ in range(3)]]
    assert len({path for path, _, _ in made}) == 3
    assert len(read_journal(kit.root).of("handed_in")) == 3 and not read_journal(kit.root).faults


@pytest.mark.parametrize("command", [["provision"], ["collect"]])
def test_the_instructors_commands_do_not_run_over_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setattr(waiting, "_PATIENCE_S", 0)
    with one_at_a_time(tmp_path / ".lock", "building kits", 0):
        assert instructor_cli.main([*command, "--build", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "another window is building kits or collecting" in said and not (tmp_path / "kits").exists()
