"""Real photographs from where they are published: `instructor data fetch ham10000`, or `dermamnist`.

    path, notes = fetch(choose_source("dermamnist"), folder, progress)

Files come by `instructor/fetching.py`, and count only when their checksums are the publishers': those of DermaMNIST
stand here, as MedMNIST publishes them, those of HAM10000 are asked from Dataverse with the list of its files. Where
Dataverse has none for a file (it converts tables), the content is read instead, and that is said.
"""

import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instructor.fetching import Address, Fetcher, Progress, UnreachableError, check_room, explain_disk
from lab_code.data.ham10000 import IMAGE_FOLDERS
from lab_code.data.lesions import read_folder
from lab_code.data.medmnist import PARTS, SIZES, read_part
from lab_code.errors import LabError

_DATAVERSE, _ZENODO = "https://dataverse.harvard.edu", "https://zenodo.org"
_DOI = "doi:10.7910/DVN/DBW86T"
_HAM_FILES = (*(f"{name}.zip" for name in IMAGE_FOLDERS), "HAM10000_metadata")
_RECORD = "10519652"  # of MedMNIST at Zenodo
_MD5 = {  # of dermamnist's files by their size, as medmnist 3.0 checks them
    28: "0744692d530f8e62ec473284d019b0c7",
    64: "b70a2f5635c6199aeaa28c31d7202e1f",
    128: "2defd784463fa5243564e855ed717de1",
    224: "8974907d8e169bef5f5b96bc506ae45d",
}
_LICENCE = "CC BY-NC 4.0: no commercial use; name the authors"
_BY_HAND = "go the way by hand: --manual"
_OTHER_FOLDER = "choose another folder with --to"


@dataclass(frozen=True)
class RemoteFile:
    """A file, where it is, and its size; 0 where the publisher says nothing of it."""

    name: str
    address: Address
    size: int = 0


@dataclass(frozen=True)
class Source:
    """A data set: how it is called, under which licence, on which page people find it, and its files by name."""

    name: str
    title: str
    licence: str
    page: str
    files: tuple[str, ...]


def choose_source(name: str, size: int = 64) -> Source:
    """`ham10000`, or `dermamnist` in one of its sizes. Raises `LabError` for another."""
    if name == "ham10000":
        title = "HAM10000: Tschandl, P., Rosendahl, C. & Kittler, H. Sci. Data 5, 180161 (2018)"
        page = f"{_DATAVERSE}/dataset.xhtml?persistentId={_DOI}"
        return Source(name, title, _LICENCE, page, _HAM_FILES)
    if name != "dermamnist":
        raise LabError(f"there is no data set '{name}' to fetch", hint="ham10000, or dermamnist")
    if size not in SIZES:
        raise LabError(f"DermaMNIST has no size {size}", hint=f"sizes: {', '.join(map(str, SIZES))}")
    title = "DermaMNIST: Yang et al., MedMNIST v2, Sci. Data 10, 41 (2023), made from HAM10000 (Tschandl et al. 2018)"
    file = "dermamnist.npz" if size == 28 else f"dermamnist_{size}.npz"
    return Source(name, title, _LICENCE, f"{_ZENODO}/records/{_RECORD}", (file,))


def describe_by_hand(source: Source, folder: Path) -> list[str]:
    """Numbered steps for a machine without a network, with the exact names of the files."""
    steps = [f"On a computer with a network open {source.page}"]
    steps += [f"Download {name}" for name in source.files]
    if source.name == "ham10000":
        steps += [f"Unpack {name}.zip into {folder / name}" for name in IMAGE_FOLDERS]
        steps += [f"Save the table as {folder / 'HAM10000_metadata.csv'} (HAM10000_metadata and .tab will do as well)"]
        steps += [f"Then: instructor provision --data {folder}"]
    else:
        steps += [
            f"Bring it to {folder / source.files[0]}",
            f"Then: instructor provision --data {folder / source.files[0]}",
        ]
    return [f"{number}. {step}" for number, step in enumerate(steps, 1)]


def fetch(source: Source, folder: Path, progress: Progress, mirror: str = "") -> tuple[Path, list[str]]:
    """Bring a data set into `folder`; returns what `instructor provision --data` takes, and what to say about it.

    What is there already is left alone. Raises `LabError`; what has arrived by then is kept for the next try.
    `mirror` is the address of a machine that has the publishers' files at the same paths.
    """
    fetcher = Fetcher(folder, progress, mirror=mirror, other_way=_BY_HAND, other_folder=_OTHER_FOLDER)
    with explain_disk(folder, _OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        if source.name == "dermamnist":
            return _fetch_dermamnist(source, folder, fetcher)
        return _fetch_ham10000(folder, fetcher)


def _fetch_dermamnist(source: Source, folder: Path, fetcher: Fetcher) -> tuple[Path, list[str]]:
    name = source.files[0]
    size = int(name.removesuffix(".npz").removeprefix("dermamnist").lstrip("_") or 28)
    path = folder / name
    if not path.is_file():
        fetcher.fetch(Address(f"{_ZENODO}/records/{_RECORD}/files/{name}?download=1", md5=_MD5[size]), path)
    for part in PARTS:
        read_part(path, part)
    return path, []


def _fetch_ham10000(folder: Path, fetcher: Fetcher) -> tuple[Path, list[str]]:
    notes, files = [], _list_dataverse(fetcher)
    waiting = [file for file in files if not _is_there(folder, file)]
    check_room(folder, sum(2 * file.size for file in waiting), _OTHER_FOLDER)
    for file in waiting:
        path = folder / file.name
        if not path.is_file():
            fetcher.fetch(file.address, path)
        if not file.address.digest:
            notes.append(f"{file.name} has no checksum at its publisher's: its content was read instead")
        if path.suffix == ".zip":
            _unpack(path, folder / path.stem)
            path.unlink()
    reading = read_folder(folder)
    if reading.missing:
        raise LabError(
            f"{len(reading.missing)} photographs of the table have not arrived", hint="run the command again"
        )
    return folder, notes


def _is_there(folder: Path, file: RemoteFile) -> bool:
    return (folder / file.name.removesuffix(".zip")).exists()


def _list_dataverse(fetcher: Fetcher) -> list[RemoteFile]:
    """The files of HAM10000 as Dataverse lists them today: names, numbers, sizes, checksums."""
    address = Address(f"{_DATAVERSE}/api/datasets/:persistentId/?persistentId={_DOI}")
    answer = fetcher.load_json(address)
    try:
        listed = [entry["dataFile"] for entry in answer["data"]["latestVersion"]["files"]]
        found = {PurePosixPath(str(one["filename"])).name: one for one in listed}
    except (LookupError, TypeError) as error:
        said = f"{address.server} lists its files in another form than is known here: {address.url}"
        raise UnreachableError(said, hint=_BY_HAND) from error
    files = []
    for name in _HAM_FILES:
        one = next((found[known] for known in (name, f"{name}.tab", f"{name}.csv") if known in found), None)
        if one is None:
            raise LabError(
                f"{name} is not among the files of {_DOI}: {', '.join(found)[:200]}", hint="fetch it by hand"
            )
        # A table that Dataverse has converted keeps the checksum of the file that was uploaded.
        md5 = "" if one.get("originalFileFormat") else str(one.get("md5", ""))
        size = 0 if one.get("originalFileFormat") else int(one.get("filesize", 0))
        files.append(RemoteFile(name, Address(f"{_DATAVERSE}/api/access/datafile/{int(one['id'])}", md5=md5), size))
    return files


def _unpack(archive: Path, folder: Path) -> None:
    """The photographs of a zip into `folder`, which appears whole; other members stay where they are."""
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [one for one in zipped.infolist() if PurePosixPath(one.filename).suffix.lower() == ".jpg"]
            members = [one for one in members if not PurePosixPath(one.filename).name.startswith(".")]
            check_room(folder.parent, sum(one.file_size for one in members), _OTHER_FOLDER)
            for one in members:
                with zipped.open(one) as source, (staging / PurePosixPath(one.filename).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        os.replace(staging, folder)
    except (zipfile.BadZipFile, EOFError) as error:
        archive.unlink()
        raise LabError(f"{archive} is no sound zip: {error}", hint="run the command again: it begins anew") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
