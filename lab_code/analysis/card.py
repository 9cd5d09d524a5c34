"""A run card: everything that another group needs to make a run again, in a small file, or in one QR code.

    card = make_card(run)                       # settings, seed, scores, the photographs' and the code's fingerprints
    write_card(path, card); text = card_to_text(card)
    card = read_card("baseline.card")           # or the text of its QR code

The seal is a hash of all the rest: what was edited by hand or cut off is noticed. It is no signature, so the instructor
compares a repetition with the run itself (`instructor/results/relays.py`).
"""

import base64
import binascii
import hashlib
import json
import re
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab_code.analysis.used_code import find_used
from lab_code.config import Config, flatten_config, load_config
from lab_code.errors import LabError
from lab_code.files import canonical_json, to_json, write_whole
from lab_code.limits import plain_name
from lab_code.tracking.names import is_fact
from lab_code.tracking.provenance import CODE, code_from_json, read_code
from lab_code.tracking.runs import Run

LARGEST = 20_000  # bytes of a card's file, and characters of its text
BEGIN = "LABCARD/"
_FORMAT = 1
_ABOUT = "A run card. Another group makes this run again with: lab repeat THIS-FILE"
_LARGEST_CONTENT = 200_000  # of what a text unpacks to
_HASH = 12  # characters of a file's SHA-256, and of the seal 20
_SCORES = ("best_", "interval/")
_AGAIN = "ask the other group for it once more: lab card RUN"


@dataclass(frozen=True)
class Card:
    """`settings` is the resolved configuration, `scores` what the run claims, `facts` what its surroundings were,
    `code` the beginning of the SHA-256 of every Python file that it has used."""

    workshop: str
    group: str
    run_id: str
    name: str
    settings: dict[str, Any]
    scores: dict[str, float]
    facts: dict[str, str]
    code: dict[str, str]

    @property
    def seal(self) -> str:
        """Changes with anything in the card."""
        return hashlib.sha256(b"card\0" + canonical_json(asdict(self))).hexdigest()[:20]

    def as_run(self) -> Run:
        """The run as it would stand in a store, to be compared with its repetition."""
        params = {key: str(value) for key, value in flatten_config(self.config()).items()}
        return Run(self.run_id, self.name, "FINISHED", 0, None, Path(), params, dict(self.scores), dict(self.facts))

    def config(self) -> Config:
        """The configuration. Raises `LabError` for settings that no run could have had."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "card's settings"
            path.write_text(json.dumps(self.settings), encoding="utf-8")
            return load_config(path)


@dataclass(frozen=True)
class OtherCode:
    """The files that a card's run has used and that are not here, and those that read differently here."""

    missing: list[str]
    changed: list[str]

    def describe(self) -> str:
        """One sentence that names the files; empty where there are none."""
        parts = [f"not here: {', '.join(self.missing)}"] if self.missing else []
        return "; ".join(parts + ([f"not the same here: {', '.join(self.changed)}"] if self.changed else []))


def make_card(run: Run) -> Card:
    """The card of a finished run. Raises `LabError` for one whose record is incomplete, or began from a file."""
    config = load_config(run.artifacts / "config.yaml")
    if config.model.weights or Path(config.data.folder).as_posix() != "data":
        key = "model.weights" if config.model.weights else "data.folder"
        raise LabError(
            f"run '{run.name}' depends on files that no card can hold: {key}={flatten_config(config)[key]}",
            hint="make a card of a run that begins with random weights, on this kit's photographs",
        )
    code = code_from_json(run.artifacts / CODE)
    used = sorted(name for name in find_used(code, run.params) if name.endswith(".py"))
    return Card(
        workshop=run.tags.get("workshop", ""),
        group=run.tags.get("group", ""),
        run_id=run.run_id,
        name=run.name,
        settings=asdict(config),
        scores={name: value for name, value in sorted(run.metrics.items()) if name.startswith(_SCORES)},
        facts={name: value for name, value in sorted(run.tags.items()) if is_fact(name)},
        code={name: _hash(code[name]) for name in used},
    )


def find_other_code(card: Card, here: Mapping[str, str] | None = None) -> OtherCode:
    """Where the code that the card's run has used is not the code of this kit."""
    present = read_code() if here is None else here
    missing = [name for name in card.code if name not in present]
    changed = [name for name in card.code if name in present and _hash(present[name]) != card.code[name]]
    return OtherCode(missing, changed)


def relay_config(card: Card) -> Config:
    """The configuration with which another group makes the run again, under a name that says whose it was."""
    return replace(card.config(), name=f"{plain_name(card.name, 60)}-of-{plain_name(card.group, 30)}")


def write_card(path: Path, card: Card) -> int:
    """Write the card's file; returns its size in bytes."""
    text = to_json({"about": _ABOUT, "format": _FORMAT, **asdict(card), "seal": card.seal})
    if len(text.encode()) > LARGEST:
        raise LabError(f"the card of run '{card.name}' has {len(text.encode()):,} bytes, {LARGEST:,} at most")
    write_whole(path, text)
    return len(text.encode())


def card_to_text(card: Card) -> str:
    """The card as one line of capitals and digits, which a QR code holds most densely; its length stands in front."""
    packed = zlib.compress(canonical_json({"format": _FORMAT, **asdict(card), "seal": card.seal}), 9)
    text = base64.b32encode(packed).decode("ascii").rstrip("=")
    return f"{BEGIN}{len(text)}/{text}"


def looks_like_card(what: str) -> bool:
    """Whether this names a file, or is a card's text, rather than the name of a run."""
    return what.strip().upper().startswith(BEGIN) or what.endswith((".card", ".json", ".txt")) or Path(what).is_file()


def read_card(what: str) -> Card:
    """The card in a file, or in the text of its QR code. Raises `LabError` for what is none, was cut, or edited."""
    text = what.strip()
    if not text.upper().startswith(BEGIN):
        text = _read_file(Path(what)).strip()
    document = _unpack(text) if text.upper().startswith(BEGIN) else _parse(text)
    seal = document.pop("seal", "")
    document.pop("about", None)
    if document.pop("format", None) != _FORMAT:
        raise LabError("the card is of another version of this project", hint=_AGAIN)
    card = _build(document)
    if card.seal != seal:
        raise LabError(f"the card of run '{card.name}' was changed after it was made: its seal does not fit",
                       hint=_AGAIN)  # fmt: skip
    return card


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise LabError(f"{path} has more than {LARGEST:,} bytes, which no card has", hint="name the .card file")
        return content.decode("utf-8")
    except FileNotFoundError as error:
        raise LabError(f"there is no card {path}", hint="lab repeat FILE.card, or the text of its QR code") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint=_AGAIN) from error


def _unpack(text: str) -> dict[str, Any]:
    """The document in a card's text."""
    if len(text) > LARGEST:
        raise LabError(f"the text has {len(text):,} characters, which no card has", hint=_AGAIN)
    found = re.fullmatch(r"LABCARD/(\d{1,6})/([A-Z2-7]*)", "".join(text.upper().split()))
    if found is None:
        raise LabError("the text of the card is damaged: it has signs that no card has", hint=_AGAIN)
    expected, packed = int(found[1]), found[2]
    if len(packed) != expected:
        what = "cut off" if len(packed) < expected else "too long"
        raise LabError(f"the text of the card is {what}: {len(packed)} of {expected} characters", hint=_AGAIN)
    try:
        data = base64.b32decode(packed + "=" * (-len(packed) % 8))
        content = zlib.decompressobj().decompress(data, _LARGEST_CONTENT)
    except (binascii.Error, zlib.error) as error:
        raise LabError(f"the text of the card is damaged: {error}", hint=_AGAIN) from error
    return _parse(content.decode("utf-8", "replace"))


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabError(f"that is no run card: {error}", hint=_AGAIN) from error
    if not isinstance(document, dict) or "seal" not in document:
        raise LabError("that is no run card: it has no seal", hint=_AGAIN)
    return document


def _build(document: dict[str, Any]) -> Card:
    """The card of a parsed document, every value of the type that it must have."""
    try:
        texts = {key: document[key] for key in ("workshop", "group", "run_id", "name")}
        tables = {key: document[key] for key in ("facts", "code")}
        scores, settings = document["scores"], document["settings"]
        for value in (*texts.values(), *(text for table in tables.values() for text in table.values())):
            if not isinstance(value, str) or not value.isprintable():
                raise TypeError("a text in it is none")
        if not isinstance(settings, dict) or not all(type(value) in (int, float) for value in scores.values()):
            raise TypeError("a number in it is none")
        return Card(**document)
    except (KeyError, TypeError, AttributeError) as error:
        raise LabError(f"that is no run card: {_describe_fault(error)}", hint=_AGAIN) from error


def _describe_fault(error: Exception) -> str:
    """What is missing or wrong, in a few words."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_HASH]
