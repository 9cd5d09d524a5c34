"""Files come whole or not at all; what was cut off goes on; whatever cannot be had is named."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instructor import fetching
from instructor.fetching import Address, Fetcher, logins_in
from lab_code.errors import LabError

CONTENT = bytes(range(256)) * 9000
ONE, TWO, THREE = (1 << 16) * 5, (1 << 16) * 11, (1 << 16) * 17  # where pieces end
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT under every name; `cut_after` breaks the connections that are still to be broken there."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []  # the ranges
        self.cuts: list[int] = []
        self.knows_ranges, self.login, self.content = True, "", CONTENT
        self.shift = 0  # how far from what was asked for a piece begins

    def address(self, name: str = "a.whl") -> Address:
        return Address(f"http://127.0.0.1:{self.server_port}/{name}", SHA256)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, begin = self.server, self.headers["Range"]
        server.asked.append(begin)
        if self.path.endswith("gone") or (server.login and self.headers["Authorization"] != server.login):
            return self.send_error(404 if self.path.endswith("gone") else 401)
        start = int(re.sub(r"\D", "", begin)) if begin and server.knows_ranges else 0
        start += server.shift if start else 0
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "https://elsewhere.invalid/a.whl")
            return self.end_headers()
        if start >= len(server.content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        end = server.cuts.pop(0) if server.cuts else len(server.content)
        self.wfile.write(server.content[start:end])
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "_PAUSES_S", (0, 0))
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("begun", "cuts", "knows_ranges", "asked"),
    [
        (None, [], True, [None]),
        (None, [ONE], True, [None, f"bytes={ONE}-"]),
        (None, [ONE, TWO], True, [None, f"bytes={ONE}-", f"bytes={TWO}-"]),
        (None, [ONE], False, [None, f"bytes={ONE}-"]),
        (CONTENT[:777], [], True, ["bytes=777-"]),
        (CONTENT, [], True, [f"bytes={len(CONTENT)}-"]),
        (b"of another file", [], True, ["bytes=15-", None]),
        (CONTENT + b"more", [], True, [f"bytes={len(CONTENT) + 4}-", None]),
    ],
    ids=["whole", "cut", "cut twice", "no ranges", "begun", "only renaming left", "another's beginning", "longer"],
)
def test_a_file_comes_whole_whatever_was_there(
    server: Server, tmp_path: Path, begun: bytes | None, cuts: list[int], knows_ranges: bool, asked: list[str | None]
) -> None:
    server.cuts, server.knows_ranges = cuts, knows_ranges
    if begun is not None:
        (tmp_path / f".a.whl.{SHA256[:8]}.part").write_bytes(begun)
    Fetcher(tmp_path).fetch(server.address(), tmp_path / "out" / "a.whl")
    assert (tmp_path / "out" / "a.whl").read_bytes() == CONTENT and server.asked == asked
    assert not list(tmp_path.glob("*.part"))


def test_what_has_come_waits_for_the_next_try(server: Server, tmp_path: Path) -> None:
    server.cuts = [ONE, TWO, THREE, THREE, THREE, THREE]  # the last three bring nothing
    with pytest.raises(LabError, match=r"lost|reached"):
        Fetcher(tmp_path).fetch(server.address(), tmp_path / "a.whl")
    assert not (tmp_path / "a.whl").exists()
    Fetcher(tmp_path).fetch(server.address(), tmp_path / "a.whl")
    assert server.asked[-1] == f"bytes={THREE}-" and (tmp_path / "a.whl").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone", CONTENT, "answers 404"),
        ("a.whl", CONTENT[:-1] + b"!", "has arrived damaged: its SHA-256 is"),
        ("a.whl", CONTENT[:-1], "has arrived damaged: its SHA-256 is"),
    ],
    ids=["not there", "another content", "shorter"],
)
def test_what_cannot_be_had_is_said_and_nothing_is_left(
    server: Server, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    server.content = content
    with pytest.raises(LabError, match=said) as error:
        Fetcher(tmp_path).fetch(server.address(name), tmp_path / "a.whl")
    assert error.value.hint and not (tmp_path / "a.whl").exists()


def test_a_server_that_is_off_is_named_without_the_login(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    address = Address(f"http://me:secret@127.0.0.1:{server.server_port}/a.whl", SHA256)
    with pytest.raises(LabError, match="cannot be reached") as error:
        Fetcher(tmp_path).fetch(address, tmp_path / "a.whl")
    assert "secret" not in str(error.value)


def test_a_login_of_the_index_opens_its_files(server: Server, tmp_path: Path) -> None:
    server.login = "Basic bWU6c2VjcmV0"
    logins = logins_in(["http://me:secret@127.0.0.1/simple", "https://other/simple"])
    Fetcher(tmp_path, logins=logins).fetch(server.address(), tmp_path / "a.whl")
    assert (tmp_path / "a.whl").is_file()


@pytest.mark.parametrize(
    ("cuts", "knows_ranges"), [([], True), ([ONE, TWO], True), ([ONE], False)], ids=["whole", "cut", "no ranges"]
)
def test_bytes_are_told_as_they_come_and_none_twice(
    server: Server, tmp_path: Path, cuts: list[int], knows_ranges: bool
) -> None:
    told: list[int] = []
    sizes: list[tuple[str, int]] = []

    def start(name: str, size: int) -> Callable[[int], object]:
        sizes.append((name, size))
        return told.append

    server.cuts, server.knows_ranges = cuts, knows_ranges
    (tmp_path / f".a.whl.{SHA256[:8]}.part").write_bytes(CONTENT[:1000])
    Fetcher(tmp_path, start).fetch(server.address(), tmp_path / "a.whl")
    assert sum(told) == len(CONTENT) and told[0] == (1000 if knows_ranges else 0)
    assert sizes == [("a.whl", len(CONTENT))]


@pytest.mark.parametrize("digest", [{"sha256": SHA256}, {"md5": hashlib.md5(CONTENT).hexdigest()}, {}], ids=str)
def test_a_file_is_compared_with_whatever_digest_is_promised(
    server: Server, tmp_path: Path, digest: dict[str, str]
) -> None:
    address = Address(server.address().url, **digest)
    Fetcher(tmp_path).fetch(address, tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == CONTENT
    server.content = b"another"
    with pytest.raises(LabError, match="damaged") if digest else nullcontext():
        Fetcher(tmp_path).fetch(address, tmp_path / "two")
    assert (tmp_path / "two").exists() != bool(digest) and not list(tmp_path.glob("*.part"))


def test_another_piece_than_was_asked_for_is_not_put_behind_what_is_here(server: Server, tmp_path: Path) -> None:
    server.shift = 5
    (tmp_path / f".a.whl.{SHA256[:8]}.part").write_bytes(CONTENT[:777])
    Fetcher(tmp_path).fetch(server.address(), tmp_path / "a.whl")
    assert (tmp_path / "a.whl").read_bytes() == CONTENT and server.asked == ["bytes=777-", None]


def test_a_mirror_answers_for_every_server_also_where_an_answer_leads_on(server: Server, tmp_path: Path) -> None:
    mirror = f"http://127.0.0.1:{server.server_port}"
    for url in ("https://publisher.invalid/a.whl", "https://publisher.invalid/moved"):
        Fetcher(tmp_path, mirror=mirror).fetch(Address(url, SHA256), tmp_path / "a.whl")
        assert (tmp_path / "a.whl").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("harm", "said", "hint"),
    [
        ("full", "the disk of .* is full", "it goes on where it was"),
        ("no folder", "out cannot be written: ", "choose another folder"),
        ("too large", "GB are free at .*, but .* GB are needed", "choose another folder"),
    ],
)
def test_a_disk_that_does_not_take_it_is_named(
    server: Server, tmp_path: Path, harm: str, said: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if harm == "full":
        (tmp_path / f".a.whl.{SHA256[:8]}.part").symlink_to("/dev/full")
    elif harm == "no folder":
        (tmp_path / "out").write_text("a file")
    else:
        monkeypatch.setattr(fetching, "_SPARE", 1 << 60)
    with pytest.raises(LabError, match=said) as error:
        Fetcher(tmp_path).fetch(server.address(), tmp_path / "out" / "a.whl")
    assert hint in str(error.value.hint)
