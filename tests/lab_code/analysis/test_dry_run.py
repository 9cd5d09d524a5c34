"""A dry run says what a run would be, and writes nothing."""

import pytest

from lab_code.analysis.dry_run import plan_run
from lab_code.config import compose_config
from lab_code.data.ham10000 import read_photographs
from lab_code.errors import LabError
from lab_code.experiment import load_split
from lab_code.frameworks import build_learner


@pytest.mark.parametrize(
    "changes",
    [
        ["model.width=24"],
        ["data.validation_fraction=0.4", "data.split_seed=3"],
        ["trainer.batch_size=7", "trainer.epochs=3"],
        ["framework=sklearn"],
    ],
    ids=" ".join,
)
def test_the_size_is_that_of_the_run_itself(kit, changes: list[str]) -> None:
    config, before = compose_config(changes), kit.files()
    plan = plan_run(config, kit.root)
    assert kit.files() == before
    train, validation, _ = load_split(config, kit.root)
    learner = build_learner(config)
    assert (plan.training, plan.validation) == (len(train), len(validation))
    assert (plan.weights, plan.steps) == (learner.facts()["model.parameters"], learner.count_steps(train))


def test_the_command_shows_it_and_trains_nothing(kit) -> None:
    before = kit.files()
    shown = kit.lab("train", "model.width=24", "trainer.epochs=3", "--dry-run").stdout
    assert "136639 weights" in shown and "nothing is trained" in shown and "3 epochs" in shown
    assert kit.files() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [("data.folder=elsewhere", "there is no folder"), ("model=colour_texture", "has no model 'colour_texture'")],
)
def test_a_run_that_could_not_begin_is_refused(kit, change: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        plan_run(compose_config([change]), kit.root)


def test_a_missing_photograph_is_named(kit) -> None:
    read_photographs(kit.root / "data")[0].path.unlink()
    with pytest.raises(LabError, match="1 of 210 images"):
        plan_run(compose_config(), kit.root)
