"""Relays: runs that one group made from another one's card (`lab card`, `lab repeat`), and whether the digits agree.

relays = find_relays(read_runs(store))       # while collecting: both runs are there, so no card has to be believed
write_relays(folder, relays); read_relays(folder)
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from instructor.collect.table import write_table
from lab_code.analysis.compare import compare_repeat
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.runs import RELAY_GROUP, RELAY_OF, Run

RELAYS = "relays.csv"
LAST, THREE, NOT, UNKNOWN = "to the last digit", "to three digits", "no", "not known"


@dataclass(frozen=True)
class Relay:
    """`repeater` has made the run of `maker` again. `agrees` is one of the four above, `why` says more."""

    maker: str
    repeater: str
    run: str
    agrees: str
    why: str
    run_id: str
    repeat_id: str

    @property
    def counts(self) -> bool:
        """Whether both groups get points."""
        return self.agrees in (LAST, THREE)


def find_relays(runs: Sequence[Run]) -> list[Relay]:
    """Every finished run of the class that was made from another group's card, oldest first."""
    known = {run.run_id: run for run in runs if run.status == "FINISHED"}
    return [_describe(run, known.get(run.tags[RELAY_OF])) for run in known.values() if run.is_relay]


def write_relays(folder: Path, relays: Sequence[Relay]) -> None:
    """Write `relays.csv`, where there is one."""
    if relays:
        write_table(folder / RELAYS, [field.name for field in fields(Relay)], map(asdict, relays))


def read_relays(folder: Path) -> list[Relay]:
    """Read them back; none where nobody has made any. Raises `LabError` for a table that is none."""
    path = folder / RELAYS
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [Relay(**row) for row in csv.DictReader(file)]
    except (OSError, TypeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="make collect writes it again") from error


def _describe(again: Run, first: Run | None) -> Relay:
    maker, repeater = again.tags.get(RELAY_GROUP, ""), again.tags.get("group", "")
    name = one_line(again.name if first is None else first.name, 80)
    agrees, why = UNKNOWN, f"the run itself has not come in from {one_line(maker, 40)}"
    if first is not None:
        maker = first.tags.get("group", "")
        agrees, why = _compare(first, again) if maker != repeater else (NOT, "it is the group's own run")
    return Relay(
        one_line(maker, 60), one_line(repeater, 60), name, agrees, why, again.tags[RELAY_OF][:64], again.run_id
    )


def _compare(first: Run, again: Run) -> tuple[str, str]:
    result = compare_repeat(first, again)
    if not result.compared:
        return NOT, "it has no scores"
    if not result.scores:
        return LAST, f"all {result.compared} scores"
    if result.is_close:
        return THREE, f"{len(result.scores)} of {result.compared} scores differ in later digits"
    why = ", ".join(key for key, _, _ in result.reasons) or "nothing that is on record"
    return NOT, one_line(f"{len(result.scores)} of {result.compared} scores differ; so do: {why}", 200)
