"""The quiz for other programs: Moodle (GIFT and XML), Aiken, Canvas (QTI), jupyterquiz, and a page of its own.

    paths, left_out = export_gift(questions, folder, seed=2026)

Every export takes questions of any stage and kind, and says which it had to leave out because the format knows no such
kind. Options are ordered by SHA-256 of the seed, so the same bank gives the same files. Kahoot's is in `kahoot.py`.
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from text2qti.config import Config
from text2qti.qti import QTI
from text2qti.quiz import Quiz

from instructor.quizbank.bank import CHOICE, NAME, NUMBER, SEVERAL, BankQuestion
from instructor.quizbank.markup import (
    UNWRITABLE,
    fits_aiken,
    to_gift,
    to_gift_html,
    to_html,
    to_jupyterquiz,
    to_markdown,
)
from instructor.quizbank.variants import order_options
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.workshop.mark import draw_mark, mark_of

_PAGE = "quiz_page.html"
_LETTERS = "ABCDEFGHIJ"
_FIXED_DATE = (2020, 1, 1, 0, 0, 0)  # the same questions give the same bytes

Exported = tuple[list[Path], list[str]]  # files, and what the instructor should know
Export = Callable[[list[BankQuestion], Path, int], Exported]


def export_gift(questions: list[BankQuestion], folder: Path, seed: int) -> Exported:
    """Moodle's GIFT: `gift.txt`."""
    return _write(folder / "gift.txt", "\n\n".join(_gift(question, seed) for question in _any(questions)) + "\n")


def _gift(question: BankQuestion, seed: int) -> str:
    options = order_options(question, str(seed))
    if question.kind == NUMBER:
        answers = f"#{question.right}"
    elif question.kind == NAME:
        answers = f"={to_gift(question.right)}"  # compared with what is typed, hence no HTML
    elif question.kind == SEVERAL:
        right, wrong = 100 / len(question.rights), -100 / len(question.wrong)
        shares = [right if option in question.rights else wrong for option in options]
        answers = "\n".join(f"~%{_share(s)}%{to_gift_html(o)}" for s, o in zip(shares, options, strict=True))
    else:
        answers = "\n".join(f"{'=' if o in question.rights else '~'}{to_gift_html(o)}" for o in options)
    feedback = f"####{to_gift_html(question.explanation)}"
    return f"::{to_gift(question.id)}::[html]{to_gift_html(question.text)}{{\n{answers}\n{feedback}\n}}"


def _share(share: float) -> str:
    return f"{share:.5f}".rstrip("0").rstrip(".")


def export_moodle(questions: list[BankQuestion], folder: Path, seed: int) -> Exported:
    """Moodle's XML, which keeps hints as well: `moodle.xml`."""
    root = ElementTree.Element("quiz")
    for question in _any(questions):
        kinds = {NUMBER: "numerical", NAME: "shortanswer"}
        entry = ElementTree.SubElement(root, "question", type=kinds.get(question.kind, "multichoice"))
        _text(ElementTree.SubElement(entry, "name"), question.id)
        _text(ElementTree.SubElement(entry, "questiontext", format="html"), to_html(question.text))
        feedback = ElementTree.SubElement(entry, "generalfeedback", format="html")
        _text(feedback, to_html(question.explanation))
        ElementTree.SubElement(entry, "defaultgrade").text = str(question.difficulty)
        for hint in question.hints:
            _text(ElementTree.SubElement(entry, "hint", format="html"), to_html(hint))
        for name in question.tags:
            tags = entry.find("tags")
            _text(ElementTree.SubElement(ElementTree.SubElement(entry, "tags") if tags is None else tags, "tag"), name)
        if question.kind in (CHOICE, SEVERAL):
            ElementTree.SubElement(entry, "single").text = str(question.kind == CHOICE).lower()
            ElementTree.SubElement(entry, "shuffleanswers").text = "true"
        for option in order_options(question, str(seed)) or [question.right]:
            wrong = -100 / len(question.wrong) if question.kind == SEVERAL else 0
            fraction = 100 / len(question.rights) if option in question.rights else wrong
            plain = question.kind in (NUMBER, NAME)
            form = "plain_text" if plain else "html"
            answer = ElementTree.SubElement(entry, "answer", fraction=_share(fraction), format=form)
            _text(answer, option if plain else to_html(option))
    ElementTree.indent(root)
    return _write(folder / "moodle.xml", ElementTree.tostring(root, "utf-8", xml_declaration=True))


def _text(parent: ElementTree.Element, text: str) -> None:
    ElementTree.SubElement(parent, "text").text = text


def export_aiken(questions: list[BankQuestion], folder: Path, seed: int) -> Exported:
    """Aiken, the plainest format: one right option, no explanation: `aiken.txt`."""
    choices, left_out = _divide(questions, lambda question: question.kind == CHOICE, "Aiken knows only choices")
    able, unfit = _divide(choices, _fits_aiken, "a line of it would be an option, an answer or a formula in Aiken")
    blocks = []
    for question in able:
        options = order_options(question, str(seed))
        lines = [f"{letter}. {option}" for letter, option in zip(_LETTERS, options, strict=False)]
        blocks.append("\n".join([question.text, *lines, f"ANSWER: {_LETTERS[options.index(question.right)]}"]))
    paths, _ = _write(folder / "aiken.txt", "\n\n".join(blocks) + "\n")
    return paths, left_out + unfit


def _fits_aiken(question: BankQuestion) -> bool:
    return fits_aiken(question.text) and all(fits_aiken(f"- {option}") for option in question.options)


def export_canvas(questions: list[BankQuestion], folder: Path, seed: int) -> Exported:
    """QTI 1.2 for Canvas, written by text2qti: `canvas.zip`."""
    able, left_out = _divide(questions, _fits_canvas, "text2qti takes numbers from 0.0001 on, with four decimals")
    seen: dict[str, str] = {}
    for question in able:
        if (first := seen.setdefault(question.text, question.id)) != question.id:
            raise LabError(
                f"questions '{first}' and '{question.id}' have the same text, which Canvas does not take",
                hint="change one of them in quiz/bank.yaml",
            )
    source = "\n\n".join(["Quiz title: Experiment management", *(_text2qti(q, seed) for q in able)])
    package = QTI(Quiz(source, config=Config(), source_name="bank.yaml")).zip_bytes()
    fixed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as given, zipfile.ZipFile(fixed, "w") as target:
        for name in given.namelist():
            target.writestr(zipfile.ZipInfo(name, _FIXED_DATE), given.read(name), zipfile.ZIP_DEFLATED)
    paths, _ = _write(folder / "canvas.zip", fixed.getvalue())
    return paths, left_out


def _fits_canvas(question: BankQuestion) -> bool:
    if question.kind != NUMBER:
        return True
    number = float(question.right)
    return abs(number) >= 1e-4 and number == round(number, 4)


def _text2qti(question: BankQuestion, seed: int) -> str:
    lines = [f"Title: {question.id}", f"1. {to_markdown(question.text)}"]
    lines.append(f"... {to_markdown(question.explanation)}")
    if question.kind == NUMBER:
        margin = "" if question.right.lstrip("-").isdigit() else " +- 0"  # text2qti knows no other exact fraction
        return "\n".join([*lines, f"= {question.right}{margin}"])
    if question.kind == NAME:
        return "\n".join([*lines, f"* {question.right}"])  # typed, hence no Markdown
    for letter, option in zip(_LETTERS.lower(), order_options(question, str(seed)), strict=False):
        right = option in question.rights
        mark = f"[{'*' if right else ' '}]" if question.kind == SEVERAL else f"{'*' if right else ''}{letter})"
        lines.append(f"{mark} {to_markdown(option)}")
    return "\n".join(lines)


def export_jupyterquiz(questions: list[BankQuestion], folder: Path, seed: int) -> Exported:
    """A JSON list for the package jupyterquiz, whose readers can see the answers: `jupyterquiz.json`."""
    entries = []
    for question in _any(questions):
        why, text = to_jupyterquiz(question.explanation), to_jupyterquiz(question.text)
        if question.kind == NUMBER:
            value = int(question.right) if question.right.lstrip("-").isdigit() else float(question.right)
            answers = [{"type": "value", "value": value, "correct": True, "feedback": why}]
            entries.append({"question": text, "type": "numeric", "answers": answers})
        elif question.kind == NAME:
            given = [{"answer": question.right, "correct": True, "match_case": False, "feedback": why}]
            entries.append({"question": text, "type": "string", "answers": given})
        else:
            options = order_options(question, str(seed))
            clue = to_jupyterquiz(question.hints[0])
            listed = [{"answer": to_jupyterquiz(o), "correct": o in question.rights} for o in options]
            listed = [{**entry, "feedback": why if entry["correct"] else clue} for entry in listed]
            kind = "many_choice" if question.kind == SEVERAL else "multiple_choice"
            entries.append({"question": text, "type": kind, "answers": listed})
    return _write(folder / "jupyterquiz.json", to_json(entries))


def export_page(
    questions: list[BankQuestion], folder: Path, seed: int, groups: Sequence[str] = (), title: str = "Quiz"
) -> Exported:
    """One page that needs no internet, for a room: `quiz.html`. Count-down, reveal, scores of the groups, podium.

    What it saves at the end is read by `instructor kahoot results` as a report of Kahoot is.
    """
    able, left_out = _divide(
        questions, lambda question: question.kind in (CHOICE, SEVERAL), "the page shows options, and this has none"
    )
    shown = [
        {
            "text": question.text,
            "options": order_options(question, str(seed)),
            "right": [order_options(question, str(seed)).index(right) for right in question.rights],
            "explanation": question.explanation,
            "seconds": question.time_limit_s,
        }
        for question in able
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    # Inside <script> nothing is unescaped by HTML, so only what could end the element must not stand there.
    told = {
        "questions": shown,
        "groups": [{"name": name, "mark": draw_mark(mark_of(number), 1.5)} for number, name in enumerate(groups, 1)],
        "about": f"{len(shown)} questions. Each group answers together.",
    }
    data = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")
    paths, _ = _write(folder / "quiz.html", environment.get_template(_PAGE).render(data=data, title=title))
    return paths, left_out


EXPORTS: dict[str, Export] = {
    "gift": export_gift,
    "moodle": export_moodle,
    "aiken": export_aiken,
    "canvas": export_canvas,
    "jupyterquiz": export_jupyterquiz,
    "page": export_page,
}


def _any(questions: list[BankQuestion]) -> list[BankQuestion]:
    """Questions with the first of their values in place. Raises `LabError` for none, and for what cannot be written."""
    if not questions:
        raise LabError("there is no question to export", hint="name a stage that has some, or all")
    filled = [question.with_values(question.vary[0]) if question.vary else question for question in questions]
    refused = [f"'{q.id}' ({text!a})" for q in filled for text in q.texts if UNWRITABLE.search(text)]
    if refused:
        found = f"a line break or a control character is in question {', '.join(refused)}"
        raise LabError(found, hint="remove it in quiz/bank.yaml")
    return filled


def _divide(
    questions: list[BankQuestion], able: Callable[[BankQuestion], bool], reason: str
) -> tuple[list[BankQuestion], list[str]]:
    ready = _any(questions)
    taken = [question for question in ready if able(question)]
    if not taken:
        raise LabError(f"none of the questions can be exported: {reason}", hint="choose another format")
    return taken, [f"question '{q.id}' is left out: {reason}" for q in ready if not able(q)]


def _write(path: Path, content: str | bytes) -> Exported:
    write_whole(path, content)
    return [path], []
