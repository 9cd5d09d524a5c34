"""A group's own variant of the quiz: its choice of questions, its order of options, its numbers, hence its answers.

Everything is ordered by SHA-256 of a secret, the group and the thing: no random generator, so every machine and every
Python gives the same variant. The secret is the vault's (`Vault.answer_secret`): from the public source alone nobody
can tell a group's orders. All groups' stages are equally hard by the bank's own figures: they ask the same kinds of
questions with the same sum of difficulties, and as many whose answer only a command shows (tag `command`).
"""

import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass

from instructor.quizbank.bank import CHOICE, NAME, NUMBER, SEVERAL, BankQuestion, stage_questions
from instructor.workshop import Workshop
from lab_code.workshop.quiz import Question, canonical_answer, canonical_name, example_answers

COMMAND = "command"  # the tag of a question whose answer stands in no file of a kit, and which a command shows
_MOST_TRIES = 100


@dataclass(frozen=True)
class GroupQuestion:
    """What a group sees, and what it must answer in its canonical spelling; `source` has the group's own numbers."""

    shown: Question
    answer: str
    source: BankQuestion


def make_variant(
    workshop: Workshop, bank: list[BankQuestion], group: str, secret: str
) -> dict[str, list[GroupQuestion]]:
    """The questions of every stage for one group, in the order of their answers."""
    variant = {}
    for stage in workshop.stages:
        shared, number = f"{secret}|{workshop.id}", workshop.groups.index(group)
        key = f"{shared}|{group}"
        chosen = choose_questions(stage_questions(bank, stage.id), stage.questions, f"{key}|{stage.id}")
        tries = (
            [_order(_vary(question, shared, number + n), key + "|again" * n) for question in chosen]
            for n in range(_MOST_TRIES)
        )
        variant[stage.id] = next(asked for asked in tries if not _is_example(asked))
    return variant


def _is_example(questions: list[GroupQuestion]) -> bool:
    """Whether the right answers are those that `lab status` shows as an example: it must open nothing."""
    return ",".join(question.answer for question in questions) == example_answers([q.shown for q in questions])


def make_variants(
    workshop: Workshop, bank: list[BankQuestion], secret: str
) -> dict[str, dict[str, list[GroupQuestion]]]:
    """The questions of all groups."""
    return {group: make_variant(workshop, bank, group, secret) for group in workshop.groups}


def choose_questions(questions: list[BankQuestion], count: int, key: str) -> list[BankQuestion]:
    """`count` of a stage's questions for one group, in the order of the bank.

    The first `count` of the bank are the measure: every group's choice has the same kinds, the same sum of
    difficulties, and as many answers that only a command shows. Among all such choices the key decides.
    """

    def measure(chosen: tuple[BankQuestion, ...]) -> tuple[Counter[tuple[str, bool]], int]:
        kinds = Counter((question.kind, COMMAND in question.tags) for question in chosen)
        return kinds, sum(question.difficulty for question in chosen)

    wanted = measure(tuple(questions[:count]))
    fitting = [chosen for chosen in itertools.combinations(questions, count) if measure(chosen) == wanted]
    return list(min(fitting, key=lambda chosen: _rank(key, "|".join(question.id for question in chosen))))


def order_options(question: BankQuestion, key: str) -> list[str]:
    """All options of a question in the order that `key` gives them."""
    return sorted(question.options, key=lambda option: _rank(key, f"{question.id}|{option}"))


def _vary(question: BankQuestion, key: str, number: int) -> BankQuestion:
    """The question with the values of the group that has this number: one after the other, in the order of the key."""
    if not question.vary:
        return question
    values = sorted(question.vary, key=lambda values: _rank(key, f"{question.id}|{sorted(values.items())}"))
    return question.with_values(values[number % len(values)])


def _order(question: BankQuestion, key: str) -> GroupQuestion:
    options = order_options(question, key)
    shown = Question(question.id, question.kind, question.text, tuple(options), question.look_in, question.hints)
    return GroupQuestion(shown, _answer(question, options), question)


def _answer(question: BankQuestion, options: list[str]) -> str:
    if question.kind == NUMBER:
        return canonical_answer(question.right)
    if question.kind == NAME:
        return canonical_name(question.right)
    assert question.kind in (CHOICE, SEVERAL)
    return "+".join(str(number) for number, option in enumerate(options, 1) if option in question.rights)


def _rank(key: str, thing: str) -> bytes:
    return hashlib.sha256(f"{key}|{thing}".encode()).digest()
