"""Write photographs into folders of HAM10000's layout: drawn ones, those of a folder, those of DermaMNIST.

Each `write_…` fills two folders, the kit's and the hidden one, and says in `SOURCE.md` where the photographs come from.
Called by `prepare.py` with folders that are not in place yet.
"""

import csv
import hashlib
import io
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from instructor.dataset.synthetic import LesionPlan, block_count, plan_lesions, render_block
from instructor.workshop import DataSource
from lab_code.data.ham10000 import DIAGNOSES, IMAGE_FOLDERS, METADATA_NAMES, missing_images
from lab_code.data.lesions import read_folder, split_by_lesion
from lab_code.data.medmnist import PARTS, read_part
from lab_code.data.photographs import open_photograph
from lab_code.data.table import Photograph
from lab_code.files import write_whole
from lab_code.interrupts import hold_interrupts

_JPEG_QUALITY = 95

_SYNTHETIC_NOTE = """# Synthetic photographs

These pictures were drawn by a program. They look like dermatoscopic photographs of seven diagnoses, in the proportions
and the folder layout of HAM10000, but no person was ever photographed: nothing learned from them is a medical result.
"""
_REAL_NOTE = """# Dermatoscopic photographs

Taken from the folder `{name}`, in the layout of HAM10000, reduced to {size} pixels. If they are HAM10000: Tschandl, P.,
Rosendahl, C. & Kittler, H. Sci. Data 5, 180161 (2018), doi:10.1038/sdata.2018.161, licence CC BY-NC 4.0. The models
trained here are for teaching only, never for clinical use.
"""


_MEDMNIST_NOTE = """# Dermatoscopic photographs

Taken from the file `{name}`, in the layout of DermaMNIST: Yang et al., Sci. Data 10, 41 (2023), made from HAM10000
(Tschandl et al., Sci. Data 5, 180161 (2018)), licence CC BY-NC 4.0. Which photographs show the same lesion is not
known, so one lesion may be on both sides of a split. The models trained here are for teaching only, never for clinical
use.
"""


def write_synthetic(source: DataSource, kit: Path, test: Path, progress: Callable | None, hidden_seed: int) -> None:
    plans = [
        (kit, plan_lesions(source.images, source.seed, 1.0), source.seed, 0, 0),
        (test, plan_lesions(source.test_images, hidden_seed, source.test_imbalance), hidden_seed, 10**6, 10**5),
    ]
    advance = progress(source.images + source.test_images) if progress else None
    # Spawned, as on every system: forking a program that has threads may hang.
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        for folder, plan, seed, first_image, first_lesion in plans:
            for part in IMAGE_FOLDERS:
                (folder / part).mkdir(parents=True)
            with _deaf_children():  # the first submission starts the workers
                jobs = [
                    pool.submit(_write_block, folder, plan, block, source, seed, first_image)
                    for block in range(block_count(plan))
                ]
            for job in jobs:
                for _ in range(job.result()):
                    advance and advance()
            _write_synthetic_table(folder, plan, first_image, first_lesion)
            write_whole(folder / "SOURCE.md", _SYNTHETIC_NOTE)
    finally:
        pool.shutdown(cancel_futures=True)


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
        Image.fromarray(photograph).save(path, quality=_JPEG_QUALITY)
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
    _write_table(folder, rows)


def write_medmnist(source: DataSource, kit: Path, test: Path, progress: Callable | None) -> None:
    """The published training and validation parts ship, the test part stays hidden; no lesion is known."""
    path = Path(source.source)
    parts = {part: read_part(path, part) for part in PARTS}
    advance = progress(sum(len(labels) for _, labels in parts.values())) if progress else None
    for target, names in ((kit, ("train", "val")), (test, ("test",))):
        for folder in IMAGE_FOLDERS:
            (target / folder).mkdir(parents=True)
        rows = []
        for name in names:
            for number, (image, label) in enumerate(zip(*parts[name], strict=True)):
                image_id = f"{name}_{number:05d}"
                picture = Image.fromarray(image)
                picture.save(target / IMAGE_FOLDERS[number % 2] / f"{image_id}.jpg", quality=_JPEG_QUALITY)
                rows.append({"lesion_id": f"unknown_{image_id}", "image_id": image_id, "dx": DIAGNOSES[label]})
                advance and advance()
        _write_table(target, rows)
        write_whole(target / "SOURCE.md", _MEDMNIST_NOTE.format(name=path.name))


def write_folder(source: DataSource, kit: Path, test: Path, progress: Callable | None, hidden_seed: int) -> None:
    folder = Path(source.source)
    reading = read_folder(folder)
    if reading.missing:
        raise missing_images(reading, folder)
    photographs = reading.photographs
    labels = np.array([DIAGNOSES.index(photograph.dx) for photograph in photographs])
    hidden = split_by_lesion(labels, [p.lesion_id for p in photographs], source.test_fraction, hidden_seed)
    advance = progress(len(photographs)) if progress else None
    for target, chosen in ((kit, ~hidden), (test, hidden)):
        mine = [photograph for photograph, take in zip(photographs, chosen, strict=True) if take]
        for name in IMAGE_FOLDERS:
            (target / name).mkdir(parents=True)
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda p, to=target: _write_reduced(p, _place(p, to), source.stored_size), mine):
                advance and advance()
        _write_table(target, [_make_row(photograph) for photograph in mine])
        write_whole(target / "SOURCE.md", _REAL_NOTE.format(name=folder.resolve().name, size=source.stored_size))


def _make_row(photograph: Photograph) -> dict[str, str]:
    """The row of the source; where that was no table of HAM10000, with its columns added."""
    named = {"lesion_id": photograph.lesion_id, "image_id": _make_id(photograph), "dx": photograph.dx}
    return photograph.row if "image_id" in photograph.row else {**named, **photograph.row}


def _make_id(photograph: Photograph) -> str:
    """The image's id: as published, or what a path in a table becomes when it has to be the name of a file."""
    if "image_id" in photograph.row:
        return photograph.image_id
    return hashlib.sha256(photograph.image_id.encode("utf-8")).hexdigest()[:16]


def _place(photograph: Photograph, target: Path) -> Path:
    folder = photograph.path.parent.name
    name = _make_id(photograph)
    if folder not in IMAGE_FOLDERS:
        folder = IMAGE_FOLDERS[int(hashlib.sha256(name.encode("utf-8")).hexdigest(), 16) % 2]
    return target / folder / f"{name}.jpg"


def _write_reduced(photograph: Photograph, target: Path, size: int) -> None:
    """Write a photograph as `target` with its shorter side at most `size` pixels."""
    picture = open_photograph(photograph.path, size)
    scale = min(1.0, size / min(picture.size))
    if scale < 1:
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    picture.save(target, quality=_JPEG_QUALITY)


def _write_table(folder: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / METADATA_NAMES[0], text.getvalue())
