"""Of what differs between two runs' code, only what one of them has used is a difference."""

from pathlib import Path

import pytest

from lab_code.analysis.compare import compare_code
from lab_code.analysis.used_code import find_used
from lab_code.tracking.provenance import CODE, code_to_json, read_code
from lab_code.tracking.runs import Run
from tests.conftest import PROJECT

PLAIN = {"loss.name": "cross_entropy", "optimizer.name": "sgd", "model.name": "small_cnn", "framework": "pytorch"}
PLAIN |= {"data.augment": "none", "trainer.schedule": "constant"}
BALANCED = PLAIN | {"loss.name": "weighted_cross_entropy", "optimizer.name": "adamw"}
BALANCED |= {"data.augment": "flips", "trainer.schedule": "one_cycle"}
FOCAL = BALANCED | {"loss.name": "focal"}
OWN = "# mine\ntrainer:\n  clip_norm: 1e-1\n"


def code_with(*stages: str) -> dict[str, str]:
    """The package as it is once these stages are open."""
    brought = {
        path.relative_to(PROJECT / "locked" / stage).as_posix(): path.read_text(encoding="utf-8")
        for stage in stages
        for path in (PROJECT / "locked" / stage / "lab_code").rglob("*.*")
        if path.suffix != ".pyc"
    }
    return read_code() | brought


ONE, TWO, ALL = (("1-configuration", "2-imbalance", "3-your-own")[:n] for n in (1, 2, 3))
EDITED = "lab_code/training/trainer.py"


@pytest.mark.parametrize(
    ("stages", "edits", "params", "told"),
    [
        ((TWO, ALL), {}, (BALANCED, BALANCED), []),  # unlocking focal.yaml is no difference
        ((ONE, ALL), {}, (PLAIN, PLAIN), []),
        ((TWO, ALL), {}, (BALANCED, FOCAL), ["conf/experiment/focal.yaml", "conf/loss/focal.yaml", "losses/focal.py"]),
        ((ALL, ALL), {EDITED: "x = 1"}, (PLAIN, PLAIN), ["training/trainer.py"]),
        ((ALL, ALL), {"lab_code/losses/focal.py": "x = 1"}, (PLAIN, BALANCED), []),
        ((ALL, ALL), {"lab_code/losses/focal.py": "x = 1"}, (PLAIN, FOCAL), ["losses/focal.py"]),
        ((ALL, ALL), {"lab_code/notebook/picture.py": "", "lab_code/cli/app.py": "("}, (PLAIN, PLAIN), []),
        ((ALL, ALL), {"lab_code/frameworks/sklearn.py": "x = 1"}, (PLAIN, PLAIN), []),
        ((ALL, ALL), {"lab_code/frameworks/sklearn.py": ""}, (PLAIN, PLAIN | {"framework": "sklearn"}),
         ["frameworks/sklearn.py"]),
        ((ALL, ALL), {"lab_code/conf/optimizer/adamw.yaml": "lr: 1"}, (PLAIN, PLAIN), []),
        ((ALL, ALL), {"lab_code/conf/optimizer/adamw.yaml": "lr: 1"}, (PLAIN, FOCAL), ["conf/optimizer/adamw.yaml"]),
        ((ALL, ALL), {"lab_code/conf/trainer/default.yaml": ""}, (PLAIN, PLAIN), ["conf/trainer/default.yaml"]),
        ((ALL, ALL), {"lab_code/conf/experiment/own.yaml": OWN}, (PLAIN, PLAIN | {"trainer.clip_norm": "0.0"}), []),
        ((ALL, ALL), {"lab_code/conf/experiment/own.yaml": OWN}, (PLAIN, PLAIN | {"trainer.clip_norm": "0.1"}),
         ["conf/experiment/own.yaml"]),
    ],
)  # fmt: skip
def test_code_that_neither_run_has_used_is_no_difference(tmp_path: Path, stages, edits, params, told) -> None:
    runs = []
    for number, (opened, changes) in enumerate(zip(stages, ({}, edits), strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / CODE).write_text(code_to_json(code_with(*opened) | changes), encoding="utf-8")
        fingerprint = {"code.fingerprint": str(number)}
        runs.append(Run(str(number), "run", "FINISHED", 0, 1, folder, params[number] | fingerprint, {}, fingerprint))
    lines = compare_code(*runs).splitlines()
    found = [line.removeprefix("+++ b/lab_code/") for line in lines if line.startswith("+++ b/")]
    assert found == told


def test_a_run_has_used_what_leads_from_the_experiment_to_its_own_loss() -> None:
    used = find_used(code_with(*ALL), FOCAL)
    assert {"lab_code/experiment.py", EDITED, "lab_code/data/augment.py", "lab_code/losses/focal.py"} <= used
    assert not [name for name in used if "/cli/" in name or "/notebook/" in name or "/workshop/" in name]
