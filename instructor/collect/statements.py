"""What the groups said: every bet beside what came out of its run, the honest sentences, the answers to a duel.

`describe_statements` reads the file of one hand-in, in a process of its own as everything of it; `write_statements`
writes `sentences.csv`, `bets.csv` and `duel-answers.csv` into the collected store. A hand-in without statements has no
rows there. Of a duel the first list counts that the journal knows, whatever was written into the file afterwards.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instructor.collect.table import write_table
from instructor.results.duel import ANSWER_COLUMNS, ANSWERS
from lab_code.cli.printable import one_line
from lab_code.tracking.runs import read_runs
from lab_code.workshop.kit import Kit
from lab_code.workshop.progress import read_journal
from lab_code.workshop.statements import (
    LONGEST,
    SCORE,
    STATEMENTS,
    Bet,
    Duel,
    experiments_of,
    find_result,
    statements_from_json,
)

SENTENCES, BETS = "sentences.csv", "bets.csv"
SENTENCE_COLUMNS = ("group", "sentence")
BET_COLUMNS = ("group", "run", "bet", "result", "off", "run_id", "change", "why")
_LONGEST_NAME = 80


def describe_statements(folder: Path, store: Path, kit: Kit) -> dict[str, Any]:
    """The sentence and the bets of an unpacked hand-in, each bet with what came out of its run in the checked `store`.

    Empty where nothing was said; `fault` where it cannot be read.
    """
    path = folder / STATEMENTS
    if not path.is_file():
        return {}
    try:
        said = statements_from_json(json.loads(path.read_text(encoding="utf-8")))
        experiments = experiments_of(kit)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        return {"fault": f"{STATEMENTS} cannot be read: {one_line(error)}"}
    runs, rows = read_runs(store), []
    for bet in said.bets:
        run = find_result(bet, runs, experiments)
        rows.append(_describe_bet(bet, None if run is None else run.metrics[SCORE], "" if run is None else run.run_id))
    return {"sentence": one_line(said.sentence, LONGEST), "bets": rows, "duel": _describe_duel(folder, said.duel)}


def write_statements(said: Sequence[tuple[str, dict[str, Any]]], store: Path) -> list[str]:
    """Write the tables, those that there is something for; `said` are groups, and what was described of them.

    Returns notes about what cannot be read.
    """
    sentences = [{"group": group, "sentence": facts["sentence"]} for group, facts in said if facts.get("sentence")]
    bets = [{"group": group, **row} for group, facts in said for row in facts.get("bets", ())]
    duels = [{"group": group, **facts["duel"]} for group, facts in said if facts.get("duel")]
    tables: list[tuple[str, Sequence[str], list[dict[str, Any]]]] = [
        (SENTENCES, SENTENCE_COLUMNS, sentences), (BETS, BET_COLUMNS, bets), (ANSWERS, ANSWER_COLUMNS, duels)
    ]  # fmt: skip
    for name, columns, rows in tables:
        if rows:
            write_table(store / name, columns, rows)
    return [f"{group}: {facts['fault']}" for group, facts in said if "fault" in facts]


def _describe_duel(folder: Path, duel: Duel | None) -> dict[str, str]:
    """The code and the answers, with blanks between them; empty where there are none."""
    if duel is None:
        return {}
    noted = [event for event in read_journal(folder).of("duel") if event.get("code") == duel.code]
    answers = str(noted[0].get("answers")) if noted else " ".join(duel.answers)
    return {"code": one_line(duel.code, 40), "answers": one_line(answers, LONGEST)}


def _describe_bet(bet: Bet, result: float | None, run_id: str) -> dict[str, Any]:
    return {
        "run": one_line(bet.run, _LONGEST_NAME),
        "bet": bet.score,
        "result": "" if result is None else result,
        "off": "" if result is None else result - bet.score,
        "run_id": run_id,
        "change": one_line(bet.change, LONGEST),
        "why": one_line(bet.why, LONGEST),
    }
