"""Files from a network, whole or not at all: each is compared with its SHA-256, and one that was cut off goes on.

fetcher = Fetcher(parts, tell)
fetcher.fetch(Address(url, sha256), target)
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from lab_code.errors import LabError
from lab_code.files import sha256_file

_CHUNK = 1 << 16  # what is lost at most where a connection breaks
_PAUSES_S = (1.0, 3.0)  # before the second and the third try
_PATIENCE_S = 30  # for an answer, and between two pieces of it
_NOT_THERE = 416  # HTTP: nothing follows after what is here


@dataclass(frozen=True)
class Address:
    """Where a file is to be had, and the SHA-256 that it must have."""

    url: str
    sha256: str

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


@dataclass(frozen=True)
class Fetcher:
    """Fetches into `parts` first, where the beginning of what was cut off waits.

    `tell` hears how many bytes have come; `logins` are user and password by host, `certificates` a file of authorities.
    """

    parts: Path
    tell: Callable[[int], object] = lambda count: None
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    certificates: str | None = None

    def fetch(self, address: Address, target: Path) -> None:
        """Bring a file to `target`. Raises `LabError` where it cannot be had, or is another than was promised."""
        part = self.parts / f"{target.name}.{address.sha256[:8]}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        began_before = part.exists()
        self._fill(address, part)
        if sha256_file(part) != address.sha256 and began_before:  # the beginning was of something else
            part.unlink()
            self._fill(address, part)
        if sha256_file(part) != address.sha256:
            part.unlink()
            raise LabError(
                f"{target.name} came otherwise than the index promises (SHA-256)",
                hint="again; if it stays so, whoever runs the index, or a proxy, changes files",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, target)

    def _fill(self, address: Address, part: Path) -> None:
        """The rest of a file, tried three times."""
        if address.is_local:
            try:
                shutil.copyfile(address.path, part)
            except OSError as error:
                raise LabError(
                    f"{address.path} cannot be read: {error.strerror}", hint="see to it, then again"
                ) from error
            self.tell(part.stat().st_size)
            return
        for pause in (*_PAUSES_S, None):
            try:
                return self._append(address, part)
            except requests.RequestException as error:
                if pause is None or _is_final(error):
                    raise LabError(f"{address.shown}: {explain(error)}", hint=_hint(error)) from error
                time.sleep(pause)

    def _append(self, address: Address, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        head = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        login = self.logins.get(urlsplit(address.url).hostname or "")
        with requests.get(
            address.url, headers=head, stream=True, timeout=_PATIENCE_S, auth=login, verify=self.certificates or True
        ) as answer:
            if answer.status_code == _NOT_THERE:
                return
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content
            self.tell(have if goes_on else 0)
            with part.open("ab" if goes_on else "wb") as file:
                for piece in answer.iter_content(_CHUNK):
                    file.write(piece)
                    self.tell(len(piece))


def _is_final(error: requests.RequestException) -> bool:
    """Whether asking again leads nowhere: the file is not there, or not for everybody."""
    return error.response is not None and 400 <= error.response.status_code < 500


def explain(error: requests.RequestException) -> str:
    """What went wrong, in a few words."""
    if error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy cannot be reached"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "cannot be reached"
    return "the connection was lost"


def _hint(error: requests.RequestException) -> str:
    if error.response is not None:
        return "is the index the right one (pip config list), and its login?"
    return "is there a network? then the same command again: what has come is kept"


def logins_in(addresses: Iterable[str]) -> dict[str, tuple[str, str]]:
    """User and password by host, of addresses in which they stand."""
    parts = [urlsplit(address) for address in addresses]
    return {part.hostname: (part.username, part.password or "") for part in parts if part.hostname and part.username}
