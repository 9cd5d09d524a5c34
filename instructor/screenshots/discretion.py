"""What no picture may show: answers, codes, and where and by whom it was made.

check_text(page.inner_text("body"), read_secrets(build, workshop), "board")
"""

import getpass
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from instructor.vault import Vault
from instructor.workshop import PROJECT, Workshop
from lab_code.errors import LabError

_TELLS_NOTHING = ("root", "user", "localhost")  # names of accounts and machines that are everybody's
_SHORTEST = 4

Secrets = Mapping[str, re.Pattern[str]]  # what it is -> how it looks


def read_secrets(build: Path, workshop: Workshop) -> Secrets:
    """Of a class that was played, and of this machine."""
    found = dict(_read_codes(build, workshop))
    found["a folder of this machine"] = re.compile("|".join(re.escape(str(path)) for path in (PROJECT, Path.home())))
    for what, name in (("this account's name", getpass.getuser()), ("this machine's name", socket.gethostname())):
        if len(name) >= _SHORTEST and name not in _TELLS_NOTHING:
            found[what] = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return found


def check_text(text: str, secrets: Secrets, picture: str) -> None:
    """Raises `LabError` that names what stands there, and not how it reads."""
    for what, pattern in secrets.items():
        if pattern.search(text):
            raise LabError(
                f"the picture '{picture}' would show {what}; it is not taken",
                hint="hide that part in instructor/screenshots/scenes.py",
            )


def _read_codes(build: Path, workshop: Workshop) -> Iterator[tuple[str, re.Pattern[str]]]:
    vault = Vault(build)
    for group, entries in vault.read_key().items():
        for entry in entries:
            of = f"{group}, {entry['stage']}"
            answers = r"\s*,\s*".join(re.escape(answer) for answer in entry["answers"].split(","))
            yield f"the answers of {of}", re.compile(rf"(?<![\d.,]){answers}(?![\d.,])")
            yield f"the rescue code of {of}", re.compile(re.escape(entry["rescue"]), re.IGNORECASE)
    for stage in workshop.stages:
        code = re.escape(vault.room_code(workshop.id, stage.id)).replace(r"\-", r"[\s-]")
        yield f"the room code of {stage.id}", re.compile(code, re.IGNORECASE)
