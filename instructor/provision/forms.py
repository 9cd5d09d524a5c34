"""The forms in which a secret could be hidden in a file: everything that can be unpacked from its bytes, and from that.

`unpack(data)` yields views: the bytes as they are, UTF-16, JSON strings, base64 and hexadecimal runs decoded, members
and names of archives, compressed streams, text of PDFs and pictures, cells of SQLite files, and the constants of
compiled Python.
"""

import binascii
import bz2
import gzip
import importlib.util
import io
import json
import lzma
import marshal
import re
import sqlite3
import tarfile
import types
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import IO

import pypdf
from PIL import Image, UnidentifiedImageError

PLAIN, COMPILED = "as it is", "compiled Python"
MOST_BYTES = 200_000_000  # of all forms of one file: a compression bomb is a reason to stop
_DEPTH = 4  # a form within a form within …
PHOTOGRAPH = b"\xff\xd8"  # how a JPEG file begins
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{4,}(?:\r?\n)?)*[A-Za-z0-9+/_-]{8,}={0,2}")
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_JSON_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_STREAMS = (
    (b"\x1f\x8b", lambda data: gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST_BYTES + 1)),
    (b"BZh", lambda data: bz2.BZ2File(io.BytesIO(data)).read(MOST_BYTES + 1)),
    (b"\xfd7zXZ", lambda data: lzma.LZMADecompressor().decompress(data, MOST_BYTES + 1)),
    (b"\x78", lambda data: zlib.decompressobj().decompress(data, MOST_BYTES + 1)),
)
_UNPACKABLE = (
    *(magic for magic, _ in _STREAMS), b"PK", b"SQLite", b"%PDF", b"\x89PNG", b"\xff\xfe", b"\xfe\xff",
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """Bytes to search, and where they come from: pairs of (place in `data`, place in what they were unpacked from)."""

    form: str
    data: bytes
    places: tuple[tuple[int, int], ...] = ((0, 0),)
    outer: "View | None" = None

    def offset(self, place: int) -> int:
        """Where in the file the thing at `place` of `data` begins (its run, where it had to be decoded)."""
        start, offset = self.places[bisect_right(self.places, place, key=lambda pair: pair[0]) - 1]
        offset += place - start if self.form == PLAIN else 0
        return self.outer.offset(offset) if self.outer else offset


def unpack(data: bytes) -> Iterator[View]:
    """`data` as it is, and in every other form. A photograph has only one: what it says beyond its pixels is plain."""
    yield from _views(View(PLAIN, data), 0 if data.startswith(PHOTOGRAPH) else _DEPTH)


def constants(code: types.CodeType) -> Iterator[str]:
    """Texts, lists and names of compiled Python, as text."""
    yield from (*code.co_names, code.co_name)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from constants(constant)
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple | frozenset) and constant:
            yield ",".join(str(item) for item in constant)


def _views(view: View, depth: int) -> Iterator[View]:
    """`view` itself and everything that can be unpacked from it."""
    yield view
    for form, data, places in _unpack(view.data) if depth else ():
        yield from _views(View(form if view.form == PLAIN else f"{view.form}, {form}", data, places, view), depth - 1)


_Unpacked = tuple[str, bytes, tuple[tuple[int, int], ...]]


def _unpack(data: bytes) -> Iterator[_Unpacked]:
    start = ((0, 0),)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield "UTF-16", data.decode("utf-16", "ignore").encode("utf-8", "ignore"), start
    for magic, decompress in _STREAMS:
        if data.startswith(magic):
            with suppress(OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):
                yield "compressed", decompress(data), start
    if data.startswith(b"SQLite format 3\0"):
        yield from _cells(data)
    elif data.startswith(b"%PDF"):
        yield from _pdf(data)
    elif data.startswith(b"\x89PNG"):
        with suppress(UnidentifiedImageError, OSError, SyntaxError, ValueError):
            yield "text of a picture", "\n".join(map(str, Image.open(io.BytesIO(data)).info.values())).encode(), start
    elif data[:4] == importlib.util.MAGIC_NUMBER:
        with suppress(ValueError, EOFError, TypeError):
            yield COMPILED, "\n".join(constants(marshal.loads(data[16:]))).encode(), start
    elif b"PK\x05\x06" in data:
        yield from _zip_members(data)
    elif data[257:262] == b"ustar":
        yield from _tar_members(data)
    else:
        yield from _texts(data)


def _texts(data: bytes) -> Iterator[_Unpacked]:
    """What is spelt out in text: JSON strings, hexadecimal and base64 runs."""
    strings = [(match.start(), text) for match in _JSON_STRING.finditer(data) if (text := _json_text(match[0]))]
    yield from _join("JSON", strings)
    yield from _join("hexadecimal", [(m.start(), bytes.fromhex(m[0].decode())) for m in _HEX.finditer(data)])
    runs = [(match.start(), match[0].translate(_ONE_ALPHABET, b"\r\n=")) for match in _BASE64.finditer(data)]
    for shift in range(4):  # what stands before a value may look like a part of its run
        yield from _join("base64", [(start, _decode(run[shift:])) for start, run in runs])


def _join(form: str, pieces: list[tuple[int, bytes]]) -> Iterator[_Unpacked]:
    """All pieces in one, so that thousands of words cost one search; those that can be unpacked by themselves, too."""
    places, length = [], 0
    for start, piece in pieces:
        places.append((length, start))
        length += len(piece) + 1
    if pieces:
        yield form, b"\n".join(piece for _, piece in pieces), tuple(places)
    for start, piece in pieces:
        if piece.startswith(_UNPACKABLE):
            yield form, piece, ((0, start),)


def _json_text(token: bytes) -> bytes:
    with suppress(ValueError):
        return json.loads(token).encode("utf-8", "ignore")
    return b""


def _decode(run: bytes) -> bytes:
    """Base64 without its padding; a last character too many is left out."""
    run = run[: len(run) - 1] if len(run) % 4 == 1 else run
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def _zip_members(data: bytes) -> Iterator[_Unpacked]:
    with (
        suppress(zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error),
        zipfile.ZipFile(io.BytesIO(data)) as archive,
    ):
        yield "zip metadata", archive.comment, ((0, len(data) - len(archive.comment)),)
        for info in archive.infolist():
            place = ((0, info.header_offset),)
            yield "zip metadata", b"\n".join((info.filename.encode(), info.comment, info.extra)), place
            yield f"zip member {info.filename}", _within_bounds(archive.open(info)), place


def _tar_members(data: bytes) -> Iterator[_Unpacked]:
    with suppress(tarfile.TarError, OSError, EOFError), tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            yield "tar metadata", member.name.encode("utf-8", "ignore"), ((0, member.offset),)
            if member.isfile() and (file := archive.extractfile(member)):
                yield f"tar member {member.name}", _within_bounds(file), ((0, member.offset),)


def _within_bounds(file: IO[bytes]) -> bytes:
    """At most one byte more than may be searched, which the search then refuses."""
    return file.read(MOST_BYTES + 1)


def _pdf(data: bytes) -> Iterator[_Unpacked]:
    for match in _PDF_STREAM.finditer(data):
        with suppress(zlib.error):
            yield "PDF stream", zlib.decompress(match[1]), ((0, match.start(1)),)
    with suppress(pypdf.errors.PyPdfError, ValueError, KeyError):
        reader = pypdf.PdfReader(io.BytesIO(data))
        texts = [page.extract_text() for page in reader.pages] + [str(v) for v in (reader.metadata or {}).values()]
        yield "text of a PDF", "\n".join(texts).encode("utf-8", "ignore"), ((0, 0),)


def _cells(data: bytes) -> Iterator[_Unpacked]:
    with closing(sqlite3.connect(":memory:")) as database, suppress(sqlite3.DatabaseError):
        database.deserialize(data)
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            quoted = table.replace('"', '""')
            cells = [cell for row in database.execute(f'SELECT * FROM "{quoted}"') for cell in row]
            contents = [cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "ignore") for cell in cells]
            yield from _join(f"table {table}", [(max(data.find(c[:32]), 0), c) for c in contents])
