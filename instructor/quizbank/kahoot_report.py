"""Kahoot's result report back in: players to groups by an editable table, a review first, group scores only at the end.

    report = read_report(path)                       # every player as Kahoot lists it
    review = review_players(report, aliases, groups) # who is matched, who is not, who seems to be there twice
    ranking = rank_groups(review, groups)            # shared ranks for ties

Layouts of 2019, 2022 and 2025 are known; columns are found by their names and never by
their place. Kahoot writes plain numbers, but a sheet that was edited by hand holds them as text.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from lab_code.errors import LabError

IGNORED = "-"
_HEADER_ROWS = 12  # a header is looked for in so many rows
_PLAYER = re.compile(r"^players?(\(s\))?$", re.IGNORECASE)
_TOTAL = re.compile(r"^total score\b", re.IGNORECASE)
_SCORE = re.compile(r"^score \(points\)$", re.IGNORECASE)
_QUESTION = re.compile(r"^(quiz )?question number$", re.IGNORECASE)
_IGNORED = re.compile(r"[\s.#_\-]+")
_SPACES = re.compile("[\\s\u00a0\u202f'’,]+")

Rows = list[list[object]]


@dataclass(frozen=True)
class Player:
    """One line of the report."""

    nickname: str
    score: int


@dataclass(frozen=True)
class Report:
    """What a report holds: all players, and what is odd about the file."""

    path: Path
    players: list[Player]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Review:
    """Players by group before anything is counted."""

    groups: dict[str, list[Player]]
    unmatched: list[Player]
    ignored: list[Player]  # the table says that they do not count
    rejoined: dict[str, list[Player]]  # several lines of one group, which are added up
    missing: list[str]


@dataclass(frozen=True)
class GroupScore:
    """One group's place; equal scores share it."""

    rank: int
    group: str
    score: int


def read_report(path: Path) -> Report:
    """All players and their total scores. Raises `LabError` that says why a file is no report."""
    sheets = _read_csv(path) if path.suffix.lower() == ".csv" else _read_workbook(path)
    for name, rows in sheets.items():
        table = _find_table(rows, _PLAYER, _TOTAL)
        if table and not _find_table(rows, _PLAYER, _QUESTION):
            players, notes = _read_totals(rows, *table)
            if players:
                return Report(path, players, [*notes, *_compare(players, sheets, name)])
    players = _sum_raw(sheets)
    if players:
        return Report(path, players, ["there is no sheet 'Final Scores'; the points of all questions were added up"])
    raise LabError(
        f"{path} holds no table with the columns Player and Total Score (points); its sheets: {', '.join(sheets)}",
        hint="in Kahoot: Reports, the report, Download report; give that .xlsx",
    )


def review_players(report: Report, aliases: dict[str, str], groups: Sequence[str]) -> Review:
    """Match nicknames to groups: by the table `aliases`, by a group's name, or by its number (`Group 3`, `G3`, `3`)."""
    known = {_spelling(alias): group for alias, group in aliases.items()}
    matched: dict[str, list[Player]] = defaultdict(list)
    for player in report.players:
        group = known.get(_spelling(player.nickname)) or _guess_group(player.nickname, groups) or ""
        matched[group].append(player)
    unmatched, ignored = matched.pop("", []), matched.pop(IGNORED, [])
    rejoined = {group: players for group, players in matched.items() if len(players) > 1}
    missing = [group for group in groups if group not in matched]
    return Review(dict(matched), unmatched, ignored, rejoined, missing)


def rank_groups(review: Review, groups: Sequence[str]) -> list[GroupScore]:
    """Groups by their score; the lines of a group that dropped out and came back under another name are added up."""
    totals = {group: sum(player.score for player in review.groups[group]) for group in groups if group in review.groups}
    ranked = [
        GroupScore(1 + sum(other > score for other in totals.values()), group, score) for group, score in totals.items()
    ]
    return sorted(ranked, key=lambda entry: (entry.rank, list(groups).index(entry.group)))


def read_aliases(path: Path, groups: Sequence[str]) -> dict[str, str]:
    """The editable table `nickname,group`: a group's name or number, or - for players who do not count.

    Raises `LabError` with the line of a group that does not exist.
    """
    aliases: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for number, row in enumerate(reader, 1):
            if not row or not row[0].strip() or [cell.strip().lower() for cell in row[:2]] == ["nickname", "group"]:
                continue
            name = row[1].strip() if len(row) > 1 else ""
            group = name if name in (*groups, IGNORED) else _guess_group(name, groups)
            if name and group is None:
                raise LabError(
                    f"{path} line {number}: there is no group '{name}'", hint=f"groups: {', '.join(groups)}, or -"
                )
            if group:
                aliases[row[0].strip()] = group
    return aliases


def aliases_to_csv(report: Report, review: Review, aliases: dict[str, str]) -> str:
    """The table for `read_aliases`, with what is known already; unmatched players wait for their group."""
    group_of = {player.nickname: group for group, players in review.groups.items() for player in players}
    group_of |= {player.nickname: IGNORED for player in review.ignored}
    rows = {**dict.fromkeys((player.nickname for player in report.players), ""), **aliases, **group_of}
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("nickname", "group"), *rows.items()])
    return text.getvalue()


def _read_workbook(path: Path) -> dict[str, Rows]:
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        return {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}
    except FileNotFoundError as error:
        raise LabError(f"there is no file {path}", hint="give the report that Kahoot lets you download") from error
    except (InvalidFileException, OSError, KeyError, ValueError, EOFError) as error:
        raise LabError(
            f"{path} is no .xlsx workbook: {error}", hint="download the report again; give .xlsx or .csv"
        ) from error
    except Exception as error:  # zipfile's and the XML parser's errors share no base
        raise LabError(
            f"{path} is damaged: {type(error).__name__}: {error}", hint="download the report again"
        ) from error


def _read_csv(path: Path) -> dict[str, Rows]:
    """A sheet that was saved as CSV, with commas, semicolons or tabs, in UTF-8, UTF-16 or Windows' code page."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror}", hint="give the sheet Final Scores saved as CSV"
        ) from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    if "\0" in text:
        raise LabError(f"{path} is no text", hint="save the sheet Final Scores as CSV")
    separator = max(",;\t", key=lambda sign: sum(line.count(sign) for line in text.splitlines()[:_HEADER_ROWS]))
    rows: Rows = [list(row) for row in csv.reader(text.splitlines(), delimiter=separator)]
    return {path.name: rows}


def _find_table(rows: Rows, *columns: re.Pattern[str]) -> tuple[int, list[int]] | None:
    """The header's row and the places of the columns, wherever in the first rows they are."""
    for number, row in enumerate(rows[:_HEADER_ROWS]):
        texts = [" ".join(str(cell).replace("\u00a0", " ").split()) if cell is not None else "" for cell in row]
        places = [next((i for i, text in enumerate(texts) if column.match(text)), None) for column in columns]
        if None not in places:
            return number, [place for place in places if place is not None]
    return None


def _read_totals(rows: Rows, header: int, places: list[int]) -> tuple[list[Player], list[str]]:
    """Players below a header. An empty row, and the footer that Kahoot writes below it, are no players."""
    players, notes = [], []
    for number, row in enumerate(rows[header + 1 :], header + 2):
        cells = [row[place] if place < len(row) else None for place in places]
        nickname, score = _text(cells[0]), _number(cells[1])
        if not nickname:
            continue
        if score is None:
            notes.append(f"row {number}: '{nickname}' has the score {cells[1]!r}, which is no number; it is left out")
            continue
        players.append(Player(nickname, score))
    return players, notes


def _sum_raw(sheets: dict[str, Rows]) -> list[Player]:
    """Totals from the sheet with one row for each player and question."""
    for rows in sheets.values():
        table = _find_table(rows, _PLAYER, _SCORE, _QUESTION)
        if table is None:
            continue
        header, (player, score, _) = table
        totals: dict[str, int] = {}
        for row in rows[header + 1 :]:
            nickname, points = _text(row[player] if player < len(row) else None), _number(row[score])
            if nickname and points is not None:
                totals[nickname] = totals.get(nickname, 0) + points
        if totals:
            return [Player(nickname, total) for nickname, total in totals.items()]
    return []


def _compare(players: list[Player], sheets: dict[str, Rows], name: str) -> list[str]:
    """Notes on totals that differ from the sum over the questions, where the report holds both."""
    sums = {player.nickname: player.score for player in _sum_raw({n: r for n, r in sheets.items() if n != name})}
    return [
        f"'{player.nickname}' has {player.score} points in total, but {sums[player.nickname]} over the questions"
        for player in players
        if player.nickname in sums and sums[player.nickname] != player.score
    ]


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a nickname of digits
    return "" if cell is None else " ".join(str(cell).replace("\u00a0", " ").split())


def _number(cell: object) -> int | None:
    """A whole number, as a number or as text with separators: `5222`, `5222.0`, `12,345`, `12 345`."""
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        return round(cell)
    text = _SPACES.sub("", str(cell))
    return round(float(text)) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def _spelling(nickname: str) -> str:
    """What two spellings of a nickname have in common: case, blanks, dots and emoji's variants do not count."""
    plain = unicodedata.normalize("NFKC", nickname).replace("\ufe0e", "").replace("\ufe0f", "")
    return _IGNORED.sub("", plain).casefold()


def _guess_group(nickname: str, groups: Sequence[str]) -> str | None:
    spelt = _spelling(nickname)
    for number, group in enumerate(groups, 1):
        if spelt in (_spelling(group), f"group{number}", f"g{number}", f"team{number}", str(number)):
            return group
    return None
