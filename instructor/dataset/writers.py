"""Write drawn photographs into folders of HAM10000's layout, with the table that every source is written with.

Like the writers of real photographs (`real_writers.py`) it fills two folders, the kit's and the hidden one, and says in
`SOURCE.md` where the photographs come from. Called by `prepare.py` with folders that are not in place yet.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np

from instructor.dataset.drawing import Drawing, image_id, write_block
from instructor.dataset.synthetic import LesionPlan, block_count, plan_lesions
from instructor.workers import Workers
from instructor.workshop import DataSource
from lab_code.data.dataset import DESCRIPTION, Dataset, dataset_to_yaml
from lab_code.data.ham10000 import DIAGNOSES, HAM10000, IMAGE_FOLDERS, METADATA_NAMES, OTHER_METADATA, is_other
from lab_code.data.photographs import Progress
from lab_code.files import write_whole

Work = Callable[[], object]

_SYNTHETIC_NOTE = """# Synthetic photographs

These pictures were drawn by a program. They look like dermatoscopic photographs of seven diagnoses, in the proportions
and the folder layout of HAM10000, but no person was ever photographed: nothing learned from them is a medical result.
"""


def write_synthetic(
    source: DataSource,
    folders: tuple[Path, Path],
    hidden_seed: int,
    progress: Progress | None,
    meanwhile: Work,
    workers: Workers,
) -> list[str]:
    """Draw the photographs of both folders, the kit's and the hidden one, by `workers`; `meanwhile` is done here.

    There is nothing to note.
    """
    kit, test = folders
    plans = [
        (kit, plan_lesions(source.images, source.seed, 1.0), source.seed, 0, 0),
        (test, plan_lesions(source.test_images, hidden_seed, source.test_imbalance), hidden_seed, 10**6, 10**5),
    ]
    advance = progress(source.images + source.test_images) if progress else None
    jobs: list[Future[int]] = []
    try:
        for folder, plan, seed, first_image, first_lesion in plans:
            parts = tuple(folder / part for part in IMAGE_FOLDERS)
            for part in parts:
                part.mkdir(parents=True)
            drawing = Drawing(plan, seed, source.image_size, source.difficulty, parts, first_image)
            jobs += [workers.submit(write_block, drawing, block) for block in range(block_count(plan))]
            _write_synthetic_table(folder, plan, first_image, first_lesion)
            write_whole(folder / "SOURCE.md", _SYNTHETIC_NOTE)
        meanwhile()
        for job in jobs:
            for _ in range(job.result()):
                advance and advance()
    finally:
        _give_up(jobs)
    return []


def _give_up(jobs: Sequence[Future[int]]) -> None:
    """Those that are being done are waited for: nothing may be written into a folder that is being removed."""
    wait([job for job in jobs if not job.cancel()])


def _write_synthetic_table(folder: Path, plan: LesionPlan, first_image: int, first_lesion: int) -> None:
    lesions = np.repeat(np.arange(len(plan.dx)), plan.photographs)
    rows = [
        {
            "lesion_id": f"SYN_L{first_lesion + lesion:06d}",
            "image_id": image_id(number),
            "dx": DIAGNOSES[plan.dx[lesion]],
            "dx_type": "synthetic",
            "age": "",
            "sex": "unknown",
            "localization": "unknown",
        }
        for number, lesion in enumerate(lesions, first_image)
    ]
    write_metadata(folder, rows)


def write_metadata(folder: Path, rows: Sequence[Mapping[str, str]], dataset: Dataset = HAM10000) -> None:
    """The table of a folder, and what it is about; a column that only some rows have is empty in the others."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / (OTHER_METADATA if is_other(dataset) else METADATA_NAMES[0]), text.getvalue())
    write_whole(folder / DESCRIPTION, dataset_to_yaml(dataset))
