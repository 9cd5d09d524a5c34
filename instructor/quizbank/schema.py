"""Read `bank.yaml` into questions as they are written, and report every mistake of the file at once, by line.

The schema is pydantic's; this module finds the line of whatever it complains about, and says what to do in a teacher's
words. Nothing is resolved here: what an answer is worth is known only when `bank.py` has looked into the code.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lab_code.errors import LabError

CHOICE, SEVERAL, NUMBER, NAME = "choice", "several", "number", "name"

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
        return f"{where}: {self.found}\n    fix: {self.fix}"


@dataclass(frozen=True)
class Written:
    """A bank that has the right form, and the line of every question."""

    path: Path
    entries: list[BankEntry]
    lines: dict[str, int]


def read_bank(path: Path) -> Written:
    """Read the file and check its form. Raises `LabError` that lists all mistakes."""
    root, mistakes = _compose(path)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        bank = Bank.model_validate(document)
    except ValidationError as error:
        mistakes += [_explain(dict(problem), root, document) for problem in error.errors()]
        raise refuse(path, mistakes) from error
    if mistakes:
        raise refuse(path, mistakes)
    nodes = _child(root, "questions").value
    lines = {entry.id: node.start_mark.line + 1 for entry, node in zip(bank.questions, nodes, strict=True)}
    mistakes = [
        Mistake(nodes[index].start_mark.line + 1, entry.id, "this id is there twice", "give one of them another id")
        for index, entry in enumerate(bank.questions)
        if Counter(other.id for other in bank.questions[: index + 1])[entry.id] > 1
    ]
    if mistakes:
        raise refuse(path, mistakes)
    return Written(path, bank.questions, lines)


def refuse(path: Path, mistakes: list[Mistake]) -> LabError:
    """The error that lists all mistakes in the order of their lines."""
    listed = [str(mistake) for mistake in sorted(mistakes, key=lambda mistake: mistake.line)]
    count = "a mistake" if len(listed) == 1 else f"{len(listed)} mistakes"
    return LabError("\n  ".join([f"{path} has {count}:", *listed]), hint="then: instructor quiz check")


def _compose(path: Path) -> tuple[yaml.Node, list[Mistake]]:
    """The file as nodes, which know their lines; keys that are there twice are mistakes that YAML itself lets pass."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing", hint="run the command from the project's top folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise refuse(path, [_explain_yaml(error, text)]) from error
    if not isinstance(root, yaml.MappingNode):
        raise refuse(path, [Mistake(1, "", "the file is no list of questions", "begin it with `questions:`")])
    return root, list(_twice(root))


def _twice(node: yaml.Node) -> list[Mistake]:
    found = []
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        for index, (key, value) in enumerate(node.value):
            if key.value in keys[:index]:
                fix = "remove one of the two; if it is a new question, begin it with `- id:`"
                found.append(Mistake(key.start_mark.line + 1, "", f"the key '{key.value}' is there twice", fix))
            found += _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found += _twice(value)
    return found


def _explain_yaml(error: yaml.YAMLError, text: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    line = (mark.line if mark else 0) + 1
    source = (text.splitlines() or [""])[min(line, len(text.splitlines()) or 1) - 1]
    if "\t" in source:
        return Mistake(line, "", "a tab, which YAML does not take for indentation", "replace it by blanks")
    problem = getattr(error, "problem", None) or str(error)
    fix = "put the text into quotes if it holds `: ` or begins with a sign such as [ { * & ! % @ #; else undo the edit"
    return Mistake(line, "", f"this is not YAML: {problem}", fix)


def _explain(problem: dict[str, Any], root: yaml.Node, document: Any) -> Mistake:
    """A complaint of pydantic's in a teacher's words."""
    place, kind, found = problem["loc"], problem["type"], problem.get("input")
    node, known = root, []
    for part in place:
        child = _child(node, part)
        if child is None:
            break
        node, known = child, [*known, part]
    question = ""
    if len(place) > 1 and place[0] == "questions":
        entry = document["questions"][place[1]] if isinstance(document.get("questions"), list) else None
        question = (
            str(entry.get("id", f"number {place[1] + 1}")) if isinstance(entry, dict) else f"number {place[1] + 1}"
        )
    keys = [str(part) for part in place[2:] if not (isinstance(part, str) and part in ("str", "list[constrained-str]"))]
    key = ".".join(keys).split(".function")[0] or "the file"
    line = node.start_mark.line + 1
    if kind == "missing":
        return Mistake(line, question, f"'{key}' is missing", f"add a line `{key}: …`")
    if kind == "extra_forbidden":
        keys_here = ", ".join(BankEntry.model_fields) if question else "questions"
        return Mistake(line, question, f"there is no key '{key}'", f"keys: {keys_here}")
    if isinstance(found, bool):
        fix = 'put it into quotes, e.g. "yes": YAML reads yes, no, on and off as true and false'
        return Mistake(line, question, f"'{key}' is {str(found).lower()}, expected a text", fix)
    if isinstance(found, int | float) and "string" in kind:
        return Mistake(
            line, question, f"'{key}' is the number {found}, expected a text", f'put it into quotes: "{found}"'
        )
    if kind == "string_too_short" or found is None:
        return Mistake(line, question, f"'{key}' is empty", "write something, or remove the line")
    if kind == "literal_error":
        fix = f"write one of {CHOICE}, {SEVERAL}, {NUMBER}, {NAME}"
        return Mistake(line, question, f"'{key}' is '{found}'", fix)
    text = str(problem["msg"]).removeprefix("Input ").removeprefix("String ")
    shown = f"'{found}'" if isinstance(found, str | int | float) else f"a {type(found).__name__}"
    return Mistake(line, question, f"'{key}' is {shown}, but {text}", "see the explanations at the top of the file")


def _child(node: yaml.Node, key: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key]
    return None
