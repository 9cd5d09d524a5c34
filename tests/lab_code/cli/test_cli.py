"""The command `lab`, called as a student calls it: through the launcher of a real kit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab_code.cli import app as cli
from lab_code.config import compose_config
from lab_code.tracking.runs import read_runs
from lab_code.tracking.tracker import track_run
from lab_code.workshop.spelling import spell_commands
from tests.conftest import hear_interrupts

PROJECT = Path(__file__).parent.parent.parent.parent


def unlock_all(kit) -> None:
    for answers in kit.answers:
        kit.lab("unlock", "--answers", answers)


@pytest.mark.parametrize("argv", [["--help"], ["status", "--help"], ["train", "--help"], ["unlock", "--help"]])
def test_help_starts_without_anything_heavy(argv: list[str]) -> None:
    code = (
        "import sys; from lab_code.cli.app import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'mlflow', 'hydra', 'omegaconf', 'numpy', 'matplotlib'} & set(sys.modules);"
        "print('heavy:', sorted(heavy)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0 and "heavy: []" in done.stdout


# Everything from outside that `lab unlock` may import: a second of derivation, and not another of imports.
# The last two are Typer's.
UNLOCK_MAY_IMPORT = {"cryptography", "filelock", "lab_code", "rich", "typer", "annotated_doc", "shellingham"}


def test_unlock_imports_only_what_it_needs(kit) -> None:
    code = (
        "import sys; before = set(sys.modules); from lab_code.cli.app import main; code = main(sys.argv[1:]);"
        "print('imported:', ' '.join(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "unlock", "--answers", kit.answers[0]],
        capture_output=True, text=True, cwd=kit.root, env=os.environ | {"PYTHONPATH": str(kit.root)},
    )  # fmt: skip
    assert "is open" in done.stdout, done.stderr
    imported = set(done.stdout.rpartition("imported:")[2].split())
    outside = {name for name in imported - set(sys.stdlib_module_names) if not name.startswith("_")}
    assert outside <= UNLOCK_MAY_IMPORT


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        "status",
        "unlock",
        "hint",
        "data",
        "train",
        "resume",
        "repeat",
        "sweep",
        "compare",
        "predict",
        "handin",
    ):
        assert cli.main([command, "--help"]) == 0
        assert f"Example: lab {command}" in capsys.readouterr().out


def test_status_shows_stages_questions_and_what_they_open(kit) -> None:
    shown = kit.lab("status").stdout
    for text in ("Stage 1", "Stage 2", "Stage 3", "opens lab_code/conf/experiment/baseline.yaml", "locked"):
        assert text in shown
    questions = json.loads((kit.root / "questions.json").read_text(encoding="utf-8"))
    assert all(question["text"] in shown for stage in questions.values() for question in stage)
    assert "Next: " in shown and "open\n" not in shown


def test_status_and_unlock_import_neither_torch_nor_mlflow(kit) -> None:
    code = (
        "import sys; from lab_code.cli.app import main; main(sys.argv[1:]);"
        "print({'torch', 'mlflow', 'hydra'} & set(sys.modules))"
    )
    for argv in (["status"], ["unlock", "--answers", kit.answers[0]]):
        done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=kit.root)
        assert done.stdout.endswith("set()\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("argv", "code", "message", "hint"),
    [
        (["train", "experiment=baseline"], 1, "experiment 'baseline' is still locked: stage 1", "unlock --answers"),
        (["train", "experiment=balanced"], 1, "stage 2 'What the score hides' opens it", "stage 2"),
        (["train", "loss=focal"], 1, "loss 'focal' is still locked: stage 3", "stage 3"),
        (["train", "experiment=nothing"], 1, "experiment 'nothing' does not exist", ""),
        (
            ["train", "experiment=Balanced"],
            1,
            "experiment 'Balanced' does not exist",
            "'balanced'? experiment 'balanced' ",
        ),
        (["train", "--epochs", "3"], 1, "cannot read '--epochs 3'", "did you mean: trainer.epochs=3"),
        (["train", "trainr.epochs=3"], 1, "there is no key 'trainr.epochs'", "trainer.epochs"),
        (["unlock", "--answers", "1,2"], 1, "asks 3 questions", "commas"),
        (["unlock"], 1, "either answers or a rescue code", "lab unlock"),
        (["unlock", "--answers", "1,2,3", "--stage", "9"], 1, "there is no stage '9'", "1-configuration"),
        (["unlock", "--rescue", "ABCD"], 1, "the code has 4 characters", "again"),
        (["compare"], 1, "needs two finished runs", "lab train"),
        (["handin"], 1, "no finished run to hand in", "lab train"),
        (["nothing"], 2, "No such command", ""),
    ],
)
def test_misuse_ends_in_two_lines_and_an_exit_code(kit, argv: list[str], code: int, message: str, hint: str) -> None:
    before = kit.files()
    done = kit.lab(*argv, check=False)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr + done.stdout
    if code == 1:
        assert "hint: " in done.stderr and hint in done.stderr
    assert kit.files() == before


def test_outside_of_a_kit_the_error_says_where_to_go(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["status"]) == 1
    assert "not inside a kit" in capsys.readouterr().err


def test_an_unexpected_fault_goes_to_a_log_without_values(tmp_path: Path, monkeypatch, capsys) -> None:
    secret = "the-answer-is-2"

    def fail() -> None:
        answer = secret
        raise RuntimeError("no idea") from ValueError(len(answer))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_launcher_of_another_kit", lambda: None)
    monkeypatch.setattr(cli, "find_kit", fail)
    assert cli.main(["handin"]) == 1
    assert "unexpected RuntimeError: no idea" in capsys.readouterr().err
    log = (tmp_path / "lab-error.log").read_text(encoding="utf-8")
    assert "RuntimeError" in log and secret not in log


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("lab_code/losses/cross_entropy.py", ["train", "experiment=baseline"]),
        ("lab_code/workshop/quiz.py", ["status"]),
        ("lab_code/cli/app.py", ["status"]),  # which the launcher itself imports
    ],
)
def test_code_that_is_no_python_any_more_is_named_with_its_line(kit, path: str, command: list[str]) -> None:
    kit.lab("unlock", "--answers", kit.answers[0])
    broken = kit.root / path
    lines = broken.read_text(encoding="utf-8").count("\n")
    broken.write_text(broken.read_text(encoding="utf-8") + "def loss(:\n", encoding="utf-8")
    done = kit.lab(*command, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and not (kit.root / "lab-error.log").exists()
    assert f"{Path(path).name} line {lines + 1}: this is no Python" in done.stderr
    assert "hint: undo the last edit there" in done.stderr


@pytest.mark.parametrize("name", ["lab", "python", "pytest"])
def test_hints_name_the_command_as_it_was_called(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "argv", [f"/somewhere/{name}", "status"])
    expected = "./lab train x" if name == "lab" and os.name != "nt" else "lab train x"
    assert spell_commands("lab train x") == expected
    assert spell_commands("lab_code/conf") == "lab_code/conf"


@pytest.mark.slow
def test_two_experiments_are_trained_compared_and_handed_in(kit) -> None:
    unlock_all(kit)
    for name in ("baseline", "balanced"):
        done = kit.lab("train", f"experiment={name}", "trainer.epochs=2", "model.width=4")
        assert f"Run '{name}' is finished" in done.stdout and "epoch   2" in done.stderr
    compared = kit.lab("compare").stdout
    for text in ("optimizer.name", "sgd", "adamw", "balanced accuracy", "melanoma (mel)"):
        assert text in compared
    handed_in = kit.lab("handin").stdout
    assert "Receipt: " in handed_in and len(list((kit.root / "handin").glob("*.zip"))) == 1
    assert "Next: lab train experiment=focal   (or any" in kit.lab("status").stdout.replace("./lab", "lab")
    kit.lab("train", "experiment=balanced", "name=own", "trainer.epochs=1", "model.width=4")
    assert "Next: lab handin" in kit.lab("status").stdout.replace("./lab", "lab")
    kit.lab("handin")
    assert "Next: lab compare   (you have handed in" in kit.lab("status").stdout.replace("./lab", "lab")
    run = read_runs(kit.root)[0]
    assert run.tags["group"] == "group-1" and run.tags["workshop"] == "small" and run.tags["stage"] == "3-your-own"
    assert {"config.yaml", "confusion_matrix.png", "curves.png", "weights.safetensors"} <= {
        path.name for path in run.artifacts.iterdir()
    }


def test_a_run_may_have_a_name_with_brackets(kit) -> None:
    for name in ("[bold x", "[bold]y"):
        with track_run(kit.root, "skin-lesions", compose_config([f"name={name}"]), {}) as run:
            run.log_metrics({"best_accuracy": 0.5})
    assert "[bold x" in kit.lab("status").stdout and "[bold]y" in kit.lab("compare").stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_an_interrupted_training_ends_as_killed(kit) -> None:
    process = subprocess.Popen(
        [sys.executable, str(kit.root / "lab"), "train", "trainer.epochs=1000"],
        cwd=kit.root,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    assert process.stderr is not None
    first = ""
    while "epoch" not in first:
        first = process.stderr.readline()
        assert first, "training ended before its first epoch"
    interrupted_ms = int(time.time() * 1000)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    (run,) = read_runs(kit.root)
    assert run.status == "KILLED" and run.ended_ms >= interrupted_ms


def test_the_code_of_the_kit_one_stands_in_runs_whichever_lab_is_called(kit) -> None:
    (kit.root / "lab_code" / "__init__.py").write_text('print("the kit\'s own code")\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "lab_code.cli", "status"],
        cwd=kit.root,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("the kit's own code") and done.returncode == 0
