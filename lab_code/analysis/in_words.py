"""A confusion matrix in words: one sentence that a group can repeat."""

import numpy as np

from lab_code.data.ham10000 import DIAGNOSES, DIAGNOSIS_WORDS


def describe_mistake(confusion: np.ndarray) -> str:
    """The most frequent mistake of a confusion matrix (C, C): `Of 105 melanomas 45 were called a mole.`

    Of equally frequent ones the first, that of the rarer diagnosis before others. Without a mistake it says so.
    """
    photographs = confusion.sum(axis=1)
    wrong = confusion - np.diag(np.diag(confusion))
    if not wrong.any():
        return "Every photograph was recognised." if photographs.any() else "There was no photograph to recognise."
    rows, columns = np.nonzero(wrong == wrong.max())
    row, column = min(zip(rows, columns, strict=True), key=lambda place: photographs[place[0]])
    one, several = DIAGNOSIS_WORDS[DIAGNOSES[row]]
    called = DIAGNOSIS_WORDS[DIAGNOSES[column]][0]
    count, total = wrong[row, column], photographs[row]
    if total == 1:
        return f"The only photograph of {one} was called {called}."
    how_many = "all" if count == total else str(count)
    return f"Of {total} {several} {how_many} {'was' if count == 1 else 'were'} called {called}."
