"""The report of a Kahoot that nobody has played, with the sheets and cells of a real one.

    write_report(path, {"group-1": (7, 6120)}, questions=10, title="…")

Groups play under the names that groups take: `Group 1`, `TEAM 2`, `group-3`.
"""

from collections.abc import Mapping
from pathlib import Path

from openpyxl import Workbook

from lab_code.files import open_whole

_NAMES = ("Group {n}", "TEAM {n}", "group-{n}")
_RAW = (
    "Question Number", "Question", "Answer 1", "Answer 2", "Answer 3", "Answer 4", "Correct Answers",
    "Time Allotted to Answer (seconds)", "Player", "Answer", "Correct / Incorrect", "Correct", "Incorrect",
    "Score (points)", "Score without Answer Streak Bonus (points)", "Current Total Score (points)", "Answer Time (%)",
    "Answer Time (seconds)",
)  # fmt: skip


def play_quiz(groups: list[str], questions: int) -> dict[str, list[int]]:
    """Points of every group for every question: nobody knows all, and some are quicker."""
    return {
        group: [0 if (question + number) % 4 == 0 else 600 + 10 * number for question in range(questions)]
        for number, group in enumerate(groups, 1)
    }


def write_report(path: Path, points: Mapping[str, list[int]], title: str) -> None:
    """Write the `.xlsx` that Kahoot lets one download."""
    book = Workbook()
    overview = book.active
    assert overview is not None
    overview.title = "Overview"
    players = {_NAMES[n % len(_NAMES)].format(n=n + 1): scores for n, scores in enumerate(points.values())}
    for row in (
        [title],
        ["Played on", "1 Jan 2030"],
        ["Hosted by", "host"],
        ["Played with", f"{len(players)} players"],
    ):
        overview.append(row)
    ranked = sorted(players.items(), key=lambda player: -sum(player[1]))
    final = book.create_sheet("Final Scores")
    for line in ([title], ["Final Scores"]):
        final.append(line)
    final.append(["Rank", "Player", "Total Score (points)", "Correct Answers", "Incorrect Answers"])
    for rank, (name, scores) in enumerate(ranked, 1):
        right = sum(score > 0 for score in scores)
        final.append([rank, name, sum(scores), right, len(scores) - right])
    raw = book.create_sheet("RawReportData Data")
    raw.append(list(_RAW))
    for name, scores in players.items():
        for question, score in enumerate(scores):
            raw.append(_raw_row(question, name, score, sum(scores[: question + 1])))
    with open_whole(path) as file:
        book.save(file)


def _raw_row(question: int, name: str, score: int, total: int) -> list[str | int | float]:
    answer = "A" if score else "B"
    said = "Correct" if score else "Incorrect"
    right = int(score > 0)
    return [
        f"{question + 1} Quiz", f"Question {question + 1}", "A", "B", "C", "D", "A", 20, name, answer, said, right,
        1 - right, score, score, total, "40.00%", 8.0,
    ]  # fmt: skip
