"""Starting and stopping the real servers, checking a real laptop, and what a group thinks."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lab_code.cli import app as cli
from lab_code.cli import trial as trial_module
from lab_code.cli.trial import TrainingTrial, choose_steady, time_training, try_tracking
from lab_code.errors import LabError
from lab_code.tracking.runs import EXPERIMENT, read_experiment_id, read_runs
from lab_code.tracking.tracker import open_store
from lab_code.workshop import desk as desk_module
from lab_code.workshop.desk import Desk, Server, open_desk, read_servers
from lab_code.workshop.doctor import QUICK, Check, guard, run_checks
from lab_code.workshop.feedback import is_left_behind, write_feedback
from lab_code.workshop.kit import read_kit
from lab_code.workshop.progress import Journal
from tests.conftest import hear_interrupts, wait_until


def lab(kit, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(kit.root / "lab"), *argv], cwd=kit.root, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=hear_interrupts,
    )  # fmt: skip


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What a program has said when it says `text`."""
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=90) as page:
        return page.read().decode("utf-8", "replace")


@pytest.fixture
def other_mlflow(kit) -> Iterator[Server]:
    """MLflow on the kit's own store and port, which the group has started itself: what `mlflow server` then runs."""
    open_store(kit.root)  # from the kit's script, at once
    port = desk_module._choose_port(kit.root, "mlflow")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--port", str(port)],
        cwd=kit.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | desk_module.QUIET | {"_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{kit.root / 'mlflow.db'}"},
    )  # fmt: skip
    server = Server("mlflow", process.pid, psutil.Process(process.pid).create_time(), port, "")
    try:
        wait_until(server.answers, process)
        assert process.poll() is None
        yield server
    finally:
        server.stop()
        process.wait()


@pytest.mark.slow
def test_start_opens_both_beside_another_mlflow_a_second_start_attaches_and_ctrl_c_stops_them(
    kit, other_mlflow: Server
) -> None:
    first = lab(kit, "start", "--no-browser")
    try:
        said = read_until(first, "Ctrl-C stops them")
        addresses = {line.split()[0]: line.split()[1] for line in said.splitlines() if "http" in line}
        assert set(addresses) == {"JupyterLab", "MLflow"}
        assert all(address.startswith("http://127.0.0.1:") for address in addresses.values())
        assert "JupyterLab" in fetch(addresses["JupyterLab"]) and "MLflow" in fetch(addresses["MLflow"].split("#")[0])
        assert f":{other_mlflow.port}/" not in addresses["MLflow"]
        number = read_experiment_id(kit.root, EXPERIMENT)
        assert addresses["MLflow"].endswith(
            f"#/experiments/{number}/runs?workflowType=machine_learning&viewStateShareKey=lab-1"
        )
        servers = read_servers(kit.root)
        family = [p for server in servers for p in (server.process(), *server.process().children(recursive=True))]
        assert len(family) <= 4
        listening = {c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        second = kit.lab("start", "--no-browser")
        assert "running already" in second.stdout and all(address in second.stdout for address in addresses.values())
        assert read_servers(kit.root) == servers
        first.send_signal(signal.SIGINT)
        rest = first.communicate(timeout=120)[0]
        assert first.returncode == 0 and "Stopped." in rest and "Traceback" not in rest
        assert psutil.wait_procs(family, timeout=60)[1] == [] and read_servers(kit.root) == []
        assert other_mlflow.answers()  # ours is stopped, and no other
    finally:
        first.kill()
        first.communicate()
        Desk(kit.root).stop(read_servers(kit.root))
    assert read_runs(kit.root) == []  # the store is there, and it is sound


def test_a_server_that_does_not_start_is_explained_and_nothing_is_left(kit, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('the page is broken')"]
    monkeypatch.setattr(desk_module, "_mlflow_command", lambda root, port: failing)
    with pytest.raises(LabError, match="MLflow has ended: the page is broken") as caught:
        open_desk(read_kit(kit.root), ["mlflow"], lambda root: None, lambda text: None)
    assert ".lab" in (caught.value.hint or "") and read_servers(kit.root) == []


def test_a_process_number_that_was_given_away_is_another_process() -> None:
    mine = psutil.Process()
    assert Server("mlflow", mine.pid, mine.create_time(), 1, "").process() is not None
    assert Server("mlflow", mine.pid, mine.create_time() - 60, 1, "").process() is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "mlflow"}]'])
def test_a_damaged_note_of_what_runs_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / ".lab").mkdir()
    (tmp_path / ".lab" / "desk.json").write_text(text, encoding="utf-8")
    assert read_servers(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("statement", [0, 30, 200])
def test_a_store_whose_making_was_killed_is_made_again(tmp_path: Path, statement: int) -> None:
    child = os.fork()
    if not child:  # which is killed before it executes that statement
        left = itertools.count(statement, -1)
        event.listen(Engine, "before_cursor_execute", lambda *_: next(left) > 0 or os.kill(os.getpid(), signal.SIGKILL))
        open_store(tmp_path)  # pragma: no cover - another process
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert open_store(tmp_path).search_experiments() is not None


def test_a_port_that_is_taken_is_left_to_its_owner(tmp_path: Path) -> None:
    own = desk_module._choose_port(tmp_path, "mlflow")
    assert own == desk_module._choose_port(tmp_path, "mlflow") != desk_module._choose_port(tmp_path, "jupyter")
    with socket.socket() as other:
        other.bind(("127.0.0.1", own))
        other.listen()
        assert desk_module._choose_port(tmp_path, "mlflow") not in (own, 0)


# A real server that answers everything, for tests that are not about MLflow.
_YES = """
import sys
from http.server import *
class Yes(BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Yes).serve_forever()
"""


# `lab ui`, for tests that are not about MLflow: a server that answers everything in its place.
_CHEAP_UI = """
import sys
from lab_code.cli.app import main
from lab_code.workshop import desk
desk._mlflow_command = lambda root, port: [sys.executable, "-c", sys.argv[1], str(port)]
main(["ui", "--no-browser"])
"""


def test_servers_that_outlive_their_command_are_found_and_stopped(kit) -> None:
    open_store(kit.root)
    command = subprocess.Popen(
        [sys.executable, "-c", _CHEAP_UI, _YES], cwd=kit.root, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        read_until(command, "Ctrl-C stops them")
        (server,) = read_servers(kit.root)
        command.kill()
        command.wait()
        assert server.process() is not None and server.answers()
        assert "Stopped: MLflow" in kit.lab("ui", "--stop").stdout
        assert server.process() is None
        assert "Nothing was running." in kit.lab("ui", "--stop").stdout
    finally:
        command.kill()
        command.communicate()
        Desk(kit.root).stop(read_servers(kit.root))


def test_no_browser_is_said_and_the_addresses_stand_there(kit, monkeypatch, capsys) -> None:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")
    monkeypatch.setattr(desk_module, "_mlflow_command", lambda root, port: [sys.executable, "-c", _YES, str(port)])
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    monkeypatch.setattr(Desk, "watch", lambda desk: None)
    assert cli.main(["ui"]) == 0
    shown = capsys.readouterr()
    assert "http://127.0.0.1:" in shown.out and "note: no browser could be opened" in shown.err


# Root may write everywhere; without these capabilities it may not, as anybody else.
AS_ANYBODY = (
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]
    if os.name != "nt" and os.geteuid() == 0
    else []
)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["start", "--no-browser"], "cannot be written to: permission denied"),
        (["unlock", "--answers", "1,2,3"], "Permission denied"),
        (["feedback", "--clear", "1", "--learned", "1", "--pace", "1"], "Permission denied"),
        (["train"], "cannot be written to"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_named(kit, command: list[str], message: str) -> None:
    open_store(kit.root)
    folders = [path for path in (kit.root, *kit.root.rglob("*")) if path.is_dir()]
    try:
        for folder in folders:
            folder.chmod(0o555)
        done = subprocess.run(
            [*AS_ANYBODY, sys.executable, str(kit.root / "lab"), *command],
            cwd=kit.root, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 1 and message in done.stderr and "hint: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_clock_that_is_behind_is_noted_when_the_class_starts(kit) -> None:
    os.utime(kit.root / "kit.json", (4e9, 4e9))
    checks = {check.name: check for check in run_checks(read_kit(kit.root), QUICK)}
    assert list(checks) == list(QUICK)
    assert not checks["clock"].ok and "set the laptop's clock" in checks["clock"].fix


def checks_of(kit) -> dict[str, Check]:
    return {check.name: check for check in run_checks(read_kit(kit.root))}


def test_a_sound_laptop_passes_every_light_check_but_that_for_a_browser(kit) -> None:
    checks = checks_of(kit)
    assert [name for name, check in checks.items() if not check.ok] in ([], ["browser"])
    assert all(check.found for check in checks.values())


def test_every_failure_has_a_fix(kit, monkeypatch: pytest.MonkeyPatch) -> None:
    (kit.root / "lab_code" / "training" / "trainer.py").unlink()
    (kit.root / "locked" / "doctor.lab").write_text("{}", encoding="utf-8")
    os.utime(kit.root / "kit.json", (4e9, 4e9))
    pins = (kit.root / "constraints.txt").read_text(encoding="utf-8")
    (kit.root / "constraints.txt").write_text(pins.replace("numpy==", "numpy==9."), encoding="utf-8")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    failed = {name: check for name, check in checks_of(kit).items() if not check.ok}
    assert {"packages", "kit files", "disk", "clock", "locks"} <= set(failed)
    assert all(check.fix for check in failed.values())
    assert "numpy" in failed["packages"].found and "trainer.py" in failed["kit files"].found


def test_files_that_the_group_has_edited_are_no_failure_but_named(kit) -> None:
    (kit.root / "lab_code" / "training" / "trainer.py").write_text("# ours\n", encoding="utf-8")
    check = checks_of(kit)["kit files"]
    assert check.ok and "1 of them changed by you: lab_code/training/trainer.py" in check.found


@pytest.mark.skipif(os.name == "nt", reason="Windows has access lists instead of modes")
@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o700, "only this account can read"),
        (0o755, "may read this folder; to stop that: chmod 700"),
        (0o750, "may read"),
        (0o775, "may change"),
        (0o777, "may change"),
    ],
)
def test_who_else_may_read_the_folder_is_said_and_no_failure(kit, mode: int, said: str) -> None:
    kit.root.chmod(mode)
    check = checks_of(kit)["accounts"]
    assert check.ok and said in check.found


def test_a_check_that_breaks_is_a_failed_check() -> None:
    def broken() -> tuple[bool, str, str]:
        raise ZeroDivisionError("oops")

    check = guard("x", broken)
    assert not check.ok and "oops" in check.found and check.fix


@pytest.mark.slow
def test_the_command_prints_lines_or_json_and_its_exit_code_counts(kit) -> None:
    shown = kit.lab("doctor", check=False)
    assert "s an epoch on" in shown.stdout and "a run written and read" in shown.stdout
    assert shown.returncode == int("FAIL" in shown.stdout)
    (kit.root / "lab_code" / "conf" / "train.yaml").unlink()
    done = kit.lab("doctor", "--json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["group"] == "group-1" and not report["ready"]
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["kit files"]["fix"] == "copy the kit again" and not checks["training"]["ok"] and checks["locks"]["ok"]
    assert not list(kit.root.glob(".trial-*")) and read_runs(kit.root) == []


def test_the_estimate_grows_with_the_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "_PHOTOGRAPHS", 80)  # to train with, whatever the estimate is for
    few, many = time_training(100), time_training(100_000)
    assert 0 < few.epoch_s < many.epoch_s and many.experiment_s > many.epoch_s * many.epochs


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [
        ([1.4, 0.65, 0.16, 0.15, 0.17, 9], (0.16, 0.15, 0.17)),  # a process that has just started, really measured
        ([20, 11, 1, 1, 1, 9], (1, 1, 1)),  # 20 and 11 minutes were guessed for what took one
        ([0.2, 0.2, 0.2, 0.2], (0.2, 0.2, 0.2)),
        ([5, 1, 4, 4, 4, 9], (1, 4, 4, 9)),  # never steady: a wide range
        ([30, 12, 9, 9], (12, 9)),  # so slow that there is no time for more
        ([1, 14, 9, 9], (1, 14, 9)),
        ([6, 6, 6, 6], (6, 6, 6)),
        ([3], (3,)),
    ],
)
def test_only_epochs_that_are_warm_count(seconds: list[float], counted: tuple[float, ...]) -> None:
    assert choose_steady(iter(seconds), patience_s=15) == counted


@pytest.mark.parametrize(
    ("seconds", "fits", "said"),
    [
        ((1, 1.2), True, "1.0 to 1.2 s an epoch on cpu; the two experiments take about 0.7 min"),
        ((1, 1), True, "about 1.0 s an epoch on cpu; the two experiments take about 0.7 min"),
        ((10, 80), True, "10.0 to 80.0 s an epoch on cpu; the two experiments take 3.7 to 27.0 min"),
        ((60, 80), False, "the two experiments take 20.3 to 27.0 min"),
    ],
)
def test_a_range_is_told_and_only_a_laptop_that_is_slow_at_best_fails(seconds, fits: bool, said: str) -> None:
    trial = TrainingTrial("cpu", 10, seconds)
    assert trial.fits == fits and said in str(trial)


def test_a_laptop_that_was_busy_is_measured_again_before_it_fails(kit, monkeypatch, capsys) -> None:
    measured = iter([(600.0,), (1.0,), (600.0,), (500.0,)])
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")
    monkeypatch.setattr(trial_module, "time_training", lambda n: TrainingTrial("cpu", 10, next(measured)))
    monkeypatch.setattr(trial_module, "try_tracking", lambda root: 0.1)
    for expected in ("ok    training", "FAIL  training"):
        cli.main(["doctor"])
        assert expected in capsys.readouterr().out
    assert next(measured, None) is None


def test_how_fast_a_laptop_trains_is_told_to_programs_in_numbers(kit, monkeypatch, capsys) -> None:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")
    monkeypatch.setattr(trial_module, "time_training", lambda n: TrainingTrial("cpu", 10, (1.0, 2.0, 3.0)))
    monkeypatch.setattr(trial_module, "try_tracking", lambda root: 0.1)
    cli.main(["doctor", "--json"])
    (training,) = [c for c in json.loads(capsys.readouterr().out)["checks"] if c["name"] == "training"]
    photographs = sum(1 for _ in (kit.root / "data").rglob("*.jpg"))
    assert training["figures"] == {"photographs": photographs, "epochs": 10, "epoch_s": 2.0, "start_s": 10.0}


def test_tracking_is_tried_in_a_store_of_its_own(tmp_path: Path) -> None:
    assert try_tracking(tmp_path) > 0
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("handed_in", "left"),
    [([], False), (["2020-01-01T10:00:00+00:00"], True), (["2999-01-01T10:00:00+00:00"], False), (["soon"], False)],
)
def test_feedback_after_the_hand_in_asks_for_one_more(tmp_path: Path, handed_in: list[str], left: bool) -> None:
    journal = Journal([{"event": "handed_in", "time": time} for time in handed_in], [])
    assert not is_left_behind(tmp_path, journal)
    write_feedback(tmp_path, {"clear": 1, "learned": 2, "pace": 3}, "", "")
    assert is_left_behind(tmp_path, journal) == left


def test_feedback_is_kept_without_names_and_replaced(kit) -> None:
    write_feedback(kit.root, {"clear": 1, "learned": 2, "pace": 3}, "", "")
    kit.lab("feedback", "--clear", "4", "--learned", "5", "--pace", "3", "--good", "schön, klar", "--better", "")
    kept = json.loads((kit.root / "feedback.json").read_text(encoding="utf-8"))
    assert kept == {"clear": 4, "learned": 5, "pace": 3, "good": "schön, klar", "better": ""}
    assert kit.lab("feedback", "--clear", "6", "--learned", "5", "--pace", "3", check=False).returncode == 2


@pytest.mark.parametrize("ratings", [{}, {"clear": 0, "learned": 1, "pace": 1}, {"clear": 1, "learned": 1, "pace": 9}])
def test_a_rating_out_of_range_changes_nothing(tmp_path: Path, ratings: dict[str, int]) -> None:
    with pytest.raises(LabError, match="the rating"):
        write_feedback(tmp_path, ratings, "", "")
    with pytest.raises(LabError, match="600 characters"):
        write_feedback(tmp_path, {"clear": 1, "learned": 1, "pace": 1}, "x" * 600, "")
    assert list(tmp_path.iterdir()) == []
