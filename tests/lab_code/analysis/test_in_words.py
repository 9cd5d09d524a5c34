"""A confusion matrix as a sentence."""

import numpy as np
import pytest

from lab_code.analysis.in_words import describe_mistake
from lab_code.data.ham10000 import DIAGNOSES, DIAGNOSIS_NAMES, DIAGNOSIS_WORDS, HAM10000

MEL, NV, DF = (DIAGNOSES.index(dx) for dx in ("mel", "nv", "df"))


def confusion(*entries: tuple[int, int, int]) -> np.ndarray:
    matrix = np.zeros((7, 7), np.int64)
    for row, column, count in entries:
        matrix[row, column] = count
    return matrix


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([(MEL, MEL, 60), (MEL, NV, 45), (NV, NV, 900)], "Of 105 melanomas 45 were called a mole."),
        ([(NV, NV, 900), (NV, MEL, 1), (MEL, MEL, 4)], "Of 901 moles 1 was called a melanoma."),
        ([(DF, NV, 23), (NV, NV, 900)], "Of 23 dermatofibromas all were called a mole."),
        ([(DF, NV, 1)], "The only photograph of a dermatofibroma was called a mole."),
        ([(NV, MEL, 5), (NV, NV, 90), (DF, NV, 5), (DF, DF, 1)], "Of 6 dermatofibromas 5 were called a mole."),
        ([(NV, NV, 3)], "Every photograph was recognised."),
        ([], "There was no photograph to recognise."),
    ],
)
def test_the_most_frequent_mistake_is_told_in_words(entries, sentence: str) -> None:
    assert describe_mistake(confusion(*entries)) == sentence


def test_every_diagnosis_has_words() -> None:
    assert set(DIAGNOSIS_WORDS) == set(DIAGNOSES) == set(DIAGNOSIS_NAMES)
    assert HAM10000.label("akiec") == "actinic keratosis (akiec)" and HAM10000.label("mel") == "melanoma (mel)"
