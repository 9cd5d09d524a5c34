"""What a process does that draws photographs: render a block of lesions and write it as JPEG.

It imports little, for every such process has to import it before the first photograph is there.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from instructor.dataset.synthetic import LesionPlan, render_block

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Drawing:
    """Photographs of one folder: which lesions, how they are drawn, and where they are written."""

    plan: LesionPlan
    seed: int
    size: int  # pixels
    difficulty: float
    folders: tuple[Path, ...]  # in turn
    first_image: int


def write_block(drawing: Drawing, block: int) -> int:
    """Render and write one block of lesions; returns how many photographs."""
    plan, folders = drawing.plan, drawing.folders
    lesion, photographs = render_block(plan, block, drawing.size, drawing.seed, drawing.difficulty)
    before = int(plan.photographs[: lesion[0]].sum())
    for number, photograph in enumerate(photographs, drawing.first_image + before):
        path = folders[number % len(folders)] / f"{image_id(number)}.jpg"
        Image.fromarray(photograph).save(path, quality=JPEG_QUALITY)
    return len(photographs)


def image_id(number: int) -> str:
    """How a drawn photograph is called, in its table and as a file."""
    return f"SYN_{number:07d}"
