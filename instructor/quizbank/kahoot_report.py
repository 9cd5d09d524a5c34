"""Kahoot's result report: every player with what counts, and which questions each of them answered.

    report = read_report(path)        # every player as Kahoot lists it; `teams.py` puts them into groups

Layouts of 2019, 2022 and 2025 are known; columns are found by their names and never by their place. Kahoot writes
plain numbers, but a sheet that was edited or saved by hand holds them as text.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from instructor.quizbank.sheets import (
    Rows,
    Sheet,
    cell_of,
    find_decimal_sign,
    find_table,
    may_be_two,
    read_number,
    read_sheets,
    read_text,
)
from lab_code.errors import LabError

POINTS, CORRECT = "points", "correct answers"  # what is counted
_PLAYER = re.compile(r"^players?(\(s\))?$", re.IGNORECASE)
_TOTAL = re.compile(r"^total score\b", re.IGNORECASE)
_SCORE = re.compile(r"^score \(points\)$", re.IGNORECASE)
_QUESTION = re.compile(r"^(quiz )?question number$", re.IGNORECASE)
_ANSWER = re.compile(r"^(player )?answer$", re.IGNORECASE)
_CORRECT = re.compile(r"^correct answers$", re.IGNORECASE)
_INCORRECT = re.compile(r"^incorrect answers$", re.IGNORECASE)
_RIGHT = re.compile(r"^correct$", re.IGNORECASE)
_RANK = re.compile(r"^rank$", re.IGNORECASE)
_FOOTER = "Switch tabs/pages"


@dataclass(frozen=True)
class Player:
    """One line of the report. `score` is what counts: points, or right answers where the quiz gave no points.

    The rest is None where the report does not say it: how many answers were right, how many there were, and to which
    questions.
    """

    nickname: str
    score: int
    right: int | None = field(default=None, compare=False)
    answered: frozenset[str] | None = field(default=None, compare=False)
    answers: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Report:
    """What a report holds: all players, what is odd about the file, what `score` counts, and how many questions."""

    path: Path
    players: list[Player]
    notes: list[str] = field(default_factory=list)
    counts: str = POINTS
    questions: int | None = None


@dataclass(frozen=True)
class _Row:
    """One player's answer to one question, from the sheet of raw data."""

    nickname: str
    question: str
    points: int
    right: int
    has_answer: bool


def read_report(path: Path) -> Report:
    """All players and their total scores. Raises `LabError` that says why this is no report, or which cell is wrong."""
    sheets = read_sheets(path, _is_known)
    raw = next((rows for sheet in sheets if (rows := list(_read_raw(sheet)))), [])
    totals = [sheet for sheet in sheets if find_table(sheet.rows, _PLAYER, _TOTAL)]
    totals.sort(key=lambda sheet: sheet.title.strip().lower() != "final scores")
    for sheet in totals:
        players, notes = _read_totals(sheet)
        if players:
            report = Report(path, players, [*notes, *_compare(players, raw)])
            return _count_what_counts(_add_answers(report, raw))
    if raw:
        note = "there is no sheet 'Final Scores'; the points of all questions were added up"
        players = [Player(nickname, points) for nickname, points in _sum_points(raw).items()]
        return _count_what_counts(_add_answers(Report(path, players, [note]), raw))
    raise LabError(
        f"{path} holds no table with the columns Player and Total Score",
        hint="Kahoot: Reports, then the quiz, then Download report; give that .xlsx",
    )


def _is_known(rows: Rows) -> bool:
    return bool(find_table(rows, _PLAYER, _TOTAL) or find_table(rows, _PLAYER, _SCORE, _QUESTION))


def _read_totals(sheet: Sheet) -> tuple[list[Player], list[str]]:
    """Players below a header, and notes. An empty row, and the footer that Kahoot writes below it, are no players."""
    found = find_table(sheet.rows, _PLAYER, _TOTAL)
    assert found is not None
    header, (name, total) = found
    columns = {key: find_table(sheet.rows[header : header + 1], key) for key in (_CORRECT, _INCORRECT, _RANK)}
    places = {key: table[1][0] for key, table in columns.items() if table}
    sign = find_decimal_sign(cell_of(row, total) for row in sheet.rows[header + 1 :])
    players, notes = [], []
    for number, row in enumerate(sheet.rows[header + 1 :], header + 1):
        nickname, shown = read_text(cell_of(row, name)), read_text(cell_of(row, total))
        if nickname.startswith(_FOOTER) or not (nickname or shown):
            continue
        if not (shown or read_text(cell_of(row, places.get(_RANK, len(row))))):
            notes.append(f"row {number + 1}: '{nickname}' has neither rank nor score; it is left out")
            continue
        _check_line(sheet, header, number, name)
        score = _read_points(sheet, number, total, sign)
        correct, incorrect = (read_number(cell_of(row, places.get(key, len(row)))) for key in (_CORRECT, _INCORRECT))
        answers = None if correct is None else correct + (incorrect or 0)
        players.append(Player(nickname, score, correct, answers=answers))
    return players, notes


def _check_line(sheet: Sheet, header: int, number: int, name: int) -> None:
    """Raise `LabError` for a score of nobody, and for a comma without quotes that moves all cells behind it by one."""
    row, width = sheet.rows[number], len(sheet.rows[header])
    if not read_text(cell_of(row, name)):
        raise LabError(
            f"{sheet.name_cell(number, name)}: a score, but no nickname beside it",
            hint="write the nickname into the cell as plain text, or delete the line",
        )
    if sheet.separator and any(read_text(cell) for cell in row[width:]):
        raise LabError(
            f"{sheet.name_cell(number, width)}: the line has more cells than the header",
            hint="a text or number that holds a comma must stand in quotes; give the .xlsx, or save with semicolons",
        )


def _read_points(sheet: Sheet, row: int, column: int, sign: str) -> int:
    """The points in a cell. Raises `LabError` that names it where it is no number, or could be two."""
    cell = cell_of(sheet.rows[row], column)
    points = read_number(cell, sign)
    if points is None:
        shown = read_text(cell)
        found = f"'{shown}' may be two different numbers" if may_be_two(cell) else f"'{shown}' is no number"
        raise LabError(
            f"{sheet.name_cell(row, column)}: {found if shown else 'it is empty'}",
            hint="write the points into the cell as digits only, such as 4394, and save",
        )
    return points


def _read_raw(sheet: Sheet) -> Iterator[_Row]:
    """The sheet with one row for each player and question; nothing where this is another sheet."""
    found = find_table(sheet.rows, _PLAYER, _SCORE, _QUESTION)
    if found is None:
        return
    header, (name, score, question) = found
    answer, right = (find_table(sheet.rows[header : header + 1], column) for column in (_ANSWER, _RIGHT))
    sign = find_decimal_sign(cell_of(row, score) for row in sheet.rows[header + 1 :])
    for number, row in enumerate(sheet.rows[header + 1 :], header + 1):
        nickname, asked = read_text(cell_of(row, name)), read_text(cell_of(row, question))
        if not nickname or not asked:
            continue
        _check_line(sheet, header, number, name)
        points = _read_points(sheet, number, score, sign) if read_text(cell_of(row, score)) else 0
        correct = read_number(cell_of(row, right[1][0])) if right else None
        has_answer = bool(read_text(cell_of(row, answer[1][0]))) if answer else True
        yield _Row(nickname, asked, points, correct or 0, has_answer)


def _sum_points(raw: list[_Row]) -> dict[str, int]:
    totals: dict[str, int] = defaultdict(int)
    for row in raw:
        totals[row.nickname] += row.points
    return dict(totals)


def _compare(players: list[Player], raw: list[_Row]) -> list[str]:
    """Notes on totals that differ from the sum over the questions, where the report holds both."""
    sums = _sum_points(raw)
    listed = Counter(player.nickname for player in players)
    notes = [
        f"'{player.nickname}' has {player.score} points in total, but {sums[player.nickname]} over the questions"
        for player in players
        if player.nickname in sums and sums[player.nickname] != player.score and listed[player.nickname] == 1
    ]
    missing = [nickname for nickname in sums if nickname not in listed]
    return [*notes, *(f"'{name}' answered questions, but is not among the final scores" for name in missing)]


def _add_answers(report: Report, raw: list[_Row]) -> Report:
    """Who answered what, as far as the report says; of two lines with one nickname nobody can say which is whose."""
    answered: dict[str, set[str]] = {row.nickname: set() for row in raw}
    right = Counter[str]()
    for row in raw:
        right[row.nickname] += row.right
        if row.has_answer:
            answered[row.nickname].add(row.question)
    listed = Counter(player.nickname for player in report.players)
    players = []
    for player in report.players:
        if player.nickname in answered and listed[player.nickname] == 1:
            known = right[player.nickname] if player.right is None else player.right
            player = replace(player, right=known, answered=frozenset(answered[player.nickname]))
        players.append(player)
    questions = len({row.question for row in raw}) or max((player.answers or 0 for player in players), default=0)
    return replace(report, players=players, questions=questions or None)


def _count_what_counts(report: Report) -> Report:
    """Points; or the right answers where nobody has any point, because the quiz gave none."""
    if any(player.score for player in report.players):
        return report
    if not any(player.right for player in report.players):
        note = "every total is 0, and the report has no right answers either: all groups are equal"
        return replace(report, notes=[*report.notes, note])
    players = [replace(player, score=player.right or 0) for player in report.players]
    note = "every total is 0 (questions without points?); right answers are counted instead"
    return replace(report, players=players, notes=[*report.notes, note], counts=CORRECT)
