"""`lab unlock` as a student types it, beside one bare key derivation in a process of its own."""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from instructor.vault import Vault
from instructor.workshop import read_workshop

_REPEATS = 5
_BARE = """
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
Argon2id(salt=b"s" * 16, length=32, iterations={iterations}, lanes={lanes}, memory_cost={memory_kib}).derive(b"x")
"""


def measure(scratch: Path) -> Iterator[tuple]:
    """Uses the kits that provisioning has just built in `scratch`."""
    locks = read_workshop().locks
    answers = Vault(scratch / "build").read_key()["group-1"][0]["answers"]
    bare, unlock = [], []
    for repeat in range(_REPEATS):
        bare.append(_time([sys.executable, "-c", _BARE.format(**vars(locks))], scratch))
        kit = scratch / f"kit-{repeat}"
        shutil.copytree(scratch / "build" / "kits" / "group-1", kit, ignore=shutil.ignore_patterns("*.jpg"))
        _time([sys.executable, "lab", "--help"], kit)  # bytecode is compiled once, as on any second command
        unlock.append(_time([sys.executable, "lab", "unlock", "--answers", answers], kit))
    yield "unlock: lab unlock", statistics.median(unlock), "s"
    yield "unlock: one bare key derivation", statistics.median(bare), "s"
    extra = statistics.median(a - b for a, b in zip(unlock, bare, strict=True))
    yield "unlock: more than the derivation", extra, "s", 0.2


def _time(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started
