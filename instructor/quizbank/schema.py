"""Read `bank.yaml` into questions as they are written, and report every mistake of the file at once, by line.

The schema is pydantic's; this module finds the line of whatever it complains about, and says what to do in a teacher's
words. Nothing is resolved here: what an answer is worth is known only when `bank.py` has looked into the code.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from instructor.quizbank.nodes import FormError, Unquoted, build, compose, describe, find_child, find_oddities, shorten
from lab_code.errors import LabError

CHOICE: Final = "choice"
SEVERAL: Final = "several"
NUMBER: Final = "number"
NAME: Final = "name"

_TOP = "see the explanations at the top of the file"
_EXPECTED = {  # by key, in a teacher's words
    "id": "a-z, 0-9 and dashes, at most 41",
    "hints": "a list of one text or more",
    "kind": f"one of {CHOICE}, {SEVERAL}, {NUMBER}, {NAME}",
    "answer": "a text, or for kind: several a list of texts",
    "answer_from": "a source such as {config: optimizer.lr}",
    "wrong": "a list of texts, such as [this, that]",
    "vary": 'a list of values such as {a: "90"}',
    "time_limit_s": "a whole number from 5 to 240, without quotes",
    "difficulty": "a whole number from 1 to 3, without quotes",
    "tags": "a list of texts, such as [this, that]",
}

Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]


class BankEntry(BaseModel):
    """One question as it is written in the bank; `quiz/bank.yaml` explains every key at its top."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[Text, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    stage: Text
    text: Text
    explanation: Text
    hints: Annotated[list[Text], Field(min_length=1)]
    kind: Literal["choice", "several", "number", "name"] = CHOICE
    answer: Text | list[Text] | None = None
    answer_from: dict[Text, Text] = {}
    wrong: list[Text] = []
    vary: list[dict[Text, Text]] = []
    look_in: Annotated[str, StringConstraints(strict=True)] = ""
    time_limit_s: Annotated[int, Field(strict=True, ge=5, le=240)] = 20
    difficulty: Annotated[int, Field(strict=True, ge=1, le=3)] = 1
    tags: list[Text] = []


class Bank(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    questions: Annotated[list[BankEntry], Field(min_length=1)]


@dataclass(frozen=True)
class Mistake:
    """Something wrong in the bank: where, what was found, and what to do about it."""

    line: int
    question: str
    found: str
    fix: str

    def __str__(self) -> str:
        where = f"line {self.line}, question '{self.question}'" if self.question else f"line {self.line}"
        return f"{where}: {self.found}; fix: {self.fix}"


@dataclass(frozen=True)
class Written:
    """A bank that has the right form, and the line of every question."""

    path: Path
    entries: list[BankEntry]
    lines: dict[str, int]


def read_bank(path: Path) -> Written:
    """Read the file and check its form. Raises `LabError` that lists all mistakes."""
    root = _compose(path)
    mistakes = [
        Mistake(odd.node.start_mark.line + 1, _question_at(root, odd.node.start_mark.line), odd.found, odd.fix)
        for odd in find_oddities(root)
    ]
    try:
        bank = Bank.model_validate(build(root))
    except ValidationError as error:
        problems = [dict(problem) for problem in error.errors(include_url=False)]
        mistakes += [_explain(problem, root) for problem in problems if _is_meant(problem, root)]
        raise refuse(path, mistakes) from error
    lines = [node.start_mark.line + 1 for node in _question_nodes(root)]
    mistakes += _find_twice(bank.questions, lines)
    if mistakes:
        raise refuse(path, mistakes)
    return Written(path, bank.questions, {entry.id: line for entry, line in zip(bank.questions, lines, strict=True)})


def refuse(path: Path, mistakes: list[Mistake]) -> LabError:
    """The error that lists all mistakes in the order of their lines."""
    listed = [str(mistake) for mistake in sorted(mistakes, key=lambda mistake: mistake.line)]
    count = "a mistake" if len(listed) == 1 else f"{len(listed)} mistakes"
    return LabError("\n  ".join([f"{path} has {count}:", *listed]), hint="then: instructor quiz check")


def _compose(path: Path) -> yaml.MappingNode:
    try:
        root = compose(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing", hint="run the command from the project's top folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="save it as UTF-8") from error
    except FormError as error:
        raise refuse(path, [Mistake(error.line, "", error.found, error.fix)]) from error
    if not isinstance(root, yaml.MappingNode):
        raise refuse(path, [Mistake(1, "", "the file is no list of questions", "begin it with `questions:`")])
    return root


def _find_twice(questions: list[BankEntry], lines: list[int]) -> Iterator[Mistake]:
    """Ids and texts that an earlier question has already; a text counts without its blanks, case and stops."""
    ids: dict[str, int] = {}
    texts: dict[str, tuple[str, int]] = {}
    for entry, line in zip(questions, lines, strict=True):
        if entry.id in ids:
            fix = "give one of them another id"
            yield Mistake(line, entry.id, f"this id is there twice, first in line {ids[entry.id]}", fix)
        spelt = re.sub(r"[\W_]+", " ", entry.text).strip().casefold() or entry.text
        if spelt in texts:
            first, where = texts[spelt]
            found = f"the text '{shorten(entry.text)}' is the one of question '{first}' in line {where}"
            yield Mistake(line, entry.id, found, "remove one of them, or ask something else")
        ids.setdefault(entry.id, line)
        texts.setdefault(spelt, (entry.id, line))


def _is_meant(problem: dict[str, Any], root: yaml.Node) -> bool:
    """Of the two complaints about an answer that is neither a text nor a list, the one that fits what is written."""
    labels = [part for part in problem["loc"] if _is_label(part)]
    if not labels:
        return True
    node = _find_place(problem["loc"][: problem["loc"].index(labels[0])], root)
    return isinstance(node, yaml.SequenceNode) == labels[0].startswith("list[")


def _is_label(part: object) -> bool:
    """Whether pydantic has put the name of a type into the place of a mistake."""
    return isinstance(part, str) and re.fullmatch(r"(list|dict)\[.*\]|constrained-str|str|\[key\]", part) is not None


def _find_place(place: tuple[int | str, ...], root: yaml.Node) -> yaml.Node:
    """The innermost node that there is of a mistake's place."""
    node = root
    for part in place:
        child = find_child(node, part)
        if child is None:
            break
        node = child
    return node


def _explain(problem: dict[str, Any], root: yaml.Node) -> Mistake:
    """A complaint of pydantic's in a teacher's words: the question, the value as it is written, what is possible."""
    place, kind = tuple(part for part in problem["loc"] if not _is_label(part)), problem["type"]
    node = _find_place(place, root)
    line = node.start_mark.line + 1
    inside = place[:1] == ("questions",) and len(place) > 1
    question = _name_question(root, place[1]) if inside else ""
    names = place[2:] if inside else place
    key, field = _name_key(names), str(names[0]) if names else ""
    if kind == "missing":
        return Mistake(line, question, f"{key} is missing", f"add a line `{field}: …`")
    if kind == "extra_forbidden":
        keys = list(BankEntry.model_fields if inside else Bank.model_fields)
        near = difflib.get_close_matches(str(names[-1]), keys, 1)
        meant = f"did you mean '{near[0]}'? " if near else ""
        return Mistake(line, question, f"there is no key {key}", f"{meant}keys: {', '.join(keys)}")
    found, fix = _explain_value(node, kind, _EXPECTED.get(field, "questions, each beginning with `- id:`"))
    if field == "kind":
        fix = f"write {_EXPECTED[field]}"
    return Mistake(line, question, f"{key} {found}", fix)


def _name_key(names: tuple[int | str, ...]) -> str:
    """`'wrong', entry 2,` for the second one of a list."""
    words = [f"entry {name + 1}" if isinstance(name, int) else f"'{name}'" for name in names]
    return ", ".join(words) + "," * (len(words) > 1) or "the entry"


def _explain_value(node: yaml.Node, kind: str, expected: str) -> tuple[str, str]:
    """What is wrong with a value, and the fix."""
    value = build(node)
    text = kind in ("string_type", "model_type", "literal_error")
    if value is None or value == "" or kind == "string_too_short" or (value == [] and kind == "too_short"):
        return "is empty", "write something, or remove the line"
    if isinstance(value, Unquoted) and value.taken_for == "true or false" and text:
        read = str(value.text.lower() in ("yes", "true", "on", "y")).lower()
        fix = f'put it into quotes: "{value.text}" (YAML reads yes, no, on and off as true and false)'
        return f"is {read}, expected a text", fix
    if isinstance(value, Unquoted | int) and text:
        taken = value.taken_for.removeprefix("a ") if isinstance(value, Unquoted) else "number"
        return f"is the {taken} {node.value}, expected a text", f'put it into quotes: "{node.value}"'
    if isinstance(value, dict | list) and text:
        fix = "put it into quotes: a colon with a blank, [ ] and { } mean something in YAML"
        return f"is {describe(node)}, expected a text", f"{fix}; {_TOP}"
    return f"is {describe(node)}", f"write {expected}; {_TOP}"


def _question_nodes(root: yaml.Node) -> list[yaml.Node]:
    questions = find_child(root, "questions")
    return questions.value if isinstance(questions, yaml.SequenceNode) else []


def _name_question(root: yaml.Node, index: int) -> str:
    """A question's id, or its place in the list where it has none."""
    questions = find_child(root, "questions")
    entry = find_child(questions, index) if questions is not None else None
    name = find_child(entry, "id") if entry is not None else None
    return name.value if isinstance(name, yaml.ScalarNode) and name.value else f"number {index + 1}"


def _question_at(root: yaml.Node, line: int) -> str:
    """The question that a line (from 0) belongs to."""
    inside = [n for n, node in enumerate(_question_nodes(root)) if node.start_mark.line <= line <= node.end_mark.line]
    return _name_question(root, inside[-1]) if inside else ""
