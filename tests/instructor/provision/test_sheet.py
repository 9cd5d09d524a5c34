"""The sheets on paper, read back from their PDF: everything a group needs is there, and nothing it must not see."""

import inspect
from functools import partial
from pathlib import Path

import pytest
from pypdf import PdfReader

from instructor.dataset.prepare import PreparedData
from instructor.provision import sheet
from instructor.provision.kit import plan_kit, sheet_stage
from instructor.provision.sheet import write_catch_up, write_group_sheet, write_key
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import make_variants
from instructor.typeset import set_pages
from instructor.vault import Vault
from instructor.workshop import read_workshop
from lab_code.errors import LabError
from lab_code.workshop.mark import mark_of

TITLE = "Experiment management in 50 minutes"
CODE = "K7QM-2XRT-9VDA-P10E-5"
FILES = ["lab_code/data/lesions.py", "lab_code/data/ham10000.py", "lab_code/training/trainer.py", "lab_code/metrics.py"]


def make_question(text: str, options: list[str], look_in: str = "lab_code/experiment.py") -> dict:
    return {"text": text, "options": options, "how": "" if options else "answer with a number", "look_in": look_in}


def make_stage(number: int, questions: list[dict], experiment: str | None = None) -> dict:
    opens = [f"lab_code/conf/experiment/{experiment}.yaml", "lab_code/losses/focal.py"] if experiment else []
    return {
        "number": number,
        "title": f"Part {number}",
        "questions": questions,
        "opens": opens,
        "experiment": experiment,
    }


def usual_stages() -> list[dict]:
    files = make_question("Which file makes sure that no lesion is on both sides, training and validation?", FILES)
    rate = make_question("You change nothing. How large is the learning rate?", ["0.005", "0.01", "0.001", "0.1"])
    runs = [f"lab train experiment=balanced {change}" for change in ("seed=1", "loss=focal", "data=all", "model=tiny")]
    change = make_question("Which run tells you what the class weights alone contribute to the result?", runs)
    count = make_question("How many diagnoses does the network tell apart?", [], "lab_code/data/ham10000.py")
    return [
        make_stage(1, [rate, files, files], "baseline"),
        make_stage(2, [files, rate, files], "balanced"),
        make_stage(3, [count, rate, files, change]),
    ]


def write(path: Path, stages: list[dict], number: int = 1) -> Path:
    write_group_sheet(path, title=TITLE, group=f"group-{number}", number=number, stages=stages)
    return path


def page_texts(path: Path) -> list[str]:
    """The text of every page without blanks, since a line may break anywhere."""
    return ["".join(page.extract_text().split()) for page in PdfReader(path).pages]


def holds(text: str, wanted: str) -> bool:
    return "".join(wanted.split()) in text


def font_names(path: Path) -> set[str]:
    fonts = [font.get_object() for page in PdfReader(path).pages for font in page["/Resources"]["/Font"].values()]
    return {font["/BaseFont"].split("+")[-1].split("-")[0] for font in fonts}


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("sheet") / "instructions.pdf", usual_stages())


# --- a group's sheet --------------------------------------------------------------------------------------------------


def test_sheet_has_two_pages(usual):
    assert len(PdfReader(usual).pages) == 2


def test_sheet_shows_every_question_option_and_file(usual):
    text = "".join(page_texts(usual))
    for stage in usual_stages():
        assert holds(text, f"Stage {stage['number']}: {stage['title']}")
        for number, question in enumerate(stage["questions"], 1):
            assert holds(text, f"{number}. {question['text']}")
            assert holds(text, f"look in {question['look_in']}")
            assert all(holds(text, f"{n} {option}") for n, option in enumerate(question["options"], 1))
        assert all(holds(text, path) for path in stage["opens"])


@pytest.mark.parametrize(
    ("command", "times"),
    [
        ("./lab status", 1),
        ("./lab start", 1),
        ("./lab unlock --answers ,,", 3),
        ("./lab unlock --answers ,,,", 1),
        ("./lab train experiment=", 2),
        ("./lab train experiment=baseline", 1),
        ("./lab train experiment=balanced", 1),
        ("./lab compare", 1),
        ("./lab handin", 1),
        ("./lab unlock --rescue CODE", 1),
    ],
)
def test_sheet_shows_commands(usual, command, times):
    assert "".join(page_texts(usual)).count("".join(command.split())) == times


def test_sheet_is_given_no_answers():
    assert list(inspect.signature(write_group_sheet).parameters) == [
        "path",
        "title",
        "group",
        "number",
        "stages",
        "paper",
    ]


def test_sheet_leaves_out_fields_it_does_not_know(tmp_path, usual):
    stages = [{**stage, "answers": "4,4,4", "rescue": CODE} for stage in usual_stages()]
    assert page_texts(write(tmp_path / "more.pdf", stages)) == page_texts(usual)


def test_pages_are_numbered_and_named(usual):
    for number, text in enumerate(page_texts(usual), 1):
        assert holds(text, f"{TITLE} · group-1 page {number} of 2")


def test_stages_stay_whole_where_they_fit(usual):
    first, second = page_texts(usual)
    assert holds(first, "experiment=baseline") and not holds(first, "Stage 2:")
    assert holds(second, "Stage 2:") and holds(second, "./lab handin")


@pytest.mark.parametrize("lines", range(8))  # the page ends at another spot each time
def test_pages_end_between_questions_and_commands_follow_one(tmp_path, lines):
    texts = [f"Question {number} is long enough for two lines {'and ' * 20}so on?" for number in range(101, 121)]
    questions = [make_question(text, FILES, f"{text[9:12]}.py") for text in texts]
    first = make_question("An introduction " + "of many words " * 7 * lines, FILES)
    stages = [make_stage(1, [first, *questions[:6]]), make_stage(2, questions[6:13]), make_stage(3, questions[13:])]
    pages = page_texts(write(tmp_path / "sheet.pdf", stages))
    assert len(pages) > 2
    for text in texts:
        assert [holds(page, text) for page in pages] == [holds(page, f"look in {text[9:12]}.py") for page in pages]
    for last in (texts[5], texts[12], texts[-1]):
        (page,) = (page for page in pages if holds(page, last))
        assert holds(page.split(last[9:12] + ".py")[1], "2 Unlock ./lab unlock")


@pytest.mark.parametrize(
    "text",
    [
        '#panic("stop") #let x = 1',
        "$1 + 1$ and $x_1$",
        "*bold* _flat_ `open",
        "C:\\new\\table \\u{41} \\",
        "\"double\" 'single' “curly”",
        "<label> @reference = heading - item + item / term: 1.",
        "// a comment /* another */ ~ -- --- ...",
        "naïve façade, Übergröße, β ≥ ½ → ∑ ×",
        "{braces} [brackets] (parentheses); & % ^ | https://example.org/a?b=c",
    ],
)
def test_special_characters_survive(tmp_path, text):
    stage = make_stage(1, [make_question(text, [text, "plain"], "a.py")]) | {"title": text}
    path = tmp_path / "sheet.pdf"
    write_group_sheet(path, title=text, group="group-1", number=1, stages=[stage])
    (page,) = page_texts(path)
    for before in ("", "Stage 1:", "1.", "1"):
        assert holds(page, before + text)
    assert PdfReader(path).metadata.title == f"{text}: group-1"


def test_what_stands_between_backticks_is_code(tmp_path):
    path = tmp_path / "sheet.pdf"
    question = make_question("What does `lab train model.width=32 --dry-run` say?", ["plain", "`--dry-run`"], "a.py")
    write_group_sheet(path, title="T", group="group-1", number=1, stages=[make_stage(1, [question])])
    (page,) = page_texts(path)
    assert holds(page, "What does lab train model.width=32 --dry-run say?") and "`" not in page


def test_long_words_stay_on_the_paper(tmp_path):
    words = ["x" * 150, "lab_code/" + "very_long_folder/" * 9 + "file.py"]
    (page,) = PdfReader(write(tmp_path / "sheet.pdf", [make_stage(1, [make_question("Which?", words)])])).pages
    lines = page.extract_text().splitlines()
    assert max(len(line) for line in lines if "xxx" in line or "very_long" in line) < 120
    assert all(holds("".join("".join(lines).split()), word) for word in words)


def test_question_without_options_asks_for_a_number(tmp_path):
    text = "".join(page_texts(write(tmp_path / "sheet.pdf", [make_stage(1, [make_question("How many?", [])])])))
    assert holds(text, "How many? answer with a number")


def test_groups_differ_in_colour_or_shape(tmp_path):
    marks = []
    for number in range(1, 14):
        text = PdfReader(write(tmp_path / "sheet.pdf", [], number)).pages[0].extract_text()
        marks.append(text.split("the ")[1].split(f" {number}\n")[0])
    assert len(set(marks)) == 13
    assert marks == [mark_of(number).name for number in range(1, 14)]  # as the notebook has it
    colours, shapes = zip(*(mark.split() for mark in marks[:6]), strict=True)
    assert len(set(colours)) == len(set(shapes)) == 6


def test_document_says_what_it_is(usual):
    reader = PdfReader(usual)
    assert reader.metadata.title == f"{TITLE}: group-1"
    assert reader.metadata.author == "lab-kit"
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]  # tagged, so that it can be read aloud


# --- the key ----------------------------------------------------------------------------------------------------------


def make_groups(count: int) -> dict[str, list[dict]]:
    return {
        f"group-{group}": [
            {
                "number": stage,
                "stage": f"{stage}-part",
                "title": f"Part {stage}",
                "answers": f"{group},{stage},0.143",
                "rescue": f"{group}{stage}{CODE[2:]}",
            }
            for stage in (1, 2, 3)
        ]
        for group in range(1, count + 1)
    }


def test_key_holds_every_answer_and_code_on_one_page(tmp_path):
    write_key(tmp_path / "key.pdf", title=TITLE, groups=make_groups(6))
    (page,) = page_texts(tmp_path / "key.pdf")
    assert holds(page, "Instructor only") and holds(page, "lab unlock --rescue CODE")
    for group, stages in make_groups(6).items():
        assert holds(page, group)
        for stage in stages:
            assert holds(page, f"Stage {stage['number']} {stage['title']}")
            assert holds(page, f"{stage['answers']} {stage['rescue']}")


def test_key_of_many_groups_repeats_its_header(tmp_path):
    write_key(tmp_path / "key.pdf", title=TITLE, groups=make_groups(9))
    pages = page_texts(tmp_path / "key.pdf")
    assert len(pages) == 2
    assert all(holds(page, "Stage 1 Part 1") for page in pages)


# --- the files --------------------------------------------------------------------------------------------------------


def test_same_input_gives_same_bytes(tmp_path, usual):
    assert write(tmp_path / "again.pdf", usual_stages()).read_bytes() == usual.read_bytes()
    for name in ("one.pdf", "two.pdf"):
        write_key(tmp_path / name, title=TITLE, groups=make_groups(6))
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert b"/CreationDate" not in usual.read_bytes()


def test_only_fonts_of_typst_are_used(usual):
    assert font_names(usual) <= {"LibertinusSerif", "DejaVuSansMono", "NewCMMath"}


def test_text_that_no_font_shows_is_refused_and_the_old_sheet_stays(tmp_path, usual):
    path = tmp_path / "sheet.pdf"
    path.write_bytes(usual.read_bytes())
    with pytest.raises(LabError, match=r"sheet\.typ cannot be set: .*漢") as caught:
        write(path, [make_stage(1, [make_question("漢", [])])])
    assert "quiz/bank.yaml" in caught.value.hint
    assert path.read_bytes() == usual.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_broken_template_is_named(tmp_path, monkeypatch):
    (tmp_path / "key.typ").write_text("#let = 1", encoding="utf-8")
    monkeypatch.setattr(sheet, "_TEMPLATES", tmp_path)
    monkeypatch.setattr(sheet, "set_pages", partial(set_pages, root=tmp_path))
    with pytest.raises(LabError, match=r"key\.typ cannot be set: "):
        write_key(tmp_path / "key.pdf", title=TITLE, groups=make_groups(1))
    assert not (tmp_path / "key.pdf").exists()


@pytest.fixture(scope="module")
def real_stages() -> dict[str, list[dict]]:
    """The stages of every group of the real workshop, as the sheets get them."""
    workshop = read_workshop()
    variants = make_variants(workshop, load_bank(workshop), "secret")
    nowhere = PreparedData(Path("data"), Path("test"), changed=False)
    plans = [plan_kit(workshop, group, variants[group], nowhere) for group in workshop.groups]
    return {plan.group: [sheet_stage(n, stage) for n, stage in enumerate(plan.stages, 1)] for plan in plans}


@pytest.mark.parametrize(("paper", "width_mm"), [("a4", 210), ("us-letter", 216)])
def test_every_groups_own_questions_fit_two_pages(tmp_path, real_stages, paper, width_mm):
    for number, (group, stages) in enumerate(real_stages.items(), 1):
        path = tmp_path / f"{group}.pdf"
        write_group_sheet(path, title=TITLE, group=group, number=number, stages=stages, paper=paper)
        pages = PdfReader(path).pages
        assert len(pages) == 2, group
        assert round(float(pages[0].mediabox.width) / 72 * 25.4) == width_mm


def test_the_sheet_shows_the_folders_and_the_game(usual):
    text = page_texts(usual)[0]
    for wanted in (
        "Where things are",
        "experiment.py",
        "The game",
        "opens experiment=baseline and a value that stage 2",
    ):
        assert holds(text, wanted)


def make_catch_up_group(number: int) -> dict:
    question = {"text": "How many?", "answer": "70", "right": "70", "explanation": f"Counted {number} times."}
    return {"name": f"group-{number}", "number": number, "rescue": f"{number}{CODE[1:]}", "questions": [question] * 3}


def test_a_catch_up_sheet_has_a_page_a_group_with_answers_and_what_to_type(tmp_path):
    stage = {"number": 2, "title": "What the score hides", "experiment": "balanced"}
    groups = [make_catch_up_group(number) for number in (1, 2, 3)]
    write_catch_up(tmp_path / "c.pdf", title=TITLE, stage=stage, groups=groups)
    pages = page_texts(tmp_path / "c.pdf")
    assert len(pages) == 3
    for group, page in zip(groups, pages, strict=True):
        for wanted in (group["name"], f"lab unlock --rescue {group['rescue']}", "experiment=balanced", "Answer: 70"):
            assert holds(page, wanted)
        assert not any(holds(page, other["rescue"]) for other in groups if other is not group)


def test_the_vault_has_a_catch_up_sheet_a_stage_and_no_kit_has_one(build):
    key = Vault(build).read_key()
    for number in (1, 2, 3):
        pages = page_texts(build / "vault" / f"catch-up-{number}.pdf")
        assert all(holds(page, key[f"group-{n}"][number - 1]["rescue"]) for n, page in enumerate(pages, 1))
    assert not list((build / "kits").rglob("catch-up*"))
