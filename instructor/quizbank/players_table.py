"""The table `nickname,group` that an instructor edits, in whatever form a spreadsheet has saved it.

table = read_players(path, groups)       # LabError where it is not understood: then nothing may be written over it
update_players(table, {nickname: group})  # players that it lacks are put below; what was entered stays
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instructor.collect.table import bare_cell, safe_cell
from instructor.quizbank.group_names import IGNORED, guess_group
from instructor.quizbank.sheets import Rows, Sheet, cell_of, find_table, read_csv, read_text
from lab_code.errors import LabError
from lab_code.files import write_whole

_NICKNAME = re.compile(r"^nick ?names?$", re.IGNORECASE)
_GROUP = re.compile(r"^groups?$", re.IGNORECASE)
_HEADER = ["nickname", "group"]


@dataclass(frozen=True)
class PlayersTable:
    """The table as it was found: `aliases` are nicknames and their groups, `rows` all cells with the header on top."""

    path: Path
    aliases: dict[str, str] = field(default_factory=dict)
    rows: Rows = field(default_factory=lambda: [list(_HEADER)])
    separator: str = ","
    nicknames: frozenset[str] = frozenset()


def read_players(path: Path, groups: Sequence[str]) -> PlayersTable:
    """The table, or an empty one where there is none: a group's name or number, or - for players who do not count.

    Raises `LabError` where there are no columns nickname and group, and with the cell of a group that does not exist.
    """
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return PlayersTable(path)
    sheet = read_csv(path, lambda rows: find_table(rows, _NICKNAME, _GROUP) is not None)
    found = find_table(sheet.rows, _NICKNAME, _GROUP)
    if found is None:
        first = next((text for row in sheet.rows if (text := " ".join(map(read_text, row)))), "")
        raise LabError(
            f"{path} is not understood: it has no columns nickname and group; it begins with '{first[:60]}'",
            hint="put them into its first line and save it as CSV; or move it away, and a new one is written",
        )
    aliases: dict[str, str] = {}
    nicknames = set()
    for nickname, group, cell in _read_lines(sheet, *found):
        known = group if group in (*groups, IGNORED) else guess_group(group, groups)
        if group and known is None:
            raise LabError(f"{cell}: there is no group '{group}'", hint=f"groups: {', '.join(groups)}, or -")
        if known and not nickname:
            raise LabError(
                f"{cell}: the group '{group}' has no nickname beside it", hint="write one, or empty the cell"
            )
        if known and aliases.setdefault(nickname, known) != known:
            fix = "remove one of the two lines"
            raise LabError(f"{cell}: '{nickname}' is in {aliases[nickname]} and in {known}", hint=fix)
        nicknames.add(nickname)
    return PlayersTable(path, aliases, [row for row in sheet.rows if row], sheet.separator, frozenset(nicknames))


def _read_lines(sheet: Sheet, header: int, places: list[int]) -> Iterator[tuple[str, str, str]]:
    """Nickname and group of every line, and what to call the group's cell in an error."""
    columns = [read_text(cell) for cell in sheet.rows[header]]
    for number, row in enumerate(sheet.rows[header + 1 :], header + 1):
        if any(read_text(cell) for cell in row[len(columns) :]):
            raise LabError(
                f"{sheet.name_cell(number, len(columns))}: more cells than the columns {', '.join(columns)}",
                hint='put a nickname that holds a separator into quotes: "a, b"',
            )
        nickname, group = (bare_cell(read_text(cell_of(row, place))) for place in places)
        yield nickname, group, sheet.name_cell(number, places[1])


def update_players(table: PlayersTable, matched: dict[str, str]) -> None:
    """Add the players of `matched` (nickname -> group or '') that the table lacks; without such nothing is written."""
    new = [pair for pair in matched.items() if pair[0] not in table.nicknames]
    if not new and table.path.exists():
        return
    found = find_table(table.rows, _NICKNAME, _GROUP)
    assert found is not None  # `read_players` has refused other tables
    header, places = found
    text = io.StringIO()
    writer = csv.writer(text, delimiter=table.separator, lineterminator="\n")
    for row in table.rows:
        writer.writerow([safe_cell(bare_cell(read_text(cell))) for cell in row])
    for pair in new:
        cells = dict(zip(places, pair, strict=True))
        writer.writerow([safe_cell(cells.get(place, "")) for place in range(len(table.rows[header]))])
    write_whole(table.path, ("\ufeff" + text.getvalue()).encode())  # the mark tells Excel that this is UTF-8
