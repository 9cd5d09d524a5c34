"""Write a locked file: the counterpart of `lab_code.workshop.locks`, which says how a lock works.

    lock = write_lock(spec, Secrets(["2", "4", "1"], rescue=ten_bytes), files={"lab_code/…": b"…"})

Salts, nonces and the file key are fresh in every lock; the rescue code, the chain value and the room code are the
caller's.
"""

import base64
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from instructor.workshop import LockCost
from lab_code.files import to_json
from lab_code.workshop.locks import (
    FORMAT,
    KEY_BYTES,
    VERSION,
    check_inside,
    derive_answer_key,
    derive_rescue_key,
    payload_context,
    wrap_context,
)


@dataclass(frozen=True)
class LockSpec:
    """Whose lock it is. `chain_file` is the file of the stage before that holds the chain value, or None."""

    workshop: str
    group: str
    stage: str
    title: str
    questions: int
    opens: tuple[str, ...]
    chain_file: str | None
    cost: LockCost


@dataclass(frozen=True)
class Secrets:
    """What opens a lock: the answers (with the chain value and the room code, where there are any), or the rescue code.

    `answers` and `room_code` are in their canonical spelling; `rescue` is 10 bytes.
    """

    answers: list[str]
    rescue: bytes
    chain: bytes | None = None
    room_code: str | None = None


@dataclass(frozen=True)
class TimedLock:
    """A lock, and the seconds of one core that it took: nearly all of them are one key derivation."""

    content: bytes
    seconds: float


def write_lock(spec: LockSpec, secrets: Secrets, files: dict[str, bytes]) -> bytes:
    """The bytes of a `.lab` file; `files` are paths in the kit and contents."""
    for name in files:
        check_inside(name)
    return seal(spec, secrets, encode_files(files))


def write_timed_lock(spec: LockSpec, secrets: Secrets, files: dict[str, bytes]) -> TimedLock:
    """The same, and what it took."""
    started = time.thread_time()
    return TimedLock(write_lock(spec, secrets, files), time.thread_time() - started)


def is_lock_of(lock: bytes, spec: LockSpec, secrets: Secrets) -> bool:
    """Whether a lock says the same of itself as one would that is written now."""
    return bool(json.loads(lock)["header"] == _make_header(spec, secrets))


def encode_files(files: dict[str, bytes]) -> bytes:
    """The payload before it is encrypted."""
    return json.dumps({name: _encode(content) for name, content in files.items()}).encode("utf-8")


def seal(spec: LockSpec, secrets: Secrets, payload: bytes, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """A lock around any payload. Only test vectors, which must be the same each time, replace `random`."""
    header = _make_header(spec, secrets)
    file_key = random(KEY_BYTES)
    slots = {}
    for kind in ("answers", "rescue"):
        salt, nonce = random(16), random(12)
        key = (
            derive_answer_key(secrets.answers, secrets.chain, secrets.room_code, salt, header)
            if kind == "answers"
            else derive_rescue_key(secrets.rescue, salt, header)
        )
        wrapped = AESGCM(key).encrypt(nonce, file_key, wrap_context(header, kind))
        slots[kind] = {"salt": _encode(salt), "nonce": _encode(nonce), "key": _encode(wrapped)}
    nonce = random(12)
    data = AESGCM(file_key).encrypt(nonce, payload, payload_context(header, slots))
    document = {"header": header, "slots": slots, "payload": {"nonce": _encode(nonce), "data": _encode(data)}}
    return to_json(document).encode("utf-8")


def _make_header(spec: LockSpec, secrets: Secrets) -> dict[str, Any]:
    return {
        "about": "A locked file of the lab. The answers to the stage's questions open it: lab unlock --answers 3,1,4",
        "format": FORMAT,
        "version": VERSION,
        "workshop": spec.workshop,
        "group": spec.group,
        "stage": spec.stage,
        "title": spec.title,
        "questions": spec.questions,
        "opens": list(spec.opens),
        "kdf": {
            "name": "argon2id",
            "memory_kib": spec.cost.memory_kib,
            "iterations": spec.cost.iterations,
            "lanes": spec.cost.lanes,
        },
        "chain_file": spec.chain_file,
        "room_code": secrets.room_code is not None,
    }


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
