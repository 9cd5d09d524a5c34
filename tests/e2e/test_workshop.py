"""The whole workshop once, by the commands that people type, in processes of their own."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instructor.rehearsal.launcher import Done
from tests.conftest import hear_interrupts, wait_until
from tests.warm_launcher import warm_launcher

PROJECT = Path(__file__).parent.parent.parent
SMALL = """
id: e2e
title: An end-to-end workshop
seed: 11
groups: [group-1, group-2]
stages:
  - {id: 1-configuration, title: One, questions: 3}
  - {id: 2-imbalance, title: Two, questions: 3}
  - {id: 3-your-own, title: Three, questions: 3}
data: {images: 280, image_size: 32, test_images: 70}
locks: {memory_kib: 65536, iterations: 1}
"""


def run(*command: str, cwd: Path, code: int = 0) -> Done:
    """What `python COMMAND` does, in a process that parts from one which has imported PyTorch and MLflow already."""
    environment = {"COLUMNS": "200", "PYTHONPATH": str(PROJECT) if command[0] == "-m" else ""}
    done = warm_launcher().run(command, cwd, environment=environment, patience_s=300)
    assert done.code == code, done.out + done.err
    assert "Traceback" not in done.out + done.err
    return done


def interrupt_provision(build: Path, options: list[str]) -> None:
    """Ctrl-C, first while photographs are drawn, and when it is begun again, while kits are built."""
    for moment in (".staging-data/data/HAM10000_images_part_1", "kits/.staging-group-1"):
        command = [sys.executable, "-m", "instructor.cli", "provision", *options]
        process = subprocess.Popen(
            command, cwd=PROJECT, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_interrupts
        )
        wait_until((build / moment).exists, process)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
        assert not [path for path in build.rglob(".staging*")]
        for kit in (build / "kits").iterdir():
            assert (kit / "kit.json").is_file()


@pytest.mark.slow
def test_provision_interrupted_and_begun_again_unlock_train_hand_in_collect(begun_build: Path, tmp_path: Path) -> None:
    (tmp_path / "workshop.yaml").write_text(SMALL, encoding="utf-8")
    shutil.copytree(begun_build, tmp_path / "build")
    build, options = (
        tmp_path / "build",
        ["--workshop", str(tmp_path / "workshop.yaml"), "--build", str(tmp_path / "build")],
    )

    def instructor(*argv: str, code: int = 0) -> Done:
        return run("-m", "instructor.cli", *argv, cwd=PROJECT, code=code)

    if os.name != "nt":  # Windows has no process groups that take Ctrl-C alike
        interrupt_provision(build, options)
    assert "2 kits are ready" in instructor("provision", *options).out
    assert "up to date" in instructor("provision", *options).out
    key = json.loads(instructor("key", "--json", *options).out)
    assert set(key) == {"group-1", "group-2"} and set(key["group-1"][0]) == {"stage", "answers", "rescue"}
    assert key["group-2"][0]["rescue"] in instructor("key", "--group", "2", *options).out

    kit = build / "kits" / "group-1"

    def lab(*argv: str, code: int = 0) -> Done:
        return run(str(kit / "lab"), *argv, cwd=kit, code=code)

    right = [entry["answers"] for entry in key["group-1"]]
    wrong = f"{int(right[0][0]) % 4 + 1}{right[0][1:]}"
    assert "locked" in lab("status").out
    assert "(attempt 1)" in lab("unlock", "--answers", wrong, code=1).err
    assert "is still locked" in lab("train", "experiment=baseline", code=1).err
    for answers, name in zip(right, ("baseline", "balanced"), strict=False):
        lab("unlock", "--answers", answers)
        lab("train", f"experiment={name}", "trainer.epochs=2")
    assert "optimizer.name" in lab("compare").out
    receipt = lab("handin").out.split("Receipt: ")[1].split()[0]

    (build / "handins").mkdir()
    (build / "handins" / "broken.zip").write_bytes(b"PK")
    collected = instructor("collect", *options, code=1)
    assert receipt in collected.out and "nothing from group-2 yet" in collected.err
    assert "broken.zip: not a zip" in collected.err
    with (build / "collected" / "leaderboard.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["rank"], row["group"], row["runs"], row["wrong_answers"]) == ("1", "group-1", "2", "1")
    assert 0 < float(row["test_balanced_accuracy"]) <= 1

    reviews = instructor("review", "--into", str(build / "kits"), *options, code=1)
    assert "reviews group-" not in reviews.out and "broken.zip: not a zip" in reviews.err
    (build / "handins" / "broken.zip").unlink()
    reader = build / "kits" / "group-2"  # with a second group that has handed in there is somebody to review
    for command in (("train", "framework=sklearn"), ("handin",)):
        run(str(reader / "lab"), *command, cwd=reader)
    reviews = instructor("review", "--into", str(build / "kits"), *options)
    assert "group-2 reviews group-1" in reviews.out
    assert "optimizer.name" in run(str(reader / "lab"), "review", cwd=reader).out
    assert "group-1" not in (reader / "review.json").read_text(encoding="utf-8")
    instructor("collect", *options)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["provision", "--data", "nowhere"], "the data folder nowhere does not exist"),
        (["key"], "there is no key yet"),
        (["collect", "nowhere.zip"], "is missing"),
    ],
)
def test_misuse_of_the_instructors_command_ends_in_two_lines(tmp_path: Path, argv: list[str], message: str) -> None:
    done = run("-m", "instructor.cli", *argv, "--build", str(tmp_path / "build"), cwd=PROJECT, code=1)
    assert message in done.err and "hint: " in done.err


def test_every_command_of_the_instructor_has_an_example() -> None:
    for command in (["provision"], ["key"], ["collect"], ["quiz", "check"], ["quiz", "export", "kahoot"]):
        assert "Example: instructor" in run("-m", "instructor.cli", *command, "--help", cwd=PROJECT).out
