"""Facts of the code, read from its source, so that locked files count as well; only shapes are tried out.

{config: trainer.epochs}                              a key of the resolved default configuration
{config: optimizer.name, experiment: baseline}        … of an experiment
{default: "lab_code.models.small_cnn:SmallCNN.width"}  the default of a parameter or a dataclass field
{constant: "lab_code.tracking.store:DATABASE"}                  the value of a module's constant
{count: "lab_code.data.ham10000:DIAGNOSES"}           how many entries it has
{file_of: fit}                                        the one file that defines a function or class
{symbol: "lab_code.training.trainer:BestEpoch"}                a name that a module really defines
{changed_by: baseline}                                the one group of settings that an experiment changes
{shape: "small_cnn:blocks.1"}                         what a part of a model really gives for one photograph: 32 x 8 x 8
{parameters: small_cnn model.width=24}                how many weights it learns, here with another width
{metadata: lesions}                                   a count in the kit's table; photographs, lesions, lesions of df

A question that has `vary` may use its places: {parameters: "small_cnn model.width={width}"} (`fill_source`).
"""

import ast
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from instructor.dataset.synthetic import plan_lesions
from instructor.quizbank.networks import COUNT, SHAPE, NetworkLab, answer
from instructor.workshop import SYNTHETIC, DataSource, trees_of
from lab_code.config import compose_config, flatten_config
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000, read_dataset
from lab_code.data.lesions import read_folder
from lab_code.errors import LabError

_HOLD_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
METADATA = ("data/HAM10000_metadata.csv", "data/metadata.csv")  # every kit has one: of HAM10000, or of another subject


class CodeFacts:
    """Looks facts up in `project/lab_code` and in what its locks hold.

    Networks are built by `networks`, or here where it is None.
    """

    def __init__(
        self,
        project: Path,
        stages: list[str],
        source: DataSource | None = None,
        data: Path | None = None,
        networks: NetworkLab | None = None,
    ) -> None:
        self._project, self._stages, self._source, self._data = project, stages, source or DataSource(), data
        self._ask_network = networks.ask if networks else answer

    def resolve(self, source: dict[str, str]) -> str:
        """The value an `answer_from` names, as text. Raises `LabError` where it names nothing."""
        kinds: dict[str, Callable[[str], Any]] = {
            "config": self._config_value,
            "default": self._default_value,
            "constant": self._constant,
            "count": lambda reference: len(self._constant(reference)),
            "file_of": self._file_of,
            "symbol": self._symbol,
            "changed_by": self._changed_by,
            "shape": self._shape,
            "parameters": self._parameters,
            "metadata": self._metadata,
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
        return set(METADATA) | {name for name in self._files if self._files[name][1] in ("", *opened)}

    def is_unique_name(self, name: str) -> bool:
        """Whether one file, one definition or one setting has this name, and nothing else has it."""
        name = name.rpartition("/")[2].removesuffix("()").lower()
        named = [path.rpartition("/")[2].lower() for path in self._files]
        named += [key.rpartition(".")[2].lower() for key in self._config_values()]
        for path, text in self._texts.items():
            if name in text.lower():  # before it is parsed, which takes much longer
                named += [node.name.lower() for node in _definitions(self._parse(path))]
        return named.count(name) == 1

    @cached_property
    def _files(self) -> dict[str, tuple[Path, str]]:
        """Path in a kit -> (source file, the stage that opens it or '')."""
        tops = ("lab_code", "notebooks")
        roots = [(tree, "") for top in tops for tree in trees_of(self._project, top)]
        roots += [(self._project / "locked" / stage / top, stage) for stage in self._stages for top in tops]
        found: dict[str, tuple[Path, str]] = {}
        for root, stage in roots:
            for path in sorted(root.rglob("*")):
                if path.suffix in (".py", ".yaml", ".ipynb"):
                    found[path.relative_to(root.parent).as_posix()] = (path, stage)
        return found

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {
            name: path.read_text(encoding="utf-8") for name, (path, _) in self._files.items() if name.endswith(".py")
        }

    @lru_cache  # noqa: B019 - one of these lives as long as a bank is read
    def _config_values(self, experiment: str | None = None) -> dict[str, Any]:
        """The resolved configuration, with the files of all locks in place."""
        texts = {
            name.removeprefix("lab_code/conf/"): source.read_text(encoding="utf-8")
            for name, (source, _) in self._files.items()
            if name.startswith("lab_code/conf/")
        }
        return dict(_compose(tuple(texts.items()), experiment))

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
        for node in _definitions(self._tree(module)):
            if node.name == owner:
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

    def _parameters(self, described: str) -> int:
        return int(self._ask_network(COUNT, *described.split(), len(self._dataset)))

    @property
    def _dataset(self) -> Dataset:
        """What the photographs are about, prepared or not."""
        if self._data is None and self._source.source == SYNTHETIC:
            return HAM10000
        return read_dataset(self._data or Path(self._source.source))

    def _shape(self, reference: str) -> str:
        name, _, part = reference.partition(":")
        return str(self._ask_network(SHAPE, name, part, self._config_value("data.image_size")))

    def _metadata(self, what: str) -> int:
        counts = self._counts
        if what not in counts:
            raise LabError(f"the table has no count '{what}'", hint=f"counts: {', '.join(counts)}")
        return counts[what]

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Counts of the kits' table: known beforehand for synthetic photographs, and else once they are prepared."""
        codes: Sequence[str] = HAM10000.codes
        if self._data is None and self._source.source == SYNTHETIC:
            plan = plan_lesions(self._source.images, self._source.seed, 1.0)
            labels, photographs = plan.dx.tolist(), plan.photographs.tolist()
            groups = len(labels)
        elif self._data is None:
            raise LabError("the photographs are not prepared yet", hint="make provision checks this question")
        else:
            reading = read_folder(self._data)
            codes = reading.dataset.codes
            # A group of several classes, as a writer of many digits, counts once for each of them.
            numbers = Counter((photo.lesion_id, photo.dx) for photo in reading.photographs)
            labels = [codes.index(dx) for _, dx in numbers]
            photographs = list(numbers.values())
            groups = len({lesion for lesion, _ in numbers})
        counts = {"photographs": sum(photographs), "lesions": groups}
        for label, dx in enumerate(codes):
            mine = [count for count, other in zip(photographs, labels, strict=True) if other == label]
            counts |= {f"photographs of {dx}": sum(mine), f"lesions of {dx}": len(mine)}
        return counts

    def _symbol(self, reference: str) -> str:
        module, _, name = reference.partition(":")
        if name not in {node.name for node in _definitions(self._tree(module))}:
            raise LabError(f"{module} defines no '{name}'", hint="write module:name")
        return name

    def _tree(self, module: str) -> ast.Module:
        path = module.replace(".", "/")
        name = next((n for n in (f"{path}.py", f"{path}/__init__.py") if n in self._files), None)
        if name is None:
            raise LabError(f"there is no module '{module}'", hint="write it with dots: lab_code.data.ham10000")
        return self._parse(name)

    def _parse(self, name: str) -> ast.Module:
        return _parse_text(self._texts[name])


# What follows depends on nothing but what it is given (and this program), so a bank that is read again costs little.


@lru_cache(maxsize=256)
def _parse_text(text: str) -> ast.Module:
    return ast.parse(text)


@lru_cache(maxsize=32)
def _compose(files: tuple[tuple[str, str], ...], experiment: str | None) -> dict[str, Any]:
    """The resolved configuration of these files, or of one of their experiments."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in files:
            target = Path(scratch) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return flatten_config(compose_config([f"experiment={experiment}"] if experiment else [], Path(scratch)))


def fill_source(source: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """An `answer_from` with a group's values in the places {name}."""
    filled = dict(source)
    for name, value in values.items():
        filled = {key: text.replace(f"{{{name}}}", value) for key, text in filled.items()}
    return filled


@lru_cache(maxsize=512)
def _definitions(tree: ast.Module) -> tuple[ast.ClassDef | ast.FunctionDef, ...]:
    """Every class and function, the outer ones first; they stand among statements, never within an expression."""
    found: list[ast.AST] = [tree]
    for node in found:  # it grows meanwhile
        found += [child for child in ast.iter_child_nodes(node) if isinstance(child, _HOLD_STATEMENTS)]
    return tuple(node for node in found if isinstance(node, ast.ClassDef | ast.FunctionDef))


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
