"""Make the test vectors of locked files: one file, one fault, its outcome at the top.

    python tests/vectors/make_lock_vectors.py        # writes tests/vectors/locks/, the same bytes each time

A vector is a few lines `key: value`, an empty line, and the bytes of the lock. `answers`, `chain`, `room_code` and
`rescue` are what the reader is given; `outcome` is one of those that docs/lock-format.md lists.
"""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from instructor.locks.lock import LockSpec, Secrets, encode_files, seal
from instructor.workshop import LockCost
from lab_code.workshop.codes import make_code

FOLDER = Path(__file__).parent / "locks"
OWNER = ("vectors", "group-1", "2-second")
CHAIN, RESCUE = hashlib.sha256(b"chain").hexdigest(), bytes(range(10))
FILES = {"lab_code/conf/experiment/näme.yaml": "name: ünïcode\n".encode(), "locked/3-third.chain": b"0" * 64}
OPENS, WRONG, DAMAGED, UNSAFE = "opens", "wrong key", "damaged", "unsafe path"


@dataclass(frozen=True)
class Vector:
    """A lock's bytes, what the reader is given, and what must come of it."""

    name: str
    outcome: str
    lock: bytes
    answers: str = "3,1,0.5"
    chain: str = CHAIN
    room_code: str = ""
    rescue: str = ""

    def to_bytes(self) -> bytes:
        """The file of this vector."""
        given = {"rescue": self.rescue} if self.rescue else {
            "answers": self.answers, "chain": self.chain, "room_code": self.room_code,
        }  # fmt: skip
        lines = [f"{key}: {value}\n" for key, value in given.items() if value]
        head = f"vector: {self.name}\noutcome: {self.outcome}\n{''.join(lines)}\n"
        return head.encode("utf-8") + self.lock


def make_vectors() -> Iterator[Vector]:
    """All vectors, in an order that does not matter."""
    sound = Vector("opens with answers", OPENS, make_lock())
    yield sound
    yield replace(sound, name="opens with the rescue code alone", rescue=make_code(RESCUE))
    first = make_lock(chain=None)
    yield Vector("opens without a chain value in a first stage", OPENS, first, chain="")
    roomy = make_lock(room_code="acorn-lemon-tiger")
    yield Vector("opens with answers and room code", OPENS, roomy, room_code="acorn-lemon-tiger")
    yield Vector("opens with the rescue code and no room code", OPENS, roomy, rescue=make_code(RESCUE))
    yield Vector("opens with four lanes and five iterations", OPENS, make_lock(cost=LockCost(64, 5, 4)))

    yield replace(sound, name="one wrong answer", outcome=WRONG, answers="3,1,0.6")
    yield replace(sound, name="answers in another order", outcome=WRONG, answers="1,3,0.5")
    yield replace(sound, name="one answer too few", outcome=WRONG, answers="3,1")
    yield replace(sound, name="no chain value", outcome=WRONG, chain="")
    yield replace(sound, name="another chain value", outcome=WRONG, chain=CHAIN[::-1])
    yield replace(sound, name="a room code where none is needed", outcome=WRONG, room_code="acorn-lemon-tiger")
    yield Vector("another room code", WRONG, roomy, room_code="acorn-lemon-otter")
    yield Vector("no room code", WRONG, roomy)
    yield replace(sound, name="another rescue code", outcome=WRONG, rescue=make_code(bytes(10)))

    for name, outcome, change in _BYTES:
        yield Vector(name, outcome, change(sound.lock))
    for name, outcome, change in _FIELDS:
        document = json.loads(sound.lock)
        change(document)
        yield Vector(name, outcome, json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8"))
    other = json.loads(make_lock(seed=b"other"))
    mixed = {**json.loads(sound.lock), "payload": other["payload"]}
    yield Vector("payload of another lock", DAMAGED, json.dumps(mixed).encode())
    for name, path in _ESCAPES.items():
        yield Vector(f"a path that {name}", UNSAFE, make_lock(payload=encode_files({path: b"x"})))
    for name, payload in _PAYLOADS.items():
        yield Vector(name, DAMAGED, make_lock(payload=payload))


def make_lock(
    *,
    chain: str | None = CHAIN,
    room_code: str | None = None,
    cost: LockCost | None = None,
    payload: bytes = encode_files(FILES),
    seed: bytes = b"seed",
) -> bytes:
    """A lock with reproducible salts, nonces and file key."""
    numbers = itertools.count()

    def random(count: int) -> bytes:
        return hashlib.shake_256(seed + next(numbers).to_bytes(4, "big")).digest(count)

    spec = LockSpec(
        *OWNER, "The second stage", 3, tuple(FILES), f"locked/{OWNER[2]}.chain" if chain else None,
        cost or LockCost(64, 1, 1),
    )  # fmt: skip
    secrets = Secrets(["3", "1", "0.5"], RESCUE, chain.encode() if chain else None, room_code)
    return seal(spec, secrets, payload, random)


def _flip(text: str, position: int = -1) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[position] ^= 1
    return base64.b64encode(raw).decode()


def _set(*keys: str, value: object) -> Callable[[dict], None]:
    def change(document: dict) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value(document[keys[-1]]) if callable(value) else value

    return change


def _swap_slots(document: dict) -> None:
    slots = document["slots"]
    slots["answers"], slots["rescue"] = slots["rescue"], slots["answers"]


_BYTES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("an empty file", DAMAGED, lambda lock: b""),
    ("cut off in the middle", DAMAGED, lambda lock: lock[: len(lock) // 2]),
    ("cut off by its last brace", DAMAGED, lambda lock: lock.rstrip()[:-1]),
    ("an extra tail", DAMAGED, lambda lock: lock + b"{}"),
    ("a byte that is not UTF-8", DAMAGED, lambda lock: lock.replace(b"lab-lock", b"lab-l\xffck", 1)),
    ("a byte order mark", DAMAGED, lambda lock: b"\xef\xbb\xbf" + lock),
    ("not JSON", DAMAGED, lambda lock: b"PK\x03\x04" + lock),
    ("a list", DAMAGED, lambda lock: b"[" + lock + b"]"),
    ("nested without end", DAMAGED, lambda lock: b'{"header":' + b"[" * 100_000),
    ("half a character in the header", DAMAGED, lambda lock: lock.replace(b"The second stage", b"\\ud800")),
    ("Windows line ends", OPENS, lambda lock: lock.replace(b"\n", b"\r\n")),
]  # fmt: skip

_FIELDS: list[tuple[str, str, Callable[[dict], None]]] = [
    ("no header", DAMAGED, lambda d: d.pop("header")),
    ("no slot for answers", DAMAGED, lambda d: d["slots"].pop("answers")),
    ("no payload", DAMAGED, lambda d: d.pop("payload")),
    ("unknown version", "unknown version", _set("header", "version", value=2)),
    ("unknown format", "unknown version", _set("header", "format", value="zip")),
    ("another group's lock", "another lock", _set("header", "group", value="group-2")),
    ("another stage's lock", "another lock", _set("header", "stage", value="1-first")),
    ("another workshop's lock", "another lock", _set("header", "workshop", value="elsewhere")),
    ("renamed title", WRONG, _set("header", "title", value="The first stage")),
    ("another list of what it opens", WRONG, _set("header", "opens", value=["lab_code/x.py"])),
    ("a field more in the header", WRONG, _set("header", "more", value=1)),
    ("cheaper derivation", WRONG, _set("header", "kdf", "memory_kib", value=32)),
    ("says that no room code is missing", DAMAGED, _set("header", "room_code", value="no")),
    ("another chain file", WRONG, _set("header", "chain_file", value="locked/other.chain")),
    ("a chain file out of the kit", UNSAFE, _set("header", "chain_file", value="../../etc/passwd")),
    ("absurd memory", DAMAGED, _set("header", "kdf", "memory_kib", value=2**40)),
    ("just too much memory", DAMAGED, _set("header", "kdf", "memory_kib", value=262_145)),
    ("absurd iterations", DAMAGED, _set("header", "kdf", "iterations", value=10**9)),
    ("no iterations", DAMAGED, _set("header", "kdf", "iterations", value=0)),
    ("no lanes", DAMAGED, _set("header", "kdf", "lanes", value=0)),
    (
        "less memory than its lanes need",
        DAMAGED,
        _set("header", "kdf", value=lambda kdf: {**kdf, "lanes": 8, "memory_kib": 63}),
    ),
    ("another derivation", DAMAGED, _set("header", "kdf", "name", value="md5")),
    ("swapped slots", WRONG, _swap_slots),
    ("flipped bit in the salt", WRONG, _set("slots", "answers", "salt", value=_flip)),
    ("flipped bit in the wrapped key", WRONG, _set("slots", "answers", "key", value=_flip)),
    ("flipped bit in the nonce of a slot", WRONG, _set("slots", "answers", "nonce", value=_flip)),
    ("flipped bit in the other slot", DAMAGED, _set("slots", "rescue", "key", value=_flip)),
    ("flipped bit in the payload", DAMAGED, _set("payload", "data", value=lambda text: _flip(text, 40))),
    ("flipped bit in the tag of the payload", DAMAGED, _set("payload", "data", value=_flip)),
    ("flipped bit in the nonce of the payload", DAMAGED, _set("payload", "nonce", value=_flip)),
    ("payload cut short", DAMAGED, _set("payload", "data", value=lambda text: text[:-8])),
    ("no payload at all", DAMAGED, _set("payload", "data", value="")),
    ("a nonce of eight bytes", DAMAGED, _set("payload", "nonce", value="AAAAAAAAAAA=")),
    ("a key without its tag", DAMAGED, _set("slots", "answers", "key", value="A" * 43 + "=")),
    ("blanks in base64", DAMAGED, _set("payload", "data", value=lambda text: text[:8] + " " + text[8:])),
    ("a number for a text", DAMAGED, _set("payload", "data", value=7)),
]

_ESCAPES = {
    "climbs out": "../../outside.txt",
    "climbs out later": "lab_code/../../outside.txt",
    "starts at the root": "/etc/cron.d/x",
    "is another's home": "~/../x/y",
    "names a drive": "C:/Windows/x",
    "uses backslashes": "lab_code\\..\\..\\x/y",
    "is hidden": ".git/hooks/pre-commit",
    "lies at the top of the kit": "kit.json",
    "goes through the same folder": "lab_code/./x.py",
    "ends in a folder": "lab_code/",
    "has a NUL": "lab_code/x\0.py",
    "has a star": "lab_code/*.py",
    "is empty": "",
}

_PAYLOADS = {
    "a payload that is no object": b"[1]",
    "a payload that is no JSON": b"{",
    "a payload with a number for a file": b'{"lab_code/x.py": 1}',
    "a payload that is not base64": b'{"lab_code/x.py": "*"}',
}


def main() -> None:
    """Write every vector to its file."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.vector"):
        old.unlink()
    for vector in make_vectors():
        (FOLDER / file_name(vector)).write_bytes(vector.to_bytes())


def file_name(vector: Vector) -> str:
    """The file that holds a vector: its name with dashes."""
    return vector.name.replace(" ", "-").replace("'", "") + ".vector"


if __name__ == "__main__":
    main()
