"""One hand-in that was read, and all of them: which count for which group, and what is wrong with the others."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from instructor.collect.finding import Content


@dataclass(frozen=True)
class Found:
    """A hand-in of a group as the instructor is told of it. `remark` says why it was not taken."""

    group: str
    shown: str
    receipt: str
    written: str
    runs: int
    known: bool  # collected in an earlier call
    taken: bool
    remark: str = ""


@dataclass
class HandIn:
    """One hand-in that was read. `skip` holds the ids of runs in it that do not count for its group, `unstored` those
    that do, but of which the collected store shows another group's version."""

    shown: str  # the file, as the instructor knows it
    store: Path  # its runs, checked
    facts: dict[str, Any] = field(repr=False)
    signed: bool = True
    content: Content = field(default_factory=lambda: Content(Path()), repr=False)
    skip: set[str] = field(default_factory=set)
    unstored: set[str] = field(default_factory=set)

    @cached_property
    def runs(self) -> dict[str, dict[str, Any]]:
        """What is known of its runs, by their ids."""
        return {run["run_id"]: run for run in self.facts["runs"]}

    @property
    def group(self) -> str:
        return self.facts["group"]

    @property
    def run_ids(self) -> set[str]:
        return set(self.runs)

    @property
    def counted(self) -> list[str]:
        """The ids of its runs, but for those that do not count."""
        return [run_id for run_id in self.runs if run_id not in self.skip]

    @property
    def known(self) -> bool:
        """Whether an earlier call has collected it."""
        return self.content.parcel is not None and self.content.parcel.kept

    @property
    def brought(self) -> bool:
        """Whether it was brought this time, and is not only kept."""
        return self.content.parcel is None or self.content.parcel.brought

    @property
    def original(self) -> str:
        """SHA-256 of the file of the inbox that holds it."""
        return self.content.parcel.original if self.content.parcel else ""

    def name(self) -> str:
        """For notes: the file and the receipt that was read aloud."""
        return f"{Path(self.shown).name} (receipt {self.facts['receipt']})"

    def goes_on_from(self, older: "HandIn") -> bool:
        """Whether it is a later hand-in of the same kit: its journal names the older one's receipt, or goes on from
        the older one's journal while it holds all of its runs."""
        lines = older.facts["journal"]
        follows = self.facts["journal"][: len(lines)] == lines and older.run_ids <= self.run_ids
        return follows or older.facts["receipt"] in self.facts["receipts"]


@dataclass
class HandIns:
    """Those that count, in the workshop's order of groups; `refused` maps what could not be read to the reason."""

    of_group: dict[str, list[HandIn]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)

    def all(self) -> list[HandIn]:
        return [handin for several in self.of_group.values() for handin in several]
