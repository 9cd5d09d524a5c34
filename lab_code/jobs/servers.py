"""The servers that runs can be sent to: `servers.yaml` beside `kit.json`, with every mistake named by its line.

`servers.example.yaml` explains the keys. A name that is not there, or nearly, is answered with those that are.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from lab_code.errors import LabError, suggest

SERVERS = "servers.yaml"
EXAMPLE = Path(__file__).with_name("servers.example.yaml")
_NAMED = 12  # faults of one file that are told at once
QUEUES = ("auto", "slurm", "tmux", "process")


@dataclass(frozen=True)
class Server:
    """One server; `folder` is relative to the home of the account there unless it begins with a slash."""

    name: str
    host: str
    user: str = ""
    port: int = 0
    key: str = ""
    known_hosts: str = ""
    folder: str = "lab-kit"
    python: str = "python3"
    environment: str = ""
    setup: tuple[str, ...] = ()
    queue: str = "auto"
    partition: str = ""
    account: str = ""
    gpus: int = 0
    cpus: int = 0
    memory: str = ""
    time_limit: str = ""
    requeue: bool = True
    sbatch: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """As one types it behind `ssh`."""
        who = f"{self.user}@{self.host}" if self.user else self.host
        return f"-p {self.port} {who}" if self.port else who


KEYS = tuple(field.name for field in fields(Server) if field.name != "name")


def find_server(root: Path, name: str) -> Server:
    """The server of this name. Raises `LabError` where `servers.yaml` has none, is missing, or is wrong."""
    servers = read_servers_file(root / SERVERS)
    if name not in servers:
        known = ", ".join(servers)
        raise LabError(
            f"there is no server '{name}' in {SERVERS}", hint=f"{suggest(name, servers)}servers there: {known}"
        )
    return servers[name]


def read_servers_file(path: Path) -> dict[str, Server]:
    """All servers by name. Raises `LabError` that names every mistake by its line."""
    try:
        top = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        hint = f"copy lab_code/jobs/{EXAMPLE.name} to {SERVERS}, and write your server in"
        raise LabError(f"{path} is missing", hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise LabError(f"{path}{line}: {getattr(error, 'problem', error)}", hint="undo the last edit there") from error
    faults = list(_find_faults(top, path))
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        told = "; ".join(where for where, _ in faults[:_NAMED])
        raise LabError(f"{path} {told}{more}", hint="; ".join(dict.fromkeys(fix for _, fix in faults[:_NAMED])))
    assert isinstance(top, yaml.MappingNode)
    return {name.value: _make_server(name.value, entry, path) for name, entry in top.value[0][1].value}


Fault = tuple[str, str]  # where and what; what to do


def _find_faults(top: yaml.Node | None, path: Path) -> Iterator[Fault]:
    pairs = top.value if isinstance(top, yaml.MappingNode) else []
    for key, _ in pairs:
        if _name(key) != "servers":
            near = suggest(_name(key), ["servers"])
            yield f"{_line(key)}: there is no key '{_name(key)}'", f"{near}the only key at the top is servers"
    found = [node for key, node in pairs if _name(key) == "servers"]
    if len(pairs) != 1 or not found or not isinstance(found[0], yaml.MappingNode) or not found[0].value:
        yield "names no server", f"write them below `servers:`, as lab_code/jobs/{EXAMPLE.name} does"
        return
    names: set[str] = set()
    for key, entry in found[0].value:
        name = _name(key)
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,40}", name):
            yield f"{_line(key)}: a server is called {name!r}", "call it by letters, digits, - and _"
        if name in names:
            yield f"{_line(key)}: the server '{name}' is there twice", "remove one of them"
        names.add(name)
        yield from _find_entry_faults(name, entry)


def _find_entry_faults(name: str, entry: yaml.Node) -> Iterator[Fault]:
    if not isinstance(entry, yaml.MappingNode):
        yield f"{_line(entry)}: server '{name}' has no keys", "write its keys below it, such as host: 192.0.2.20"
        return
    given: set[str] = set()
    for key, node in entry.value:
        if _name(key) not in KEYS:
            near = suggest(_name(key), KEYS)
            yield f"{_line(key)}: there is no key '{_name(key)}'", f"{near}keys of a server: {', '.join(KEYS)}"
            continue
        if key.value in given:
            yield f"{_line(key)}: the key '{key.value}' is there twice", "remove one of the two"
        given.add(key.value)
        holds, expected = _CHECKS[key.value]
        if not holds(_build(node)):
            shown = f"'{node.value}'" if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
            yield f"{_line(node)}: {key.value} is {shown}", f"{key.value}: expected {expected}"
    if "host" not in given:
        yield f"{_line(entry)}: server '{name}' has no host", "add a line `host: …`"


Check = tuple[Callable[[Any], bool], str]


def _text(form: str, expected: str) -> Check:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(form, value)), expected


def _number(low: int, high: int) -> Check:
    expected = f"a number from {low} to {high}"
    return lambda value: isinstance(value, str) and value.isdecimal() and low <= int(value[:9]) <= high, expected


def _lines(expected: str) -> Check:
    return lambda value: isinstance(value, list) and all(isinstance(v, str) and "\n" not in v for v in value), expected


_PLACE = r"(?!-)(?!.*(^|/)\.\.(/|$))[\w./~+@%,=-]{1,200}"
_WORD = r"[A-Za-z0-9_][\w.@:+-]{0,63}"
_CHECKS: dict[str, Check] = {
    "host": _text(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|[0-9A-Fa-f:]{2,45}", "a name or an address, such as 192.0.2.20"),
    "user": _text(_WORD, "your account there"),
    "port": _number(1, 65535),
    "key": _text(r"[^\x00-\x1f]{1,400}", "the file of a private key"),
    "known_hosts": _text(r"[^\x00-\x1f\"]{1,400}", "a file of host keys"),
    "folder": _text(_PLACE, "a folder of its own there, such as lab-kit or /scratch/abc123/lab-kit, without .."),
    "python": _text(_PLACE, "a program there, such as python3.12"),
    "environment": _text(_PLACE, "the folder of an environment there"),
    "setup": _lines("a list of lines, such as [module load python/3.12]"),
    "queue": (lambda value: value in QUEUES, f"one of {', '.join(QUEUES)}"),
    "partition": _text(r"[\w,.-]{1,200}", "a partition of the queue: sinfo lists them"),
    "account": _text(_WORD, "an account of the queue"),
    "gpus": _number(0, 64),
    "cpus": _number(0, 1024),
    "memory": _text(r"[1-9]\d{0,6}[KMGT]?", "a size, such as 16G"),
    "time_limit": _text(r"\d{1,6}(:\d\d){0,2}|\d{1,3}-\d{1,2}(:\d\d){0,2}", 'such as "01:00:00", in quotes'),
    "requeue": (lambda value: value in ("true", "false"), "true or false"),
    "sbatch": _lines("a list of options, such as [--constraint=a100]"),
}  # fmt: skip


def _build(node: yaml.Node) -> str | list[Any] | None:
    """A value as it is written: what YAML would make of `01:00:00` is of no use here."""
    if isinstance(node, yaml.SequenceNode):
        return [child.value if isinstance(child, yaml.ScalarNode) else None for child in node.value]
    return str(node.value) if isinstance(node, yaml.ScalarNode) and not node.tag.endswith(":null") else None


def _name(key: yaml.Node) -> str:
    """A key as it is shown; what is no text is none."""
    return str(key.value) if isinstance(key, yaml.ScalarNode) else "…"


def _make_server(name: str, entry: yaml.MappingNode, path: Path) -> Server:
    values: dict[str, Any] = {key.value: _build(node) for key, node in entry.value}
    for key in ("port", "gpus", "cpus"):
        if key in values:
            values[key] = int(values[key])
    for key in ("setup", "sbatch"):
        if key in values:
            values[key] = tuple(values[key])
    for key in ("key", "known_hosts"):
        if key in values:
            values[key] = str(path.parent / Path(values[key]).expanduser())
    if "requeue" in values:
        values["requeue"] = values["requeue"] == "true"
    values["folder"] = str(values.get("folder", "lab-kit")).removeprefix("~/")
    return Server(name, **values)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
