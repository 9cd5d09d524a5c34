"""Files from a network, whole or not at all: each is compared with its digest, and one that was cut off goes on.

    fetcher = Fetcher(parts, progress)
    fetcher.fetch(Address(url, sha256), target)

Wheels and photographs come by this. Requests knows logins, proxies, certificates and redirects; what was cut off is
asked for by its range, and a server that knows none begins again.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3

from lab_code.errors import LabError

_PIECE = 1 << 16  # bytes at most that are written at once
_PAUSES_S = (1.0, 3.0)  # after the first and the second try in a row that brought nothing; a third one ends it
_PATIENCE_S = 30  # for an answer, and between two pieces of it
_SPARE = 50_000_000  # bytes that stay free
_REASONS: Mapping[type[Exception], str] = {  # the first that fits
    requests.exceptions.SSLError: "its certificate is not trusted here",
    requests.exceptions.ProxyError: "the proxy does not answer",
    requests.exceptions.Timeout: "no answer in time",
    requests.exceptions.ConnectionError: "nobody answers there",
    requests.exceptions.TooManyRedirects: "it leads from address to address without end",
    requests.exceptions.InvalidJSONError: "the answer is no JSON",
    requests.exceptions.InvalidHeader: "another piece has come than was asked for",
}

Progress = Callable[[str, int], Callable[[int], object]]  # told a name and bytes, gives what is told further bytes


@dataclass(frozen=True)
class Address:
    """Where a file is to be had, and the digest that its publisher promises: SHA-256, MD5, or none."""

    url: str
    sha256: str = ""
    md5: str = ""

    @property
    def digest(self) -> str:
        return self.sha256 or self.md5

    @property
    def algorithm(self) -> str:
        return "SHA-256" if self.sha256 else "MD5"

    @property
    def is_local(self) -> bool:
        return urlsplit(self.url).scheme == "file"

    @property
    def path(self) -> Path:
        """Where a local one lies."""
        return Path(url2pathname(urlsplit(self.url).path))

    @property
    def shown(self) -> str:
        """The address as it may be shown: without what stands in it to log in."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def server(self) -> str:
        return urlsplit(self.shown).netloc

    def compute_digest(self, path: Path) -> str:
        """The digest of what has come; empty where none is promised."""
        if not self.digest:
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm.replace("-", "")).hexdigest()


class UnreachableError(LabError):
    """A server does not answer, or has not what was asked for: perhaps there is another way."""


@dataclass(frozen=True)
class Fetcher:
    """Fetches into `parts` first, where the beginning of what was cut off waits.

    `progress` hears each file's name and size, and then of its bytes; `logins` are user and password by host,
    `certificates` a file of authorities, `mirror` a machine that has all servers' files at the same paths.
    Hints end with `other_way` where a server has not what is wanted, and with `other_folder` where there is no room.
    """

    parts: Path
    progress: Progress = lambda name, size: lambda count: None
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    certificates: str | None = None
    mirror: str = ""
    other_way: str = "see whether the address is right, and its login"
    other_folder: str = "choose another folder"

    def fetch(self, address: Address, target: Path) -> None:
        """Bring a file to `target`. Raises `LabError` where it cannot be had, or is another than was promised."""
        part = self.parts / f".{target.name}.{address.digest[:8] or 'unchecked'}.part"
        with explain_disk(target.parent, self.other_folder):
            part.parent.mkdir(parents=True, exist_ok=True)
            coming = _Coming(part, target.name, self.progress)
            began_before = coming.have > 0
            self._fill(address, coming)
            found = address.compute_digest(part)
            if found != address.digest and began_before:  # the beginning was of something else
                part.unlink()
                self._fill(address, coming)
                found = address.compute_digest(part)
            if found != address.digest:
                raise _discard(part, target.name, address, found)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, target)

    def load_json(self, address: Address) -> Any:
        """What a server says. Raises `UnreachableError` where it says nothing that can be read."""
        try:
            with self._ask(address, 0) as answer:
                answer.raise_for_status()
                return answer.json()
        except requests.RequestException as error:
            raise self._explain(address, error) from error

    def _fill(self, address: Address, coming: "_Coming") -> None:
        """The rest of a file, tried until three tries in a row bring nothing."""
        if address.is_local:
            return coming.copy(address.path)
        farthest, fruitless = coming.have, 0
        while True:
            try:
                return self._append(address, coming)
            except requests.RequestException as error:
                fruitless = 0 if coming.have > farthest else fruitless + 1
                farthest = max(farthest, coming.have)
                if _is_final(error) or fruitless > len(_PAUSES_S):
                    raise self._explain(address, error) from error
                if fruitless:
                    time.sleep(_PAUSES_S[fruitless - 1])

    def _append(self, address: Address, coming: "_Coming") -> None:
        """One request: add what is missing. Raises what requests raises where the connection breaks."""
        have = coming.have
        with self._ask(address, have) as answer:
            if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
                return coming.write((), have, have)  # nothing is missing; whether it is right, its digest says
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content
            if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                coming.part.unlink(missing_ok=True)
                raise requests.exceptions.InvalidHeader  # the next try begins anew
            begin, left = have if goes_on else 0, int(answer.headers.get("Content-Length", 0))
            check_room(coming.part.parent, left, self.other_folder)
            coming.write(_read_pieces(answer), begin, begin + left)

    def _ask(self, address: Address, begin: int) -> requests.Response:
        head = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
        login = self.logins.get(urlsplit(address.url).hostname or "")
        with _Session(self.mirror) as session:
            return session.get(
                address.url, headers=head, stream=True, timeout=_PATIENCE_S, auth=login,
                verify=self.certificates or True,
            )  # fmt: skip

    def _explain(self, address: Address, error: requests.RequestException) -> UnreachableError:
        """What the server or the line had to say."""
        answer = error.response
        if answer is not None and not answer.ok:
            said = f"{address.server} answers {answer.status_code} {answer.reason} for {address.shown}"
            return UnreachableError(said, hint=f"try later, or {self.other_way}")
        reason = next((said for kind, said in _REASONS.items() if isinstance(error, kind)), "the connection was lost")
        return UnreachableError(
            f"{address.server} cannot be reached, or has broken off: {reason}",
            hint=f"is there a network? then run the command again, it goes on where it was; or {self.other_way}",
        )


class _Coming:
    """A file on its way: its part, and how much of it has been told, so that nothing is told twice."""

    def __init__(self, part: Path, name: str, progress: Progress) -> None:
        self.part = part
        self._start = partial(progress, name)
        self._tell: Callable[[int], object] | None = None
        self._told = 0

    @property
    def have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def write(self, pieces: Iterable[bytes], begin: int, size: int) -> None:
        """Write what comes from a position on, in a file of so many bytes."""
        self._tell = self._tell or self._start(size)
        self._tell(begin - self._told)
        self._told = begin
        with self.part.open("ab" if begin else "wb") as file:
            for piece in pieces:
                file.write(piece)
                self._told += len(piece)
                self._tell(len(piece))

    def copy(self, path: Path) -> None:
        """Take all of it from a file of this computer."""
        try:
            source = path.open("rb")
        except OSError as error:
            raise LabError(f"{path} cannot be read: {error.strerror}", hint="see to it, then again") from error
        with source:
            self.write(iter(lambda: source.read(_PIECE), b""), 0, path.stat().st_size)


class _Session(requests.Session):
    """Asks the mirror for what stands elsewhere at the same path, also where an answer leads on."""

    def __init__(self, mirror: str) -> None:
        super().__init__()
        self._mirror = urlsplit(mirror)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        request.url = self._divert(str(request.url))
        return super().prepare_request(request)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        return self._divert(target) if target else target

    def _divert(self, url: str) -> str:
        parts, mirror = urlsplit(url), self._mirror
        to_other = bool(mirror.netloc and parts.netloc)
        return parts._replace(scheme=mirror.scheme, netloc=mirror.netloc).geturl() if to_other else url


def _read_pieces(answer: requests.Response) -> Iterator[bytes]:
    """What has come, as soon as it has: `iter_content` would lose the last piece where the connection breaks."""
    try:
        while piece := answer.raw.read1(_PIECE, decode_content=True):
            yield piece
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _is_final(error: requests.RequestException) -> bool:
    """Whether asking again leads nowhere: the file is not there, or not for everybody."""
    return error.response is not None and 400 <= error.response.status_code < 500


def _discard(part: Path, name: str, address: Address, found: str) -> LabError:
    """Remove what has come otherwise than promised, and say so."""
    size = part.stat().st_size
    part.unlink()
    return LabError(
        f"{name} has arrived damaged: its {address.algorithm} is {found}, its publisher's {address.digest} "
        f"({size} bytes)",
        hint="run the command again: it begins anew; if it stays so, the server, or a proxy, changes files",
    )


def check_room(folder: Path, needed: int, other_folder: str) -> None:
    """Raises `LabError` where so many bytes leave too little free."""
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise LabError(
            f"{free / 1e9:.2f} GB are free at {folder}, but {(needed + _SPARE) / 1e9:.2f} GB are needed",
            hint=f"free some room, or {other_folder}",
        )


@contextmanager
def explain_disk(folder: Path, other_folder: str) -> Iterator[None]:
    """While files are written to a folder: what its disk refuses becomes a `LabError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some room and run the command again: it goes on where it was"
            raise LabError(f"the disk of {folder} is full", hint=hint) from error
        raise LabError(f"{folder} cannot be written: {error.strerror or error}", hint=other_folder) from error


def logins_in(addresses: Iterable[str]) -> dict[str, tuple[str, str]]:
    """User and password by host, of addresses in which they stand."""
    parts = [urlsplit(address) for address in addresses]
    return {part.hostname: (part.username, part.password or "") for part in parts if part.hostname and part.username}
