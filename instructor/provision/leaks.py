"""Search what ships for what must not ship: answers, rescue codes, room codes, chain values, the vault, locked sources.

    leaks = find_leaks(kit_folder, secrets)      # [] or where: file, offset, what, in which form

Every file is read in all the forms that `forms.py` can unpack. A build that finds anything fails.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructor.provision.forms import COMPILED, MOST_BYTES, PLAIN, View, constants, unpack
from lab_code.data.ham10000 import METADATA_NAMES
from lab_code.errors import LabError
from lab_code.files import sha256_file

SOURCE_NOTE = "SOURCE.md"
_TEST = "test"  # the folder of the vault that holds the hidden test set
_MOVE = "remove it from where it comes from (the project's folder, or your data), then: make provision"
_ONE_PICTURE = "remove one of the two rows, with its file, from your photographs, then: make provision"
_SHARE = 0.5  # a text holds a locked source where it has this share of its lines


@dataclass(frozen=True)
class Leak:
    """Something secret in a file. `offset` counts bytes of the file itself; `form` says how it had to be read."""

    file: str
    offset: int
    what: str
    form: str
    hint: str = _MOVE

    def __str__(self) -> str:
        return f"{self.file} at byte {self.offset}: {self.what} ({self.form})"


@dataclass
class SecretSearch:
    """What to look for: the secrets of all groups together, so that one search serves every kit."""

    patterns: list[tuple[str, re.Pattern[bytes]]] = field(default_factory=list)
    sources: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list)  # lines of a locked file
    compiled: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list)  # its names and constants
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 -> which file of the vault
    hidden_rows: dict[str, str] = field(default_factory=dict)  # SHA-256 -> the row of that photograph in the test set
    clean: set[str] = field(default_factory=set)  # SHA-256 of what was searched in vain: kits share most files

    def add_answers(self, what: str, answers: Sequence[str]) -> None:
        """A whole list of answers: after the word "answers", as a JSON list of texts, or alone on a line."""
        gap = rb"""["']?\s*[,;]\s*["']?"""
        listed = gap.join(re.escape(answer.encode()) for answer in answers)
        forms = (
            rb"(?i)answers?\W{0,20}?(?<![\d.,])" + listed + rb"(?![\d.]|\s*,\s*[\"']?\d)",
            rb'\[\s*"' + rb'"\s*,\s*"'.join(re.escape(answer.encode()) for answer in answers) + rb'"\s*\]',
            rb"""(?m)^[\s"']*""" + listed + rb"""["']?\s*$""",
        )
        self.patterns += [(what, re.compile(form)) for form in forms]

    def add_code(self, what: str, code: str, raw: bytes | None = None) -> None:
        """A code or words, however they are grouped and spelt; `raw` are the bytes that it stands for."""
        letters = rb"[-\s,]*".join(re.escape(letter.encode()) for letter in re.sub(r"[^A-Za-z0-9]", "", code))
        self.patterns.append((what, re.compile(rb"(?i)" + letters)))
        if raw:
            self.add_bytes(what, raw)

    def add_bytes(self, what: str, value: bytes) -> None:
        """A value exactly as it is; one that several groups share is looked for once."""
        pattern = re.compile(re.escape(value))
        if (what, pattern) not in self.patterns:
            self.patterns.append((what, pattern))

    def add_source(self, what: str, content: bytes) -> None:
        """A locked file: found by the half of its lines, or compiled by the half of its names and texts."""
        if what.endswith(".ipynb"):  # its cells, without what all notebooks have in common
            cells = json.loads(content)["cells"]
            content = "\n".join("".join(cell["source"]) for cell in cells).encode()
        lines = [line.strip() for line in content.splitlines()]
        self.sources.append((what, tuple(dict.fromkeys(line for line in lines if len(line) >= 12)) or (content,)))
        if what.endswith(".py"):
            texts = [text for text in constants(compile(content, what, "exec")) if len(text) >= 5]
            self.compiled.append((what, tuple(dict.fromkeys(text.encode() for text in texts))))

    def add_vault(self, folder: Path) -> None:
        """Every file of the vault, recognised by its content; where the data come from is no secret."""
        rows = _read_rows(folder / _TEST)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != SOURCE_NOTE:
                digest = sha256_file(path)
                self.digests[digest] = f"a copy of vault/{path.relative_to(folder).as_posix()}"
                if path.stem in rows and path.is_relative_to(folder / _TEST):
                    self.hidden_rows[digest] = rows[path.stem]


def find_leaks(root: Path, secrets: SecretSearch) -> list[Leak]:
    """Search every file below `root`. An archive that expands without bound is a leak by itself."""
    return [leak for path in sorted(root.rglob("*")) if path.is_file() for leak in _search_file(path, root, secrets)]


def refuse_leaks(root: Path, secrets: SecretSearch) -> None:
    """Raise `LabError` where anything secret is found."""
    leaks = find_leaks(root, secrets)
    if leaks:
        raise LabError(
            f"secrets would ship in {len(leaks)} places: " + "; ".join(str(leak) for leak in leaks[:5]),
            hint="; ".join(dict.fromkeys(leak.hint for leak in leaks)),
        )


def _search_file(path: Path, root: Path, secrets: SecretSearch) -> list[Leak]:
    name, data = path.relative_to(root).as_posix(), path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest in secrets.clean:
        return []
    found: dict[str, Leak] = {}  # the form that is read first is the plainest
    if digest in secrets.digests:
        found[secrets.digests[digest]] = _name_copy(path, root, digest, secrets)
    room = MOST_BYTES
    for view in unpack(data):
        room -= len(view.data)
        if room < 0:
            found["size"] = Leak(name, view.offset(0), "more than can be searched", view.form)
            break
        for what, place in _search_view(view, secrets):
            found.setdefault(what, Leak(name, view.offset(place), what, view.form))
    if not found:
        secrets.clean.add(digest)
    return list(found.values())


def _name_copy(path: Path, root: Path, digest: str, secrets: SecretSearch) -> Leak:
    """A copy from the vault; where both are photographs of a table, the two rows."""
    name, what = path.relative_to(root).as_posix(), secrets.digests[digest]
    tables = [folder for folder in path.parents if folder.is_relative_to(root)]
    shipped = next((row for folder in tables if (row := _read_rows(folder).get(path.stem))), None)
    if shipped is None or digest not in secrets.hidden_rows:
        return Leak(name, 0, what, PLAIN)
    what = f"the picture of {shipped} is the same as that of {secrets.hidden_rows[digest]}, which is hidden ({what})"
    return Leak(name, 0, what, PLAIN, _ONE_PICTURE)


def _read_rows(folder: Path) -> dict[str, str]:
    """How the photographs of a prepared folder were called in the table that they came from, by file."""
    try:
        with (folder / METADATA_NAMES[0]).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return {}
    return {row["image_id"]: f"{row.get('image') or row['image_id']} (lesion {row['lesion_id']})" for row in rows}


def _search_view(view: View, secrets: SecretSearch) -> Iterator[tuple[str, int]]:
    for what, pattern in secrets.patterns:
        if match := pattern.search(view.data):
            yield what, match.start()
    for what, parts in secrets.sources + (secrets.compiled if COMPILED in view.form else []):
        places = [place for part in parts if (place := view.data.find(part)) >= 0]
        if len(places) >= max(1, _SHARE * len(parts)):
            yield what, min(places)
