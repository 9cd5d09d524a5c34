"""Real photographs from where they are published: `instructor data fetch ham10000`, or `dermamnist`.

    with open_client() as client:
        path = fetch(SOURCES["dermamnist"], folder, client, progress)

Files come by httpx, which streams, follows redirects and ends a silence. A download that broke goes on where it was
(HTTP ranges; a server that knows none begins again), and counts only when its checksum is the publisher's: those of
DermaMNIST stand here, as MedMNIST publishes them, those of HAM10000 are asked from Dataverse with the list of its
files. Where Dataverse has none for a file (it converts tables), the content is read instead, and that is said.
"""

import errno
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx

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
_IDLE_S, _FRUITLESS = 30, 3  # attempts in a row that bring nothing
_SPARE = 50_000_000  # bytes that stay free

Progress = Callable[[str, int], Callable[[int], object]]  # told a title and bytes, gives what is told further bytes


@dataclass(frozen=True)
class RemoteFile:
    """A file, where it is, and what the publisher says of it; `md5` is empty and `size` 0 where that is nothing."""

    name: str
    address: str
    md5: str = ""
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
    return Source(
        name, title, "CC BY-NC 4.0: no commercial use; name the authors", f"{_ZENODO}/records/{_RECORD}", (file,)
    )


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


def open_client(mirror: str = "") -> httpx.Client:
    """What asks the servers; `mirror` is the address of a machine that has their files at the same paths."""

    def divert(request: httpx.Request) -> None:
        ours = urlsplit(mirror)
        request.url = request.url.copy_with(scheme=ours.scheme, host=ours.hostname, port=ours.port)
        request.headers["host"] = ours.netloc

    hooks: dict[str, list[Callable[..., Any]]] = {"request": [divert]} if mirror else {}
    return httpx.Client(follow_redirects=True, timeout=_IDLE_S, event_hooks=hooks)


def fetch(source: Source, folder: Path, client: httpx.Client, progress: Progress) -> tuple[Path, list[str]]:
    """Bring a data set into `folder`; returns what `instructor provision --data` takes, and what to say about it.

    What is there already is left alone. Raises `LabError`; what has arrived by then is kept for the next try.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if source.name == "dermamnist":
            return _fetch_dermamnist(source, folder, client, progress)
        return _fetch_ham10000(folder, client, progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some room and run the command again: it goes on where it was"
            raise LabError(f"the disk of {folder} is full", hint=hint) from error
        raise LabError(f"{folder} cannot be written: {error.strerror or error}", hint="choose another --to") from error


def _fetch_dermamnist(source: Source, folder: Path, client: httpx.Client, progress: Progress) -> tuple[Path, list[str]]:
    name = source.files[0]
    size = int(name.removesuffix(".npz").removeprefix("dermamnist").lstrip("_") or 28)
    file = RemoteFile(name, f"{_ZENODO}/records/{_RECORD}/files/{name}?download=1", _MD5[size])
    path = folder / name
    if not path.is_file():
        _download(file, path, client, progress)
    for part in PARTS:
        read_part(path, part)
    return path, []


def _fetch_ham10000(folder: Path, client: httpx.Client, progress: Progress) -> tuple[Path, list[str]]:
    notes, files = [], _list_dataverse(client)
    waiting = [file for file in files if not _is_there(folder, file)]
    _check_room(folder, sum(2 * file.size for file in waiting))
    for file in waiting:
        path = folder / file.name
        if not path.is_file():
            _download(file, path, client, progress)
        if not file.md5:
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


def _list_dataverse(client: httpx.Client) -> list[RemoteFile]:
    """The files of HAM10000 as Dataverse lists them today: names, numbers, sizes, checksums."""
    address = f"{_DATAVERSE}/api/datasets/:persistentId/?persistentId={_DOI}"
    try:
        answer = client.get(address).raise_for_status().json()
        listed = [entry["dataFile"] for entry in answer["data"]["latestVersion"]["files"]]
        found = {PurePosixPath(str(one["filename"])).name: one for one in listed}
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise _unreachable(address, error) from error
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
        files.append(RemoteFile(name, f"{_DATAVERSE}/api/access/datafile/{int(one['id'])}", md5, size))
    return files


def _download(file: RemoteFile, path: Path, client: httpx.Client, progress: Progress) -> None:
    """Bring one file, from where an earlier try has come to; it appears whole and checked, or not at all."""
    part = path.with_name(f".{path.name}.part")
    advance: Callable[[int], object] | None = None
    fruitless = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            advance = _receive(file, part, client, advance, progress)
            break
        except httpx.HTTPStatusError as error:
            raise _unreachable(file.address, error) from error
        except httpx.HTTPError as error:
            brought = part.is_file() and part.stat().st_size > before
            fruitless = 0 if brought else fruitless + 1
            if fruitless == _FRUITLESS:
                raise _unreachable(file.address, error) from error
    found = _md5_of(part)
    if file.md5 and found != file.md5:
        size = part.stat().st_size
        part.unlink()
        raise LabError(
            f"{file.name} has arrived damaged: its MD5 is {found}, its publisher's {file.md5} ({size} bytes)",
            hint="run the command again: it begins anew",
        )
    os.replace(part, path)


def _receive(
    file: RemoteFile,
    part: Path,
    client: httpx.Client,
    advance: Callable[[int], object] | None,
    progress: Progress,
) -> Callable[[int], object]:
    """One request: append what is missing to `part`. Raises what httpx raises where the connection breaks."""
    have = part.stat().st_size if part.is_file() else 0
    asked = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    with client.stream("GET", file.address, headers=asked) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return advance or (lambda count: None)  # nothing is missing; whether it is right, the checksum says
        answer.raise_for_status()
        if not _continues(answer, have):  # a server without ranges sends everything once more
            have = 0
        length = int(answer.headers.get("Content-Length", 0))
        _check_room(part.parent, length)
        advance = advance or progress(file.name, have + length)
        with part.open("ab" if have else "wb") as target:
            received = 0
            for chunk in answer.iter_raw():
                target.write(chunk)
                received += len(chunk)
                advance(len(chunk))
        if received < length:
            raise httpx.RemoteProtocolError(f"{received} of {length} bytes have arrived")
    return advance


def _continues(answer: httpx.Response, have: int) -> bool:
    """Whether the server sends what follows the first `have` bytes."""
    partial = answer.status_code == httpx.codes.PARTIAL_CONTENT
    return partial and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise LabError(
            f"{free / 1e9:.2f} GB are free at {folder}, but {(needed + _SPARE) / 1e9:.2f} GB are needed",
            hint="free some room, or choose another folder with --to",
        )


def _unpack(archive: Path, folder: Path) -> None:
    """The photographs of a zip into `folder`, which appears whole; other members stay where they are."""
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [one for one in zipped.infolist() if PurePosixPath(one.filename).suffix.lower() == ".jpg"]
            members = [one for one in members if not PurePosixPath(one.filename).name.startswith(".")]
            _check_room(folder.parent, sum(one.file_size for one in members))
            for one in members:
                with zipped.open(one) as source, (staging / PurePosixPath(one.filename).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        os.replace(staging, folder)
    except (zipfile.BadZipFile, EOFError) as error:
        archive.unlink()
        raise LabError(f"{archive} is no sound zip: {error}", hint="run the command again: it begins anew") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


class UnreachableError(LabError):
    """The servers cannot be reached: people can still go on by hand."""


def _unreachable(address: str, error: Exception) -> UnreachableError:
    """What the server or the line had to say."""
    host = urlsplit(address).hostname
    if isinstance(error, httpx.HTTPStatusError):
        said = f"{host} answers {error.response.status_code} for {address}"
        return UnreachableError(said, hint="try later, or go the way by hand: --manual")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UnreachableError(
        f"{host} cannot be reached, or has broken off: {reason}",
        hint="run the command again, it goes on where it was; or go the way by hand: --manual",
    )
