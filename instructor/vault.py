"""What only the instructor may know, under `build/vault/`: the master secret, the key of every lock, the test set.

The master secret is drawn once. Everything that is secret follows from it: rescue codes, room codes, the order of
options and the numbers of every group, which photographs are hidden. So kits that are built again keep all of that,
here and on any other machine to which the folder was carried; and from the public source none of it can be told. The
key file is what `instructor key` reads; a key that is replaced by another one is kept beside it.
"""

import base64
import hashlib
import hmac
import json
import os
from datetime import datetime
from pathlib import Path

from instructor.locks.room_code import make_room_code
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.codes import make_code
from lab_code.workshop.locks import RESCUE_BYTES

_SECRET, _KEY, _EARLIER = "master.key", "key.json", "earlier-keys"
_MASTER_BYTES = 32

Key = dict[str, list[dict[str, str]]]  # group -> [{"stage", "answers", "rescue"}, …]


class Vault:
    """The folder `build/vault/`, readable by its owner only."""

    def __init__(self, build: Path) -> None:
        self.folder = build / "vault"

    @property
    def is_drawn(self) -> bool:
        """Whether its master secret is there already."""
        return (self.folder / _SECRET).is_file()

    def rescue_secret(self, workshop: str, group: str, stage: str) -> bytes:
        """The rescue code of a lock as bytes: 80 bits of the master secret, which is made when it is missing."""
        return self._derive("rescue", workshop, group, stage)[:RESCUE_BYTES]

    def rescue_code(self, workshop: str, group: str, stage: str) -> str:
        """The same as it is read aloud."""
        return make_code(self.rescue_secret(workshop, group, stage))

    def room_code(self, workshop: str, stage: str) -> str:
        """The words that open a stage together with the answers, the same for all groups: `acorn-lemon-tiger`."""
        return make_room_code(self._derive("room", workshop, stage))

    def review_id(self, workshop: str, group: str) -> str:
        """What stands for a group in a review: the instructor can tell whose runs they were, and nobody else."""
        return self._derive("review", workshop, group)[:8].hex()

    def duel_secret(self, workshop: str, duel: str) -> bytes:
        """What the code of a duel is made of, so that nobody can think of one."""
        return self._derive("duel", workshop, duel)

    def answer_secret(self, workshop: str) -> str:
        """What decides every group's questions, numbers and orders of options."""
        return self._derive("answers", workshop).hex()

    def master_secret(self) -> bytes:
        """What everything follows from: 32 bytes, drawn once."""
        return self._read_master()

    def fingerprint(self) -> str:
        """Tells this vault from others, and nothing else."""
        return self._derive("fingerprint")[:8].hex()

    def hidden_seed(self) -> int:
        """What decides which photographs are hidden: 32 bits, as many as the generator of the synthetic ones takes."""
        return int.from_bytes(self._derive("hidden photographs")[:4], "big")

    def handin_key(self, workshop: str, group: str) -> bytes:
        """What a kit signs its hand-ins with; it lies in the kit."""
        return self._derive("handin", workshop, group)

    def password(self, workshop: str, account: str, what: str) -> str:
        """What an account of a hub or a server signs in with: 60 bits, typed without capitals."""
        derived = base64.b32encode(self._derive("password", what, workshop, account))[:12].decode("ascii").lower()
        return "-".join(derived[start : start + 4] for start in (0, 4, 8))

    def read_key(self) -> Key:
        """Answers and rescue codes of all groups. Raises `LabError` before the first `make provision`."""
        path = self.folder / _KEY
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise LabError(f"there is no key yet: {path} is missing", hint="make provision") from error
        except ValueError as error:
            raise LabError(f"{path} is damaged: {error}", hint="make provision writes it again") from error

    def write_key(self, key: Key) -> Path | None:
        """Replace the key of all groups.

        Where another answer or code stood in it, the file that was there is kept: kits that were handed out still need
        it. Its new place is returned.
        """
        self._make_folder()
        path, kept = self.folder / _KEY, None
        if path.is_file() and not _holds_all(key, path):
            kept = self.folder / _EARLIER / f"key-{datetime.now():%Y%m%d-%H%M%S-%f}.json"
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(path, kept)
        write_whole(path, to_json(key))
        os.chmod(path, 0o600)
        return kept

    def _derive(self, *what: str) -> bytes:
        """32 bytes that only the master secret and these words give."""
        return hmac.digest(self._read_master(), "\0".join(what).encode(), hashlib.sha256)

    def _read_master(self) -> bytes:
        """The master secret, drawn where the vault is new. Raises `LabError` where it was lost or damaged."""
        path = self.folder / _SECRET
        if path.is_file():
            try:
                master = bytes.fromhex(path.read_text(encoding="ascii"))
            except (OSError, ValueError) as error:
                raise LabError(
                    f"{path} cannot be read: {error}", hint="bring it back from a copy of the vault"
                ) from error
            if len(master) == _MASTER_BYTES:
                return master
            raise LabError(
                f"{path} holds {len(master)} bytes, expected {_MASTER_BYTES}",
                hint="bring it back from a copy of the vault",
            )
        if (self.folder / _KEY).is_file():  # another one would silently change all answers and rescue codes
            raise LabError(
                f"{path} is missing, but {self.folder / _KEY} tells of kits that were built with it",
                hint=f"bring it back from a copy of the vault; to begin anew, move {self.folder} away",
            )
        self._make_folder()
        write_whole(path, draw_master().hex())
        os.chmod(path, 0o600)
        return self._read_master()

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o700)


def draw_master() -> bytes:
    """A new master secret. The tests, which must be the same each time, replace this function."""
    return os.urandom(_MASTER_BYTES)


def _holds_all(key: Key, path: Path) -> bool:
    """Whether everything in the key file `path` stands in `key` as well."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        return all(entry in key.get(group, []) for group, entries in earlier.items() for entry in entries)
    except (OSError, ValueError, AttributeError):
        return False
