"""What only the instructor may know, under `build/vault/`: the master secret, the key of every lock, the test set.

Rescue codes are derived from the master secret, so kits that are built again keep their codes; the key file is what
`instructor key` reads.
"""

import hashlib
import hmac
import json
import os
from pathlib import Path

from instructor.locks.room_code import make_room_code
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.codes import make_code
from lab_code.workshop.locks import RESCUE_BYTES

_SECRET, _KEY = "master.key", "key.json"

Key = dict[str, list[dict[str, str]]]  # group -> [{"stage", "answers", "rescue"}, …]


class Vault:
    """The folder `build/vault/`, readable by its owner only."""

    def __init__(self, build: Path) -> None:
        self.folder = build / "vault"

    def rescue_secret(self, workshop: str, group: str, stage: str) -> bytes:
        """The rescue code of a lock as bytes: 80 bits of the master secret, which is made when it is missing."""
        message = "\0".join(("rescue", workshop, group, stage)).encode()
        return hmac.digest(self._master(), message, hashlib.sha256)[:RESCUE_BYTES]

    def rescue_code(self, workshop: str, group: str, stage: str) -> str:
        """The same as it is read aloud."""
        return make_code(self.rescue_secret(workshop, group, stage))

    def room_code(self, workshop: str, stage: str) -> str:
        """The words that open a stage together with the answers, the same for all groups: `acorn-lemon-tiger`."""
        message = "\0".join(("room", workshop, stage)).encode()
        return make_room_code(hmac.digest(self._master(), message, hashlib.sha256))

    def review_id(self, workshop: str, group: str) -> str:
        """What stands for a group in a review: the instructor can tell whose runs they were, and nobody else."""
        message = "\0".join(("review", workshop, group)).encode()
        return hmac.digest(self._master(), message, hashlib.sha256)[:8].hex()

    def handin_key(self, workshop: str, group: str) -> bytes:
        """What a kit signs its hand-ins with; it lies in the kit."""
        message = "\0".join(("handin", workshop, group)).encode()
        return hmac.digest(self._master(), message, hashlib.sha256)

    def read_key(self) -> Key:
        """Answers and rescue codes of all groups. Raises `LabError` before the first `make provision`."""
        path = self.folder / _KEY
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise LabError(f"there is no key yet: {path} is missing", hint="make provision") from error
        except ValueError as error:
            raise LabError(f"{path} is damaged: {error}", hint="make provision writes it again") from error

    def write_key(self, key: Key) -> None:
        """Replace the key of all groups."""
        self._make_folder()
        write_whole(self.folder / _KEY, to_json(key))
        os.chmod(self.folder / _KEY, 0o600)

    def _master(self) -> bytes:
        path = self.folder / _SECRET
        if not path.is_file():
            self._make_folder()
            write_whole(path, os.urandom(32).hex())
            os.chmod(path, 0o600)
        return bytes.fromhex(path.read_text(encoding="ascii"))

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o700)
