"""One configuration for everything: composed by Hydra, checked against a schema, frozen.

`compose_config(["experiment=baseline", "trainer.epochs=3"])` reads `conf/` and returns a frozen `Config`. A mistyped
key, a wrong type or a value out of range is a `LabError` that quotes the key and lists what exists. The only module
that knows Hydra and OmegaConf; the rest of the package sees plain dataclasses.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import AliasEvent, MappingStartEvent, SafeLoader, ScalarEvent, StreamStartEvent, YAMLError, parse

from lab_code.errors import LabError, find_near, suggest
from lab_code.limits import RULE, check_memory, find_fault

CONF_FOLDER = Path(__file__).parent / "conf"


@dataclass(frozen=True)
class DataConfig:
    folder: str
    image_size: int
    validation_fraction: float
    split_seed: int
    augment: str
    sampling: str
    on_fault: str


@dataclass(frozen=True)
class ModelConfig:
    name: str
    width: int = 16  # of small_cnn: channels of the first block
    dropout: float = 0.0
    stem: str = "7x7"  # of resnet18: how its first layer looks at a photograph
    weights: str = ""  # a local .safetensors or .pth file to start from; empty: random weights
    penalty: float = 1.0  # of colour_texture: how strongly large weights are held back


@dataclass(frozen=True)
class LossConfig:
    name: str
    weight_power: float = 0.0  # class weights are (1 / photographs of the class) ** weight_power
    gamma: float = 0.0  # of the focal loss: how little easy photographs count


@dataclass(frozen=True)
class OptimizerConfig:
    name: str
    lr: float
    weight_decay: float
    momentum: float


@dataclass(frozen=True)
class TrainerConfig:
    epochs: int
    batch_size: int
    schedule: str
    patience: int
    clip_norm: float
    device: str
    precision: str
    threads: int


@dataclass(frozen=True)
class Config:
    """Everything about a run; logged with it, and enough to repeat it."""

    name: str
    seed: int
    framework: str
    data: DataConfig
    model: ModelConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig


# What people call a setting who have seen other programs.
_ALSO_CALLED = {
    "learning_rate": "optimizer.lr",
    "learn_rate": "optimizer.lr",
    "batch": "trainer.batch_size",
    "scheduler": "trainer.schedule",
    "augmentation": "data.augment",
    "channels": "model.width",
    "network": "model",
}


class UnknownChoiceError(LabError):
    """`group=choice` names a file that `conf/` does not have: `group` and `choice` say which."""

    def __init__(self, group: str, choice: str, known: Sequence[str]) -> None:
        super().__init__(
            f"{group} '{choice}' does not exist",
            hint=f"{suggest(choice, known)}{group} can be: {', '.join(known)}" if known else f"no {group} exists yet",
        )
        self.group, self.choice = group, choice


# Characters and brackets of a run's configuration: it has 2,000 and none, but names and folders may have some.
_LONGEST_CONFIG, _MOST_NESTED = 20_000, 200
_TEXTS = ("name", "data.folder", "model.weights")  # keys that take any text, as it is typed

# What a value must satisfy beyond its type: key -> (test, how it reads in an error).
_RANGES: dict[str, tuple[Any, str]] = {
    "seed": (lambda value: 0 <= value < 2**32, "0 or more"),
    "data.image_size": (lambda value: 16 <= value <= 512, "from 16 to 512"),
    "data.validation_fraction": (lambda value: 0 < value < 1, "between 0 and 1"),
    "data.augment": (lambda value: value in ("none", "flips"), "none or flips"),
    "data.sampling": (lambda value: value in ("natural", "balanced"), "natural or balanced"),
    "data.on_fault": (lambda value: value in ("stop", "leave_out"), "stop or leave_out"),
    "model.width": (lambda value: 1 <= value <= 256, "from 1 to 256"),
    "model.dropout": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "model.stem": (lambda value: value in ("7x7", "3x3"), "7x7 or 3x3"),
    "model.penalty": (lambda value: 0 < value <= 1000, "more than 0 and at most 1000"),
    "loss.weight_power": (lambda value: 0 <= value <= 2, "from 0 to 2"),
    "loss.gamma": (lambda value: 0 <= value <= 10, "from 0 to 10"),
    "optimizer.lr": (lambda value: 0 < value <= 10, "more than 0 and at most 10"),
    "optimizer.weight_decay": (lambda value: 0 <= value <= 1, "from 0 to 1"),
    "optimizer.momentum": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "trainer.epochs": (lambda value: 1 <= value <= 1000, "from 1 to 1000"),
    "trainer.batch_size": (lambda value: 2 <= value <= 4096, "from 2 to 4096"),
    "trainer.schedule": (lambda value: value in ("constant", "cosine", "one_cycle"), "constant, cosine or one_cycle"),
    "trainer.patience": (lambda value: value >= 0, "0 (off) or more"),
    "trainer.clip_norm": (lambda value: value >= 0, "0 (off) or more"),
    "trainer.precision": (lambda value: value in ("auto", "float32", "bfloat16"), "auto, float32 or bfloat16"),
    "trainer.threads": (lambda value: 0 <= value <= 256, "from 0 (all cores) to 256"),
    "trainer.device": (lambda value: value in ("auto", "cpu", "cuda", "mps"), "auto, cpu, cuda or mps"),
}

# Values that are each in range but make no sense together: (holds, what is wrong, what to do).
_TOGETHER: list[tuple[Any, str, str]] = [
    (
        lambda c: c.trainer.patience < c.trainer.epochs,
        "trainer.patience is {c.trainer.patience}, not below trainer.epochs {c.trainer.epochs}: it never stops a run",
        "lower trainer.patience, or set it to 0 to train all epochs",
    ),
    (
        lambda c: not c.optimizer.momentum or c.optimizer.name == "sgd",
        "optimizer.momentum is {c.optimizer.momentum:g}, but {c.optimizer.name} has no momentum of that kind",
        "leave optimizer.momentum out, or write optimizer=sgd",
    ),
    (
        lambda c: not c.loss.gamma or c.loss.name == "focal",
        "loss.gamma is {c.loss.gamma:g}, but the loss {c.loss.name} has none",
        "leave loss.gamma out, or write loss=focal",
    ),
    (
        lambda c: not c.loss.weight_power or c.loss.name != "cross_entropy",
        "loss.weight_power is {c.loss.weight_power:g}, but the loss cross_entropy counts every photograph the same",
        "leave loss.weight_power out, or write loss=weighted_cross_entropy",
    ),
]


def compose_config(overrides: Sequence[str] = (), conf_folder: Path = CONF_FOLDER) -> Config:
    """Compose `train.yaml` with the overrides, check every key and value, and freeze the result.

    Raises `UnknownChoiceError` for `group=choice` without a file and `LabError` for a mistyped key, a wrong type, a
    value out of range or YAML that cannot be read.
    """
    texts, others = _split_texts(overrides)
    parsed = _parse_overrides(others, typed=overrides)
    for override in parsed:
        _check_override(override, conf_folder)
    # `++`: a key that the schema knows may be set even where the chosen file leaves it at its default.
    pairs = zip(others, parsed, strict=True)
    forced = [f"++{text}" if "." in override.key_or_group else text for text, override in pairs]
    try:
        with initialize_config_dir(config_dir=str(conf_folder.resolve()), version_base="1.3"):
            composed = compose("train", overrides=forced)
    except HydraException as error:
        raise LabError(
            f"{conf_folder.name}/ cannot be composed: {_first_line(error)}", hint="lab train --help"
        ) from error
    except OmegaConfBaseException as error:
        raise LabError(f"{_first_line(error)}", hint=_known_keys_hint(getattr(error, "full_key", "") or "")) from error
    except Exception as error:  # PyYAML's errors do not share a base with Hydra's
        raise LabError(
            f"a file under {conf_folder.name}/ is not valid YAML: {error}", hint="undo your last edit"
        ) from error
    for key, text in texts.items():
        OmegaConf.update(composed, key, text, force_add=True)
    return _build_config(composed)


def expand_sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of changes with several values: `["optimizer.lr=1e-3,1e-2", "seed=0,1"]` gives four lists.

    Hydra's own sweeper does it, so its ranges work as well: `seed=range(0,5)`. A name is one, whatever stands in it.
    """
    texts, _ = _split_texts([override for override in overrides if override.startswith("name=") or "," not in override])
    fixed = [f"{key}={text}" for key, text in texts.items()]
    others = [override for override in overrides if override.partition("=")[0] not in texts]
    batches = BasicSweeper.split_arguments(_parse_overrides(others, typed=overrides), max_batch_size=None)
    return [[*job, *fixed] for batch in batches for job in batch]


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, whole ones where `whole`; `log`: each power of ten is as likely as the others."""

    low: float
    high: float
    whole: bool
    log: bool


_FAR_APART = 100  # from here on the ends of an interval are so many times apart that powers of ten count


def read_space(overrides: Sequence[str]) -> tuple[dict[str, list[str] | Interval], list[str]]:
    """Where a search may look, by key, and what stays as it is: `optimizer.lr=interval(1e-4,1e-1)`, `loss=a,b`.

    Values with commas are choices, `range(1,5)` its numbers, `interval(low,high)` everything between.
    """
    space: dict[str, list[str] | Interval] = {}
    fixed: list[str] = []
    for override in overrides:
        parsed = None if override.startswith("name=") else _parse_overrides([override], typed=overrides)[0]
        value = parsed.value() if parsed is not None and parsed.is_sweep_override() else None
        if parsed is None or value is None:
            fixed.append(override)
        elif isinstance(value, IntervalSweep):
            assert value.start is not None and value.end is not None
            low, high = sorted((float(value.start), float(value.end)))
            whole = bool(re.search(r"interval\(\s*\d+\s*,\s*\d+\s*\)", override))
            space[parsed.key_or_group] = Interval(low, high, whole, "log" in value.tags or 0 < low * _FAR_APART <= high)
        else:
            (texts,) = BasicSweeper.split_arguments([parsed], max_batch_size=None)
            space[parsed.key_or_group] = [text.partition("=")[2] for (text,) in texts]
    return space, fixed


def load_config(path: Path) -> Config:
    """Read a resolved configuration that was logged with a run (`config.yaml`).

    It may come from another laptop, so only plain values are taken. Raises `LabError` for references of YAML (`*name`)
    and of OmegaConf (`${...}`), for a file that is no YAML, and for values that no run could have had.
    """
    again = "train the run again"
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_CONFIG + 1).decode("utf-8")
        if not _is_plain(text):
            raise LabError(f"the configuration {path.name} is not as a run writes it", hint=again)
        return _build_config(OmegaConf.create(text))
    except (OSError, ValueError, YAMLError, RecursionError) as error:
        raise LabError(f"cannot read the configuration {path.name}: {_first_line(error)}", hint=again) from error


def _is_plain(text: str) -> bool:
    """Whether YAML is a mapping of plain values, without a reference to anything; cheap to find out for any text."""
    if len(text) > _LONGEST_CONFIG or text.count("[") + text.count("{") > _MOST_NESTED:
        return False
    events = [event for event in parse(text, SafeLoader) if not isinstance(event, StreamStartEvent)]
    mapping = len(events) > 1 and isinstance(events[1], MappingStartEvent)
    referring = any(isinstance(e, AliasEvent) or (isinstance(e, ScalarEvent) and "${" in e.value) for e in events)
    return mapping and not referring


def config_to_yaml(config: Config) -> str:
    """The resolved configuration as YAML; `load_config` reads it back."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def flatten_config(config: Config) -> dict[str, Any]:
    """Dotted keys and values, as MLflow's parameters want them: `{"trainer.epochs": 10, …}`."""
    flat: dict[str, Any] = {}
    for key, value in dataclasses.asdict(config).items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            flat[key] = value
    return flat


def known_choices(group: str, conf_folder: Path = CONF_FOLDER) -> list[str]:
    """The files of a configuration group: `known_choices("loss")` is `["cross_entropy", …]`."""
    return sorted(path.stem for path in (conf_folder / group).glob("*.yaml"))


def _split_texts(overrides: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Texts by their keys, as they are typed, and all other changes.

    Hydra would make True of `name=true` and 1000.0 of `name=1e3`, and reads no letters but a to z. Raises `LabError`
    for a name that breaks a rule, and for `${`, which would stand for something else.
    """
    texts: dict[str, str] = {}
    others: list[str] = []
    for override in overrides:
        key, sign, value = override.partition("=")
        quoted = key != "name" and value[:1] in ("'", '"')  # a folder in quotes, as Hydra takes it
        if not sign or key not in _TEXTS or quoted:
            others.append(override)
            continue
        texts[key] = unicodedata.normalize("NFC", value) if key == "name" else value
        if key != "name" and "${" in value:
            raise LabError(f"{key} is {_shorten(repr(value))}, but ${{ means something in a configuration")
    if "name" in texts:
        _check_name(texts["name"])
    return texts, others


def _check_name(name: str) -> None:
    fault = find_fault(name)
    if fault:
        raise LabError(f"name is {_shorten(repr(name))}: it {fault}", hint=f"write name=… with {RULE}")


def _parse_overrides(overrides: Sequence[str], typed: Sequence[str]) -> list[Override]:
    """Raises `LabError` that shows all that was typed, and what might have been meant."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        if all(override.key_or_group for override in parsed):
            return parsed
        cause = None
    except HydraException as error:
        cause = error
    meant = _mend(typed)
    example = "for example: lab train experiment=baseline trainer.epochs=3 name=with-letters-and-digits"
    raise LabError(
        f"cannot read {' '.join(typed)!r}: each change is written key=value",
        hint=f"did you mean: {meant}" if meant else example,
    ) from cause


def _mend(overrides: Sequence[str]) -> str:
    """The changes of somebody who typed blanks: `experiment = baseline`, `name=my run`; empty where nothing fits."""
    changes: list[str] = []
    for word in re.sub(r"\s*=\s*", "=", " ".join(override.removeprefix("--") for override in overrides)).split():
        if "=" in word or not changes:
            changes.append(word)
        else:
            changes[-1] += f" {word}" if "=" in changes[-1] else f"={word}"
    mended = [_join_blanks(*change.partition("=")[::2]) for change in changes]
    complete = all(re.fullmatch(r"[\w.]+=[^= ]+", change) for change in mended)
    return " ".join(mended) if complete and mended != list(overrides) else ""


def _join_blanks(key: str, value: str) -> str:
    """A change whose value was typed in several words: a name gets hyphens, a file of a group is looked for."""
    key = _find_key(key) or key
    if " " not in value:
        return f"{key}={value}"
    known = known_choices(key) if key in _known_groups() else [value.replace(" ", "-")] if key == "name" else []
    return f"{key}={find_near(value, known) or value}"


def _check_override(override: Override, conf_folder: Path) -> None:
    key = override.key_or_group
    if override.is_add() or override.is_delete() or override.is_sweep_override():
        raise LabError(
            f"'{override.input_line}' cannot be used here: only key=value changes a configuration",
            hint="write key=value, for example trainer.epochs=3",
        )
    if key in _known_groups():
        choice = override.value()
        if not isinstance(choice, str) or not (conf_folder / key / f"{choice}.yaml").is_file():
            raise UnknownChoiceError(key, str(choice), known_choices(key, conf_folder))
    elif key not in _known_keys():
        raise LabError(f"there is no key '{key}'", hint=_known_keys_hint(key))


def _build_config(composed: Any) -> Config:
    """Merge into the schema (types, unknown keys), check the ranges, return frozen dataclasses."""
    schema = OmegaConf.structured(Config)
    OmegaConf.set_readonly(schema, False)  # frozen dataclasses make frozen schemas, which would take no values
    for field in dataclasses.fields(Config):
        if dataclasses.is_dataclass(field.type):
            schema[field.name] = OmegaConf.structured(field.type)
            OmegaConf.set_readonly(schema[field.name], False)
    try:
        # OmegaConf's signature cannot say that a merge with a dataclass becomes that dataclass again.
        config: Config = OmegaConf.to_object(OmegaConf.merge(schema, composed))  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or ""
        raise LabError(f"{key}: {_first_line(error)}", hint=_known_keys_hint(key)) from error
    _check_name(config.name)
    flat = flatten_config(config)
    for key, (holds, text) in _RANGES.items():
        if not holds(flat[key]):
            raise LabError(
                f"{key} is {_shorten(repr(flat[key]))}, but must be {text}", hint=f"write {key}=… with another value"
            )
    for makes_sense, problem, hint in _TOGETHER:
        if not makes_sense(config):
            raise LabError(problem.format(c=config), hint=hint)
    check_memory(
        config.model.name,
        config.data.image_size,
        config.trainer.batch_size,
        width=config.model.width,
        stem=config.model.stem,
        on_gpu=config.trainer.device in ("cuda", "mps"),
    )
    return config


def _known_groups() -> list[str]:
    """The folders of `conf/`; that of the experiments may still be empty."""
    sections = [field.name for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.type)]
    return [*sections, "framework", "experiment"]


def _known_keys() -> list[str]:
    keys: list[str] = []
    for field in dataclasses.fields(Config):
        if dataclasses.is_dataclass(field.type):
            keys += [f"{field.name}.{inner.name}" for inner in dataclasses.fields(field.type)]
        else:
            keys.append(field.name)
    return keys


def _known_keys_hint(key: str) -> str:
    """What was meant, and the keys beside it; of a group the files that it can be."""
    known, near = _known_keys(), _find_key(key)
    meant = f"did you mean '{near}'? " if near else ""
    if near in _known_groups():
        return f"{meant}{near} can be: {', '.join(known_choices(near)) or 'nothing yet'}"
    group = (near or key).split(".")[0]
    siblings = [name for name in known if name.split(".")[0] == group] or known
    return f"{meant}keys: {', '.join(siblings)}"


def _find_key(typed: str) -> str | None:
    """The key or group that was meant by one that there is not."""
    near = find_near(typed, [*_known_keys(), *_known_groups(), *_ALSO_CALLED])
    return _ALSO_CALLED.get(near or typed, near)


def _shorten(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
