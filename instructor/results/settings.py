"""What was changed between two runs: settings that are choices, with what belongs to one choice counted once.

Whoever takes another loss gets that loss's settings with it: `loss.name` and `loss.weight_power` are one change then.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache

from lab_code.config import Config

# Where a run happened, what it is called and its luck are no choices.
_NO_CHOICES = {"name", "seed", "data.folder", "data.on_fault", "trainer.device", "trainer.threads"}
_FAMILIES = {"framework": ("framework", "model", "loss", "optimizer"), "model.name": ("model",),
             "loss.name": ("loss",), "optimizer.name": ("optimizer",)}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Change:
    """One choice that differs: `loss`, from `cross_entropy` to `focal`."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what} {self.before} → {self.after}"


@cache
def setting_keys() -> tuple[str, ...]:
    """Every setting of a configuration, as MLflow's parameters are called: `loss.name`. Other parameters are none."""
    keys: list[str] = []
    for part in dataclasses.fields(Config):
        inner = dataclasses.fields(part.type) if dataclasses.is_dataclass(part.type) else ()
        keys += [f"{part.name}.{field.name}" for field in inner] or [part.name]
    return tuple(keys)


@cache
def choice_keys() -> tuple[str, ...]:
    """The settings that are choices."""
    return tuple(key for key in setting_keys() if key not in _NO_CHOICES)


def find_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """The choices in which two runs' parameters differ, families of settings as one."""
    differing = [key for key in choice_keys() if before.get(key, "") != after.get(key, "")]
    changes: list[Change] = []
    covered: set[str] = set()
    for leader, family in _FAMILIES.items():
        if leader in differing and leader.split(".")[0] not in covered:
            covered.update(family)
            changes.append(_change(leader, before, after))
    return changes + [_change(key, before, after) for key in differing if key.split(".")[0] not in covered]


def _change(key: str, before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    return Change(key.removesuffix(".name"), before.get(key, "–"), after.get(key, "–"))
