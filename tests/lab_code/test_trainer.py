import numpy as np
import pytest
import torch

from lab_code.config import Config, compose_config
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import Lesions
from lab_code.errors import LabError
from lab_code.losses import build_loss
from lab_code.models import build_model
from lab_code.trainer import BestWeights, EpochResult, choose_device, fit, predict, steps_per_epoch


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
    return model, list(fit(model, loss, lesions, validation, config)), validation


QUICK = ["trainer.device=cpu", "model.width=8", "model.dropout=0", "trainer.batch_size=8"]


@pytest.mark.parametrize("change", ["trainer.schedule=constant", "trainer.schedule=one_cycle", "data.augment=flips"])
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
    assert np.allclose(predict(model, validation), results[-1].probabilities)
    assert np.allclose(results[-1].probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_loss_that_is_no_number_names_the_learning_rate() -> None:
    class Exploded(torch.nn.Module):
        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return logits.sum() * float("nan")

    config = compose_config([*QUICK, "optimizer.lr=1"])
    model = build_model(config.model, 7)
    with pytest.raises(LabError, match="the loss became nan in epoch 1") as caught:
        list(fit(model, Exploded(), make_lesions(), make_lesions(28), config))
    assert "optimizer.lr=0.1" in (caught.value.hint or "")


def test_the_best_epoch_keeps_its_weights() -> None:
    model = build_model(compose_config(QUICK).model, 7)
    best = BestWeights()
    for epoch, score in enumerate((0.2, 0.5, 0.5, 0.4), 1):
        torch.nn.init.constant_(model.head.bias, epoch)
        best.offer(model, EpochResult(epoch, 0.0, 0.0, 0.0, {"balanced_accuracy": score}, np.zeros((0, 7))))
    assert best.result is not None and best.result.epoch == 2
    assert best.weights["head.bias"].unique().item() == 2


def test_on_step_is_called_for_every_batch() -> None:
    config = compose_config([*QUICK, "trainer.epochs=2"])
    seen: list[int] = []
    model = build_model(config.model, 7)
    loss = build_loss(config.loss, torch.ones(7))
    list(fit(model, loss, make_lesions(30), make_lesions(14), config, lambda: seen.append(1)))
    assert len(seen) == 2 * steps_per_epoch(make_lesions(30), config) == 8


def test_a_last_batch_of_one_photograph_is_left_for_another_epoch() -> None:
    config = compose_config([*QUICK, "trainer.epochs=2", "trainer.schedule=one_cycle"])
    assert [steps_per_epoch(make_lesions(count), config) for count in (8, 9, 10, 16, 17)] == [1, 1, 2, 2, 2]
    model = build_model(config.model, 7)
    results = list(fit(model, build_loss(config.loss, torch.ones(7)), make_lesions(17), make_lesions(14), config))
    assert len(results) == 2


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        assert choose_device("cuda").type == "cuda"
    else:
        with pytest.raises(LabError, match="no usable GPU"):
            choose_device("cuda")
