"""Search what ships for what must not ship: answers, rescue codes, room codes, chain values, the vault, locked sources.

    leaks = find_leaks(kit_folder, secrets)      # [] or where: file, offset, what, in which form

Every file is read in all the forms that `forms.py` can unpack. A build that finds anything fails.
"""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick

from instructor.provision.forms import COMPILED, MOST_BYTES, PHOTOGRAPH, PLAIN, View, constants, unpack
from lab_code.data.dataset import DESCRIPTION
from lab_code.data.ham10000 import find_metadata
from lab_code.errors import LabError
from lab_code.files import sha256_file

SOURCE_NOTE = "SOURCE.md"
_TEST = "test"  # the folder of the vault that holds the hidden test set
_MOVE = "remove it from where it comes from (the project's folder, or your data), then: make provision"
_ONE_PICTURE = "remove one of the two rows, with its file, from your photographs, then: make provision"
_HYDRA = b"# @package "  # the first line of every experiment, shipped or locked
_AT_ONCE = 1_000_000  # bytes of photographs that are searched as one
_SHORTEST = 3  # signs of a single answer that is looked for
_SHARE = 0.5  # a text holds a locked source where it has this share of its lines
_LOWER_CASE = bytes(range(256)).lower()
_NOWHERE = rb"(?!)"  # a pattern that nothing matches
_BETWEEN_LETTERS = b"-, \t\n\r\f\v"


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


class AnswerList(NamedTuple):
    """The answers of one lock as patterns: as they are usually written, and as the texts of a JSON list."""

    what: str
    usual: bytes
    texts: bytes


@dataclass(frozen=True)
class AnswerForm:
    """How people and programs write a list of answers: what stands before and after it, as patterns."""

    before: bytes
    after: bytes
    as_texts: bool = False
    word: bytes = b""  # without which the form is not there, in lower case

    def compile(self, lists: Iterable[AnswerList]) -> re.Pattern[bytes]:
        """A pattern for any of the lists."""
        written = dict.fromkeys(each.texts if self.as_texts else each.usual for each in lists)
        return re.compile(self.before + b"(?:" + (b"|".join(written) or _NOWHERE) + b")" + self.after)


_ANSWER_FORMS = (
    AnswerForm(rb"(?i)answers?\W{0,20}?(?<![\d.,])", rb"(?![\d.]|\s*,\s*[\"']?\d)", word=b"answer"),
    AnswerForm(rb'\[\s*"', rb'"\s*\]', as_texts=True),
    AnswerForm(rb"""(?m)^[\s"']*""", rb"""["']?\s*$"""),
)


@dataclass
class SecretSearch:
    """What to look for: the secrets of all groups together, so that one search serves every kit.

    All texts are looked for in one pass over the data, so that more groups do not make it slower.
    """

    answers: list[AnswerList] = field(default_factory=list)
    codes: list[tuple[str, bytes]] = field(default_factory=list)  # the letters alone, in lower case
    values: list[tuple[str, bytes]] = field(default_factory=list)
    sources: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list)  # lines of a locked file
    compiled: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list)  # its names and constants
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 -> which file of the vault
    hidden_rows: dict[str, str] = field(default_factory=dict)  # SHA-256 -> the row of that photograph in the test set
    clean: set[str] = field(default_factory=set)  # SHA-256 of what was searched in vain: kits share most files

    def add_answers(self, what: str, answers: Sequence[str]) -> None:
        """A whole list of answers: after the word "answers", as a JSON list of texts, or alone on a line.

        One question with a digit or two for an answer makes no list that would tell: every kit has such numbers.
        """
        if len(answers) == 1 and len(answers[0]) < _SHORTEST:
            return
        escaped = [re.escape(answer.encode()) for answer in answers]
        usual, texts = rb"""["']?\s*[,;]\s*["']?""".join(escaped), rb'"\s*,\s*"'.join(escaped)
        self.answers.append(AnswerList(what, usual, texts))
        self._forget()

    def add_code(self, what: str, code: str, raw: bytes | None = None) -> None:
        """A code or words, however they are grouped and spelt; `raw` are the bytes that it stands for."""
        self.codes.append((what, re.sub(r"[^A-Za-z0-9]", "", code).lower().encode()))
        self._forget()
        if raw:
            self.add_bytes(what, raw)

    def add_bytes(self, what: str, value: bytes) -> None:
        """A value exactly as it is; one that several groups share is looked for once."""
        if (what, value) not in self.values:
            self.values.append((what, value))
            self._forget()

    def add_source(self, what: str, content: bytes) -> None:
        """A locked file: found by the half of its lines, or compiled by the half of its names and texts."""
        if what.endswith(".ipynb"):  # its cells, without what all notebooks have in common
            cells = json.loads(content)["cells"]
            content = "\n".join("".join(cell["source"]) for cell in cells).encode()
        lines = [line.strip() for line in content.splitlines() if not line.startswith(_HYDRA)]
        parts = tuple(dict.fromkeys(line for line in lines if len(line) >= 12)) or ((content,) if content else ())
        self.sources.append((what, parts))
        self._forget()
        if what.endswith(".py"):
            texts = [text for text in constants(compile(content, what, "exec")) if len(text) >= 5]
            self.compiled.append((what, tuple(dict.fromkeys(text.encode() for text in texts))))

    def add_vault(self, folder: Path) -> None:
        """Every file of the vault, recognised by its content; what the photographs are is no secret."""
        rows = _read_rows(folder / _TEST)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in (SOURCE_NOTE, DESCRIPTION):
                digest = sha256_file(path)
                self.digests[digest] = f"a copy of vault/{path.relative_to(folder).as_posix()}"
                if path.stem in rows and path.is_relative_to(folder / _TEST):
                    self.hidden_rows[digest] = rows[path.stem]
        self._forget()

    def search(self, view: View) -> Iterator[tuple[str, int]]:
        """What is in the view, and where it begins there."""
        squeezed = view.data.translate(_LOWER_CASE, _BETWEEN_LETTERS)
        yield from self._search_answers(view.data, squeezed)
        found = self._spelt.find(squeezed)
        for what, letters in self.codes:
            if letters in found and (match := _spread(letters).search(view.data)):
                yield what, match.start()
        found = self._literal.find(view.data)
        yield from ((what, found[value]) for what, value in self.values if value in found)
        for what, parts in self.sources:
            yield from _find_half(what, [found[part] for part in parts if part in found], len(parts))
        for what, parts in self.compiled if COMPILED in view.form else ():
            places = [place for part in parts if (place := view.data.find(part)) >= 0]
            yield from _find_half(what, places, len(parts))

    def _search_answers(self, data: bytes, squeezed: bytes) -> Iterator[tuple[str, int]]:
        """One pattern that holds all lists tells whether any of them is there; only then each is tried."""
        for form, any_list in zip(_ANSWER_FORMS, self._any_answers, strict=True):
            if form.word in squeezed and any_list.search(data):
                for each in self.answers:
                    if match := form.compile([each]).search(data):
                        yield each.what, match.start()

    @cached_property
    def _any_answers(self) -> list[re.Pattern[bytes]]:
        return [form.compile(self.answers) for form in _ANSWER_FORMS]

    @cached_property
    def _spelt(self) -> "Needles":
        return Needles(letters for _, letters in self.codes)

    @cached_property
    def _literal(self) -> "Needles":
        return Needles([value for _, value in self.values] + [part for _, parts in self.sources for part in parts])

    def _forget(self) -> None:
        """Whatever was searched before or made ready for it counts no more."""
        self.clean.clear()
        for name in ("_any_answers", "_spelt", "_literal"):
            vars(self).pop(name, None)


class Needles:
    """Many texts, looked for in one pass over the data, however many they are."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._texts = [text for text in dict.fromkeys(texts) if text]
        self._automaton = BytesAhoCorasick(self._texts)

    def find(self, data: bytes) -> dict[bytes, int]:
        """Which of the texts are there, and where each of them begins first."""
        found: dict[bytes, int] = {}
        for index, start, _ in self._automaton.find_matches_as_indexes(data, overlapping=True):
            found.setdefault(self._texts[index], start)
        return found


def find_leaks(root: Path, secrets: SecretSearch, known: Mapping[str, str] | None = None) -> list[Leak]:
    """Search every file below `root`. An archive that expands without bound is a leak by itself.

    `known` are the SHA-256 of files that the caller has just written: what has been searched before is not read again.
    """
    known = known or {}
    begin = len(os.path.join(root, ""))
    paths = sorted(os.path.join(folder, name) for folder, _, files in os.walk(root) for name in files)
    names = [path[begin:].replace(os.sep, "/") for path in paths]
    unknown = [name for name in names if known.get(name) not in secrets.clean and os.path.isfile(f"{root}/{name}")]
    clean = _search_photographs(root, unknown, secrets)
    return [leak for name in unknown if name not in clean for leak in _search_file(root / name, name, secrets)]


def refuse_leaks(root: Path, secrets: SecretSearch, known: Mapping[str, str] | None = None) -> None:
    """Raise `LabError` where anything secret is found."""
    leaks = find_leaks(root, secrets, known)
    if leaks:
        raise LabError(
            f"secrets would ship in {len(leaks)} places: " + "; ".join(str(leak) for leak in leaks[:5]),
            hint="; ".join(dict.fromkeys(leak.hint for leak in leaks)),
        )


def _search_photographs(root: Path, names: Sequence[str], secrets: SecretSearch) -> set[str]:
    """Those of the files that are photographs without a secret.

    Thousands are searched as one text, in which each begins a line, so that nothing is overlooked. Where anything is
    found, it is left to `_search_file` to say in which.
    """
    clean: set[str] = set()
    together: dict[str, bytes] = {}
    room = _AT_ONCE
    for name in (name for name in names if name.lower().endswith((".jpg", ".jpeg"))):
        with open(f"{root}/{name}", "rb", buffering=0) as file:
            data = file.read()
        if data.startswith(PHOTOGRAPH):
            together[name] = data
            room -= len(data)
        if room < 0:
            clean |= _pass_together(together, secrets)
            together, room = {}, _AT_ONCE
    return clean | _pass_together(together, secrets)


def _pass_together(photographs: dict[str, bytes], secrets: SecretSearch) -> set[str]:
    """The names of all of them, or none where anything is found."""
    digests = {hashlib.sha256(data).hexdigest() for data in photographs.values()}
    text = View(PLAIN, b"\n".join(photographs.values()))
    if digests & secrets.digests.keys() or any(secrets.search(text)):
        return set()
    secrets.clean |= digests
    return set(photographs)


def _search_file(path: Path, name: str, secrets: SecretSearch) -> list[Leak]:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest in secrets.clean:
        return []
    found: dict[str, Leak] = {}  # the form that is read first is the plainest
    if digest in secrets.digests:
        found[secrets.digests[digest]] = _name_copy(path, name, digest, secrets)
    room = MOST_BYTES
    for view in unpack(data):
        room -= len(view.data)
        if room < 0:
            found["size"] = Leak(name, view.offset(0), "more than can be searched", view.form)
            break
        for what, place in secrets.search(view):
            found.setdefault(what, Leak(name, view.offset(place), what, view.form))
    if not found:
        secrets.clean.add(digest)
    return list(found.values())


def _name_copy(path: Path, name: str, digest: str, secrets: SecretSearch) -> Leak:
    """A copy from the vault; where both are photographs of a table, the two rows. `name` is the path in the kit."""
    what = secrets.digests[digest]
    tables = path.parents[: name.count("/") + 1]  # the folders up to the kit's own
    shipped = next((row for folder in tables if (row := _read_rows(folder).get(path.stem))), None)
    if shipped is None or digest not in secrets.hidden_rows:
        return Leak(name, 0, what, PLAIN)
    what = f"the picture of {shipped} is the same as that of {secrets.hidden_rows[digest]}, which is hidden ({what})"
    return Leak(name, 0, what, PLAIN, _ONE_PICTURE)


def _read_rows(folder: Path) -> dict[str, str]:
    """How the photographs of a prepared folder were called in the table that they came from, by file."""
    try:
        with find_metadata(folder).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, LabError):
        return {}
    return {row["image_id"]: f"{row.get('image') or row['image_id']} (lesion {row['lesion_id']})" for row in rows}


def _spread(letters: bytes) -> re.Pattern[bytes]:
    """A code whatever stands between its letters, large or small."""
    return re.compile(rb"(?i)" + rb"[-\s,]*".join(re.escape(letters[i : i + 1]) for i in range(len(letters))))


def _find_half(what: str, places: list[int], count: int) -> Iterator[tuple[str, int]]:
    """A text of `count` parts, where enough of them are there."""
    if places and len(places) >= _SHARE * count:
        yield what, min(places)
