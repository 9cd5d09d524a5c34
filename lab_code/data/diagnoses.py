"""What other collections call HAM10000's seven diagnoses: ISIC's challenges and archive, PAD-UFES-20, plain English.

`recognise("Seborrheic keratosis")` is `bkl`. Of another data set the codes and names of its description are known.
Diagnoses that are known to be none of the seven are `ELSEWHERE`: their photographs are left out, and counted where the
folder is read. A name that is in neither list is None: it may be a
typing error, and must not be lost without a word. Which name belongs where follows Tschandl et al. 2018, table 2.
"""

import difflib
from functools import cache

from lab_code.data.dataset import DESCRIPTION, Dataset
from lab_code.data.ham10000 import DIAGNOSES, DIAGNOSIS_NAMES, HAM10000, is_other

ELSEWHERE = "elsewhere"

_SAME = {
    "akiec": "ak, ack, actinic keratosis, actinic keratoses, solar keratosis, bowen, bowens disease, bowen disease, "
    "actinic keratoses and intraepithelial carcinoma, intraepithelial carcinoma, squamous cell carcinoma in situ",
    "bcc": "basal cell carcinoma, basal cell carcinomas",
    "bkl": "bk, sk, sek, benign keratosis, benign keratoses, benign keratosis like lesion, "
    "benign keratosis like lesions, "
    "seborrheic keratosis, seborrhoeic keratosis, pigmented benign keratosis, solar lentigo, lichenoid keratosis, "
    "lichen planus like keratosis",
    "df": "dermatofibroma, dermatofibromas",
    "mel": "melanoma, melanomas, malignant melanoma, melanoma in situ, melanoma invasive, melanoma nos, "
    "lentigo maligna, nodular melanoma, superficial spreading melanoma",
    "nv": "nev, nevus, naevus, nevi, naevi, mole, moles, melanocytic nevus, melanocytic nevi, melanocytic naevus, "
    "melanocytic naevi",
    "vasc": "vascular, vascular lesion, vascular lesions, angioma, hemangioma, haemangioma, angiokeratoma, "
    "pyogenic granuloma",
}
_OTHERS = (
    "scc, squamous cell carcinoma, squamous cell carcinoma nos, unk, unknown, lentigo nos, lentigo simplex, "
    "cafe au lait macule, atypical melanocytic proliferation, other, none of the others"
)


def _fold(name: str) -> str:
    letters = name.casefold().replace("é", "e").replace("'", "").replace("’", "")
    return " ".join("".join(letter if letter.isalnum() else " " for letter in letters).split())


_KNOWN = {dx: dx for dx in DIAGNOSES} | {_fold(name): dx for dx, name in DIAGNOSIS_NAMES.items()}
_KNOWN |= {name: dx for dx, names in _SAME.items() for name in names.split(", ")}
_KNOWN |= dict.fromkeys(_OTHERS.split(", "), ELSEWHERE)


@cache
def recognise(name: str, dataset: Dataset = HAM10000) -> str | None:
    """The code of the class that a name stands for, `ELSEWHERE`, or None for a name that nobody knows."""
    return _known_names(dataset).get(_spell(name, dataset))


def suggest(name: str, dataset: Dataset = HAM10000) -> str:
    """What to write instead of a name that nobody knows, for a hint."""
    codes = list_codes(dataset)
    another = "" if is_other(dataset) else f"; another subject? {DESCRIPTION} beside the table names its classes"
    if not is_other(dataset) and _fold(name) in ("benign", "malignant"):
        return f"a diagnosis is needed, not only whether it is benign; known: {codes}"
    if not is_other(dataset) and name.isdigit():
        return f"write the diagnosis instead of a number; known: {codes}{another}"
    known = _known_names(dataset)
    close = difflib.get_close_matches(_spell(name, dataset), known, 1)
    return f"'{close[0]}'? known: {codes}" if close and known[close[0]] != ELSEWHERE else f"known: {codes}{another}"


def list_codes(dataset: Dataset) -> str:
    """The codes of a data set, the first twenty where there are many."""
    codes = dataset.codes
    return ", ".join(codes[:20]) + (f" … and {len(codes) - 20} more" if len(codes) > 20 else "")


def _spell(name: str, dataset: Dataset) -> str:
    """A name as it is compared: the codes of other data sets may differ in their marks alone."""
    return _fold(name) if not is_other(dataset) else " ".join(name.casefold().split())


@cache
def _known_names(dataset: Dataset) -> dict[str, str]:
    if not is_other(dataset):
        return _KNOWN
    names = {_spell(name, dataset): code for code, name in dataset.names.items()}
    return names | {code.casefold(): code for code in dataset.codes}


def describe_names(names: dict[str, int], dataset: Dataset = HAM10000) -> list[str]:
    """Notes on how names were understood; `names` counts the photographs of each name as it was written."""
    read = {name: recognise(name, dataset) for name in names}
    known = {name: dx for name, dx in read.items() if dx and dx != ELSEWHERE}
    renamed = [f"{name} as {dx}" for name, dx in known.items() if name.casefold() != dx.casefold()]
    left_out = [f"{names[name]} of '{name}'" for name, dx in read.items() if dx == ELSEWHERE]
    notes = [f"read by name: {', '.join(renamed)}"] if renamed else []
    if left_out:
        notes.append(f"left out, since HAM10000 has no such diagnosis: {', '.join(left_out)}")
    return notes
