import pytest

from lab_code.data.diagnoses import ELSEWHERE, describe_names, recognise, suggest
from lab_code.data.ham10000 import DIAGNOSES, DIAGNOSIS_NAMES


@pytest.mark.parametrize(
    ("name", "dx"),
    [
        *((dx, dx) for dx in DIAGNOSES),
        *((dx.upper(), dx) for dx in DIAGNOSES),
        *((name, dx) for dx, name in DIAGNOSIS_NAMES.items()),
        ("AK", "akiec"),
        ("Actinic keratosis", "akiec"),
        ("Bowen's disease", "akiec"),
        ("Basal cell carcinoma", "bcc"),
        ("seborrheic_keratosis", "bkl"),
        ("Benign keratosis-like lesions", "bkl"),
        ("lichenoid keratosis", "bkl"),
        ("dermatofibroma", "df"),
        ("Melanoma", "mel"),
        ("nevus", "nv"),
        ("Naevus", "nv"),
        ("NEV", "nv"),
        ("vascular lesion", "vasc"),
        ("SCC", ELSEWHERE),
        ("UNK", ELSEWHERE),
        ("unknown", ELSEWHERE),
        ("café-au-lait macule", ELSEWHERE),
        ("wart", None),
        ("4", None),
        ("benign", None),
        ("", None),
    ],
)
def test_names_of_other_collections_are_recognised(name: str, dx: str | None) -> None:
    assert recognise(name) == dx


@pytest.mark.parametrize(
    ("name", "hint"),
    [("melanmoa", "'melanoma'?"), ("malignant", "not only whether it is benign"), ("4", "instead of a number")],
)
def test_what_comes_nearest_is_suggested(name: str, hint: str) -> None:
    assert hint in suggest(name) and "akiec, bcc" in suggest(name)


def test_it_is_said_what_was_renamed_and_left_out() -> None:
    assert describe_names({"MEL": 3, "AK": 2, "SCC": 628}) == [
        "read by name: AK as akiec",
        "left out, since HAM10000 has no such diagnosis: 628 of 'SCC'",
    ]
