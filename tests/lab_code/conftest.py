"""A small data folder in HAM10000's layout, whose colours give the diagnoses away."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab_code.config import Config, compose_config
from lab_code.data.ham10000 import DIAGNOSES, IMAGE_FOLDERS
from lab_code.tracking.empty_store import script_name

QUICK = (
    "trainer.epochs=2",
    "trainer.device=cpu",
    "trainer.batch_size=16",
    "model.width=4",
    "data.image_size=16",
    "trainer.threads=1",
)


def compose_quick(*changes: str, without: Sequence[str] = ()) -> Config:
    """A configuration that trains in a moment."""
    return compose_config([*(change for change in QUICK if change.split("=")[0] not in without), *changes])


def write_store(root: Path, photographs: int = 84, script: Path | None = None) -> Path:
    """`root/data/` with two photographs of every lesion; `root` is where MLflow's store will be, made by `script`."""
    if script:
        (root / ".lab").mkdir()
        shutil.copy(script, root / script_name())
    random = np.random.RandomState(0)
    rows = ["lesion_id,image_id,dx"]
    for number in range(photographs):
        label = number // 2 % len(DIAGNOSES)
        pixels = random.randint(0, 40, (20, 24, 3)) + 30 * label
        place = root / "data" / IMAGE_FOLDERS[number % 2] / f"I{number:03d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(place)
        rows.append(f"L{number // 2:03d},I{number:03d},{DIAGNOSES[label]}")
    (root / "data" / "HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs that tests only read."""
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def store(tmp_path: Path, store_script: Path) -> Path:
    """Photographs, and room for runs."""
    return write_store(tmp_path, script=store_script)
