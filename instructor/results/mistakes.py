"""Which questions groups got wrong, from the lists of answers that did not open a lock, and which hints they bought.

    mistakes = count_mistakes(evidence, variants)       the question that most groups got wrong first

A lock never says which answer of a list was wrong; whoever has the key can see it afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from instructor.quizbank.variants import GroupQuestion
from instructor.results.evidence import Evidence

Variants = Mapping[str, Mapping[str, list[GroupQuestion]]]  # group -> stage -> its questions


@dataclass
class Mistakes:
    """One question of the bank: how many groups were asked, how many had it wrong at least once, how many lists, and
    how many hints to it were bought by how many groups."""

    id: str
    stage: str
    text: str
    asked: int = 0
    groups: int = 0
    lists: int = 0
    hints: int = 0


def count_mistakes(evidence: Evidence, variants: Variants) -> list[Mistakes]:
    """Every question that a group of this class was asked, those that most groups got wrong first."""
    counted: dict[str, Mistakes] = {}
    for entry in evidence.groups:
        for stage in entry.stages:
            questions = variants.get(entry.group, {}).get(stage["stage"], [])
            lists = [answers for text in stage["lists"] if len(answers := text.split(",")) == len(questions)]
            for position, question in enumerate(questions):
                shown = question.shown
                row = counted.setdefault(shown.id, Mistakes(shown.id, stage["stage"], shown.text))
                wrong = sum(answers[position] != question.answer for answers in lists)
                row.asked += 1
                row.groups += wrong > 0
                row.lists += wrong
                row.hints += sum(hinted == shown.id for hinted, _ in stage["hints"])
    return sorted(counted.values(), key=lambda row: (-row.groups, -row.lists, -row.hints))
