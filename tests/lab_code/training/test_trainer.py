import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lab_code.config import Config, compose_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.losses import build_loss
from lab_code.models import build_model
from lab_code.training import optimizers
from lab_code.training.devices import Team, choose_device, choose_precision
from lab_code.training.trainer import BestEpoch, EpochResult, Trainer, predict, steps_per_epoch


def make_lesions(count: int = 56, seed: int = 0) -> Lesions:
    """Photographs whose colour gives their class away."""
    random = np.random.RandomState(seed)
    labels = np.arange(count) % len(DIAGNOSES)
    colours = np.linspace(30, 220, len(DIAGNOSES))[labels]
    images = colours[:, None, None, None] + random.randint(-8, 8, (count, 16, 16, 3))
    ids = np.array([f"{seed}-{number}" for number in range(count)])
    return Lesions(images.clip(0, 255).astype(np.uint8), labels.astype(np.int64), ids, ids)


def train(config: Config) -> tuple[torch.nn.Module, list[EpochResult], Lesions]:
    torch.manual_seed(config.seed)
    lesions, validation = make_lesions(), make_lesions(28, seed=1)
    model = build_model(config.model, len(DIAGNOSES))
    loss = build_loss(config.loss, torch.from_numpy(lesions.class_counts()))
    return model, list(Trainer(model, loss, config).fit(lesions, validation)), validation


QUICK = ["trainer.device=cpu", "model.width=8", "model.dropout=0", "trainer.batch_size=8"]


@pytest.mark.parametrize(
    "change",
    ["trainer.schedule=constant", "trainer.schedule=cosine", "trainer.schedule=one_cycle", "data.augment=flips"],
)
def test_training_learns_colours(change: str) -> None:
    _, results, _ = train(compose_config([*QUICK, "trainer.epochs=16", change]))
    assert [result.epoch for result in results] == list(range(1, 17))
    assert results[-1].train_loss < 0.75 * results[0].train_loss
    assert max(result.metrics["balanced_accuracy"] for result in results) > 0.8


def test_the_same_seed_gives_the_same_numbers() -> None:
    config = compose_config([*QUICK, "trainer.epochs=2", "data.augment=flips", "model.dropout=0.2"])
    (first, a, _), (second, b, _) = train(config), train(config)
    assert [result.train_loss for result in a] == [result.train_loss for result in b]
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("change", ["optimizer=sgd", "optimizer=adamw"])
def test_a_step_is_that_of_pytorchs_own_optimizer(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config([*QUICK, "trainer.epochs=2", "trainer.schedule=one_cycle", change])
    mine, *_ = train(config)
    monkeypatch.setattr(optimizers, "_SGD", torch.optim.SGD)
    monkeypatch.setattr(optimizers, "_AdamW", torch.optim.AdamW)
    theirs, *_ = train(config)
    assert all(map(torch.equal, mine.state_dict().values(), theirs.state_dict().values()))


def test_training_does_not_import_the_compiler() -> None:
    """It takes a second, and nothing is compiled."""
    code = (
        "import sys, torch; from lab_code.training.devices import seed_everything; seed_everything(0);"
        "from lab_code.config import OptimizerConfig; from lab_code.training.optimizers import build_optimizer;"
        "model = torch.nn.Linear(1, 1); optimizer = build_optimizer(OptimizerConfig('adamw', 0.1, 0.0, 0.0), model);"
        "model(torch.ones(1, 1)).backward(); optimizer.step(); optimizer.zero_grad();"
        "optimizer.load_state_dict(optimizer.state_dict()); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0


def test_another_seed_gives_other_numbers() -> None:
    losses = {train(compose_config([*QUICK, "trainer.epochs=1", f"seed={seed}"]))[1][0].train_loss for seed in (0, 1)}
    assert len(losses) == 2


def test_one_cycle_ends_with_a_tiny_learning_rate() -> None:
    _, results, _ = train(
        compose_config([*QUICK, "trainer.epochs=3", "trainer.schedule=one_cycle", "optimizer.lr=0.01"])
    )
    assert results[-1].learning_rate < 1e-4 < results[0].learning_rate


def test_probabilities_of_an_epoch_are_those_of_its_weights() -> None:
    model, results, validation = train(compose_config([*QUICK, "trainer.epochs=1"]))
    assert np.allclose(predict(model, validation.images), results[-1].probabilities)
    assert np.allclose(results[-1].probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_loss_that_is_no_number_names_the_learning_rate() -> None:
    class Exploded(torch.nn.Module):
        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return logits.sum() * float("nan")

    config = compose_config([*QUICK, "optimizer.lr=1"])
    model = build_model(config.model, 7)
    with pytest.raises(LabError, match="the loss became nan in epoch 1") as caught:
        list(Trainer(model, Exploded(), config).fit(make_lesions(), make_lesions(28)))
    assert "optimizer.lr=0.1" in (caught.value.hint or "")


def test_the_best_epoch_keeps_its_weights() -> None:
    model = build_model(compose_config(QUICK).model, 7)
    best = BestEpoch()
    for epoch, score in enumerate((0.2, 0.5, 0.5, 0.4), 1):
        torch.nn.init.constant_(model.head.bias, epoch)
        result = EpochResult(epoch, 0.0, 0.0, 0.0, {"balanced_accuracy": score}, np.zeros((0, 7)))
        best.offer(result, lambda: {"head.bias": model.head.bias.detach().numpy().copy()})
    assert best.result is not None and best.result.epoch == 2
    assert np.unique(best.weights["head.bias"]).tolist() == [2]
    assert [best.is_old(4, patience) for patience in (0, 2, 3)] == [False, True, False]


def test_on_step_is_called_for_every_batch() -> None:
    config = compose_config([*QUICK, "trainer.epochs=2"])
    seen: list[int] = []
    model = build_model(config.model, 7)
    loss = build_loss(config.loss, torch.ones(7))
    list(Trainer(model, loss, config).fit(make_lesions(30), make_lesions(14), lambda: seen.append(1)))
    assert len(seen) == 2 * steps_per_epoch(make_lesions(30), config) == 8


def test_a_last_batch_of_one_photograph_is_left_for_another_epoch() -> None:
    config = compose_config([*QUICK, "trainer.epochs=2", "trainer.schedule=one_cycle"])
    assert [steps_per_epoch(make_lesions(count), config) for count in (8, 9, 10, 16, 17)] == [1, 1, 2, 2, 2]
    model = build_model(config.model, 7)
    trainer = Trainer(model, build_loss(config.loss, torch.ones(7)), config)
    results = list(trainer.fit(make_lesions(17), make_lesions(14)))
    assert len(results) == 2


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        assert choose_device("cuda").type == "cuda"
    else:
        with pytest.raises(LabError, match="no usable device 'cuda'"):
            choose_device("cuda")


def test_balanced_sampling_draws_every_diagnosis_equally_often() -> None:
    config = compose_config([*QUICK, "data.sampling=balanced"])
    trainer = Trainer(build_model(config.model, 7), build_loss(config.loss, torch.ones(7)), config)
    labels = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    drawn = labels[torch.cat(trainer._draw_batches(labels))].bincount()
    assert len(trainer._draw_batches(labels)) == 125 and drawn.min() > 270


def test_a_clipped_step_is_no_longer_than_allowed() -> None:
    config = compose_config(
        [*QUICK, "optimizer=sgd", "optimizer.momentum=0", "optimizer.lr=1", "trainer.clip_norm=0.01"]
    )
    model = build_model(config.model, 7)
    trainer = Trainer(model, build_loss(config.loss, torch.ones(7)), config)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    lesions = make_lesions(8)
    next(trainer.fit(lesions, make_lesions(14)))
    moved = sum((parameter - before[name]).square().sum() for name, parameter in model.named_parameters())
    assert 0 < moved**0.5 <= 0.0101


def test_bfloat16_learns_as_well() -> None:
    _, results, _ = train(compose_config([*QUICK, "trainer.epochs=16", "trainer.precision=bfloat16"]))
    assert max(result.metrics["balanced_accuracy"] for result in results) > 0.8


@pytest.mark.parametrize("change", ["optimizer=adamw", "optimizer=sgd"])
def test_a_trainer_goes_on_where_another_stopped(change: str) -> None:
    settings = [
        *QUICK,
        "trainer.epochs=4",
        "trainer.schedule=one_cycle",
        "data.augment=flips",
        "model.dropout=0.3",
        change,
    ]
    config = compose_config(settings)
    _, whole, _ = train(config)

    torch.manual_seed(config.seed)
    lesions, validation = make_lesions(), make_lesions(28, seed=1)
    first = Trainer(build_model(config.model, 7), build_loss(config.loss, torch.ones(7)), config)
    epochs = first.fit(lesions, validation)
    next(epochs), next(epochs)
    tensors, values = first.state()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    values = json.loads(json.dumps(values))
    torch.manual_seed(999)  # another process, with other random numbers so far
    second = Trainer(build_model(config.model, 7), build_loss(config.loss, torch.ones(7)), config)
    second.load_state(tensors, values)
    rest = list(second.fit(lesions, validation))
    assert [result.epoch for result in rest] == [3, 4]
    assert [result.train_loss for result in rest] == [result.train_loss for result in whole[2:]]
    assert np.array_equal(rest[-1].probabilities, whole[-1].probabilities)


@pytest.mark.parametrize(("name", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_precision_that_is_asked_for_is_used(name: str, expected: torch.dtype) -> None:
    model = build_model(compose_config().model, 7)
    assert choose_precision(name, torch.device("cpu"), model) == expected


def test_a_small_network_stays_in_float32_on_a_cpu() -> None:
    assert choose_precision("auto", torch.device("cpu"), build_model(compose_config().model, 7)) == torch.float32


@pytest.mark.parametrize(("rank", "share"), [(0, [0, 2, 4]), (1, [1, 3])])
def test_a_team_shares_a_batch(rank: int, share: list[int]) -> None:
    assert Team(rank, 2).share(torch.arange(5)).tolist() == share
