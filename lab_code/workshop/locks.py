"""Open a locked file: the answers to a stage's questions are its key.

A lock is one JSON document that says at its top what it is. Argon2id (RFC 9106) turns the whole list of answers into
a key; that key unwraps a random file key (AES-256-GCM), and the file key opens the files. A second slot holds the
same file key for the instructor's rescue code. From the second stage on the answers need a random value as well that
lies inside the stage before (Argon2's secret), and where the workshop wants it the words that the instructor shows.
The header is authenticated, so a lock cannot be renamed to another group or stage. The writer is the instructor's; this
module holds what both must agree on, and docs/lock-format.md describes every byte.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lab_code.errors import LabError
from lab_code.files import canonical_json

FORMAT, VERSION = "lab-lock", 1
KEY_BYTES = 32
RESCUE_BYTES = 10  # 80 random bits: no guessing, so no slow derivation either

# A lock may ask for this much at most; a forged header must not be able to exhaust the laptop.
_BOUNDS = {"memory_kib": (8, 262_144), "iterations": (1, 16), "lanes": (1, 8)}
_MAX_BYTES = 20_000_000


class WrongKeyError(LabError):
    """The lock is sound, but these answers (or this code) do not open it."""


@dataclass(frozen=True)
class Lock:
    """A lock that has been read and checked for form; nothing in it has been opened."""

    path: Path
    header: dict[str, Any]
    slots: dict[str, dict[str, str]]
    payload: dict[str, str]

    @property
    def stage(self) -> str:
        return self.header["stage"]

    @property
    def chain_file(self) -> str | None:
        """The file of the stage before that the answers need, or None for a first stage."""
        return self.header["chain_file"]

    @property
    def needs_room_code(self) -> bool:
        """Whether the answers count only together with the words that the instructor shows."""
        return self.header["room_code"]


def read_lock(path: Path, workshop: str, group: str, stage: str) -> Lock:
    """Read a lock and check that it is one, whole, of a known version, and of this group and stage."""
    fresh = "ask the instructor for a fresh copy of this file"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise LabError(f"{path} is too large to be a lock", hint=fresh)
        document = json.loads(path.read_bytes().decode("utf-8"))
        header, slots, payload = document["header"], document["slots"], document["payload"]
        if (header["format"], header["version"]) != (FORMAT, VERSION):
            raise LabError(
                f"{path} is version {header['version']!r} of '{header['format']}', not {VERSION}", hint=fresh
            )
        _check_form(header, slots, payload)
    except FileNotFoundError as error:
        raise LabError(f"the lock {path} is missing", hint=fresh) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LabError(f"{path} is damaged: it is not a whole lock ({type(error).__name__})", hint=fresh) from error
    found, expected = (header["workshop"], header["group"], header["stage"]), (workshop, group, stage)
    if found != expected:
        raise LabError(f"{path} belongs to {' / '.join(found)}, but this kit is {' / '.join(expected)}", hint=fresh)
    return Lock(path, header, slots, payload)


def open_with_answers(
    lock: Lock, answers: list[str], chain: bytes | None, room_code: str | None = None
) -> dict[str, bytes]:
    """The files inside, by their path in the kit. Raises `WrongKeyError` where the answers are not the right ones.

    `chain` is the content of `lock.chain_file`; `room_code` is in the spelling of `canonical_words`.
    """
    slot = lock.slots["answers"]
    key = derive_answer_key(answers, chain, room_code, _decode(slot["salt"]), lock.header)
    return _open_payload(lock, "answers", key, "these answers do not open the lock")


def open_with_rescue(lock: Lock, code: bytes) -> dict[str, bytes]:
    """The files inside, by the instructor's rescue code."""
    slot = lock.slots["rescue"]
    key = derive_rescue_key(code, _decode(slot["salt"]), lock.header)
    return _open_payload(lock, "rescue", key, "this rescue code is not the one of this group and stage")


def derive_answer_key(
    answers: list[str], chain: bytes | None, room_code: str | None, salt: bytes, header: dict[str, Any]
) -> bytes:
    """Argon2id over all answers and the room code; the chain value is its secret, the header associated data."""
    kdf = header["kdf"]
    derivation = Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=kdf["iterations"],
        lanes=kdf["lanes"],
        memory_cost=kdf["memory_kib"],
        ad=canonical_json(header),
        secret=chain,
    )
    return derivation.derive(canonical_json({"answers": answers, "room_code": room_code}))


def derive_rescue_key(code: bytes, salt: bytes, header: dict[str, Any]) -> bytes:
    """HKDF-SHA-256 (RFC 5869): the code is random already and only needs binding to this lock."""
    return HKDF(SHA256(), KEY_BYTES, salt, b"rescue" + canonical_json(header)).derive(code)


def wrap_context(header: dict[str, Any], kind: str) -> bytes:
    """Associated data of a slot: the header and which slot it is, so that slots cannot be swapped."""
    return canonical_json([header, kind])


def payload_context(header: dict[str, Any], slots: dict[str, Any]) -> bytes:
    """Associated data of the payload: everything else in the lock."""
    return canonical_json([header, slots])


def check_inside(name: str) -> PurePosixPath:
    """A path of a lock's payload, which must stay inside the kit and not touch what the kit lives by."""
    path = PurePosixPath(name)
    unsafe = (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or any(character in name for character in '\\:\0<>|?*"')
        or str(path) != name
        or (path.parts[0].startswith(".") or len(path.parts) < 2)
    )
    if unsafe:
        raise LabError(f"the lock names '{name}', which is not a path inside the kit", hint="do not use this lock")
    return path


def _check_form(header: Any, slots: Any, payload: Any) -> None:
    canonical_json(header)  # what cannot be spelt out (too deep, half a character) cannot be authenticated either
    for key in ("workshop", "group", "stage"):
        if not isinstance(header[key], str):
            raise TypeError(key)
    if header["chain_file"] is not None:
        check_inside(header["chain_file"])
    if type(header["room_code"]) is not bool:
        raise TypeError("room_code")
    if header["kdf"]["name"] != "argon2id":
        raise ValueError("kdf")
    for key, (low, high) in _BOUNDS.items():
        if type(header["kdf"][key]) is not int or not low <= header["kdf"][key] <= high:
            raise ValueError(key)
    if header["kdf"]["memory_kib"] < 8 * header["kdf"]["lanes"]:
        raise ValueError("memory_kib")
    for part, keys in (
        (slots["answers"], "salt nonce key"),
        (slots["rescue"], "salt nonce key"),
        (payload, "nonce data"),
    ):
        for key in keys.split():
            raw = _decode(part[key])
            if len(raw) < {"nonce": 12, "salt": 16, "key": KEY_BYTES + 16, "data": 16}[key]:
                raise ValueError(key)
            if key == "nonce" and len(raw) != 12:
                raise ValueError(key)


def _open_payload(lock: Lock, kind: str, key: bytes, wrong: str) -> dict[str, bytes]:
    slot = lock.slots[kind]
    try:
        file_key = AESGCM(key).decrypt(_decode(slot["nonce"]), _decode(slot["key"]), wrap_context(lock.header, kind))
    except InvalidTag as error:
        raise WrongKeyError(wrong, hint="check every answer in the file it names, then try again") from error
    damaged = LabError(f"{lock.path} is damaged: its key fits, but its files do not", hint="ask for a fresh copy of it")
    try:
        context = payload_context(lock.header, lock.slots)
        data = AESGCM(file_key).decrypt(_decode(lock.payload["nonce"]), _decode(lock.payload["data"]), context)
        files = {name: _decode(content) for name, content in json.loads(data).items()}
    except (InvalidTag, ValueError, AttributeError, TypeError) as error:
        raise damaged from error
    for name in files:
        check_inside(name)
    return files


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
