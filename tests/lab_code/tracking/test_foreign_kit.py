"""Every command in a kit whose MLflow store others have used: what a student sees is as if they had not."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import pytest

from lab_code.cli import app as cli
from lab_code.experiment import run_experiment
from lab_code.limits import is_name
from lab_code.notebook.progress_strip import describe_progress
from lab_code.tracking.runs import read_runs
from lab_code.tracking.tracker import open_store
from lab_code.workshop.kit import read_kit
from tests.lab_code.conftest import compose_quick

QUICK = ["trainer.epochs=1", "trainer.device=cpu", "model.width=2", "data.image_size=16", "trainer.threads=1"]


@pytest.fixture(scope="module")
def used(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit with two runs of its own, and four that MLflow was asked for: one failed, the newest of all."""
    root = tmp_path_factory.mktemp("used") / "kit"
    shutil.copytree(build / "kits" / "group-1", root)
    for seed, name in enumerate(("baseline", "balanced")):
        config = compose_quick("trainer.epochs=1", f"seed={seed}", f"name={name}", without=["trainer.epochs"])
        run_experiment(config, root, {"group": "group-1", "workshop": "small"})
    client = open_store(root)
    elsewhere = client.create_experiment("mine", artifact_location="s3://bucket/x")
    ours = client.get_experiment_by_name("skin-lesions").experiment_id
    for experiment, status in ((elsewhere, "FINISHED"), ("0", "KILLED"), (ours, "FINISHED"), (ours, "FAILED")):
        run = client.create_run(experiment, run_name="theirs")
        client.log_metric(run.info.run_id, "best_balanced_accuracy", 0.99)
        client.set_terminated(run.info.run_id, status)
    return root


def call(root: Path, *argv: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    monkeypatch.chdir(root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it
    monkeypatch.setenv("COLUMNS", "200")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(list(argv))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["status"], 0, "note: 4 runs in mlflow.db not made by lab train (theirs, theirs, theirs, …)"),
        (["compare"], 0, "baseline"),
        (["compare", "theirs", "baseline"], 1, "there is no finished run 'theirs'"),
        (["resume"], 1, "there is no stopped run to go on with"),
        (["predict", "PHOTOGRAPH"], 0, "as run 'balanced' sees it"),
        (["repeat", "baseline"], 0, "The same to the last digit"),
        (["train", *QUICK, "name=third"], 0, "Run 'third' is finished"),
        (["sweep", "--dry-run", *QUICK, "seed=0,1"], 0, "to train"),
        (["handin"], 0, "left alone, not handed in"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_every_command_works_beside_foreign_runs(
    used: Path, monkeypatch, argv: list[str], code: int, says: str
) -> None:
    photograph = next((used / "data").rglob("*.jpg"))
    argv = [str(photograph) if word == "PHOTOGRAPH" else word for word in argv]
    found, out, err = call(used, *argv, monkeypatch=monkeypatch)
    assert found == code and says in out + err and "Traceback" not in err, out + err
    assert not (used / "lab-error.log").exists()


def test_the_strip_counts_the_labs_runs_only(used: Path) -> None:
    strip = describe_progress(read_kit(used))
    assert "0.990" not in strip and "theirs" not in strip and "lab resume" not in strip


def test_two_photographs_of_one_name_are_two_pictures(
    used: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    photographs = sorted((used / "data").rglob("*.jpg"))[:2]
    for number, photograph in enumerate(photographs):
        place = tmp_path / str(number) / f"{'my mole? ' * 20}.jpg"
        place.parent.mkdir()
        shutil.copyfile(photograph, place)
        assert call(used, "predict", str(place), "--run", "baseline", monkeypatch=monkeypatch)[0] == 0
    made = [path for path in (used / "predictions").iterdir() if path.name.startswith("my-mole")]
    assert len(made) == 2 and all(is_name(path.stem) or len(path.name) < 200 for path in made)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0", None])
def test_an_odd_file_is_no_photograph_and_leaves_no_picture(
    used: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    odd = tmp_path / "odd.jpg"
    odd.mkdir() if content is None else odd.write_bytes(content)
    code, _, err = call(used, "predict", str(odd), monkeypatch=monkeypatch)
    assert code == 1 and "error:" in err and "Traceback" not in err and len(err.strip().splitlines()) <= 2
    assert not [path for path in (used / "predictions").glob("odd*")]
    assert len(read_runs(used)) >= 2 and os.getcwd() == str(used)
