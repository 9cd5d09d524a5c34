"""Human against machine: choose hidden photographs, ask the class's best network, and draw the page for the projector.

    duel, is_new = prepare_duel(workshop, build, Wish(photographs=10, seed=1))
    write_duel_page(page, workshop, duel, choices, answers)

What was chosen is kept in the vault (`instructor/results/duel.py`) and used again: the code on the wall stays the same
while answers arrive, also when more hand-ins were collected meanwhile.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from instructor.classroom.duel_looks import look
from instructor.classroom.room import Room, find_kits
from instructor.collect.isolation import Job, run_isolated
from instructor.results.duel import Duel, DuelPhotograph, HandedIn, read_duel, write_duel
from instructor.results.evidence import Evidence, read_evidence, read_truth
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000, is_other
from lab_code.errors import LabError
from lab_code.files import canonical_json, write_whole
from lab_code.workshop.duel import MOST, SECRET_BYTES, USUAL, Choice, list_choices, make_duel_code
from lab_code.workshop.kit import read_kit
from lab_code.workshop.mark import draw_mark, mark_of
from lab_code.workshop.statements import read_statements

PAGE = "duel.html"
_DRAWN = "SYN_"  # how the names of synthetic photographs begin


@dataclass(frozen=True)
class Wish:
    """What somebody asked for; None: what there is already, or else the usual. `new`: others, with another code."""

    photographs: int | None = None
    seed: int | None = None
    new: bool = False

    def fits(self, duel: Duel) -> bool:
        """Whether a duel that there is already is the one that was asked for."""
        same = self.photographs in (None, len(duel.photographs)) and self.seed in (None, duel.seed)
        return same and not self.new


def prepare_duel(workshop: Workshop, build: Path, wish: Wish) -> tuple[Duel, bool]:
    """The duel that there is, or a new one; and whether it is new. Raises `LabError` where none can be made."""
    vault, collected = Vault(build), build / "collected"
    known = None if wish.new else read_duel(vault.folder)
    if known is not None and known.workshop == workshop.id and wish.fits(known):
        return known, False
    evidence, test_set = read_evidence(collected), vault.folder / "test"
    machine, run_id = find_machine(evidence)
    if not test_set.is_dir() or read_truth(test_set)[0] != evidence.labels:
        raise LabError(f"{test_set} does not hold the photographs that were collected with", hint="make collect")
    seed = _last_seed(vault.folder) + 1 if wish.seed is None else wish.seed
    chosen = choose_photographs(evidence, machine, USUAL if wish.photographs is None else wish.photographs, seed)
    (outcome,) = run_isolated([Job(look, (collected, run_id, test_set, chosen))], workshop.limits)
    if outcome.error:
        raise LabError(f"the best network of the class cannot be asked: {outcome.error}", hint="make collect")
    names = [choice.name for choice in list_choices(test_set)]
    photographs = [DuelPhotograph(**{**entry, "said": names[entry["said"]]}) for entry in outcome.value]
    what = canonical_json([seed, run_id, [photograph.image_id for photograph in photographs]])
    secret = vault.duel_secret(workshop.id, hashlib.sha256(what).hexdigest())[:SECRET_BYTES]
    code = make_duel_code(workshop.id, len(photographs), secret)
    synthetic = all(photograph.image_id.startswith(_DRAWN) for photograph in photographs)
    duel = Duel(workshop.id, code, seed, run_id, synthetic, names, photographs)
    write_duel(vault.folder, duel)
    return duel, True


def find_machine(evidence: Evidence) -> tuple[str, str]:
    """The group whose model knows the hidden photographs best, and the id of its run; of equal ones the first."""
    runs = {entry.group: entry for entry in evidence.groups if entry.group in evidence.predictions()}
    if not runs:
        raise LabError(
            "no model of the class could be asked about the hidden photographs",
            hint="a duel needs one finished run: let a group hand in, then make collect",
        )
    best = max(runs.values(), key=lambda entry: entry.tested.get(entry.run_id, {}).get("balanced_accuracy", 0.0))
    return best.group, best.run_id


def choose_photographs(evidence: Evidence, machine: str, number: int, seed: int) -> list[int]:
    """So many hidden photographs of different lesions, the same for the same seed.

    The machine is right about one half of them (as far as there are such), so both sides can win; diagnoses come as
    evenly as they can, and of what the machine knows both what every model of the class knows and what few do.
    """
    labels, lesions = np.array(evidence.labels), np.array(evidence.lesions)
    if not 1 <= number <= min(MOST, len(np.unique(lesions))):
        most = min(MOST, len(np.unique(lesions)))
        raise LabError(f"a duel of {number} photographs cannot be", hint=f"--photographs from 1 to {most}")
    predictions = evidence.predictions()
    right = predictions[machine] == labels
    known = sum((said == labels).astype(int) for said in predictions.values())
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(labels))]
    chosen: list[int] = []
    for turn in range(number):
        left = [index for index in order if lesions[index] not in {lesions[one] for one in chosen}]
        wanted = [index for index in left if bool(right[index]) == (turn % 2 == 0)] or left
        chosen.append(min(wanted, key=lambda index: _how_often(index, labels, known, chosen)))
    return [chosen[place] for place in np.random.default_rng(seed).permutation(number)]


def _how_often(index: int, labels: np.ndarray, known: np.ndarray, chosen: Sequence[int]) -> tuple[int, int]:
    """How often this diagnosis was chosen, and how often a photograph that as many models know; the least is next."""
    return (
        Counter(int(labels[one]) for one in chosen)[int(labels[index])],
        Counter(int(known[one]) for one in chosen)[int(known[index])],
    )


def read_kits(places: Iterable[Path], workshop: str) -> tuple[list[HandedIn], list[str]]:
    """(group, code, answers) of the kits that lie in these folders; and what could not be read."""
    found, notes = [], []
    for folder in find_kits(places):
        try:
            kit = read_kit(folder)
            duel = read_statements(kit.root).duel if kit.workshop == workshop else None
        except LabError as error:
            notes.append(error.message)
            continue
        if duel is not None:
            found.append((kit.group, duel.code, list(duel.answers)))
    return found, notes


def read_room(workshop: Workshop, path: Path) -> list[HandedIn]:
    """(group, code, answers) as laptops have reported them to the board, which keeps them in this file."""
    seats = Room(workshop, path).seats.values()
    reported = [(seat.group, seat.standing.duel.split()) for seat in seats if seat.standing]
    return [(group, words[0], words[1:]) for group, words in reported if words]


def write_duel_page(
    page: Path,
    workshop: Workshop,
    duel: Duel,
    choices: Sequence[Choice],
    answers: Mapping[str, Sequence[str]],
    dataset: Dataset = HAM10000,
) -> None:
    """Write the page: one file, which loads nothing. `answers` are those that are here already, by group."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    groups = [
        {
            "name": group,
            "mark": draw_mark(mark_of(number), size_em=1),
            "answers": list(answers.get(group, [])),
        }
        for number, group in enumerate(workshop.groups, 1)
    ]
    data = {
        "code": duel.code,
        "choices": [asdict(choice) for choice in choices],
        "groups": groups,
        "photographs": [
            {"dx": one.dx, "said": one.said, "sure": round(one.sure, 3), "picture": one.picture, "heat": one.heat,
             "where": one.where, "how": one.how}
            for one in duel.photographs
        ],
    }  # fmt: skip
    about = {"source": dataset.source if is_other(dataset) else "", "notice": dataset.notice}
    html = environment.get_template(PAGE).render(title=workshop.title, duel=duel, data=data, **about)
    write_whole(page, html)


def _last_seed(vault: Path) -> int:
    """The seed of the duel that a new one takes the place of, so that the new one is another."""
    try:
        known = read_duel(vault)
    except LabError:
        return 0
    return known.seed if known else 0
