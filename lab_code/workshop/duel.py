"""Human against machine: what a group thinks of photographs on the wall, which no kit holds.

The wall shows a code and numbered photographs. `lab duel CODE --answers 6,5,6,…` keeps one diagnosis for each of them
in `statements.json`, and they travel with the hand-in. The code says for how many photographs of which workshop it is,
so that a mistyped one is named here; whether it is the one on the wall, collecting tells. The first list stands.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab_code.data.ham10000 import is_other, read_dataset
from lab_code.errors import LabError, suggest
from lab_code.workshop.codes import make_code, read_code
from lab_code.workshop.kit import Kit
from lab_code.workshop.progress import append_event
from lab_code.workshop.statements import Duel, read_statements, write_statements

DATA = "data"  # the folder of a kit that says what its photographs can be
USUAL, MOST = 10, 30  # photographs of a duel
SECRET_BYTES = 3  # of a code: what tells one duel from another

# What catches the eye in a photograph of each, for people who have never seen one; no help in any real decision.
_HINTS = {
    "akiec": "reddish and scaly, patchy",
    "bcc": "pale, blue-grey spots, thin red vessels",
    "bkl": "sharp edge, small pale dots, as if stuck on",
    "df": "a pale middle, a faint brown ring",
    "mel": "several colours, uneven, ragged, bluish",
    "nv": "brown, even, regular: the most frequent",
    "vasc": "red to purple",
}


@dataclass(frozen=True)
class Choice:
    """One thing that a photograph can be: as it is typed, as it is written down, in words, and what to look for."""

    number: int
    name: str
    label: str
    hint: str


def list_choices(data: Path) -> list[Choice]:
    """What the photographs in the folder `data` can be, in the order of the network's outputs.

    They are numbered from 1; where all of them are numbers already, by these.
    """
    dataset = read_dataset(data)
    named = all(code.isdecimal() for code in dataset.codes)
    numbers = map(int, dataset.codes) if named else range(1, len(dataset) + 1)
    hints = {} if is_other(dataset) else _HINTS
    return [
        Choice(number, code, dataset.label(code), hints.get(code, ""))
        for number, code in zip(numbers, dataset.codes, strict=True)
    ]


def make_duel_code(workshop: str, photographs: int, secret: bytes) -> str:
    """The code on the wall: of how many photographs, of which workshop, and three bytes that tell it from others."""
    return make_code(bytes([photographs, _mark_workshop(workshop)]) + secret)


def read_duel_code(text: str, workshop: str) -> tuple[str, int]:
    """A typed code in its one spelling, and for how many photographs it is.

    Raises `LabError` for a typing error, and for the code of another workshop.
    """
    try:
        data = read_code(text, 2 + SECRET_BYTES)
    except LabError as error:
        raise LabError(f"'{text[:40]}' is not the code of a duel: {error.message}", hint=error.hint) from error
    if data[1] != _mark_workshop(workshop) or not 1 <= data[0] <= MOST:
        raise LabError(
            f"the code {make_code(data)} belongs to another workshop, or to something else",
            hint="type the code that stands beside the photographs on the wall",
        )
    return make_code(data), data[0]


def read_answers(text: str, photographs: int, choices: Sequence[Choice]) -> tuple[str, ...]:
    """The diagnoses of a typed list: their numbers or names, with commas or blanks between them.

    Raises `LabError` for another number of answers than there are photographs, and for what no photograph can be.
    """
    typed = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    known = {str(choice.number): choice.name for choice in choices}
    known |= {choice.name.casefold(): choice.name for choice in choices}
    answers = []
    for place, word in enumerate(typed, 1):
        if word.casefold() not in known:
            meant = suggest(word, [choice.name for choice in choices])
            options = ", ".join(f"{choice.number} {choice.name}" for choice in choices)
            raise LabError(f"answer {place} is '{word[:40]}', which no photograph can be", hint=f"{meant}{options}")
        answers.append(known[word.casefold()])
    if len(answers) != photographs:
        said = f"{len(answers)} answer{'s' * (len(answers) != 1)}, but the code is for {photographs} photographs"
        raise LabError(said, hint="one answer for each, in their order; where you do not know, guess")
    return tuple(answers)


def answer_duel(kit: Kit, code: str, text: str) -> tuple[Duel, bool]:
    """Keep a group's answers; and whether they are new. The first list for a code stands.

    Raises `LabError` for a wrong code, a wrong list, and for another list than the one that stands.
    """
    spelt, photographs = read_duel_code(code, kit.workshop)
    duel = Duel(spelt, read_answers(text, photographs, list_choices(kit.root / DATA)))
    said = read_statements(kit.root)
    if said.duel == duel:
        return duel, False
    if said.duel is not None and said.duel.code == spelt:
        raise LabError(
            f"your answers to {spelt} stand already: {describe_answers(kit, said.duel)}",
            hint="the first list counts: afterwards everybody knows better",
        )
    append_event(kit.root, "duel", code=duel.code, answers=" ".join(duel.answers))
    write_statements(kit.root, replace(said, duel=duel))
    return duel, True


def describe_answers(kit: Kit, duel: Duel) -> str:
    """`6 nv, 5 mel, …`: as they can be read aloud."""
    numbers = {choice.name: choice.number for choice in list_choices(kit.root / DATA)}
    return ", ".join(f"{numbers.get(answer, '?')} {answer}" for answer in duel.answers)


def _mark_workshop(workshop: str) -> int:
    return hashlib.sha256(f"duel\0{workshop}".encode()).digest()[0]
