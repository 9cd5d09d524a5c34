"""The laptops that are reached over SSH, `inventory.yaml`: read into `Laptop`s, every mistake at once, by line.

`inventory.example.yaml` explains the keys. `defaults` hold for every laptop that does not say otherwise.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from instructor.deliver.medium import find_windows_fault
from instructor.deliver.supervise import Terms
from instructor.quizbank.nodes import FormError, build, compose, describe, find_child, find_oddities
from lab_code.errors import LabError

INVENTORY = "inventory.yaml"  # beside the workshop's description
EXAMPLE = Path(__file__).parent.parent / "inventory.example.yaml"
LINUX, MACOS, WINDOWS = "linux", "macos", "windows"
_GROUP = "{group}"
_NUMBERS = {"limit_s": 36_000, "at_once": 100}  # how much at most
_TOP = (*_NUMBERS, "defaults", "laptops")
_NEEDED = ("host", "user")
_STANDARD: dict[str, Any] = {"platform": LINUX, "path": f"lab-kit/{_GROUP}", "port": 22, "group": None, "key": None}
_KEYS = ("name", *_NEEDED, *_STANDARD)
_DEFAULTS = tuple(key for key in _KEYS if key not in ("name", "host", "group"))


@dataclass(frozen=True)
class Laptop:
    """One laptop; `path` is the kit's folder there, relative to the home of `user` unless it begins with a slash."""

    name: str
    host: str
    user: str
    platform: str
    path: str
    port: int
    group: str | None  # None: a spare one
    key: Path | None
    line: int

    @property
    def address(self) -> str:
        """As a known_hosts file writes it."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    def at(self, group: str) -> "Laptop":
        """The same laptop with the kit of a group."""
        return replace(self, group=group, path=self.path.replace(_GROUP, group))


@dataclass(frozen=True)
class Inventory:
    """Where it was read, its laptops, and what is allowed but worth knowing."""

    path: Path
    laptops: list[Laptop]
    notes: list[str]
    terms: Terms

    @property
    def known_hosts(self) -> Path:
        """The host keys that were pinned, beside the inventory."""
        return self.path.with_name("known_hosts")

    def find(self, name: str) -> Laptop:
        """A laptop by its name or host. Raises `LabError` where there is none."""
        for laptop in self.laptops:
            if name in (laptop.name, laptop.host):
                return laptop
        raise LabError(
            f"there is no laptop '{name}' in {self.path}",
            hint=f"laptops: {', '.join(one.name for one in self.laptops)}",
        )


@dataclass(frozen=True)
class _Mistake:
    line: int
    found: str
    fix: str


def read_inventory(path: Path, groups: Sequence[str]) -> Inventory:
    """The laptops for these groups. Raises `LabError` that lists every mistake with file and line."""
    root = _compose(path)
    mistakes = [_Mistake(_line(odd.node), odd.found, odd.fix) for odd in find_oddities(root)]
    mistakes += _check_top(root)
    entries = find_child(root, "laptops")
    nodes = list(entries.value) if isinstance(entries, yaml.SequenceNode) else []
    defaults = find_child(root, "defaults")
    shared = defaults if isinstance(defaults, yaml.MappingNode) else None
    mistakes += _check_entry(shared, _DEFAULTS, path, groups) if shared else []
    for node in nodes:
        mistakes += _check_laptop(node, shared, path, groups)
    drafts = [_Draft(_line(node), _merge(node, shared)) for node in nodes if isinstance(node, yaml.MappingNode)]
    mistakes += [*_find_twins(drafts), *(mistake for draft in drafts for mistake in _check_path(draft))]
    if mistakes:
        raise _refuse(path, mistakes)
    laptops = [_make_laptop(draft, path) for draft in drafts]
    numbers = {key: build(node) for key in _NUMBERS if (node := find_child(root, key)) is not None}
    return Inventory(path, laptops, [*_find_notes(path, laptops, groups)], Terms(**numbers))


def _compose(path: Path) -> yaml.MappingNode:
    try:
        root = compose(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing", hint=f"copy {EXAMPLE} to that name and write your laptops in") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="save it as UTF-8") from error
    except FormError as error:
        raise _refuse(path, [_Mistake(error.line, error.found, error.fix)]) from error
    if not isinstance(root, yaml.MappingNode):
        raise _refuse(path, [_Mistake(1, "there are no laptops", f"see {EXAMPLE.name}")])
    return root


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _refuse(path: Path, mistakes: Sequence[_Mistake]) -> LabError:
    ordered = sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.line)
    if len(ordered) == 1:
        return LabError(f"{path} line {ordered[0].line}: {ordered[0].found}", hint=ordered[0].fix)
    lines = [f"line {mistake.line}: {mistake.found} (fix: {mistake.fix})" for mistake in ordered]
    return LabError(f"{path} has {len(ordered)} mistakes:\n  " + "\n  ".join(lines), hint=f"see {EXAMPLE.name}")


def _check_top(root: yaml.MappingNode) -> Iterator[_Mistake]:
    for key, _ in root.value:
        if key.value not in _TOP:
            yield _unknown(key, _TOP)
    for name, most in _NUMBERS.items():
        node = find_child(root, name)
        number = 1 if node is None else build(node)
        if not isinstance(number, int) or not 1 <= number <= most:
            yield _Mistake(_line(node or root), f"{name} is {number!r}", f"expected a number from 1 to {most}")
    entries, defaults = find_child(root, "laptops"), find_child(root, "defaults")
    if not isinstance(entries, yaml.SequenceNode) or not entries.value:
        yield _Mistake(
            _line(entries or root), "there is no list of laptops", "begin it with `laptops:`, one `- host:` each"
        )
    if defaults is not None and not isinstance(defaults, yaml.MappingNode):
        yield _Mistake(_line(defaults), f"defaults is {describe(defaults)}", "write keys below it, such as user: lab")


def _unknown(key: yaml.Node, known: Sequence[str]) -> _Mistake:
    near = difflib.get_close_matches(str(key.value), known, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return _Mistake(_line(key), f"there is no key '{key.value}'", f"{meant}keys: {', '.join(known)}")


def _check_laptop(
    node: yaml.Node, shared: yaml.MappingNode | None, path: Path, groups: Sequence[str]
) -> Iterator[_Mistake]:
    if not isinstance(node, yaml.MappingNode):
        yield _Mistake(_line(node), f"a laptop is {describe(node)}", "write its keys, such as host: 192.0.2.11")
        return
    yield from _check_entry(node, _KEYS, path, groups)
    for key in _NEEDED:
        if find_child(node, key) is None and (shared is None or find_child(shared, key) is None):
            yield _Mistake(_line(node), f"{key} is missing", f"add a line `{key}: …`, here or under defaults")


def _check_entry(node: yaml.MappingNode, known: Sequence[str], path: Path, groups: Sequence[str]) -> Iterator[_Mistake]:
    checks = _make_checks(path, groups)
    for key, child in node.value:
        if key.value not in known:
            yield _unknown(key, known)
            continue
        holds, expected = checks[key.value]
        if not holds(build(child)):
            yield _Mistake(_line(child), f"{key.value} is {describe(child)}", f"expected {expected}")


Check = tuple[Callable[[Any], bool], str]


def _make_checks(path: Path, groups: Sequence[str]) -> Mapping[str, Check]:
    """By key: what holds of a right value, and what is expected."""
    word = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}")
    host = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|[0-9A-Fa-f:]{2,45}(%\w+)?")

    def text(form: re.Pattern[str]) -> Callable[[Any], bool]:
        return lambda value: isinstance(value, str | int) and bool(form.fullmatch(str(value)))

    return {
        "name": (text(word), "a word, such as laptop-1"),
        "host": (lambda value: text(host)(_spelt(value)), "a name or an address, such as 192.0.2.11"),
        "user": (text(word), "the account there, such as lab"),
        "group": (lambda value: value in groups, f"one of {', '.join(groups)}; leave it out for a spare laptop"),
        "platform": (lambda value: value in (LINUX, MACOS, WINDOWS), f"{LINUX}, {MACOS} or {WINDOWS}"),
        "path": (_is_path, "a folder of its own, such as lab-kit/{group}, without .. and quotes"),
        "port": (lambda value: isinstance(value, int) and 1 <= value <= 65535, "a number from 1 to 65535"),
        "key": (lambda value: isinstance(value, str) and _find_key(value, path).is_file(), "the file of a private key"),
    }


def _spelt(value: Any) -> Any:
    """An address that YAML takes for a number, as it was written."""
    return getattr(value, "text", value)


def _is_path(value: Any) -> bool:
    parts = re.split(r"[/\\]", value) if isinstance(value, str) else [".."]
    inside = ".." not in parts and bool(value.strip(" /\\.~")) and not value.startswith(("~root", "-"))
    return inside and not re.search(r"[\x00-\x1f\"'`$]", value)


def _find_key(value: str, inventory: Path) -> Path:
    return inventory.parent / Path(value).expanduser()


@dataclass(frozen=True)
class _Draft:
    """An entry with the defaults, whatever stands in it."""

    line: int
    values: dict[str, Any]

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return "" if value is None else str(_spelt(value))


def _merge(node: yaml.MappingNode, shared: yaml.MappingNode | None) -> dict[str, Any]:
    return {**_STANDARD, **(build(shared) if shared else {}), **build(node)}


def _make_laptop(draft: _Draft, path: Path) -> Laptop:
    host, key, group = draft.text("host"), draft.text("key"), draft.values["group"]
    laptop = Laptop(
        name=draft.text("name") or host, host=host, user=draft.text("user"), platform=draft.values["platform"],
        path=draft.text("path").removeprefix("~/"), port=draft.values["port"], group=None,
        key=_find_key(key, path) if key else None, line=draft.line,
    )  # fmt: skip
    return laptop if group is None else laptop.at(group)


def _find_twins(drafts: Sequence[_Draft]) -> Iterator[_Mistake]:
    """Two entries for one laptop, or two laptops for one group."""
    seen: dict[tuple[str, str], int] = {}
    for draft in drafts:
        host, name, group = draft.text("host"), draft.text("name"), draft.text("group")
        found = {"host": f"{host} port {draft.text('port')}" if host else "", "name": name or host, "group": group}
        twins = [key for key, value in found.items() if value and (key, value.lower()) in seen]
        for key in twins if "host" not in twins or name else [key for key in twins if key != "name"]:
            first = seen[(key, found[key].lower())]
            yield _Mistake(
                draft.line, f"{key} '{found[key]}' is there twice, first in line {first}", "remove one of them"
            )
        for key, value in found.items():
            seen.setdefault((key, value.lower()), draft.line)


def _check_path(draft: _Draft) -> Iterator[_Mistake]:
    written = draft.text("path")
    if draft.values["platform"] != WINDOWS or not _is_path(written):
        return
    path = re.sub(r"^[A-Za-z]:", "", written).replace("\\", "/").replace(_GROUP, "group")
    if fault := find_windows_fault(path):
        yield _Mistake(draft.line, f"path '{written}': {fault}", "use letters, digits, - and _")
    elif not path.isascii() or " " in path:
        fix = "some Python packages fail in such a folder on Windows: use letters, digits, - and _"
        yield _Mistake(draft.line, f"path '{written}' has blanks or umlauts", fix)


def _find_notes(path: Path, laptops: Sequence[Laptop], groups: Sequence[str]) -> Iterator[str]:
    for laptop in laptops:
        if laptop.platform != WINDOWS and (not laptop.path.isascii() or " " in laptop.path):
            yield f"{path} line {laptop.line}: path '{laptop.path}' has blanks or umlauts; a plain one spares trouble"
    served = {laptop.group for laptop in laptops}
    missing = [group for group in groups if group not in served]
    if missing:
        yield f"{path} names no laptop for {', '.join(missing)}"
