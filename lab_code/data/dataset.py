"""What a data set is about: its classes and their names, colours or grey, what several photographs may show together.

    name: Handwritten digits                       dataset.yaml, beside the table of the photographs
    kind: grey                                     # colour, or grey
    classes:                                       # 2 to 100, in the order of the network's outputs
      - {code: "0", name: zero}                    # the code stands in the table; or shorter: [cat, dog]
      - {code: "1", name: one, one: a one, several: ones}
    subject: handwritten digits                    # what the photographs show; may be left out: as the name says
    class_words: [digit, digits]                   # what a class is called, and several of them
    group_words: [writer, writers]                 # what several photographs may show: never on both sides of a split
    one_class_a_group: false                       # true: a group of two classes is a mistake in the table
    source: where the photographs come from, and who made them
    licence: CC BY 4.0
    notice: For learning only.                     # a line that stands wherever a result does; may be left out
    spotlight: "7"                                 # the class that matters most, which an award is given for

The description travels with the photographs into every kit and with every run into its record, and everything that
depends on the classes asks it. A folder without one holds HAM10000 (`ham10000.py`), as all older kits do. Names of
variables and columns stay those of HAM10000 whatever the subject: a class is a `dx`, a group a `lesion`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_code.errors import LabError, suggest

DESCRIPTION = "dataset.yaml"
FEWEST, MOST = 2, 100  # classes
GREY, COLOUR = "grey", "colour"
_LARGEST = 200_000  # bytes of a description
_LONGEST_NAME, _LONGEST_SENTENCE, _LONGEST_TEXT = 60, 80, 600
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,19}")
_MARKS = (
    " '’-–_.,;:()/&+%#°²³?!=@"  # beside letters and digits: nothing that a page, a table or a formula reads as its own
)
_KEYS = (
    "name",
    "kind",
    "classes",
    "subject",
    "class_words",
    "group_words",
    "one_class_a_group",
    "source",
    "licence",
    "notice",
    "spotlight",
    "mean",
    "spread",
)
_CLASS_KEYS = ("code", "name", "one", "several")
# Mean and spread of each channel, in 0..1, where the description does not measure its own.
_NORMAL = {GREY: ((0.5,) * 3, (0.25,) * 3), COLOUR: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class ClassNames:
    """One class: `code` in tables and figures, `name` for people, and how a sentence says one and several of it."""

    code: str
    name: str
    one: str
    several: str


@dataclass(frozen=True)
class Dataset:
    """A data set as its description says it; `mean` and `spread` standardise its pixels."""

    name: str
    kind: str
    classes: tuple[ClassNames, ...]
    class_words: tuple[str, str]
    group_words: tuple[str, str]
    one_class_a_group: bool
    source: str
    licence: str
    notice: str
    spotlight: str
    mean: Channels
    spread: Channels
    subject: str = ""

    @property
    def shown(self) -> str:
        """What the photographs show, as a sentence says it: `skin lesions`."""
        plain = self.name[1:].islower() or " " in self.name  # else it is an abbreviation
        return self.subject or (self.name[0].lower() + self.name[1:] if plain else self.name)

    @property
    def rare(self) -> str:
        """Several of the class that matters most, for examples: `melanomas`."""
        return next((one for one in self.classes if one.code == self.spotlight), self.classes[-1]).several

    @property
    def codes(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs; a label is an index into them."""
        return tuple(one.code for one in self.classes)

    @property
    def names(self) -> dict[str, str]:
        """Codes and their names."""
        return {one.code: one.name for one in self.classes}

    def __len__(self) -> int:
        return len(self.classes)

    def label(self, code: str) -> str:
        """A class for a figure or a table: `melanoma (mel)`, or the name alone where the code says the same."""
        known = next((one for one in self.classes if one.code == code), None)
        if known is None or known.name.casefold() == code.casefold():
            return code
        short = known.one.split(" ", 1)[1] if known.one.startswith(("a ", "an ")) else known.name
        return f"{short} ({code})"


def parse_dataset(text: str, where: Path) -> Dataset:
    """Read a description. Raises `LabError` that names the file, the key or the line, and what is allowed."""
    document = _load(text, where)
    for key in document:
        if key not in _KEYS:
            raise LabError(f"{where}: there is no key '{key}'", hint=f"{suggest(key, _KEYS)}keys: {', '.join(_KEYS)}")
    for key in ("name", "classes"):
        if key not in document:
            raise LabError(f"{where}: the key '{key}' is missing", hint=f"a description has: {', '.join(_KEYS)}")
    kind = str(document.get("kind", COLOUR))
    if kind not in _NORMAL:
        raise LabError(f"{where}: kind is '{kind}'", hint="kind is colour, or grey")
    mean, spread = _NORMAL[kind]
    classes = _read_classes(where, document["classes"])
    return Dataset(
        name=_read_text(where, "name", document["name"]),
        kind=kind,
        classes=classes,
        class_words=_read_words(where, "class_words", document.get("class_words", ["class", "classes"])),
        group_words=_read_words(where, "group_words", document.get("group_words", ["group", "groups"])),
        one_class_a_group=_read_truth(where, "one_class_a_group", document.get("one_class_a_group", "false")),
        source=_read_text(where, "source", document.get("source", "not said"), _LONGEST_TEXT),
        licence=_read_text(where, "licence", document.get("licence", "not said"), _LONGEST_TEXT),
        notice=_read_text(where, "notice", document["notice"], _LONGEST_TEXT) if "notice" in document else "",
        spotlight=_read_spotlight(where, classes, document.get("spotlight", "")),
        mean=_read_channels(where, "mean", document["mean"], 0.0) if "mean" in document else mean,
        spread=_read_channels(where, "spread", document["spread"], 0.01) if "spread" in document else spread,
        subject=_read_text(where, "subject", document["subject"]) if "subject" in document else "",
    )


def dataset_to_yaml(dataset: Dataset) -> str:
    """The description as a file's text: `parse_dataset` gives the same data set back."""
    import yaml

    document = {
        "name": dataset.name,
        "kind": dataset.kind,
        "classes": [vars(one) for one in dataset.classes],
        **({"subject": dataset.subject} if dataset.subject else {}),
        "class_words": list(dataset.class_words),
        "group_words": list(dataset.group_words),
        "one_class_a_group": dataset.one_class_a_group,
        "source": dataset.source,
        "licence": dataset.licence,
        **({"notice": dataset.notice} if dataset.notice else {}),
        **({"spotlight": dataset.spotlight} if dataset.spotlight else {}),
        "mean": list(dataset.mean),
        "spread": list(dataset.spread),
    }
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120, default_flow_style=None)


def _load(text: str, where: Path) -> Mapping[str, Any]:
    """The document with every value as the text that stands there: 08, no and 1.0 are names like any other."""
    import yaml

    if len(text.encode("utf-8", "replace")) > _LARGEST:
        raise LabError(f"{where} is larger than a description can be", hint=f"{MOST} classes at most")
    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise LabError(
            f"{where}{line} is not readable YAML: {reason}",
            hint="put what holds a colon or begins with a mark into quotes",
        ) from error
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise LabError(f"{where} holds no keys", hint=f"a description has: {', '.join(_KEYS)}")
    return document


def _read_classes(where: Path, entries: Any) -> tuple[ClassNames, ...]:
    if not isinstance(entries, list):
        raise LabError(f"{where}: classes is no list", hint="classes: [cat, dog], or one entry with code and name each")
    if not FEWEST <= len(entries) <= MOST:
        count = "1 class" if len(entries) == 1 else f"{len(entries)} classes"
        raise LabError(f"{where}: {count}, expected {FEWEST} to {MOST}", hint="list every class once under classes")
    classes = tuple(_read_class(f"{where}: classes, entry {number}", one) for number, one in enumerate(entries, 1))
    for what in ("code", "name"):
        seen: dict[str, int] = {}
        for number, one in enumerate(classes, 1):
            value = getattr(one, what)
            earlier = seen.setdefault(value.casefold(), number)
            if earlier != number:
                raise LabError(
                    f"{where}: classes, entry {number}: the {what} '{value}' is that of entry {earlier} already",
                    hint="every class has a code and a name of its own (capitals do not tell them apart)",
                )
    return classes


def _read_class(where: str, entry: Any) -> ClassNames:
    if isinstance(entry, str):
        entry = {"code": entry}
    if not isinstance(entry, dict) or "code" not in entry:
        raise LabError(f"{where} has no code", hint='write {code: "7", name: seven}')
    for key in entry:
        if key not in _CLASS_KEYS:
            hint = f"{suggest(str(key), _CLASS_KEYS)}keys: {', '.join(_CLASS_KEYS)}"
            raise LabError(f"{where}: there is no key '{key}'", hint=hint)
    code = str(entry["code"])
    if not _CODE.fullmatch(code):
        raise LabError(
            f"{where}: '{code[:40]}' cannot be a code",
            hint="at most 20 of A-Z a-z 0-9 _ . -, the first a letter or digit",
        )
    name = _read_text(where, "name", entry.get("name", code))
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    one = _read_text(where, "one", entry.get("one", f"{article} {name}"), _LONGEST_SENTENCE)
    several = _read_text(where, "several", entry.get("several", f"photographs of {name}"), _LONGEST_SENTENCE)
    return ClassNames(code, name, one, several)


def _read_text(where: Path | str, key: str, value: Any, longest: int = _LONGEST_NAME) -> str:
    """A name or a sentence in one line, of letters, digits and plain marks."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    odd = next((letter for letter in text if not _is_plain(letter)), None)
    if not text:
        raise LabError(f"{where}: {key} is empty or no text", hint=f"write {key} as one line")
    if len(text) > longest:
        raise LabError(f"{where}: {key} has {len(text)} characters: {text[:30]} …", hint=f"at most {longest}")
    if odd is not None or not text[0].isalnum():
        raise LabError(
            f"{where}: {key} is '{text[:40]}', with '{odd or text[0]}' in it",
            hint=f"letters, digits, blanks and {_MARKS.strip()}; the first a letter or digit",
        )
    return text


def _is_plain(letter: str) -> bool:
    return letter in _MARKS or unicodedata.category(letter)[0] in "LMN"


def _read_words(where: Path, key: str, value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        value = [value, f"{value}s"]
    if not isinstance(value, list) or len(value) != 2:
        raise LabError(f"{where}: {key} is not two words", hint=f"{key}: [digit, digits]")
    one, several = (_read_text(where, key, word, 24) for word in value)
    return one, several


def _read_spotlight(where: Path, classes: Sequence[ClassNames], code: Any) -> str:
    codes = [one.code for one in classes]
    if code and code not in codes:
        raise LabError(f"{where}: spotlight is '{code}', which is no class", hint=f"one of: {', '.join(codes[:20])}")
    return str(code)


def _read_truth(where: Path, key: str, value: Any) -> bool:
    if value not in ("true", "false"):
        raise LabError(f"{where}: {key} is '{value}'", hint=f"{key} is true, or false")
    return bool(value == "true")


def _read_channels(where: Path, key: str, value: Any, lowest: float) -> Channels:
    """Three numbers, or one for all three channels."""
    try:
        numbers = [float(number) for number in (value if isinstance(value, list) else [value])]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, 3) or not all(lowest <= number <= 1 for number in numbers):
        raise LabError(f"{where}: {key} is {value}", hint=f"{key}: three numbers from {lowest:g} to 1, or one for all")
    red, green, blue = numbers * (3 // len(numbers))
    return red, green, blue
