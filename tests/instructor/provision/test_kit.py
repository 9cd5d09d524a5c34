"""Kits that were really built: exactly the files that are meant, nothing of the key, one after the other or again."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from instructor.dataset.prepare import CHECKSUMS
from instructor.provision import workshop_kits
from instructor.provision.kit import plan_kit
from instructor.provision.leaks import SecretSearch, find_leaks
from instructor.provision.workshop_kits import check_room, provision
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import make_variant
from instructor.vault import Vault
from instructor.workshop import PROJECT, DataSource
from lab_code.data.ham10000 import read_photographs
from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.tracking.empty_store import script_name
from lab_code.tracking.runs import read_runs
from lab_code.workshop.kit import read_kit
from tests.conftest import make_small_workshop, no_progress
from tests.warm_launcher import warm_launcher

# The exact content of a kit, apart from the photographs. Whoever adds a file to lab_code adds it here, on purpose.
KIT_FILES = """
LICENSE README.md constraints.txt environment.yml instructions.pdf kit.json lab lab.cmd pyproject.toml questions.json
start.cmd start.command setup.sh setup.cmd setup.command no-python.html
.lab/handin.key .vscode/extensions.json .vscode/launch.json .vscode/settings.json
.vscode/tasks.json data/HAM10000_metadata.csv data/SHA256SUMS data/SOURCE.md data/dataset.yaml lab_code/__init__.py
lab_code/analysis/__init__.py lab_code/analysis/compare.py lab_code/analysis/differences.py
lab_code/analysis/dry_run.py lab_code/analysis/explain.py lab_code/analysis/in_words.py lab_code/analysis/used_code.py
lab_code/cli/__init__.py lab_code/cli/__main__.py lab_code/cli/app.py lab_code/cli/desk.py lab_code/cli/predict.py
lab_code/cli/printable.py lab_code/cli/progress_bar.py lab_code/cli/rich_hook.py lab_code/cli/runs.py
lab_code/cli/status.py
lab_code/cli/terminal.py lab_code/cli/trial.py lab_code/conf/data/lesions.yaml lab_code/conf/framework/pytorch.yaml
lab_code/conf/framework/sklearn.yaml lab_code/conf/framework/tensorflow.yaml lab_code/conf/loss/cross_entropy.yaml
lab_code/conf/model/colour_texture.yaml lab_code/conf/model/efficientnet_b0.yaml
lab_code/conf/model/mobilenet_v3_small.yaml lab_code/conf/model/resnet18.yaml lab_code/conf/model/small_cnn.yaml
lab_code/conf/optimizer/adamw.yaml lab_code/conf/optimizer/sgd.yaml lab_code/conf/train.yaml
lab_code/conf/trainer/default.yaml lab_code/config.py lab_code/data/__init__.py lab_code/data/augment.py
lab_code/data/class_folders.py lab_code/data/csv_file.py lab_code/data/dataset.py
lab_code/data/diagnoses.py lab_code/data/duplicates.py
lab_code/data/ham10000.py lab_code/data/image_files.py lab_code/data/image_table.py lab_code/data/lesions.py
lab_code/data/medmnist.py lab_code/data/photographs.py lab_code/data/table.py lab_code/errors.py lab_code/experiment.py
lab_code/files.py lab_code/frameworks/__init__.py lab_code/frameworks/pytorch.py lab_code/frameworks/sklearn.py
lab_code/frameworks/tensorflow.py lab_code/limits.py lab_code/losses/__init__.py lab_code/losses/cross_entropy.py
lab_code/metrics.py lab_code/models/__init__.py lab_code/models/colour_texture.py lab_code/models/small_cnn.py
lab_code/models/torchvision.py lab_code/notebook/__init__.py lab_code/notebook/command_form.css
lab_code/notebook/command_form.js lab_code/notebook/command_form.py lab_code/notebook/live_table.py
lab_code/notebook/opinion_widgets.py lab_code/notebook/picture.py lab_code/notebook/progress_strip.py
lab_code/notebook/quiz_widget.py lab_code/plots/__init__.py lab_code/plots/one_run.py lab_code/plots/several.py
lab_code/tracking/__init__.py lab_code/tracking/empty_store.py lab_code/tracking/interrupts.py
lab_code/tracking/one_at_a_time.py lab_code/tracking/provenance.py lab_code/tracking/records.py
lab_code/tracking/running.py lab_code/tracking/runs.py lab_code/tracking/store.py lab_code/tracking/store_copy.py
lab_code/tracking/tracker.py lab_code/training/__init__.py lab_code/training/checkpoint.py lab_code/training/devices.py
lab_code/training/optimizers.py lab_code/training/reporter.py lab_code/training/trainer.py
lab_code/workshop/__init__.py lab_code/workshop/attempts.py lab_code/workshop/by_hand.py lab_code/workshop/clock.py
lab_code/workshop/codes.py lab_code/workshop/desk.py lab_code/workshop/doctor.py lab_code/workshop/environment.py
lab_code/workshop/install.py lab_code/workshop/wheelhouse.py
lab_code/workshop/feedback.py lab_code/workshop/handin.py lab_code/workshop/handin_rules.py lab_code/workshop/hints.py
lab_code/workshop/course_server.py lab_code/workshop/hub_page.py
lab_code/workshop/jupyter_extension.py lab_code/workshop/kit.py lab_code/workshop/locks.py
lab_code/workshop/missing_runs.py lab_code/workshop/mlflow_gate.py lab_code/workshop/plan.py
lab_code/workshop/mark.py lab_code/workshop/reports.py lab_code/workshop/standing.py
lab_code/workshop/points.py lab_code/workshop/private.py lab_code/workshop/progress.py lab_code/workshop/quiz.py
lab_code/workshop/review.py lab_code/workshop/signature.py lab_code/workshop/spelling.py lab_code/workshop/unlock.py
lab_code/cli/notebook_console.py lab_code/cli/statements.py lab_code/notebook/statement_widgets.py
lab_code/workshop/jupyter_page.py lab_code/workshop/jupyter_plugin.js
lab_code/workshop/openable.py lab_code/workshop/reasons.py lab_code/workshop/statements.py
lab_code/analysis/live.py lab_code/analysis/table.py lab_code/notebook/live_table.js lab_code/plots/live_run.py
lab_code/tracking/description.py lab_code/tracking/history.py lab_code/tracking/names.py lab_code/tracking/views.py
lab_code/analysis/card.py lab_code/cli/relay.py lab_code/workshop/duel.py
lab_code/cli/coming_home.py lab_code/cli/comparing.py lab_code/cli/following.py lab_code/cli/outcome.py
lab_code/cli/remote.py lab_code/cli/training.py lab_code/jobs/__init__.py lab_code/jobs/away.py
lab_code/jobs/far.py lab_code/jobs/follow.py
lab_code/jobs/home.py lab_code/jobs/parting.py lab_code/jobs/record.py lab_code/jobs/search.py
lab_code/jobs/search_task.py lab_code/jobs/send.py
lab_code/jobs/servers.example.yaml lab_code/jobs/servers.py lab_code/jobs/ssh.py lab_code/jobs/sweep.py
lab_code/jobs/train_task.py lab_code/jobs/worker.py lab_code/plots/search.py lab_code/tracking/adding.py
locked/1-configuration.lab locked/2-imbalance.lab locked/3-your-own.lab locked/doctor.lab notebooks/kit.py
notebooks/starter.ipynb
""".split()  # noqa: SIM905 - a list one can read
KIT_FILES.append(script_name())


def files_of(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_a_kit_holds_exactly_the_files_that_are_meant(build: Path) -> None:
    for group in ("group-1", "group-2", "group-3"):
        found = {name for name in files_of(build / "kits" / group) if not name.endswith(".jpg")}
        assert found == set(KIT_FILES)


def test_every_kit_has_the_photographs_and_their_checksums(build: Path) -> None:
    data = build / "kits" / "group-2" / "data"
    assert len(read_photographs(data)) == 210
    for line in (data / CHECKSUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        assert sha256_file(data / name) == digest


def test_kit_json_knows_every_file_but_itself_and_the_photographs(build: Path) -> None:
    kit = read_kit(build / "kits" / "group-1")
    data = {"data/HAM10000_metadata.csv", "data/SOURCE.md", "data/dataset.yaml"}
    assert set(kit.files) == set(KIT_FILES) - {"kit.json"} - data
    assert all(sha256_file(kit.root / name) == digest for name, digest in kit.files.items())


def test_nothing_of_the_key_or_the_locked_files_is_in_a_kit(build: Path, workshop) -> None:
    """The build has searched by itself; this is the same search, from the key and the vault as they lie on the disk."""
    secrets = SecretSearch()
    for group, entries in Vault(build).read_key().items():
        for entry in entries:
            secrets.add_answers(f"answers of {group}", entry["answers"].split(","))
            secrets.add_code(f"rescue code of {group}", entry["rescue"])
            secrets.add_code("room code", Vault(build).room_code(workshop.id, entry["stage"]))
    for path in sorted((PROJECT / "locked").rglob("*")):
        if path.is_file():
            secrets.add_source(path.name, path.read_bytes())
    for question in load_bank(workshop, data=build / "data"):
        secrets.add_bytes(f"why the answer to {question.id} is right", question.explanation.encode())
    secrets.add_vault(build / "vault")
    secrets.add_bytes("master key", bytes.fromhex((build / "vault" / "master.key").read_text(encoding="ascii")))
    assert find_leaks(build / "kits", secrets) == []


def test_the_hidden_test_set_shares_no_lesion_with_the_kits(build: Path) -> None:
    shipped = {p.lesion_id for p in read_photographs(build / "kits" / "group-1" / "data")}
    hidden = {p.lesion_id for p in read_photographs(build / "vault" / "test")}
    assert hidden and not shipped & hidden
    assert not {p.name for p in (build / "vault" / "test").rglob("*.jpg")} & {
        p.name for p in (build / "kits").rglob("*.jpg")
    }


def test_the_kit_for_another_machine_installs_only_the_student_side(build: Path) -> None:
    text = (build / "kits" / "group-1" / "pyproject.toml").read_text(encoding="utf-8")
    assert 'lab = "lab_code:main"' in text and "instructor" not in text and "torch" in text
    assert (build / "kits" / "group-1" / "constraints.txt").read_bytes() == (PROJECT / "constraints.txt").read_bytes()


def test_a_kit_builds_as_a_package(kit) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from setuptools import setup; setup()", "--quiet", "--name", "--version"],
        cwd=kit.root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lab-kit" in done.stdout


def test_the_launcher_can_be_run(build: Path) -> None:
    launcher = build / "kits" / "group-1" / "lab"
    assert os.access(launcher, os.X_OK) or os.name == "nt"
    assert b"\r\n" in (launcher.parent / "lab.cmd").read_bytes()


def test_the_tasks_of_visual_studio_code_are_commands_of_the_kit(kit) -> None:
    tasks = json.loads((kit.root / ".vscode" / "tasks.json").read_text(encoding="utf-8"))["tasks"]
    assert len({task["label"] for task in tasks}) == len(tasks) == 7
    for task in tasks:
        assert (kit.root / task["command"]).is_file() and (kit.root / task["windows"]["command"][2:]).is_file()
        assert "Usage: lab" in kit.lab(task["args"][0], "--help").stdout


@pytest.mark.slow
def test_the_debug_configuration_trains_one_epoch(kit) -> None:
    configuration = json.loads((kit.root / ".vscode" / "launch.json").read_text(encoding="utf-8"))["configurations"][0]
    assert (
        "_train_epoch" in configuration["name"]
        and "def _train_epoch" in (kit.root / "lab_code/training/trainer.py").read_text()
    )
    command, here = ["-m", configuration["module"], *configuration["args"]], {"PYTHONPATH": str(kit.root)}
    done = warm_launcher().run(command, kit.root, environment=here)
    assert not done.code, done.err
    (run,) = read_runs(kit.root)
    assert run.status == "FINISHED" and run.params["trainer.epochs"] == "1"


@pytest.fixture
def own_build(build: Path, tmp_path: Path) -> Path:
    """A copy of the provisioned folder that a test may write to."""
    shutil.copytree(build, tmp_path / "build")
    return tmp_path / "build"


def test_a_second_run_builds_nothing(own_build: Path, workshop) -> None:
    before = {path: path.read_bytes() for path in own_build.rglob("locked/*.lab")}
    done = provision(workshop, own_build, no_progress)
    assert (done.built, done.current) == ([], workshop.groups) and not done.data.changed
    assert {path: path.read_bytes() for path in own_build.rglob("locked/*.lab")} == before


def test_a_missing_kit_is_built_again_with_the_same_key(own_build: Path, workshop) -> None:
    key = Vault(own_build).read_key()
    shutil.rmtree(own_build / "kits" / "group-2")
    done = provision(workshop, own_build, no_progress)
    assert (done.built, done.current) == (["group-2"], ["group-1", "group-3"])
    assert Vault(own_build).read_key() == key


def test_a_kit_that_was_worked_in_is_moved_away_and_never_deleted(own_build: Path) -> None:
    (own_build / "kits" / "group-1" / "progress.jsonl").write_text("{}\n", encoding="utf-8")
    done = provision(make_small_workshop(title="Another title"), own_build, no_progress)
    assert set(done.built) == {"group-1", "group-2", "group-3"} and set(done.moved) == {"group-1"}
    assert (done.moved["group-1"] / "progress.jsonl").is_file()
    assert not (own_build / "kits" / "group-1" / "progress.jsonl").exists()
    assert not (own_build / "replaced" / "group-2").exists()


@pytest.fixture
def without_kits(build: Path, tmp_path: Path) -> Path:
    """A folder in which kits have yet to be built, from photographs that are there."""
    folder = tmp_path / "build"
    shutil.copytree(build, folder, ignore=shutil.ignore_patterns("kits", "kits.json", "key*", "catch-up*"))
    return folder


def test_one_kit_that_fails_leaves_the_others(without_kits: Path, monkeypatch, workshop) -> None:
    real = workshop_kits.build_kit

    def fail_for_two(plan, *rest):
        real(plan, *rest)
        if plan.group == "group-2":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(workshop_kits, "build_kit", fail_for_two)
    done = provision(workshop, without_kits, no_progress)
    assert done.built == ["group-1", "group-3"] and "No space" in done.failed["group-2"]
    assert sorted(path.name for path in (without_kits / "kits").iterdir()) == ["group-1", "group-3"]
    monkeypatch.undo()
    assert provision(workshop, without_kits, no_progress).built == ["group-2"]


def test_an_interrupted_run_leaves_no_half_kit_and_can_be_repeated(
    without_kits: Path, monkeypatch: pytest.MonkeyPatch, workshop
) -> None:
    real = workshop_kits.build_kit

    def interrupt_at_two(plan, *rest):
        real(plan, *rest)
        if plan.group == "group-2":
            raise KeyboardInterrupt

    monkeypatch.setattr(workshop_kits, "build_kit", interrupt_at_two)
    with pytest.raises(KeyboardInterrupt):
        provision(workshop, without_kits, no_progress)
    assert [path.name for path in (without_kits / "kits").iterdir()] == ["group-1"]
    monkeypatch.undo()
    assert provision(workshop, without_kits, no_progress).built == ["group-2", "group-3"]


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path: Path, monkeypatch, workshop) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(LabError, match=r"GB are free at .* but 3 kits need"):
        check_room(workshop, tmp_path / "build")
    with pytest.raises(LabError):
        provision(workshop, tmp_path / "build", no_progress)
    assert not (tmp_path / "build").exists()


def test_a_stage_without_files_is_named(tmp_path: Path, build: Path, workshop) -> None:
    for name in ("lab_code", "locked", "notebooks", "quiz"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    variant = make_variant(workshop, load_bank(workshop), "group-1", "secret")
    shutil.rmtree(tmp_path / "locked" / "2-imbalance")
    from instructor.dataset.prepare import PreparedData

    data = PreparedData(build / "data", build / "vault" / "test", changed=False)
    with pytest.raises(LabError, match="2-imbalance holds nothing to lock"):
        plan_kit(workshop, "group-1", variant, data, tmp_path)


@pytest.mark.slow
def test_kits_on_real_photographs(ham10000_sample: Path, tmp_path: Path, store_script: Path) -> None:
    shutil.copy(store_script, tmp_path)
    data = DataSource(source=str(ham10000_sample), stored_size=64)
    done = provision(make_small_workshop(data=data, groups=["group-1"]), tmp_path, no_progress)
    assert done.built == ["group-1"]
    folder = tmp_path / "kits" / "group-1" / "data"
    assert len(read_photographs(folder)) == 28 and len(read_photographs(tmp_path / "vault" / "test")) == 7
    assert "CC BY-NC" in (folder / "SOURCE.md").read_text(encoding="utf-8")
