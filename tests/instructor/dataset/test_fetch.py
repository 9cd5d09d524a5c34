"""Photographs from a real server on this machine, under everything that a line and a disk do."""

import hashlib
import io
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from instructor import fetching
from instructor.cli.app import main
from instructor.dataset import fetch
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.data.lesions import read_folder

NAME = "dermamnist.npz"


def md5_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def make_npz() -> bytes:
    random, file = np.random.RandomState(0), io.BytesIO()
    arrays = {f"{part}_images": random.randint(0, 255, (14, 28, 28, 3), np.uint8) for part in ("train", "val", "test")}
    arrays |= {f"{part}_labels": (np.arange(14) % 7).astype(np.uint8)[:, None] for part in ("train", "val", "test")}
    np.savez(file, **arrays)
    return file.getvalue()


def make_zip(first: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for number in range(first, first + 7):
            picture = io.BytesIO()
            Image.new("RGB", (32, 32), (20 * number, 90, 90)).save(picture, "JPEG")
            zipped.writestr(f"ISIC_{number:07d}.jpg", picture.getvalue())
        zipped.writestr("../outside.jpg", b"no")
        zipped.writestr("readme.txt", b"no")
    return file.getvalue()


class Server:
    """uvicorn with Starlette, which answers ranges; `asked` remembers them, `cut_at` breaks the next answers off."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.cut_at, self.cuts = folder, list[str](), 0, 0
        routes = [
            Route("/records/10519652/files/{name}", self.send),
            Route("/api/access/datafile/{name}", self.send),
            Route("/api/datasets/:persistentId/", self.list_files),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)

    async def send(self, request) -> Response:
        self.asked.append(request.headers.get("range", ""))
        path = self.folder / request.path_params["name"]
        if not path.is_file():
            return Response(status_code=404)
        if not self.cuts:
            return FileResponse(path)
        self.cuts -= 1
        content = path.read_bytes()
        begin = int(self.asked[-1][6:-1] or 0) if self.asked[-1] else 0

        async def half() -> Iterator[bytes]:
            yield content[begin : begin + self.cut_at]
            raise ConnectionResetError

        headers = {"content-length": str(len(content) - begin)}
        headers |= {"content-range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        return StreamingResponse(half(), 206 if begin else 200, headers)

    async def list_files(self, request) -> Response:
        files = [
            {
                "dataFile": {
                    "filename": name,
                    "id": number,
                    "filesize": len(content),
                    "md5": hashlib.md5(content).hexdigest(),
                }
            }
            for number, (name, content) in enumerate(self.ham.items(), 1)
        ]
        files[-1]["dataFile"]["originalFileFormat"] = "text/csv"  # as Dataverse says of a table that it has converted
        return JSONResponse({"status": "OK", "data": {"latestVersion": {"files": files}}})

    def offer_ham(self) -> None:
        rows = [f"L{n},ISIC_{n:07d},{DIAGNOSES[n % 7]}" for n in range(14)]
        table = "\n".join(["lesion_id,image_id,dx", *rows]).encode()
        self.ham = {
            "HAM10000_images_part_1.zip": make_zip(0),
            "HAM10000_images_part_2.zip": make_zip(7),
            "HAM10000_metadata.tab": table,
        }
        for number, content in enumerate(self.ham.values(), 1):
            (self.folder / str(number)).write_bytes(content)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = tmp_path / "published"
    folder.mkdir()
    content = make_npz()
    (folder / NAME).write_bytes(content)
    monkeypatch.setitem(fetch._MD5, 28, md5_of(content))
    monkeypatch.setattr(fetching, "_PAUSES_S", (0, 0))
    made = Server(folder)
    started = threading.Event()
    startup = made.server.startup

    async def tell(*arguments, **named) -> None:
        await startup(*arguments, **named)
        started.set()

    made.server.startup = tell
    thread = threading.Thread(target=made.server.run)
    thread.start()
    assert started.wait(30)
    yield made
    made.server.should_exit = True
    thread.join()


def part_in(folder: Path) -> Path:
    """Where the beginning of a file waits."""
    return folder / f".{NAME}.{fetch._MD5[28][:8]}.part"


def run(server: Server | str, to: Path, *more: str, name: str = "dermamnist") -> int:
    mirror = server if isinstance(server, str) else server.address
    return main(["data", "fetch", name, "--size", "28", "--to", str(to), "--accept-licence", "--mirror", mirror, *more])


def test_a_file_arrives_whole_and_is_not_asked_for_again(server: Server, tmp_path: Path, capsys) -> None:
    assert run(server, tmp_path / "to") == 0 == run(server, tmp_path / "to")
    assert (tmp_path / "to" / NAME).read_bytes() == (server.folder / NAME).read_bytes()
    assert server.asked == [""] and "instructor provision --data" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "to").iterdir()] == [NAME]


def test_a_line_that_breaks_twice_is_taken_up_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut_at, server.cuts = 10_000, 2
    assert run(server, tmp_path / "to") == 0
    assert server.asked == ["", "bytes=10000-", "bytes=20000-"]
    assert (tmp_path / "to" / NAME).read_bytes() == (server.folder / NAME).read_bytes()


def test_the_next_call_goes_on_with_what_an_earlier_one_brought(server: Server, tmp_path: Path) -> None:
    part = part_in(tmp_path / "to")
    part.parent.mkdir()
    part.write_bytes((server.folder / NAME).read_bytes()[:777])
    assert run(server, tmp_path / "to") == 0 and server.asked == ["bytes=777-"]


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    place = tmp_path / "plain" / "records" / "10519652" / "files"
    place.mkdir(parents=True)
    (place / NAME).write_bytes((server.folder / NAME).read_bytes())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    (tmp_path / "to").mkdir()
    part_in(tmp_path / "to").write_bytes(b"something old")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "plain")) as plain:
        thread = threading.Thread(target=plain.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert run(f"http://127.0.0.1:{plain.server_port}", tmp_path / "to") == 0
        finally:
            plain.shutdown()
            thread.join()
    assert (tmp_path / "to" / NAME).read_bytes() == (server.folder / NAME).read_bytes()


def spoil(server: Server, to: Path) -> None:
    (server.folder / NAME).write_bytes(b"another file")


def cut_for_ever(server: Server, to: Path) -> None:
    server.cut_at, server.cuts = 0, 99


def withdraw(server: Server, to: Path) -> None:
    (server.folder / NAME).unlink()


def fill_the_disk(server: Server, to: Path) -> None:
    to.mkdir()
    part_in(to).symlink_to("/dev/full")


def promise_too_much(server: Server, to: Path) -> None:
    with (server.folder / NAME).open("wb") as file:
        os.truncate(file.fileno(), 1 << 42)


@pytest.mark.parametrize(
    ("harm", "message", "hint"),
    [
        (spoil, "has arrived damaged: its MD5 is", "begins anew"),
        (cut_for_ever, "zenodo.org cannot be reached, or has broken off", "it goes on where it was"),
        (withdraw, "zenodo.org answers 404", "by hand"),
        (fill_the_disk, "the disk of .* is full", "free some room"),
        (promise_too_much, "GB are free at .*, but .* GB are needed", "--to"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_half_has_the_files_name(
    server: Server, tmp_path: Path, capsys, harm, message: str, hint: str
) -> None:
    harm(server, tmp_path / "to")
    assert run(server, tmp_path / "to") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(message, said) and hint in said
    assert not (tmp_path / "to" / NAME).exists()


def test_ham10000_is_listed_checked_unpacked_and_read(server: Server, tmp_path: Path, capsys) -> None:
    server.offer_ham()
    assert run(server, tmp_path / "to", name="ham10000") == 0
    said = capsys.readouterr().out
    assert "CC BY-NC" in said and "HAM10000_metadata has no checksum at its publisher's" in " ".join(said.split())
    assert len(read_folder(tmp_path / "to").photographs) == 14
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "HAM10000_images_part_1", "HAM10000_images_part_2", "HAM10000_metadata",
    ]  # fmt: skip
    asked = len(server.asked)
    assert run(server, tmp_path / "to", name="ham10000") == 0 and len(server.asked) == asked


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["dermamnist"], 1, "the licence is not accepted"),
        (["dermamnist", "--size", "30", "--accept-licence"], 1, "no size 30"),
        (["mnist", "--accept-licence"], 1, "there is no data set 'mnist'"),
        (["dermamnist", "--accept-licence", "--mirror", "elsewhere"], 1, "is no address"),
        (["ham10000", "--manual"], 0, "3. Download HAM10000_images_part_2.zip"),
        (["dermamnist", "--size", "128", "--manual"], 0, "2. Download dermamnist_128.npz"),
    ],
)
def test_without_a_network_there_are_steps_and_without_consent_nothing(
    tmp_path: Path, capsys, arguments: list[str], code: int, said: str
) -> None:
    assert main(["data", "fetch", *arguments, "--to", str(tmp_path / "to")]) == code
    streams = capsys.readouterr()
    assert said in streams.out + streams.err and not (tmp_path / "to").exists()
