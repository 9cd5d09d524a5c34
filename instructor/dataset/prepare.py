"""Turn a workshop's data source into two folders in HAM10000's layout: one that ships, one that stays hidden.

`prepare_data` fills `build/data/` (training and validation photographs, copied into every kit) and `build/vault/test/`
(the hidden test set, of other lesions). Running it again with the same source does nothing. The synthetic photographs
are made by `synthetic.py`; photographs of a folder are divided by lesion and reduced in size.
"""

import csv
import hashlib
import io
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from instructor.dataset.synthetic import LesionPlan, block_count, plan_lesions, render_block
from instructor.workshop import SYNTHETIC, DataSource
from lab_code.data.ham10000 import (
    DIAGNOSES,
    IMAGE_FOLDERS,
    METADATA_NAMES,
    Photograph,
    find_metadata,
    read_photographs,
)
from lab_code.data.lesions import open_photograph, split_by_lesion
from lab_code.errors import LabError
from lab_code.workshop.files import canonical_json, sha256_file, to_json, write_whole

CHECKSUMS = "SHA256SUMS"
_STAMP = "prepared.json"
_MADE_BY = 1  # raise this number when the generator or the way of writing changes
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


@dataclass(frozen=True)
class PreparedData:
    """`folder` ships with every kit; `test_folder` never leaves the instructor's machine."""

    folder: Path
    test_folder: Path
    changed: bool  # False where everything was there already

    def count(self) -> tuple[int, int]:
        """How many photographs ship, and how many stay hidden."""
        return len(read_photographs(self.folder)), len(read_photographs(self.test_folder))


def prepare_data(
    source: DataSource, build: Path, progress: Callable[[int], Callable[[], object]] | None = None
) -> PreparedData:
    """Fill `build/data/` and `build/vault/test/` from the source, or leave them where they are up to date.

    `progress(total)` returns a function that is called once a photograph. Raises `LabError` for a folder that cannot
    be read; then nothing that was there is lost.
    """
    prepared = PreparedData(build / "data", build / "vault" / "test", changed=True)
    stamp = {"made_by": _MADE_BY, **_describe_source(source)}
    if _is_current(prepared, stamp):
        return PreparedData(prepared.folder, prepared.test_folder, changed=False)
    staging = build / ".staging-data"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        kit, test = staging / "data", staging / "test"
        if source.source == SYNTHETIC:
            _write_synthetic(source, kit, test, progress)
        else:
            _write_folder(source, kit, test, progress)
        _check_divisible(kit)
        for folder in (kit, test):
            write_whole(folder / CHECKSUMS, _checksums(folder))
            write_whole(folder / _STAMP, to_json(stamp))
        for made, final in ((kit, prepared.folder), (test, prepared.test_folder)):
            shutil.rmtree(final, ignore_errors=True)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return prepared


def shipped_files(prepared: PreparedData) -> list[Path]:
    """What of the prepared folder goes into a kit, in a fixed order."""
    return [path for path in sorted(prepared.folder.rglob("*")) if path.is_file() and path.name != _STAMP]


def _is_current(prepared: PreparedData, stamp: dict) -> bool:
    for folder in (prepared.folder, prepared.test_folder):
        try:
            if json.loads((folder / _STAMP).read_text(encoding="utf-8")) != stamp:
                return False
        except (OSError, ValueError):
            return False
    return True


def _describe_source(source: DataSource) -> dict:
    """Everything the prepared folders depend on."""
    if source.source == SYNTHETIC:
        return asdict(source)
    table = find_metadata(Path(source.source))
    images = [path.stat() for name in IMAGE_FOLDERS for path in sorted((table.parent / name).glob("*.jpg"))]
    content = canonical_json([(image.st_size, image.st_mtime_ns) for image in images])
    write = {
        "source": str(Path(source.source).resolve()),
        "table": sha256_file(table),
        "images": hashlib.sha256(content).hexdigest(),
    }
    return {**write, "seed": source.seed, "test_fraction": source.test_fraction, "stored_size": source.stored_size}


def _check_divisible(folder: Path) -> None:
    """Every diagnosis needs two lesions: the groups divide these photographs once more, for validation."""
    lesions = Counter(dx for _, dx in {(photo.lesion_id, photo.dx) for photo in read_photographs(folder)})
    for dx in DIAGNOSES:
        if lesions[dx] == 1:
            raise LabError(
                f"the kits' photographs hold only one lesion of '{dx}', too few to train and to validate",
                hint="raise data.images in instructor/workshop.yaml, or add lesions to the folder",
            )


def _write_synthetic(source: DataSource, kit: Path, test: Path, progress: Callable | None) -> None:
    plans = [
        (kit, plan_lesions(source.images, source.seed, 1.0), source.seed, 0, 0),
        (test, plan_lesions(source.test_images, source.seed + 1, source.test_imbalance), source.seed + 1, 10**6, 10**5),
    ]
    advance = progress(source.images + source.test_images) if progress else None
    # Spawned, as on every system: forking a program that has threads may hang.
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        for folder, plan, seed, first_image, first_lesion in plans:
            for part in IMAGE_FOLDERS:
                (folder / part).mkdir(parents=True)
            with _interrupts_held():  # the first submission starts the workers
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
def _interrupts_held() -> Iterator[None]:
    """Processes started in here never hear Ctrl-C, which is the parent's affair; the parent hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where `_ignore_interrupts` has to do
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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


def _write_folder(source: DataSource, kit: Path, test: Path, progress: Callable | None) -> None:
    folder = Path(source.source)
    photographs = read_photographs(folder)
    labels = np.array([DIAGNOSES.index(photograph.dx) for photograph in photographs])
    hidden = split_by_lesion(labels, [p.lesion_id for p in photographs], source.test_fraction, source.seed)
    advance = progress(len(photographs)) if progress else None
    for target, chosen in ((kit, ~hidden), (test, hidden)):
        mine = [photograph for photograph, take in zip(photographs, chosen, strict=True) if take]
        for name in IMAGE_FOLDERS:
            (target / name).mkdir(parents=True)
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda p, to=target: _write_reduced(p, to, source.stored_size), mine):
                advance and advance()
        _write_table(target, [photograph.row for photograph in mine])
        write_whole(target / "SOURCE.md", _REAL_NOTE.format(name=folder.resolve().name, size=source.stored_size))


def _write_reduced(photograph: Photograph, target: Path, size: int) -> None:
    """Write a photograph with its shorter side at most `size` pixels."""
    picture = open_photograph(photograph.path, size)
    scale = min(1.0, size / min(picture.size))
    if scale < 1:
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    picture.save(target / photograph.path.parent.name / f"{photograph.image_id}.jpg", quality=_JPEG_QUALITY)


def _write_table(folder: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / METADATA_NAMES[0], text.getvalue())


def _checksums(folder: Path) -> str:
    """SHA-256 of every file in the format that `sha256sum --check` reads."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return "".join(f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
