"""Facts of the code, read from its source: nothing is imported or run, so locked files count as well.

{config: trainer.epochs}                              a key of the resolved default configuration
{config: optimizer.name, experiment: baseline}        … of an experiment
{default: "lab_code.models.small_cnn:SmallCNN.width"}  the default of a parameter or a dataclass field
{constant: "lab_code.runs:DATABASE"}                  the value of a module's constant
{count: "lab_code.data.ham10000:DIAGNOSES"}           how many entries it has
{file_of: fit}                                        the one file that defines a function or class
{changed_by: baseline}                                the one group of settings that an experiment changes
"""

import ast
import shutil
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from lab_code.config import compose_config, flatten_config
from lab_code.errors import LabError


class CodeFacts:
    """Looks facts up in `project/lab_code` and in what its locks hold."""

    def __init__(self, project: Path, stages: list[str]) -> None:
        self._project, self._stages = project, stages

    def resolve(self, source: dict[str, str]) -> str:
        """The value an `answer_from` names, as text. Raises `LabError` where it names nothing."""
        kinds = {
            "config": self._config_value,
            "default": self._default_value,
            "constant": self._constant,
            "count": lambda reference: len(self._constant(reference)),
            "file_of": self._file_of,
            "changed_by": self._changed_by,
        }
        kind = next((key for key in source if key in kinds), None)
        if kind is None or set(source) - {kind, "experiment"}:
            raise LabError(f"answer_from has the keys {', '.join(source)}", hint=f"use one of: {', '.join(kinds)}")
        if kind == "config":
            return _as_text(self._config_value(source["config"], source.get("experiment")))
        return _as_text(kinds[kind](source[kind]))

    def visible_before(self, stage: str) -> set[str]:
        """Files a group can read before it opens a stage: the shipped ones and those of earlier stages."""
        opened = self._stages[: self._stages.index(stage)]
        return {name for name in self._files if self._files[name][1] in ("", *opened)}

    @cached_property
    def _files(self) -> dict[str, tuple[Path, str]]:
        """Path in a kit -> (source file, the stage that opens it or '')."""
        roots = [(self._project, "")] + [(self._project / "locked" / stage, stage) for stage in self._stages]
        found: dict[str, tuple[Path, str]] = {}
        for root, stage in roots:
            for top in ("lab_code", "notebooks"):
                for path in sorted((root / top).rglob("*")):
                    if path.suffix in (".py", ".yaml", ".ipynb"):
                        found[path.relative_to(root).as_posix()] = (path, stage)
        return found

    def _config_values(self, experiment: str | None = None) -> dict[str, Any]:
        """The resolved configuration, with the files of all locks in place."""
        with tempfile.TemporaryDirectory() as scratch:
            conf = Path(scratch) / "conf"
            for name, (source, _) in self._files.items():
                if name.startswith("lab_code/conf/"):
                    target = conf / Path(name).relative_to("lab_code/conf")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
            return flatten_config(compose_config([f"experiment={experiment}"] if experiment else [], conf))

    def _config_value(self, key: str, experiment: str | None = None) -> Any:
        values = self._config_values(experiment)
        if key not in values:
            raise LabError(f"the configuration has no key '{key}'", hint=f"keys: {', '.join(values)}")
        return values[key]

    def _changed_by(self, experiment: str) -> str:
        default, changed = self._config_values(), self._config_values(experiment)
        groups = {key.split(".")[0] for key in changed if changed[key] != default[key]} - {"name"}
        if len(groups) != 1:
            raise LabError(f"experiment '{experiment}' changes {len(groups)} groups: {', '.join(sorted(groups))}")
        return groups.pop()

    def _default_value(self, reference: str) -> Any:
        module, _, qualified = reference.partition(":")
        owner, _, parameter = qualified.rpartition(".")
        for node in ast.walk(self._tree(module)):
            if getattr(node, "name", None) == owner and isinstance(node, ast.ClassDef | ast.FunctionDef):
                for name, default in _defaults(node):
                    if name == parameter:
                        return ast.literal_eval(default)
        raise LabError(f"'{reference}' has no default in the code", hint="write module:function.parameter")

    def _constant(self, reference: str) -> Any:
        module, _, name = reference.partition(":")
        for node in self._tree(module).body:
            if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == name for target in node.targets):
                return ast.literal_eval(node.value)
        raise LabError(f"there is no constant '{reference}'", hint="write module:NAME")

    def _file_of(self, symbol: str) -> str:
        places = [
            name
            for name in self._files
            if name.endswith(".py") and symbol in {getattr(node, "name", None) for node in self._parse(name).body}
        ]
        if len(places) != 1:
            raise LabError(f"'{symbol}' is defined in {len(places)} files: {', '.join(places) or 'none'}")
        return places[0]

    def _tree(self, module: str) -> ast.Module:
        path = module.replace(".", "/")
        name = next((n for n in (f"{path}.py", f"{path}/__init__.py") if n in self._files), None)
        if name is None:
            raise LabError(f"there is no module '{module}'", hint="write it with dots: lab_code.data.ham10000")
        return self._parse(name)

    def _parse(self, name: str) -> ast.Module:
        return ast.parse(self._files[name][0].read_text(encoding="utf-8"))


def _defaults(node: ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Names and defaults of a function's parameters, or of a class's fields and its `__init__`."""
    if isinstance(node, ast.FunctionDef):
        positional = node.args.posonlyargs + node.args.args
        pairs = zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)
        keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        yield from ((argument.arg, default) for argument, default in (*pairs, *keyword) if default is not None)
        return
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and item.value is not None and isinstance(item.target, ast.Name):
            yield item.target.id, item.value
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            yield from _defaults(item)


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
