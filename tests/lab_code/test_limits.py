"""What a network needs is known before it needs it, and what is too large is refused when it is configured."""

import numpy as np
import pytest
import torch

from lab_code import limits as memory
from lab_code.config import ModelConfig, compose_config, flatten_config
from lab_code.errors import LabError
from lab_code.frameworks import build_learner
from lab_code.limits import check_memory, evaluation_batch, is_out_of_memory, photograph_bytes, training_bytes
from lab_code.models import build_model, count_parameters
from lab_code.training.trainer import predict

NETWORKS = [
    ModelConfig("small_cnn", width=4),
    ModelConfig("small_cnn", width=16),
    ModelConfig("small_cnn", width=256),
    ModelConfig("resnet18"),
    ModelConfig("resnet18", stem="3x3"),
    ModelConfig("mobilenet_v3_small"),
    ModelConfig("efficientnet_b0"),
]


def measure(config: ModelConfig, size: int) -> tuple[int, int]:
    """Bytes that the layers keep of one photograph, and those of the largest output."""
    network, kept, largest = build_model(config, 7), {}, [0]
    parameters = {parameter.data_ptr() for parameter in network.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda _, __, out: largest.append(out.nbytes))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(2, 3, size, size))
    return sum(kept.values()) // 2, max(largest) // 2


@pytest.mark.parametrize("config", NETWORKS, ids=lambda c: f"{c.name}-{c.width}-{c.stem}")
def test_the_estimate_covers_what_is_measured_and_not_much_more(config: ModelConfig) -> None:
    kept, largest = measure(config, 64)
    size = (config.name, 64)
    step = training_bytes(*size, 1, config.width, config.stem) - training_bytes(*size, 0, config.width, config.stem)
    assert kept + 2 * largest <= 1.02 * step <= 1.5 * (kept + 2 * largest)
    assert 3 * largest <= photograph_bytes(*size, config.width, config.stem) <= 3 * largest + 13 * 64**2
    parameters = training_bytes(*size, 0, config.width, config.stem) / 16
    assert count_parameters(build_model(config, 7)) == pytest.approx(parameters, rel=0.05, abs=3000)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (["model.width=256", "data.image_size=512"], ["model.width=256", "data.image_size=512", "204 MB"]),
        (["model.width=256", "data.image_size=512", "trainer.batch_size=2"], ["model.width=256"]),
        (["model=efficientnet_b0", "data.image_size=512"], ["efficientnet_b0", "trainer.batch_size=64", "GB"]),
        (["model=resnet18", "model.stem=3x3", "data.image_size=512"], ["model.stem=3x3", "data.image_size=512"]),
        (["model=resnet18", "data.image_size=512", "trainer.batch_size=256"], ["trainer.batch_size=256"]),
        (["trainer.batch_size=4096", "data.image_size=256"], ["trainer.batch_size=4096"]),
        (["model.width=256", "data.image_size=512", "trainer.device=cuda"], ["model.width=256"]),
    ],
)
def test_settings_that_are_too_large_are_refused_by_name(changes: list[str], names: list[str]) -> None:
    with pytest.raises(LabError) as caught:
        compose_config(changes)
    assert all(name in caught.value.message for name in names) and "at most" in caught.value.message
    assert "for example" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["model=efficientnet_b0"],
        ["model=efficientnet_b0", "data.image_size=512", "trainer.batch_size=7"],
        ["model=efficientnet_b0", "data.image_size=224", "trainer.device=cuda"],
        ["model=resnet18", "data.image_size=224", "trainer.batch_size=32"],
        ["model=resnet18", "model.stem=3x3", "data.image_size=28", "trainer.batch_size=128"],
        ["model.width=256"],
        ["data.image_size=512"],
        ["framework=sklearn", "model=colour_texture", "data.image_size=400"],
    ],
)
def test_settings_that_a_laptop_can_train_are_not_refused(changes: list[str]) -> None:
    config = flatten_config(compose_config(changes))
    assert all(str(config[key]) == value for key, value in (c.split("=") for c in changes if "." in c))


def test_what_the_hint_proposes_is_accepted() -> None:
    with pytest.raises(LabError) as caught:
        check_memory("efficientnet_b0", 512, 64)
    proposed = int((caught.value.hint or "").split("trainer.batch_size=")[1].split(";")[0])
    check_memory("efficientnet_b0", 512, proposed)


@pytest.mark.parametrize(
    ("network", "size", "width", "batch"),
    [
        ("small_cnn", 64, 16, 256),
        ("small_cnn", 128, 32, 256),
        ("resnet18", 64, 16, 256),
        ("efficientnet_b0", 64, 16, 256),
    ],
)
def test_usual_settings_are_predicted_in_the_batches_they_always_were(network, size, width, batch) -> None:
    assert evaluation_batch(network, size, width) == batch


@pytest.mark.parametrize(("network", "size", "width"), [("small_cnn", 400, 256), ("efficientnet_b0", 512, 16)])
def test_large_photographs_are_predicted_in_batches_that_fit(network: str, size: int, width: int) -> None:
    batch = evaluation_batch(network, size, width)
    assert 1 <= batch < 20 and batch * photograph_bytes(network, size, width) <= memory.PREDICTION_BYTES


def test_a_learner_never_puts_more_into_a_layer_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config(["model.width=8", "data.image_size=16", "trainer.device=cpu"])
    learner = build_learner(config)
    images = np.random.RandomState(0).randint(0, 255, (50, 16, 16, 3)).astype(np.uint8)
    whole, seen = learner.predict(images), []
    monkeypatch.setattr(memory, "PREDICTION_BYTES", 7 * photograph_bytes("small_cnn", 16, 8))
    learner.model.features.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    assert np.allclose(learner.predict(images), whole, atol=1e-6) and seen == [7] * 7 + [1]


def test_predictions_of_usual_settings_are_the_same_to_the_digit() -> None:
    config = compose_config(["trainer.device=cpu"])
    learner = build_learner(config)
    images = np.random.RandomState(0).randint(0, 255, (300, 64, 64, 3)).astype(np.uint8)
    assert (learner.predict(images) == predict(learner.model, images)).all()


@pytest.mark.parametrize(("size", "fits"), [(64, 128), (512, 60)])
def test_measured_blocks_fit_into_memory(size: int, fits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab_code.frameworks.sklearn import _choose_block  # here: with it comes the whole of scikit-learn

    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert _choose_block(np.zeros((1, size, size, 3), np.uint8)) <= fits
    assert size > 64 or _choose_block(np.zeros((1, size, size, 3), np.uint8)) == 128


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("shape mismatch"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_the_end_of_memory_is_known_whoever_says_it(error: BaseException, is_memory: bool) -> None:
    assert is_out_of_memory(error) == is_memory
