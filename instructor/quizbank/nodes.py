"""A YAML file as nodes, which know their lines, and as values as they are written, not as what YAML makes of them.

YAML turns unquoted `yes`, `1_000`, `12:30` and `2024-01-02` into something else. Here they stay what they are, as
`Unquoted`, so that a mistake can name them as they stand in the file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_NAMES = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date", "null": "nothing"}
_MOST_LETTERS = 80


class FormError(Exception):
    """The text is no YAML: the line, what was found, and the fix."""

    def __init__(self, line: int, found: str, fix: str) -> None:
        super().__init__(found)
        self.line, self.found, self.fix = line, found, fix


@dataclass(frozen=True)
class Unquoted:
    """A scalar that YAML takes for something else than a text: as it is written, and for what it is taken."""

    text: str
    taken_for: str


@dataclass(frozen=True)
class Oddity:
    """What YAML itself lets pass: where, what, and the fix."""

    node: yaml.Node
    found: str
    fix: str


def compose(text: str) -> yaml.Node | None:
    """The file's nodes. Raises `FormError`."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError as error:
        raise FormError(1, "brackets within brackets within brackets, too many of them", "undo the edit") from error
    except yaml.YAMLError as error:
        raise _explain(error, text) from error


def _explain(error: yaml.YAMLError, text: str) -> FormError:
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines() or [""]
    line = (mark.line if mark else 0) + 1
    if "\t" in lines[min(line, len(lines)) - 1]:
        return FormError(line, "a tab, which YAML does not take for indentation", "replace it by blanks")
    if "found character '\\t'" in str(error):  # the mark is where the token began
        line = next((n for n, source in enumerate(lines[line - 1 :], line) if "\t" in source), line)
        return FormError(line, "a tab, which YAML does not take for indentation", "replace it by blanks")
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    fix = "put the text into quotes if it holds `: ` or begins with a sign such as [ { * & ! % @ #; else undo the edit"
    return FormError(line, f"this is not YAML: {problem}", fix)


def build(node: yaml.Node, known: dict[int, Any] | None = None) -> Any:
    """The node's value: dicts, lists, texts, None, whole numbers as one writes them, and `Unquoted`."""
    known = {} if known is None else known
    if id(node) in known:  # an alias
        return known[id(node)]
    if isinstance(node, yaml.MappingNode):
        found = known[id(node)] = {}
        found.update({key.value: build(value, known) for key, value in node.value if isinstance(key, yaml.ScalarNode)})
        return found
    if isinstance(node, yaml.SequenceNode):
        listed = known[id(node)] = []
        listed.extend(build(value, known) for value in node.value)
        return listed
    return _build_scalar(node)


def _build_scalar(node: yaml.Node) -> Any:
    kind = node.tag.rpartition(":")[2]
    if kind in ("str", "value") and node.tag.startswith("tag:yaml.org"):
        return node.value
    if kind == "null":
        return None
    if kind == "int" and re.fullmatch(r"-?(0|[1-9]\d*)", node.value):
        return int(node.value) if len(node.value) < 19 else Unquoted(node.value, _NAMES[kind])
    return Unquoted(node.value, _NAMES.get(kind, f"a value of kind {node.tag}"))


def find_oddities(node: yaml.Node, seen: set[int] | None = None) -> Iterator[Oddity]:
    """Keys that are there twice, that are no words, or that merge other mappings."""
    seen = set() if seen is None else seen
    if id(node) in seen:
        return
    seen.add(id(node))
    children = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        yield from _find_odd_keys(node)
        children = [value for _, value in node.value]
    for child in children:
        yield from find_oddities(child, seen)


def _find_odd_keys(node: yaml.MappingNode) -> Iterator[Oddity]:
    keys: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield Oddity(key, f"a key is {describe(key)}", "put the text before the colon into quotes")
        elif key.tag.endswith(":merge"):
            yield Oddity(key, "a merge with `<<`, which is not read here", "write the keys out")
        elif key.value in keys:
            fix = "remove one of the two; if it is a new question, begin it with `- id:`"
            yield Oddity(key, f"the key '{key.value}' is there twice", fix)
        else:
            keys.add(key.value)


def find_child(node: yaml.Node, key: object) -> yaml.Node | None:
    """The value of a key or the entry of a list; where a key is there twice, the last one, as it is built."""
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in reversed(node.value) if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key]
    return None


def describe(node: yaml.Node) -> str:
    """A value as it is written, cut where it is long."""
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    if isinstance(node, yaml.MappingNode):
        keys = ", ".join(
            str(key.value)[:_MOST_LETTERS] for key, _ in node.value[:3] if isinstance(key, yaml.ScalarNode)
        )
        return f"a mapping with the key {keys}"
    return f"'{shorten(node.value)}'"


def shorten(text: str) -> str:
    """A text in one line, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
