"""Turn a workshop's data source into two folders in HAM10000's layout: one that ships, one that stays hidden.

A source is `synthetic`, a folder (HAM10000's layout, or images with a table) or DermaMNIST's .npz file. `prepare_data`
fills `build/data/` (training and validation photographs, copied into every kit) and `build/vault/test/` (the hidden
test set, of other lesions, which the vault's secret decides). Running it again with the same source does nothing. What
is written for each source is in `writers.py`.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from instructor.dataset.writers import write_folder, write_medmnist, write_synthetic
from instructor.vault import Vault
from instructor.workshop import SYNTHETIC, DataSource
from lab_code.data.ham10000 import (
    DIAGNOSES,
    read_photographs,
)
from lab_code.data.lesions import is_medmnist, read_folder
from lab_code.data.photographs import CACHE_FOLDER
from lab_code.errors import LabError
from lab_code.files import canonical_json, sha256_file, to_json, write_whole

CHECKSUMS = "SHA256SUMS"
_STAMP, _VAULT = "prepared.json", "vault"
_MADE_BY = 1  # raise this number when the generator or the way of writing changes
_IMAGES = (".jpg", ".jpeg", ".png")


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
    hidden_seed, drawn_by = _choose_hidden(source, prepared, Vault(build))
    stamp = {"made_by": _MADE_BY, **_describe_source(source), **drawn_by}
    if _is_current(prepared, stamp):
        return PreparedData(prepared.folder, prepared.test_folder, changed=False)
    staging = build / ".staging-data"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        kit, test = staging / "data", staging / "test"
        if source.source == SYNTHETIC:
            write_synthetic(source, kit, test, progress, hidden_seed)
        elif is_medmnist(Path(source.source)):
            write_medmnist(source, kit, test, progress)
        else:
            write_folder(source, kit, test, progress, hidden_seed)
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


def is_divided_publicly(prepared: PreparedData) -> bool:
    """Whether real photographs were divided by the seed of workshop.yaml, as versions before the vault's seeds did."""
    stamp = _read_stamp(prepared.test_folder)
    place = str(stamp.get("source", SYNTHETIC))
    return _VAULT not in stamp and place != SYNTHETIC and not is_medmnist(Path(place))


def shipped_files(prepared: PreparedData) -> list[Path]:
    """What of the prepared folder goes into a kit, in a fixed order."""
    return [
        path
        for path in sorted(prepared.folder.rglob("*"))
        if path.is_file() and path.name != _STAMP and CACHE_FOLDER not in path.parts
    ]


def _is_current(prepared: PreparedData, stamp: dict) -> bool:
    return all(_read_stamp(folder) == stamp for folder in (prepared.folder, prepared.test_folder))


def _read_stamp(folder: Path) -> dict:
    try:
        return dict(json.loads((folder / _STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _choose_hidden(source: DataSource, prepared: PreparedData, vault: Vault) -> tuple[int, dict[str, str]]:
    """The seed of the hidden photographs, and what the stamp says of it.

    It is the vault's. Only a folder that an earlier version has divided stays divided as it is: kits that are out
    there were trained on what would be hidden now. DermaMNIST is divided as published.
    """
    if source.source != SYNTHETIC and is_medmnist(Path(source.source)):
        return 0, {}
    earlier = _read_stamp(prepared.test_folder)
    same = source.source != SYNTHETIC and earlier.get("source") == str(Path(source.source).resolve())
    if same and _VAULT not in earlier:
        return source.seed, {}
    return vault.hidden_seed(), {_VAULT: vault.fingerprint()}


def _describe_source(source: DataSource) -> dict:
    """Everything the prepared folders depend on."""
    if source.source == SYNTHETIC:
        return asdict(source)
    place = Path(source.source)
    if is_medmnist(place):
        files = [place]
    else:
        files = [
            read_folder(place).table,
            *(path for path in sorted(place.rglob("*")) if path.suffix.lower() in _IMAGES),
        ]
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    write = {"source": str(place.resolve()), "files": hashlib.sha256(canonical_json(stats)).hexdigest()}
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


def _checksums(folder: Path) -> str:
    """SHA-256 of every file in the format that `sha256sum --check` reads."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return "".join(f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
