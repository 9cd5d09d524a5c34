"""The bank of questions, `quiz/bank.yaml`: answers resolved from the code, and every check that a question must pass.

`load_bank(workshop)` returns every question with its right answer as text. A question says either `answer:` or
`answer_from:`; the second is looked up in the code and the configuration each time (`facts.py`), so a changed default
changes the key instead of leaving a wrong one. All mistakes of the file are reported together.
"""

import difflib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from instructor.quizbank.facts import CodeFacts, fill_source
from instructor.quizbank.markup import UNWRITABLE
from instructor.quizbank.networks import NetworkLab
from instructor.quizbank.schema import CHOICE, NAME, NUMBER, SEVERAL, BankEntry, Mistake, read_bank, refuse
from instructor.workshop import PROJECT, Workshop
from lab_code.errors import LabError
from lab_code.workshop.quiz import canonical_answer, canonical_name

__all__ = ["BANK_FILE", "CHOICE", "KAHOOT", "NAME", "NUMBER", "SEVERAL", "BankQuestion", "load_bank", "stage_questions"]

BANK_FILE = PROJECT / "quiz" / "bank.yaml"
_BANK = Path("quiz", "bank.yaml")  # in the folder of a workshop
KAHOOT = "kahoot"
_MOST_WRONG = 5
_TOO_SIMILAR = 0.92  # of difflib's ratio: such options differ by a letter or two
_FEWEST_LETTERS = 3  # a shorter answer may stand in its question by chance
_PLACE = re.compile(r"\{\s*([\w-]+)\s*\}")
_POSITION = re.compile(
    r"\b(all|none|any|both|neither|either) of (the|these|them|those)\b|\b(options?|answers?|the|as) (above|below)\b"
    r"|\b(options?|answers?) [a-d1-4]\b|^(all|none|both|neither)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class BankQuestion:
    """A question with its right answers known: one, or for `several` more. `wrong` is empty for number and name.

    `vary` are the values that a group may find in the places `{name}` of the texts; the first are those of the bank.
    """

    id: str
    stage: str
    kind: str
    text: str
    rights: tuple[str, ...]
    wrong: tuple[str, ...]
    look_in: str
    explanation: str
    hints: tuple[str, ...]
    time_limit_s: int
    difficulty: int
    tags: tuple[str, ...] = ()
    vary: tuple[dict[str, str], ...] = field(default=(), hash=False)
    from_code: bool = False  # whether the code says the answer, and not a person

    @property
    def right(self) -> str:
        """The one right answer of every kind but `several`."""
        return self.rights[0]

    @property
    def options(self) -> tuple[str, ...]:
        """All options in no particular order; empty where the answer is typed."""
        return (*self.rights, *self.wrong) if self.kind in (CHOICE, SEVERAL) else ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that people read of the question."""
        return (self.text, *self.rights, *self.wrong, *self.hints, self.explanation, *self.tags)

    def with_values(self, values: dict[str, str]) -> "BankQuestion":
        """The same question with other values in its texts and its answer."""

        def fill(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(_fill(text, values) for text in texts)

        text, explanation = fill((self.text, self.explanation))
        rights, wrong, hints = fill(self.rights), fill(self.wrong), fill(self.hints)
        return replace(self, text=text, explanation=explanation, vary=(), rights=rights, wrong=wrong, hints=hints)


def load_bank(
    workshop: Workshop,
    path: Path | None = None,
    project: Path | None = None,
    data: Path | None = None,
    build: Path | None = None,
) -> list[BankQuestion]:
    """Read, resolve and check the bank, `path` or the one of the workshop's folder.

    `data` is the folder of the kits' photographs, where they are prepared already.

    What takes long to find out is kept in `build`. Raises `LabError` that lists every mistake with line, question, what
    was found and the fix.
    """
    return load_bank_with_notes(workshop, path, project, data, build)[0]


def load_bank_with_notes(
    workshop: Workshop,
    path: Path | None = None,
    project: Path | None = None,
    data: Path | None = None,
    build: Path | None = None,
) -> tuple[list[BankQuestion], list[str]]:
    """As `load_bank`, and which questions were set aside, because a stage was removed from the workshop."""
    project = project or workshop.home
    path = path or (project / _BANK if (project / _BANK).is_file() else BANK_FILE)
    written = read_bank(path)
    stages = [stage.id for stage in workshop.stages]
    removed = _find_removed(project, stages)
    networks = NetworkLab(build)
    facts = CodeFacts(project, stages, workshop.data, data, networks)
    all_facts = CodeFacts(project, [*removed, *stages], workshop.data, data, networks)
    questions: list[BankQuestion] = []
    mistakes: list[Mistake] = []
    aside: dict[str, list[str]] = {}
    with closing(networks):
        for entry in written.entries:
            if entry.stage in removed:
                aside.setdefault(entry.stage, []).append(entry.id)
                continue
            question, problems = _try_entry(entry, facts, [*stages, KAHOOT])
            if problems and removed and not _try_entry(entry, all_facts, [*stages, KAHOOT])[1]:
                aside.setdefault(entry.stage, []).append(entry.id)
            elif problems:
                mistakes += [Mistake(written.lines[entry.id], entry.id, *problem) for problem in problems]
            elif question is not None:
                questions.append(question)
    if mistakes:
        raise refuse(path, mistakes)
    for stage in workshop.stages:
        count = len(stage_questions(questions, stage.id))
        if count < stage.questions:
            reason = (
                f" without {', '.join(aside[stage.id])}, which ask about removed stages" if stage.id in aside else ""
            )
            raise LabError(
                f"{path}: stage '{stage.id}' asks {stage.questions} questions, but the bank has {count}{reason}",
                hint="write more questions for it, or lower stages.questions in instructor/workshop.yaml",
            )
    return questions, [_explain_aside(stage, ids, stages) for stage, ids in aside.items()]


def _find_removed(project: Path, stages: list[str]) -> list[str]:
    """Stages that the project has files for, but the workshop does not use."""
    folders = sorted(folder.name for folder in (project / "locked").glob("*") if folder.is_dir())
    return [name for name in folders if name not in stages and not name.startswith((".", "_"))]


def _explain_aside(stage: str, ids: list[str], stages: list[str]) -> str:
    if stage not in stages:
        return f"the workshop has no stage '{stage}': its {len(ids)} questions are set aside"
    return f"set aside, because they ask about stages that the workshop does not have: {', '.join(ids)}"


def _try_entry(
    entry: BankEntry, facts: CodeFacts, stages: list[str]
) -> tuple[BankQuestion | None, list[tuple[str, str]]]:
    """The question that an entry makes, or what is wrong with it and how to put it right."""
    try:
        question = _resolve(entry, facts, stages)
    except LabError as error:
        return None, [(" ".join(error.message.split()), error.hint or "look at the question again")]
    versions = [question.with_values(values) for values in question.vary or ({},)]
    return question, list(dict.fromkeys(problem for each in versions for problem in check_question(each, facts)))


def stage_questions(questions: list[BankQuestion], stage: str) -> list[BankQuestion]:
    """The questions of a stage (or `kahoot`), in the order of the bank."""
    return [question for question in questions if question.stage == stage]


def check_question(question: BankQuestion, facts: CodeFacts) -> Iterator[tuple[str, str]]:
    """What is wrong with a question, and the fix."""
    yield from _check_options(question)
    yield from _check_leaks(question)
    if question.stage != KAHOOT and question.look_in not in facts.visible_before(question.stage):
        near = difflib.get_close_matches(question.look_in, facts.visible_before(question.stage), 1, 0.3)
        such = f", such as {near[0]}" if near else ""
        yield f"look_in names '{question.look_in}', which a group cannot see yet", f"name a file of its kit{such}"
    if question.kind == NAME and not facts.is_unique_name(question.right):
        yield f"'{question.right}' is the name of several things", "ask for one whose name is there once"
    for text in question.texts:
        if "\n" in text:
            yield f"a text has a line break: {text!a}", "write it with `>-`, which joins its lines"
        elif UNWRITABLE.search(text):
            yield f"a text has a control character: {text!a}", "remove it: no other program can show it"


def _check_options(question: BankQuestion) -> Iterator[tuple[str, str]]:
    options = question.options
    spelt = [_spelling(option) for option in options]
    for index, option in enumerate(options):
        if spelt[index] in spelt[:index]:
            if option in question.wrong and spelt[index] in [_spelling(right) for right in question.rights]:
                yield _explain_both(option, question)
            else:
                yield f"two options are the same: '{option}'", "change one of them"
        for other in options[:index]:
            if _looks_like(option, other) and _spelling(option) != _spelling(other):
                yield f"the options '{other}' and '{option}' are too similar", "make them differ by more than a letter"
        if _POSITION.search(option):
            fix = "every group sees another order: write the option so that it stands anywhere"
            yield f"the option '{option}' speaks of other options or their place", fix


def _explain_both(option: str, question: BankQuestion) -> tuple[str, str]:
    if question.from_code:
        return f"the wrong option '{option}' is the right answer now", "the code has changed; edit `wrong`"
    return f"the option '{option}' is in `answer` and in `wrong`", "remove it from one of them"


def _check_leaks(question: BankQuestion) -> Iterator[tuple[str, str]]:
    if all(_holds(question.text, option) for option in question.options) and question.options:
        return  # a question of the form "A or B?"
    for right in question.rights:
        if _holds(question.text, right):
            yield f"the answer '{right}' stands in the question", "ask without saying it"
        for hint in question.hints:
            if _holds(hint, right) and not all(_holds(hint, option) for option in question.options or (right, "\0")):
                yield f"the answer '{right}' stands in the hint '{hint}'", "say where to look instead"


def _holds(text: str, answer: str) -> bool:
    if len(answer) < _FEWEST_LETTERS and not (answer.isdigit() and len(answer) > 1):
        return False
    return re.search(rf"(?<![\w.]){re.escape(answer.lower())}(?![\w]|\.\d)", text.lower()) is not None


def _spelling(option: str) -> str:
    """What two options must differ in: 0.5 and 0.50 are the same."""
    try:
        return canonical_answer(option)
    except LabError:
        return " ".join(option.lower().split())


def _looks_like(one: str, other: str) -> bool:
    if re.search(r"\d", one + other):  # one digit may be the whole point
        return False
    return " " in one and difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio() > _TOO_SIMILAR


def _resolve(entry: BankEntry, facts: CodeFacts, stages: list[str]) -> BankQuestion:
    """Raises `LabError` with the problem as its message and the fix as its hint."""
    _check_entry(entry, stages)
    _check_places(entry)
    from_code, entry = bool(entry.answer_from), _answer_each(entry, facts)
    rights: tuple[str, ...]
    if entry.answer is None:
        rights = (facts.resolve(entry.answer_from),)
    else:
        rights = tuple(entry.answer) if isinstance(entry.answer, list) else (entry.answer,)
    question = BankQuestion(
        entry.id, entry.stage, entry.kind, entry.text, rights, tuple(entry.wrong), entry.look_in, entry.explanation,
        tuple(entry.hints), entry.time_limit_s, entry.difficulty, tuple(entry.tags), tuple(entry.vary), from_code,
    )  # fmt: skip
    if entry.kind == NUMBER:
        for values in entry.vary:
            canonical_answer(question.with_values(values).right)
        if not entry.vary:
            question = replace(question, rights=(canonical_answer(question.right),))
    return question


def _check_places(entry: BankEntry) -> None:
    """Raise `LabError` for a place {name} without a value, and for values that change nothing."""
    answers = entry.answer if isinstance(entry.answer, list) else [entry.answer or ""]
    texts = [entry.text, entry.explanation, *entry.hints, *entry.wrong, *answers, *entry.answer_from.values()]
    looked_up = {"answer": ""} if entry.vary and entry.answer_from else {}  # which `_answer_each` adds
    for number, values in enumerate(entry.vary or [{}], 1):
        missing = [name for text in texts for name in _PLACE.findall(_fill(text, {**values, **looked_up}))]
        if missing and entry.vary:
            where = f"entry {number} of `vary` has no value for {{{missing[0]}}}"
            raise LabError(where, hint="give it in every entry, spelt alike and without blanks in the brackets")
        if missing:
            fix = "give its values under `vary`; if the curly brackets are meant, write round ones"
            raise LabError(f"there is a place {{{missing[0]}}}, but no value for it", hint=fix)
        unused = [name for name in values if not any(f"{{{name}}}" in text for text in texts)]
        if unused:
            raise LabError(
                f"entry {number} of `vary` has a value for {{{unused[0]}}}, which stands nowhere",
                hint=f"write {{{unused[0]}}} where it belongs, or remove the value",
            )
        if values in entry.vary[: number - 1]:
            first = entry.vary.index(values) + 1
            raise LabError(
                f"the entries {first} and {number} of `vary` are the same", hint="change one, so that groups differ"
            )


def _answer_each(entry: BankEntry, facts: CodeFacts) -> BankEntry:
    """Where both `vary` and `answer_from` are given, the answer is looked up for every group's values."""
    if not (entry.vary and entry.answer_from):
        return entry
    vary = [{**values, "answer": facts.resolve(fill_source(entry.answer_from, values))} for values in entry.vary]
    return entry.model_copy(update={"vary": vary, "answer": "{answer}", "answer_from": {}})


def _check_entry(entry: BankEntry, stages: list[str]) -> None:
    if entry.stage not in stages:
        near = difflib.get_close_matches(entry.stage, stages, 1)
        meant = f"did you mean '{near[0]}'? " if near else ""
        raise LabError(f"there is no stage '{entry.stage}'", hint=f"{meant}stages: {', '.join(stages)}")
    if (entry.answer is None) == (not entry.answer_from):
        found = "neither `answer` nor `answer_from`"
        if entry.answer_from:
            found = f"both `answer: {entry.answer}` and `answer_from: {entry.answer_from}`"
        raise LabError(f"has {found}", hint="write exactly one of them")
    if isinstance(entry.answer, list) != (entry.kind == SEVERAL):
        raise LabError(
            f"the answer of kind '{entry.kind}' is {_shown(entry.answer)}",
            hint="only kind: several has a list of answers",
        )
    if entry.kind in (NUMBER, NAME) and entry.wrong:
        found = f"a {entry.kind} question has the wrong options {', '.join(map(repr, entry.wrong))}"
        raise LabError(found, hint="remove `wrong`, or set kind: choice")
    most = 3 if entry.kind == CHOICE else _MOST_WRONG
    if entry.kind in (CHOICE, SEVERAL) and not 1 <= len(entry.wrong) <= most:
        listed = f": {', '.join(map(repr, entry.wrong))}" if entry.wrong else ""
        raise LabError(f"has {len(entry.wrong)} wrong options{listed}", hint=f"write one to {most} under `wrong`")
    if entry.stage == KAHOOT and entry.kind != CHOICE:
        raise LabError(f"kind is '{entry.kind}', but Kahoot shows two to four options", hint="set kind: choice")
    if entry.kind == NAME and entry.answer is not None:
        canonical_name(str(entry.answer))


def _shown(answer: str | list[str] | None) -> str:
    if not isinstance(answer, list):
        return f"'{answer}', which is no list"
    return f"the list {', '.join(map(repr, answer))}" if answer else "an empty list"


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
