"""How far a reader walks: from the file that a question names to its answer, over what the files themselves show."""

import re

import pytest

from instructor.locks.guesser import Texts, files_named, read_texts
from instructor.quizbank.bank import BANK_FILE, KAHOOT
from instructor.quizbank.schema import BankEntry, read_bank
from instructor.workshop import PROJECT, read_workshop

MOST = 2
# Where it is the question to follow a name through three files, and why.
ABOUT_FOLLOWING: dict[str, str] = {}
STAGES = [stage.id for stage in read_workshop().stages]
ENTRIES = [entry for entry in read_bank(BANK_FILE).entries if entry.stage != KAHOOT]
BY_COMMAND = ("parameters", "metadata")  # a command shows the answer: nothing is read but what to type


def texts_before(stage: str) -> Texts:
    """What a group can read, but the documents for people and the notebook: nobody looks for an answer there."""
    texts = read_texts(PROJECT, STAGES[: STAGES.index(stage)])
    return {name: text for name, text in texts.items() if name.startswith("lab_code/")}


def holds(name: str, text: str, entry: BankEntry, texts: Texts) -> bool:
    """Whether this file shows the answer, as far as its source tells."""
    ((kind, reference), *_) = entry.answer_from.items()
    module, _, rest = reference.partition(":")
    written_in = name.removesuffix(".py").replace("/", ".") == module
    if kind == "config":
        return name == find_setting(reference, entry.answer_from.get("experiment"), texts)
    if kind == "file_of":  # an import line names the file
        return bool(re.search(rf"^from [\w.]+ import .*\b{reference}\b|^(def|class) {reference}\b", text, re.MULTILINE))
    if kind == "changed_by":
        return name == f"lab_code/conf/experiment/{reference}.yaml"
    if kind == "symbol":
        return bool(re.search(rf"\b{rest}\(", text))
    return written_in if kind in ("constant", "count", "default") else name == "lab_code/models/small_cnn.py"


def find_setting(key: str, experiment: str | None, texts: Texts) -> str:
    """The file in which the value of a setting stands: the experiment's own, or the one that is picked of the group."""
    group, _, name = key.partition(".")
    own = f"lab_code/conf/experiment/{experiment}.yaml"
    if re.search(rf"^{group}:\n(?:  .*\n)*?  {name}:", texts.get(own, ""), re.MULTILINE):
        return own
    for place in (own, "lab_code/conf/train.yaml"):
        picked = re.search(rf"^  - (?:override /)?{group}: (\w+)", texts.get(place, ""), re.MULTILINE)
        if picked:
            return f"lab_code/conf/{group}/{picked[1]}.yaml"
    raise AssertionError(f"{key} stands nowhere")


def files_to_open(entry: BankEntry, texts: Texts) -> list[str]:
    """The files on the shortest way that the texts show; those that the question itself names are opened as well."""
    named = [name for name in files_named(entry.text, texts) if name != entry.look_in and name in entry.text]
    if not entry.answer_from or set(entry.answer_from) & set(BY_COMMAND):
        return [entry.look_in, *named]
    ways = [[entry.look_in]]
    for way in ways:
        if holds(way[-1], texts[way[-1]], entry, texts):
            return [*way, *(name for name in named if name not in way)]
        ways += [[*way, name] for name in files_named(texts[way[-1]], texts) if name not in way and len(way) < 4]
    raise AssertionError(f"nothing leads from {entry.look_in} to the answer of {entry.id}")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_reader_opens_at_most_two_files(entry: BankEntry) -> None:
    opened = files_to_open(entry, texts_before(entry.stage))
    assert len(opened) <= MOST + (entry.id in ABOUT_FOLLOWING), opened


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_question_says_what_kind_of_line_to_look_for(entry: BankEntry) -> None:
    kinds = r"\b(lines?|docstring|constant|comment|list|import|setting|command|lab (train|data)|load_split)\b"
    assert re.search(kinds, entry.text), entry.text


def test_what_the_first_question_needs_is_said_where_it_is_read() -> None:
    text = (PROJECT / "lab_code/conf/train.yaml").read_text(encoding="utf-8")
    said, read = (
        text.index("`optimizer: adamw` is lab_code/conf/optimizer/adamw.yaml"),
        text.index("- optimizer: adamw"),
    )
    assert said < read and (PROJECT / "lab_code/conf/optimizer/adamw.yaml").is_file()


@pytest.mark.parametrize(
    ("look_in", "opened"),
    [
        ("lab_code/conf/train.yaml", ["lab_code/conf/train.yaml", "lab_code/conf/optimizer/adamw.yaml"]),
        ("lab_code/conf/optimizer/adamw.yaml", ["lab_code/conf/optimizer/adamw.yaml"]),
    ],
)
def test_the_way_leads_over_what_the_files_show(look_in: str, opened: list[str]) -> None:
    (entry,) = [entry for entry in ENTRIES if entry.id == "default-learning-rate"]
    moved = entry.model_copy(update={"look_in": look_in})
    assert files_to_open(moved, texts_before(entry.stage)) == opened
