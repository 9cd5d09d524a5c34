"""Turn a workshop's data source into two folders in HAM10000's layout: one that ships, one that stays hidden.

A source is `synthetic`, a folder of photographs (which layouts: `lab_code/data/image_table.py`) or DermaMNIST's .npz
file. `prepare_data` fills `build/data/` (training and validation photographs, copied into every kit) and
`build/vault/test/` (the hidden test set, of other lesions and other pictures, which the vault's secret decides).
Running it again with the same source does nothing. What is written for each source is in `writers.py` and
`real_writers.py`.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from instructor.dataset.real_writers import write_folder, write_medmnist
from instructor.dataset.writers import Work, write_synthetic
from instructor.vault import Vault
from instructor.workers import Workers, open_workers
from instructor.workshop import SYNTHETIC, DataSource
from lab_code.data.csv_file import TABLE_ENDINGS, read_table
from lab_code.data.dataset import DESCRIPTION
from lab_code.data.duplicates import find_same, join_lesions
from lab_code.data.ham10000 import METADATA_NAMES, find_metadata, read_dataset, read_photographs
from lab_code.data.image_files import IMAGE_ENDINGS, list_files
from lab_code.data.lesions import is_medmnist
from lab_code.data.photographs import CACHE_FOLDER
from lab_code.errors import LabError
from lab_code.files import canonical_json, sha256_file, to_json, write_whole

CHECKSUMS = "SHA256SUMS"
_STAMP, _VAULT = "prepared.json", "vault"
_SOURCE_FILES = (*IMAGE_ENDINGS, *TABLE_ENDINGS, METADATA_NAMES[1].lower(), DESCRIPTION)  # whatever ends like that
_MADE_BY = 3  # raise this number when the generator or the way of writing changes


@dataclass(frozen=True)
class PreparedData:
    """`folder` ships with every kit; `test_folder` never leaves the instructor's machine."""

    folder: Path
    test_folder: Path
    changed: bool  # False where everything was there already
    notes: list[str] = field(default_factory=list)  # how the source was understood, what is there more than once

    def count(self) -> tuple[int, int]:
        """How many photographs ship, and how many stay hidden."""
        shipped, hidden = (read_table(find_metadata(folder)).rows for folder in (self.folder, self.test_folder))
        return len(shipped), len(hidden)


def prepare_data(
    source: DataSource,
    build: Path,
    progress: Callable[[int], Callable[[], object]] | None = None,
    meanwhile: Work = lambda: None,
    workers: Workers | None = None,
) -> PreparedData:
    """Fill `build/data/` and `build/vault/test/` from the source, or leave them where they are up to date.

    `progress(total)` returns a function that is called once a photograph; `meanwhile` is called where `workers` (or
    some of its own) draw the photographs, so that this process has time. Raises `LabError` for a folder that cannot
    be read; then nothing that was there is lost.
    """
    prepared = PreparedData(build / "data", build / "vault" / "test", changed=True)
    hidden_seed, drawn_by = _choose_hidden(source, prepared, Vault(build))
    stamp = {"made_by": _MADE_BY, **_describe_source(source), **drawn_by}
    notes = _read_notes(prepared, stamp)
    if notes is not None:
        return PreparedData(prepared.folder, prepared.test_folder, changed=False, notes=notes)
    staging = build / ".staging-data"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        kit, test = staging / "data", staging / "test"
        if source.source == SYNTHETIC:
            with nullcontext(workers) if workers else open_workers() as drawing:
                notes = write_synthetic(source, (kit, test), hidden_seed, progress, meanwhile, drawing)
        elif is_medmnist(Path(source.source)):
            notes = write_medmnist(source, kit, test, progress)
        else:
            notes = write_folder(source, kit, test, progress, hidden_seed)
        digests = {folder: _hash_files(folder) for folder in (kit, test)}
        _check_divisible(kit, digests[kit])
        for folder in (kit, test):
            write_whole(folder / CHECKSUMS, _checksums(folder, digests[folder]))
            write_whole(folder / _STAMP, to_json({"made_from": stamp, "notes": notes}))
        for made, final in ((kit, prepared.folder), (test, prepared.test_folder)):
            shutil.rmtree(final, ignore_errors=True)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return PreparedData(prepared.folder, prepared.test_folder, changed=True, notes=notes)


def is_divided_publicly(prepared: PreparedData) -> bool:
    """Whether real photographs were divided by the seed of workshop.yaml, as versions before the vault's seeds did."""
    stamp = _read_source(prepared.test_folder)
    place = str(stamp.get("source", SYNTHETIC))
    return _VAULT not in stamp and place != SYNTHETIC and not is_medmnist(Path(place))


def shipped_files(prepared: PreparedData) -> list[Path]:
    """What of the prepared folder goes into a kit, in a fixed order."""
    return [
        path
        for path in sorted(prepared.folder.rglob("*"))
        if path.is_file() and path.name != _STAMP and CACHE_FOLDER not in path.parts
    ]


def _read_notes(prepared: PreparedData, stamp: dict[str, Any]) -> list[str] | None:
    """The notes of an earlier run, or None where the folders were made from something else."""
    found = [_read_stamp(folder) for folder in (prepared.folder, prepared.test_folder)]
    if any(made.get("made_from") != stamp for made in found):
        return None
    return found[0]["notes"]


def _read_stamp(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _read_source(folder: Path) -> dict[str, Any]:
    """What a prepared folder was made from; earlier versions wrote nothing else into its stamp."""
    stamp = _read_stamp(folder)
    made_from = stamp.get("made_from", stamp)
    return made_from if isinstance(made_from, dict) else {}


def _choose_hidden(source: DataSource, prepared: PreparedData, vault: Vault) -> tuple[int, dict[str, str]]:
    """The seed of the hidden photographs, and what the stamp says of it.

    It is the vault's. Only a folder that an earlier version has divided stays divided as it is: kits that are out
    there were trained on what would be hidden now. DermaMNIST is divided as published.
    """
    if source.source != SYNTHETIC and is_medmnist(Path(source.source)):
        return 0, {}
    earlier = _read_source(prepared.test_folder)
    same = source.source != SYNTHETIC and earlier.get("source") == str(Path(source.source).resolve())
    if same and _VAULT not in earlier:
        return source.seed, {}
    return vault.hidden_seed(), {_VAULT: vault.fingerprint()}


def _describe_source(source: DataSource) -> dict[str, Any]:
    """Everything the prepared folders depend on."""
    if source.source == SYNTHETIC:
        return asdict(source)
    place = Path(source.source)
    described = place.with_suffix(".yaml")
    files = [place, described] if is_medmnist(place) else list_files(place, _SOURCE_FILES)
    known = [(os.path.relpath(path, place), path.stat()) for path in files if path.is_file()]
    stats = [(name, status.st_size, status.st_mtime_ns) for name, status in known]
    made_from = {"source": str(place.resolve()), "files": hashlib.sha256(canonical_json(stats)).hexdigest()}
    return {**made_from, "seed": source.seed, "test_fraction": source.test_fraction, "stored_size": source.stored_size}


def _check_divisible(folder: Path, digests: dict[Path, str]) -> None:
    """Every diagnosis needs two lesions: the groups divide these photographs once more, for validation.

    Lesions that share a picture count as one there.
    """
    photographs, dataset = read_photographs(folder), read_dataset(folder)
    same = find_same(digests[photograph.path] for photograph in photographs)
    groups = join_lesions([photograph.lesion_id for photograph in photographs], same).tolist()
    lesions = Counter(dx for _, dx in {(group, photo.dx) for group, photo in zip(groups, photographs, strict=True)})
    one, several = dataset.group_words
    for dx in dataset.codes:
        if lesions[dx] == 1:
            raise LabError(
                f"the kits' photographs hold only one {one} of '{dx}', too few to train and to validate",
                hint=f"raise data.images in the file that describes the workshop, or add {several} to the folder",
            )


def _hash_files(folder: Path) -> dict[Path, str]:
    """SHA-256 of every file below a folder, in a fixed order."""
    return {path: sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _checksums(folder: Path, digests: dict[Path, str]) -> str:
    """The digests in the format that `sha256sum --check` reads."""
    return "".join(f"{digest}  {path.relative_to(folder).as_posix()}\n" for path, digest in digests.items())
