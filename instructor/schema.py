"""Read a YAML file into dataclasses: a wrong key or type names the file, the key and what exists."""

import dataclasses
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lab_code.errors import LabError

T = TypeVar("T")


def read_yaml(path: Path, schema: type[T]) -> T:
    """The file as an instance of the dataclass `schema`. Raises `LabError` where it does not fit."""
    try:
        document = OmegaConf.load(path)
        # OmegaConf's signature cannot say that a merge with a dataclass becomes that dataclass again.
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), document))  # type: ignore[return-value]
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing", hint="run the command from the project's top folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise LabError(f"{path}{line}: {getattr(error, 'problem', error)}", hint="undo the last edit there") from error
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", "") or "")
        text = (getattr(error, "msg", None) or str(error)).splitlines()[0]
        where = find_line(path, key) or _find_name(path, key)
        raise LabError(f"{path}{where}: {key}: {text}", hint=_keys_hint(_owner(error, schema), key)) from error


def _owner(error: OmegaConfBaseException, schema: type) -> type:
    """The dataclass that has no such key. Inside lists OmegaConf forgets where that was, but not what it was."""
    owner = getattr(error, "object_type", None)
    return (
        owner
        if isinstance(owner, type) and dataclasses.is_dataclass(owner) and "." not in str(error.full_key)
        else schema
    )


def find_line(path: Path, key: str) -> str:
    """Where a key stands in a file, as ` line 12`; of a key that is not there, the last part that is; or nothing.

    `stages[1].title` is the title of the second stage.
    """
    node, line = yaml.compose(path.read_text(encoding="utf-8")), None
    for part in re.findall(r"[^.\[\]]+", key):
        if isinstance(node, yaml.SequenceNode):
            found = node.value[int(part)] if part.isdigit() and int(part) < len(node.value) else None
            line, node = (line, None) if found is None else (found.start_mark.line + 1, found)
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        pair = next(((name, value) for name, value in pairs if name.value == part), None)
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return "" if line is None else f" line {line}"


def _find_name(path: Path, key: str) -> str:
    """Where a key of this name stands first, in whatever list: OmegaConf forgets which one it was."""
    name = key.rpartition(".")[2]
    for token in yaml.scan(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken) and token.value == name:
            return f" line {token.start_mark.line + 1}"
    return ""


def _keys_hint(schema: type, key: str) -> str:
    """The keys that exist where `key` was looked for: `stages[0].titel` lists a stage's keys."""
    here: Any = schema
    for part in re.sub(r"\[\d+\]", "", key).split(".")[:-1]:
        types = {field.name: field.type for field in dataclasses.fields(here)}
        inner = types.get(part, here)
        here = next((t for t in getattr(inner, "__args__", (inner,)) if dataclasses.is_dataclass(t)), here)
    return f"keys here: {', '.join(field.name for field in dataclasses.fields(here))}"
