"""What a model of the class says of single photographs, and where it looked: in a process of its own.

Called through `instructor/collect/isolation.py`: the model comes from a hand-in. What is returned is JSON.
"""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageOps

from lab_code.analysis.explain import explain
from lab_code.config import load_config
from lab_code.data.lesions import read_folder
from lab_code.data.photographs import decode_photograph, open_photograph
from lab_code.errors import LabError
from lab_code.experiment import load_learner
from lab_code.frameworks import Learner
from lab_code.tracking.records import WEIGHTS
from lab_code.tracking.runs import read_runs

_LARGEST, _SMALL = 448, 160  # pixels of a picture; up to so many it is kept without losses
_CELLS = 8  # places along a side that are covered one after the other
_COLOURS = "cividis"  # from dark blue to yellow, the same for people who see red and green alike
_SPREAD = 0.2  # of the weight in the heaviest ninth: less is nowhere in particular
_PLACES = (
    "in the upper left", "at the top", "in the upper right", "on the left", "in the middle", "on the right",
    "in the lower left", "at the bottom", "in the lower right",
)  # fmt: skip


def look(store: Path, run_id: str, test_set: Path, indices: list[int]) -> list[dict[str, Any]]:
    """For each of these hidden photographs what it is, the probabilities, the pictures. Raises `LabError`."""
    run = next((run for run in read_runs(store) if run.run_id == run_id), None)
    if run is None:
        raise LabError(f"the run {run_id[:8]} is not in {store}", hint="make collect")
    config = load_config(run.artifacts / "config.yaml")
    learner = load_learner(config, run.artifacts / WEIGHTS)
    photographs = read_folder(test_set).photographs
    looks = []
    for photograph in (photographs[index] for index in indices):
        image = decode_photograph(photograph.path, config.data.image_size)
        probabilities, heat = explain(learner, image)
        how = "Grad-CAM"
        if heat is None:
            how, heat = "covering one place after the other", cover_places(learner, image)
        looks.append(
            {
                "image_id": photograph.image_id,
                "dx": photograph.dx,
                "said": int(probabilities.argmax()),
                "sure": float(probabilities.max()),
                "picture": draw_picture(photograph.path),
                "heat": draw_heat(heat),
                "where": describe_heat(heat),
                "how": how,
            }
        )
    return looks


def cover_places(learner: Learner, image: np.ndarray) -> np.ndarray:
    """(H, W) from 0 to 1: by how much the answer loses where a place is covered with the photograph's mean colour.

    For models that have no maps to ask: Zeiler and Fergus, ECCV 2014, arXiv:1311.2901, section 4.2.
    """
    edges = [np.linspace(0, size, _CELLS + 1).astype(int) for size in image.shape[:2]]
    covered = np.repeat(image[None], _CELLS * _CELLS, axis=0)
    for place in range(_CELLS * _CELLS):
        row, column = divmod(place, _CELLS)
        rows, columns = (slice(edge[at], edge[at + 1]) for edge, at in zip(edges, (row, column), strict=True))
        covered[place, rows, columns] = image.mean(axis=(0, 1)).astype(np.uint8)
    whole = learner.predict(image[None])[0]
    label = int(whole.argmax())
    lost = np.maximum(0, whole[label] - learner.predict(covered)[:, label]).reshape(_CELLS, _CELLS)
    picture = Image.fromarray((255 * lost / max(lost.max(), 1e-9)).astype(np.uint8))
    return np.asarray(picture.resize(image.shape[1::-1], Image.Resampling.BILINEAR), np.float32) / 255


def draw_picture(path: Path) -> str:
    """The middle square of a photograph as a data URI, without anything that its file carries beside the pixels."""
    whole = open_photograph(path)
    side = min(*whole.size, _LARGEST)
    square = ImageOps.fit(whole, (side, side), Image.Resampling.LANCZOS)
    return _to_uri(square, "PNG") if side <= _SMALL else _to_uri(square, "JPEG", quality=90)


def draw_heat(heat: np.ndarray) -> str:
    """A map (H, W) from 0 to 1 as a picture that lets through what counted little."""
    colours = (255 * colormaps[_COLOURS](heat)).astype(np.uint8)
    colours[..., 3] = (220 * heat).astype(np.uint8)
    return _to_uri(Image.fromarray(colours, "RGBA"), "PNG")


def describe_heat(heat: np.ndarray) -> str:
    """Where most of it lies, in words."""
    ninths = np.array([[cell.sum() for cell in np.array_split(band, 3, axis=1)] for band in np.array_split(heat, 3)])
    share = ninths.ravel() / max(float(ninths.sum()), 1e-9)
    if share.max() < _SPREAD:
        return "nowhere in particular"
    return f"most {_PLACES[int(share.argmax())]}"


def _to_uri(picture: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
