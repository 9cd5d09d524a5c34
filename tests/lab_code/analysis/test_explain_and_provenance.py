import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lab_code.analysis.explain import explain, grad_cam
from lab_code.errors import LabError
from lab_code.frameworks import build_learner
from lab_code.models import build_model
from lab_code.tracking import provenance
from lab_code.tracking.provenance import (
    code_fingerprint,
    code_from_json,
    code_to_json,
    describe_difference,
    describe_environment,
    read_code,
    read_repository,
)
from tests.lab_code.conftest import compose_quick


class BrightCorner(nn.Module):
    """A network that only looks for brightness, through one convolution that does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.ones_(self.convolution.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = self.convolution(images).relu().mean(dim=(1, 2, 3))
        return torch.stack([score, -score], dim=1)


def test_grad_cam_finds_the_place_that_speaks_for_the_class() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[2:5, 10:13] = 255
    heat = grad_cam(BrightCorner(), image, 0)
    assert heat is not None and heat.shape == (16, 16)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] in (2, 3, 4)
    assert heat.max() == 1 and heat.min() >= 0 and heat[8:].max() < 0.1


class EverySecondPixel(nn.Module):
    """Four convolutions as those of the small network, each of which looks at the pixels 0, 2, 4, … only."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3 if n == 0 else 1, 1, 3, 2, 1, bias=False) for n in range(4)))
        for layer in self.layers:
            nn.init.zeros_(layer.weight)
            layer.weight.data[:, :, 1, 1] = 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = self.layers(images).clamp(min=0).sum(dim=(1, 2, 3))
        return torch.stack([score, -score], dim=1)


@pytest.mark.parametrize(("row", "column"), [(16, 32), (0, 0), (32, 48)])
def test_the_map_lies_where_the_network_looked(row: int, column: int) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[row, column] = 255
    heat = grad_cam(EverySecondPixel(), image, 0)
    assert heat is not None
    assert np.unravel_index(heat.argmax(), heat.shape) == (row, column)


@pytest.mark.parametrize("model", ["small_cnn", "resnet18", "mobilenet_v3_small", "efficientnet_b0"])
def test_every_network_can_be_asked_where_it_looked(model: str) -> None:
    learner = build_learner(compose_quick(f"model={model}", without=["model.width"]))
    probabilities, heat = explain(learner, np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8))
    assert heat is not None and heat.shape == (64, 64) and 0 <= heat.min() <= heat.max() <= 1
    assert probabilities.shape == (7,)


def test_a_network_without_maps_has_no_heat() -> None:
    assert grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 7)), np.zeros((16, 16, 3), np.uint8), 0) is None


def test_asking_leaves_the_network_as_it_was() -> None:
    model = build_model(compose_quick().model, 7)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grad_cam(model, np.full((16, 16, 3), 99, np.uint8), 3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_code_comes_back_word_for_word(tmp_path: Path) -> None:
    code = read_code()
    assert "lab_code/tracking/provenance.py" in code and "lab_code/conf/train.yaml" in code
    (tmp_path / "code.json").write_text(code_to_json(code), encoding="utf-8")
    assert code_from_json(tmp_path / "code.json") == code


def test_a_changed_line_changes_the_fingerprint_and_is_shown() -> None:
    before = {"a.py": "x = 1\ny = 2\n", "b.py": "z\n"}
    after = {"a.py": "x = 1\ny = 3\n", "c.py": "new"}
    assert code_fingerprint(before) != code_fingerprint(after)
    shown = describe_difference(before, after)
    for line in ("-y = 2", "+y = 3", "-z", "+new", "+++ b/c.py"):
        assert line in shown.splitlines()
    assert describe_difference(before, before) == ""


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '{"a"'])
def test_a_file_that_holds_no_code_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "code.json").write_text(content, encoding="utf-8")
    with pytest.raises(LabError, match="does not hold the code of a run"):
        code_from_json(tmp_path / "code.json")


def test_the_commit_and_its_difference_are_noted_where_there_is_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lab_code"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(provenance, "_PACKAGE", package)
    assert read_repository() == ("", "")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    commit, difference = read_repository()
    assert len(commit) == 40 and difference == ""
    (package / "__init__.py").write_text("x = 1\n", encoding="utf-8")
    assert "+x = 1" in read_repository()[1]


def test_every_installed_package_is_named_with_its_version() -> None:
    known = {f"{package.metadata['Name']}=={package.version}" for package in metadata.distributions()}
    assert set(describe_environment().splitlines()[2:]) == known and len(known) > 50


def test_a_package_without_a_head_of_the_usual_kind_is_named_as_well(tmp_path: Path) -> None:
    (tmp_path / "odd.egg-info").mkdir()
    (tmp_path / "odd.egg-info" / "PKG-INFO").write_text("Name: odd\nVersion: 2\n\nLong.\n", encoding="utf-8")
    (package,) = metadata.distributions(path=[str(tmp_path)])
    assert provenance._name_version(package) == "odd==2"
