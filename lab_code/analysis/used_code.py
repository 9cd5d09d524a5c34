"""Which files of the package a run has used, as far as its record tells: a loss that it did not take changed nothing.

    find_used(code, run.params)     # of the code that went with the run

Python files count where `experiment.py` leads to them over imports; of files that take each other's place (a loss, a
framework) the one that the run has named, and the files of settings likewise.
"""

import ast
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath

import yaml

_START = "lab_code/experiment.py"
_CONF = "lab_code/conf/"
# Folders with files that take each other's place, and the setting that names one of them.
_CHOSEN = {"lab_code/losses": "loss.name", "lab_code/frameworks": "framework"}
_SETTINGS = {"model": "model.name", "loss": "loss.name", "optimizer": "optimizer.name", "framework": "framework"}


def find_used(code: Mapping[str, str], params: Mapping[str, str]) -> set[str]:
    """The paths of `code` that a run with these parameters has used."""
    used, ahead = set[str](), [_START]
    while ahead:
        name = ahead.pop()
        if name in code and name not in used and _is_chosen(name, params):
            used.add(name)
            ahead += _imported_by(code[name])
    return used | {name for name in code if name.startswith(_CONF) and _is_setting(name, code[name], params)}


def _is_chosen(name: str, params: Mapping[str, str]) -> bool:
    path = PurePosixPath(name)
    setting = _CHOSEN.get(str(path.parent))
    return setting is None or path.stem in ("__init__", params.get(setting))


def _is_setting(name: str, text: str, params: Mapping[str, str]) -> bool:
    """Whether a file of settings can have gone into a run; of a group with names, the one of that name."""
    path = PurePosixPath(name.removeprefix(_CONF))
    group = str(path.parent)
    if group == "experiment":
        return _fits_experiment(text, params)
    return group not in _SETTINGS or params.get(_SETTINGS[group]) == path.stem


def _fits_experiment(text: str, params: Mapping[str, str]) -> bool:
    """Whether the run has everything that an experiment sets; where it has not, this was not the run's experiment."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        document = None
    sections = document.items() if isinstance(document, dict) else ()
    inner = [(group, *pair) for group, keys in sections if isinstance(keys, dict) for pair in keys.items()]
    wanted = {f"{group}.{key}": str(value) for group, key, value in inner}
    for group, choice in re.findall(r"^\s*- override /(\w+): (\w+)", text, re.MULTILINE):
        wanted[_SETTINGS.get(group, group)] = choice
    return all(_is_same(params.get(key, value), value) for key, value in wanted.items())


def _is_same(one: str, other: str) -> bool:
    """Numbers are the same however they are written: 1e-3 is 0.001."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


@lru_cache(maxsize=512)
def _imported_by(text: str) -> tuple[str, ...]:
    """The files that a Python file may import, wherever in it; none for one that is no Python any more."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    own = [module.replace(".", "/") for module in modules if module.split(".")[0] == "lab_code"]
    return tuple(dict.fromkeys(f"{module}{end}" for module in own for end in (".py", "/__init__.py")))
