"""Write drawn photographs into folders of HAM10000's layout, with the table that every source is written with.

Like the writers of real photographs (`real_writers.py`) it fills two folders, the kit's and the hidden one, and says in
`SOURCE.md` where the photographs come from. Called by `prepare.py` with folders that are not in place yet.
"""

import csv
import io
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from instructor.dataset.synthetic import LesionPlan, block_count, plan_lesions, render_block
from instructor.workshop import DataSource
from lab_code.data.dataset import DESCRIPTION, Dataset, dataset_to_yaml
from lab_code.data.ham10000 import DIAGNOSES, HAM10000, IMAGE_FOLDERS, METADATA_NAMES, OTHER_METADATA, is_other
from lab_code.data.photographs import Progress
from lab_code.files import write_whole
from lab_code.tracking.interrupts import hold_interrupts

JPEG_QUALITY = 95
Work = Callable[[], object]

_SYNTHETIC_NOTE = """# Synthetic photographs

These pictures were drawn by a program. They look like dermatoscopic photographs of seven diagnoses, in the proportions
and the folder layout of HAM10000, but no person was ever photographed: nothing learned from them is a medical result.
"""


def write_synthetic(
    source: DataSource,
    kit: Path,
    test: Path,
    hidden_seed: int,
    progress: Progress | None,
    meanwhile: Work = lambda: None,
) -> list[str]:
    """Draw the photographs of both folders, in other processes; `meanwhile` is done here. There is nothing to note."""
    plans = [
        (kit, plan_lesions(source.images, source.seed, 1.0), source.seed, 0, 0),
        (test, plan_lesions(source.test_images, hidden_seed, source.test_imbalance), hidden_seed, 10**6, 10**5),
    ]
    advance = progress(source.images + source.test_images) if progress else None
    # Spawned, as on every system: forking a program that has threads may hang.
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        jobs = []
        for folder, plan, seed, first_image, first_lesion in plans:
            for part in IMAGE_FOLDERS:
                (folder / part).mkdir(parents=True)
            with _deaf_children():  # the first submission starts the workers
                jobs += [
                    pool.submit(_write_block, folder, plan, block, source, seed, first_image)
                    for block in range(block_count(plan))
                ]
            _write_synthetic_table(folder, plan, first_image, first_lesion)
            write_whole(folder / "SOURCE.md", _SYNTHETIC_NOTE)
        meanwhile()
        for job in jobs:
            for _ in range(job.result()):
                advance and advance()
    finally:
        pool.shutdown(cancel_futures=True)
    return []


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started in here never hear Ctrl-C, which is the parent's affair; the parent hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where `_ignore_interrupts` has to do
        yield
        return
    with hold_interrupts():  # other threads may hear it too: the mask, which the processes inherit, is this thread's
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_block(folder: Path, plan: LesionPlan, block: int, source: DataSource, seed: int, first_image: int) -> int:
    """Render and write one block of lesions (in a process of its own); returns how many photographs."""
    lesion, photographs = render_block(plan, block, source.image_size, seed, source.difficulty)
    before = int(plan.photographs[: lesion[0]].sum())
    for number, photograph in enumerate(photographs, first_image + before):
        path = folder / IMAGE_FOLDERS[number % 2] / f"{_image_id(number)}.jpg"
        Image.fromarray(photograph).save(path, quality=JPEG_QUALITY)
    return len(photographs)


def _image_id(number: int) -> str:
    return f"SYN_{number:07d}"


def _write_synthetic_table(folder: Path, plan: LesionPlan, first_image: int, first_lesion: int) -> None:
    lesions = np.repeat(np.arange(len(plan.dx)), plan.photographs)
    rows = [
        {
            "lesion_id": f"SYN_L{first_lesion + lesion:06d}",
            "image_id": _image_id(number),
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
