"""A zip for every group, its sheet beside it, and the checksums of both.

    plan = plan_archives(cargos, Path("build/archives"))
    apply_archives(plan, advance)

The same kits give the same bytes, whenever and wherever they are packed (by the same zlib): names are sorted, and no
time is written. A zip's comment names what it holds, so that one that is current is left alone.
"""

import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructor.deliver.cargo import Cargo, Item, parse_sums, refuse
from instructor.deliver.medium import find_file_system, find_unfit
from instructor.deliver.plan import show_bytes
from lab_code.files import open_whole, sha256_file, write_whole
from lab_code.workshop.kit import KIT_FILE, SHEET

CHECKSUMS = "SHA256SUMS"
_COMMENT = b"lab kit "
_REGULAR_FILE = 0o100000
_CHUNK = 1 << 20
_PACKED = (".whl", ".gz")


@dataclass
class ArchivesPlan:
    """Zips that have to be written, those that are current, and sheets that have to be copied, by file name."""

    folder: Path
    cargos: dict[str, Cargo]
    write: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    sheets: dict[str, Path] = field(default_factory=dict)
    needs: int = 0  # bytes at most: photographs hardly become smaller
    free: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        return bool(self.write or self.sheets)


def plan_archives(cargos: Sequence[Cargo], folder: Path) -> ArchivesPlan:
    """What is there already, and what has to be packed; nothing is changed."""
    plan = ArchivesPlan(folder, {f"{cargo.name}.zip": cargo for cargo in cargos})
    sums = _read_sums(folder)
    for name, cargo in plan.cargos.items():
        current = _is_current(folder / name, cargo, sums.get(name))
        (plan.current if current else plan.write).append(name)
        sheet = cargo.files.get(SHEET)
        beside = f"{cargo.name}.pdf"
        if sheet and (_digest(folder / beside) != sheet.digest or sums.get(beside) != sheet.digest):
            plan.sheets[beside] = sheet.source
    plan.needs = sum(plan.cargos[name].size for name in plan.write)
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    plan.free = shutil.disk_usage(place).free
    plan.faults += find_unfit(cargos, find_file_system(place))
    if not place.is_dir():
        plan.faults.append(f"{place} is a file, not a folder")
    if plan.needs > plan.free:
        plan.faults.append(
            f"{folder}: {show_bytes(plan.needs)} are needed for all archives, {show_bytes(plan.free)} are free"
        )
    return plan


def apply_archives(plan: ArchivesPlan, advance: Callable[[], object] = lambda: None) -> None:
    """Write what is missing or out of date. Raises `LabError` for the plan's faults."""
    refuse(plan.faults, "nothing was written")
    if not plan.changes:
        return
    sums = {name: digest for name, digest in _read_sums(plan.folder).items() if (plan.folder / name).is_file()}
    for name in plan.write:
        with open_whole(plan.folder / name) as file:
            _pack(plan.cargos[name], file, advance)
        sums[name] = sha256_file(plan.folder / name)
        _write_sums(plan.folder, sums)
    for name, source in plan.sheets.items():
        write_whole(plan.folder / name, source.read_bytes())
        sums[name] = sha256_file(plan.folder / name)
    _write_sums(plan.folder, sums)


def _pack(cargo: Cargo, file: object, advance: Callable[[], object]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:  # type: ignore[call-overload]
        archive.comment = _comment(cargo)
        for name, item in sorted(cargo.files.items()):
            _pack_one(archive, f"{cargo.name}/{name}", item)
            advance()
        if cargo.identity is not None:
            archive.writestr(_info(f"{cargo.name}/{KIT_FILE}", 0o644), cargo.identity)


def _pack_one(archive: zipfile.ZipFile, name: str, item: Item) -> None:
    info = _info(name, item.mode)
    if name.endswith(_PACKED):  # packing once more costs a minute and saves nothing
        info.compress_type = zipfile.ZIP_STORED
    info.file_size = item.size
    with item.source.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, _CHUNK)


def _info(name: str, mode: int) -> zipfile.ZipInfo:
    """A member without a time, which keeps its run bit wherever it is unpacked."""
    info = zipfile.ZipInfo(name)
    info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
    info.external_attr = (_REGULAR_FILE | (0o755 if mode & 0o100 else mode)) << 16
    return info


def _comment(cargo: Cargo) -> bytes:
    return _COMMENT + cargo.digest().encode()


def _is_current(path: Path, cargo: Cargo, digest: str | None) -> bool:
    """Whether a zip is whole, as it was written, and of this very kit."""
    if digest is None or _digest(path) != digest:
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == _comment(cargo)
    except (OSError, zipfile.BadZipFile):
        return False


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() else ""


def _read_sums(folder: Path) -> dict[str, str]:
    try:
        return parse_sums((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _write_sums(folder: Path, sums: dict[str, str]) -> None:
    write_whole(folder / CHECKSUMS, "".join(_lines(sums)))


def _lines(sums: dict[str, str]) -> Iterator[str]:
    return (f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
