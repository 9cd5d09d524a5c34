"""A group's own variant of the quiz: the same questions, its own order of options, hence its own answers.

Options are ordered by SHA-256 of the workshop's seed, the group, the question and the option: no random generator,
so every machine and every Python gives the same order.
"""

import hashlib
from dataclasses import dataclass

from instructor.quizbank.bank import NUMBER, BankQuestion, stage_questions
from instructor.workshop import Workshop
from lab_code.workshop.quiz import Question, example_answers

_MOST_TRIES = 100


@dataclass(frozen=True)
class GroupQuestion:
    """What a group sees, and what it must answer (an option's number, or the number itself)."""

    shown: Question
    answer: str
    source: BankQuestion


def make_variant(workshop: Workshop, bank: list[BankQuestion], group: str) -> dict[str, list[GroupQuestion]]:
    """The questions of every stage for one group, in the order of their answers."""
    variant = {}
    for stage in workshop.stages:
        asked, key = stage_questions(bank, stage.id)[: stage.questions], f"{workshop.seed}|{workshop.id}|{group}"
        tries = ([_vary(question, key + "|again" * n) for question in asked] for n in range(_MOST_TRIES))
        example = example_answers(stage.questions).split(",")  # which stands in every --help, so it must open nothing
        variant[stage.id] = next(t for t in tries if [question.answer for question in t] != example)
    return variant


def make_variants(workshop: Workshop, bank: list[BankQuestion]) -> dict[str, dict[str, list[GroupQuestion]]]:
    """The questions of all groups."""
    return {group: make_variant(workshop, bank, group) for group in workshop.groups}


def order_options(question: BankQuestion, key: str) -> list[str]:
    """All options of a question in the order that `key` gives them."""
    return sorted(
        (question.right, *question.wrong),
        key=lambda option: hashlib.sha256(f"{key}|{question.id}|{option}".encode()).digest(),
    )


def _vary(question: BankQuestion, key: str) -> GroupQuestion:
    if question.kind == NUMBER:
        return GroupQuestion(
            Question(question.id, question.text, (), question.look_in, question.hints), question.right, question
        )
    options = order_options(question, key)
    shown = Question(question.id, question.text, tuple(options), question.look_in, question.hints)
    return GroupQuestion(shown, str(options.index(question.right) + 1), question)
