"""Every export read back by a reader that is not its writer: nothing of a question is lost or changed on the way."""

import io
import json
import re
import warnings
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.dom import minidom

import pytest

from instructor.cli import app as cli
from instructor.cli.prepare import FORMATS
from instructor.quizbank.bank import CHOICE, KAHOOT, NAME, NUMBER, SEVERAL, BankQuestion, load_bank, stage_questions
from instructor.quizbank.exports import (
    EXPORTS,
    export_aiken,
    export_canvas,
    export_gift,
    export_jupyterquiz,
    export_moodle,
    export_page,
)
from instructor.workshop import read_workshop
from lab_code.errors import LabError

with warnings.catch_warnings():  # the one parser of GIFT there is asks for the locale in an old way
    warnings.simplefilter("ignore", DeprecationWarning)
    from pygiftparser import parser as gift

SEED = 7
ODD = [
    "=1+1", "a, b; c", 'say "hi" and \'no\'', "~ = # { } : \\ end", "<b>bold</b> & &amp; <script>", "🦉🇩🇪 👩‍🔬",
    "مرحبا بالعالم", "`code_with_underscores` *stars* [x](y) $z$ ^2^", "A. not a letter", "1. not a list",
    "ANSWER: B", "x" * 300, "50 % of 3 / 4 - 1", "- dash", "Zürich naïve Ω ≤ ∞", "%20% of it", "~%20% of it",
    "~%-5.5% x", "[html] x", "[markdown] **x**", "$$x$$ is $y$", "\\(x\\) and \\[y\\]", "\\begin{equation}",
    "a -> b", "&&061; &&010", "C:\\new\\table", "]]> <![CDATA[x]]>", "&#36; &lt; &amp;lt;", "<http://x.org>",
    "[x](javascript:alert)", "</script><!-- -->", "a < b > c", "<img src=x onerror=alert(1)>",
    "```{.python .run}", "GROUP", "END_GROUP", "COMMENT", "* x", "+ x", "! x", "Title: x", "{T}", "{=x}",
    "#### x", "// comment", "$CATEGORY: x", "A) x", "a. x", "answer: b", "@SUM(A1)", "x;=1", "_x0041_", "1) x",
    ": x", "TRUE", "T", "#3:1", "%", "[", "$", "\\", "::x::", "costs $5 or $6", "a  b",
]  # fmt: skip


def make(
    kind: str = CHOICE, rights: tuple[str, ...] = ("yes it is",), wrong: tuple[str, ...] = ("no it is not",), **texts
) -> BankQuestion:
    values = {"id": "q-1", "text": "What is it?", "explanation": "Because.", "hints": ("Look.",), **texts}
    return BankQuestion(
        values["id"], "s", kind, values["text"], rights, wrong, "x.py", values["explanation"], values["hints"], 30, 2,
        ("tag",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def bank() -> list[BankQuestion]:
    return load_bank(read_workshop())


def odd_choices() -> list[BankQuestion]:
    return [
        make(id=f"odd-{n}", text=f"{odd} ?", rights=(f"{odd} r",), wrong=(f"{odd} w", "plain"), explanation=odd)
        for n, odd in enumerate(ODD)
    ]


class Reader(HTMLParser):
    """What a browser makes of a piece of HTML: the texts between its elements, and which elements there are."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.nodes: list[str] = []
        self.tags: set[str] = set()
        self.feed(markup)
        self.close()
        self.text = "".join(self.nodes)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.nodes.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def shown(markup: str) -> str:
    """The text that people see; nothing of it is markup, and MathJax of Moodle and Canvas finds nothing in it."""
    read = Reader(markup)
    assert read.tags <= {"span", "p"}
    assert not [node for node in read.nodes if re.search(r"\$\$|\\[(\[]|\\begin", node)]
    return read.text


def test_gift_is_read_back_by_a_parser_of_gift(tmp_path: Path) -> None:
    questions = [q for q in odd_choices() if not re.search(r"\\|\}$", q.explanation)]  # which this parser does not know
    (path,), notes = export_gift(questions, tmp_path, SEED)
    with path.open(encoding="utf-8") as file:
        read = gift.parseFile(file)
    assert not notes and len(read) == len(questions) and all(back.valid for back in read)
    for question, back in zip(questions, read, strict=True):
        answers = {shown(unescape_gift(option.answer)): option.fraction for option in back.answers.answers}
        assert (back.title, shown(unescape_gift(back.text))) == (question.id, question.text)
        assert shown(unescape_gift(back.generalFeedback)) == question.explanation
        assert answers == {question.right: 100, **dict.fromkeys(question.wrong, 0)}


def unescape_gift(text: str) -> str:
    return re.sub(r"\\([\\~=#{}:])", r"\1", text.strip())


_HIDDEN = {
    f"\\{sign}": chr(0xE000 + n) for n, sign in enumerate("\\:#={}~n")
}  # Moodle's escapes; `\\n` is a line break


def read_as_moodle(block: str) -> tuple[str, list[tuple[float, str]], str]:
    """One multiple choice in GIFT as Moodle's qformat_gift reads it: its escapes first, then its signs, then HTML."""
    for escape, hidden in _HIDDEN.items():
        block = block.replace(escape, hidden)
    head, _, rest = block.partition("{")
    body, _, tail = rest.rpartition("}")
    assert "{" not in body and "}" not in body and tail == ""
    assert "=" not in body or "->" not in body  # else it is a matching question
    _, title, text = head.split("::", 2)
    body, _, feedback = body.partition("####")
    answers = []
    for answer in body.replace("=", "~=").split("~")[1:]:
        answer = answer.strip()
        weight = re.match(r"%(-*[0-9]{1,2}\.?[0-9]*)%", answer)
        share = 100.0 if answer[0] == "=" else float(weight[1]) if weight else 0.0
        answer = answer[1:] if answer[0] == "=" else answer[weight.end() :] if weight else answer
        assert "#" not in answer and not re.match(r"\[\w+\]", answer)
        answers.append((share, shown(reveal(answer))))
    assert text.startswith("[html]") and title == "q-1"
    return shown(reveal(text.removeprefix("[html]"))), answers, shown(reveal(feedback.strip()))


def reveal(text: str) -> str:
    for escape, hidden in _HIDDEN.items():
        text = text.replace(hidden, "\n" if escape == "\\n" else escape[1])
    return text


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", [CHOICE, SEVERAL])
def test_gift_is_read_back_as_moodle_reads_it(tmp_path: Path, odd: str, kind: str) -> None:
    rights, wrong = (odd, "b") if kind == SEVERAL else (odd,), (f"{odd} w", "plain")
    (path,), _ = export_gift([make(kind, rights, wrong, text=odd, explanation=odd)], tmp_path, SEED)
    text, answers, feedback = read_as_moodle(path.read_text(encoding="utf-8").strip())
    assert (text, feedback) == (odd, odd)
    assert {answer for share, answer in answers if share > 0} == set(rights)
    assert {answer for share, answer in answers if share <= 0} == set(wrong)


def test_a_backslash_in_gift_is_escaped(tmp_path: Path) -> None:
    (path,), _ = export_gift([make(text="C:\\x = {1}?")], tmp_path, SEED)
    assert "C\\:\\\\x \\= \\{1\\}?{" in path.read_text(encoding="utf-8")


def test_gift_knows_all_kinds(tmp_path: Path) -> None:
    kinds = [
        make(SEVERAL, ("a1", "b1"), ("c1", "d1", "e1")),
        make(NUMBER, ("0.25",), (), id="n"),
        make(NAME, ("trainer.py",), (), id="t"),
    ]
    text = export_gift(kinds, tmp_path, SEED)[0][0].read_text(encoding="utf-8")
    assert text.count("~%50%") == 2 and text.count("~%-33.33333%") == 3
    assert "{\n#0.25\n####Because.\n}" in text and "{\n=trainer.py\n####Because.\n}" in text


def read_moodle(path: Path) -> list[dict]:
    def text_of(node, name: str) -> list[str]:
        return [
            "".join(child.data for child in t.childNodes)
            for part in node.getElementsByTagName(name)
            for t in part.getElementsByTagName("text")
        ]

    return [
        {
            "type": node.getAttribute("type"),
            "id": text_of(node, "name")[0],
            "text": shown(text_of(node, "questiontext")[0]),
            "why": shown(text_of(node, "generalfeedback")[0]),
            "hints": [shown(hint) for hint in text_of(node, "hint")],
            "answers": {
                shown(text) if answer.getAttribute("format") == "html" else text: float(answer.getAttribute("fraction"))
                for answer, text in zip(node.getElementsByTagName("answer"), text_of(node, "answer"), strict=True)
            },
        }
        for node in minidom.parse(str(path)).getElementsByTagName("question")
    ]


def test_moodle_xml_is_read_back_by_another_parser(tmp_path: Path) -> None:
    questions = odd_choices()
    read = read_moodle(export_moodle(questions, tmp_path, SEED)[0][0])
    for question, back in zip(questions, read, strict=True):
        assert (back["id"], back["text"], back["why"]) == (question.id, question.text, question.explanation)
        assert back["answers"] == {question.right: 100.0, **dict.fromkeys(question.wrong, 0.0)}
        assert back["hints"] == list(question.hints)


def test_the_whole_bank_survives_moodle(tmp_path: Path, bank: list[BankQuestion]) -> None:
    read = {entry["id"]: entry for entry in read_moodle(export_moodle(bank, tmp_path, SEED)[0][0])}
    kinds = {CHOICE: "multichoice", SEVERAL: "multichoice", NUMBER: "numerical", NAME: "shortanswer"}
    for question in bank:
        back = read[question.id]
        filled = question.with_values(question.vary[0]) if question.vary else question
        assert back["type"] == kinds[question.kind] and back["text"] == filled.text
        assert {text for text, share in back["answers"].items() if share > 0} == set(filled.rights)
        assert sum(share for share in back["answers"].values() if share > 0) == pytest.approx(100, abs=0.01)


def test_aiken_has_one_letter_an_option_and_leaves_out_what_it_cannot_say(
    tmp_path: Path, bank: list[BankQuestion]
) -> None:
    (path,), left_out = export_aiken(bank, tmp_path, SEED)
    choices = [question for question in bank if question.kind == CHOICE]
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    assert len(blocks) == len(choices) and len(left_out) == len(bank) - len(choices)
    for question, block in zip(choices, blocks, strict=True):
        text, *options, answer = block.splitlines()
        assert text == question.text
        letters = dict(option.split(". ", 1) for option in options)
        assert letters[answer.removeprefix("ANSWER: ")] == question.right
        assert set(letters.values()) == set(question.options)


def read_aiken(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As Moodle's qformat_aiken reads it, line by line."""
    read, asked, options = [], "", {}
    for line in (line.strip() for line in re.split(r"\r\n|\r|\n", text)):
        if re.match(r"[A-Z][).][ \t]", line):
            options[line[0]] = line[2:].strip()
        elif line.startswith("ANSWER:"):
            read.append((asked, options, options[line[7:].strip()]))
            asked, options = "", {}
        else:
            asked += line
    return read


def test_aiken_is_read_back_and_what_looks_like_its_own_lines_is_left_out_by_name(tmp_path: Path) -> None:
    questions = [make(id=f"odd-{n}", text=odd, rights=(f"{odd} r",), wrong=(f"{odd} w",)) for n, odd in enumerate(ODD)]
    (path,), notes = export_aiken(questions, tmp_path, SEED)
    left_out = [question for question in questions if f"question '{question.id}' is left out" in " ".join(notes)]
    own = {
        "A. not a letter",
        "ANSWER: B",
        "A) x",
        "a. x",
        "answer: b",
        "$$x$$ is $y$",
        r"\(x\) and \[y\]",
        r"\begin{equation}",
    }
    assert {question.text for question in left_out} == own
    expected = [(q.text, set(q.options), q.right) for q in questions if q not in left_out]
    read = [
        (text, set(options.values()), right) for text, options, right in read_aiken(path.read_text(encoding="utf-8"))
    ]
    assert read == expected


UNFIT = [
    "two\nlines",
    "a\rb",
    "tab\tin it",
    "nul\0",
    "bell\a",
    "esc\x1b[31m",
    "\x7f",
    "\x85",
    "a\u2028b",
    "\ufffe",
    "\ud800",
]


@pytest.mark.parametrize("name", EXPORTS)
def test_what_no_program_can_write_is_refused_with_the_questions_id(tmp_path: Path, name: str) -> None:
    for unfit in UNFIT:
        for change in (
            {"text": unfit},
            {"explanation": unfit},
            {"rights": (unfit,)},
            {"wrong": (unfit, "b")},
            {"hints": (unfit,)},
        ):
            with pytest.raises(LabError, match="control character is in question 'q-7'") as caught:
                EXPORTS[name]([make(), make(id="q-7", **{"text": "Why?", **change})], tmp_path, SEED)
            assert "\n" not in caught.value.message and "\x1b" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "fits"), [("3", True), ("-3", True), ("0.25", True), ("0", False), ("0.12345", False)]
)
def test_canvas_takes_exact_numbers_or_says_that_it_cannot(tmp_path: Path, number: str, fits: bool) -> None:
    (path,), notes = export_canvas([make(), make(NUMBER, (number,), (), id="n", text="How many?")], tmp_path, SEED)
    assert notes == (
        [] if fits else ["question 'n' is left out: text2qti takes numbers from 0.0001 on, with four decimals"]
    )
    with zipfile.ZipFile(path) as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".xml"))
    given = {float(value) for value in re.findall(r"<var(?:equal|gte|lte) respident=\"response1\">([-.\d]+)<", text)}
    assert given >= {float(number)} if fits else float(number) not in given


def plain(markup: str) -> str:
    """The text of a piece of QTI: HTML in XML."""
    return " ".join(shown(markup).split())


def read_canvas(path: Path) -> list[tuple[str, str, dict[str, str], set[str]]]:
    with zipfile.ZipFile(path) as archive:
        names = [
            name for name in archive.namelist() if re.fullmatch(r".*text2qti_assessment_[^/]*(?<!meta)\.xml", name)
        ]
        document = minidom.parseString(archive.read(next(n for n in archive.namelist() if n in names and "/" in n)))
    items = []
    for item in document.getElementsByTagName("item"):
        presentation = item.getElementsByTagName("presentation")[0]
        text = presentation.getElementsByTagName("mattext")[0].firstChild.data
        labels = {
            label.getAttribute("ident"): plain(label.getElementsByTagName("mattext")[0].firstChild.data)
            for label in item.getElementsByTagName("response_label")
            if label.getElementsByTagName("mattext")  # not the field of a typed answer
        }
        right = {
            value.firstChild.data
            for value in item.getElementsByTagName("varequal")
            if value.parentNode.tagName != "not"
        }
        items.append((item.getAttribute("title"), plain(text), labels, right))
    return items


def test_the_canvas_package_is_read_back_as_xml(tmp_path: Path, bank: list[BankQuestion]) -> None:
    questions = [*bank, *odd_choices()]
    items = read_canvas(export_canvas(questions, tmp_path, SEED)[0][0])
    assert len(items) == len(questions)
    for question, (title, text, labels, right) in zip(questions, items, strict=True):
        filled = question.with_values(question.vary[0]) if question.vary else question
        assert (title, text) == (question.id, " ".join(filled.text.split()))
        if question.kind in (CHOICE, SEVERAL):
            assert set(labels.values()) == {" ".join(option.split()) for option in filled.options}
            assert {labels[ident] for ident in right} == {" ".join(r.split()) for r in filled.rights}
        elif question.kind == NAME:
            assert right == {filled.right}


def test_exports_are_the_same_each_time(tmp_path: Path, bank: list[BankQuestion]) -> None:
    for name, export in EXPORTS.items():
        first = [path.read_bytes() for path in export(bank, tmp_path / "a", SEED)[0]]
        assert first == [path.read_bytes() for path in export(bank, tmp_path / "b", SEED)[0]], name


def show_in_jupyterquiz(markup: str) -> str:
    """What jupyterquiz 2.9 and MathJax in Jupyter make of a text: `jaxify` of helpers.js first, then the browser."""
    assert not re.search(r"\$|<http.*?>|\[.*?\]\(.*?\)", markup)  # all that jaxify looks for
    read = Reader(markup)
    assert read.tags <= {"span"}
    assert all(node in ("$", "\\") for node in read.nodes if re.search(r"[$\\]", node))  # alone, hence no formula
    return read.text


def test_jupyterquiz_takes_its_file(tmp_path: Path, bank: list[BankQuestion]) -> None:
    from jupyterquiz import display_quiz

    (path,), _ = export_jupyterquiz([*bank, *odd_choices()], tmp_path, SEED)
    entries = json.loads(path.read_text(encoding="utf-8"))
    assert {entry["type"] for entry in entries} == {"multiple_choice", "many_choice", "numeric", "string"}
    for question, entry in zip([*bank, *odd_choices()], entries, strict=True):
        filled = question.with_values(question.vary[0]) if question.vary else question
        assert show_in_jupyterquiz(entry["question"]) == filled.text
        right = [answer for answer in entry["answers"] if answer["correct"]]
        if question.kind in (CHOICE, SEVERAL):
            assert {show_in_jupyterquiz(answer["answer"]) for answer in right} == set(filled.rights)
        else:  # compared with what is typed
            assert {str(answer["value" if question.kind == NUMBER else "answer"]) for answer in right} == set(
                filled.rights
            )
        assert {show_in_jupyterquiz(answer["feedback"]) for answer in right} == {filled.explanation}
    display_quiz(str(path))  # raises for a question that it does not understand


def read_page(path: Path) -> list[dict]:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])[
        "questions"
    ]


def test_the_page_holds_every_question_and_fetches_nothing(tmp_path: Path) -> None:
    questions = odd_choices()
    (path,), notes = export_page(questions, tmp_path, SEED)
    shown = read_page(path)
    assert not notes and [entry["text"] for entry in shown] == [question.text for question in questions]
    assert all(e["options"][e["right"][0]] == q.right for e, q in zip(shown, questions, strict=True))
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", text.split('<script id="data"')[0])


def test_the_page_says_what_it_cannot_show(tmp_path: Path) -> None:
    _, notes = export_page([make(), make(NUMBER, ("3",), (), id="n")], tmp_path, SEED)
    assert notes == ["question 'n' is left out: the page shows options, and this has none"]


@pytest.mark.parametrize("name", EXPORTS)
def test_nothing_to_export_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError):
        EXPORTS[name]([], tmp_path, SEED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["kahoot", *EXPORTS])
def test_every_export_is_a_command(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["quiz", "export", name, "--out", str(tmp_path)]) == 0
    path = Path(capsys.readouterr().out.split("  (")[0])
    assert path.is_file() and path.parent == tmp_path
    assert cli.main(["quiz", "export", name, "--help"]) == 0
    assert "Example: instructor quiz export" in capsys.readouterr().out


def test_the_help_tells_the_formats_and_a_wrong_one_is_told_which_there_are(capsys) -> None:
    assert list(FORMATS) == ["kahoot", *EXPORTS]
    assert cli.main(["quiz", "export", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(any(f" {name}: " in line for line in lines) for name in FORMATS)
    assert cli.main(["quiz", "export", "Kahoot"]) == 2
    said = capsys.readouterr().err
    assert "no format 'Kahoot'" in said and all(name in said for name in FORMATS)


@pytest.mark.parametrize("argv", [["kahoot", "--questions", "2"], ["gift", "--seed", "1"], ["gift", "moodle"], []])
def test_an_export_that_cannot_be_meant_is_misuse_and_writes_nothing(tmp_path: Path, argv: list[str], capsys) -> None:
    assert cli.main(["quiz", "export", *argv, "--out", str(tmp_path)]) == 2
    refused = next((word for word in reversed(argv) if word.startswith("--")), "FORMAT")
    assert (refused if argv != ["gift", "moodle"] else "moodle") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_questions_are_chosen_by_stage(tmp_path: Path, bank: list[BankQuestion], capsys) -> None:
    for which, count in (
        ("2", len(stage_questions(bank, "2-imbalance"))),
        ("kahoot", len(stage_questions(bank, KAHOOT))),
        ("all", len(bank)),
    ):
        assert cli.main(["quiz", "export", "gift", "--questions", which, "--out", str(tmp_path)]) == 0
        assert f"({count} questions)" in capsys.readouterr().out
    assert cli.main(["quiz", "export", "gift", "--questions", "9", "--out", str(tmp_path)]) == 1
    assert "or kahoot, locks, all" in capsys.readouterr().err


def test_the_zip_has_no_time_in_it(tmp_path: Path, bank: list[BankQuestion]) -> None:
    with zipfile.ZipFile(io.BytesIO(export_canvas(bank, tmp_path, SEED)[0][0].read_bytes())) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {2020}
