"""A confusion matrix in words: one sentence that a group can repeat."""

import numpy as np

from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000


def describe_mistake(confusion: np.ndarray, dataset: Dataset = HAM10000) -> str:
    """The most frequent mistake of a confusion matrix (C, C): `Of 105 melanomas 45 were called a mole.`

    Of equally frequent ones the first, that of the rarer class before others. Without a mistake it says so.
    """
    photographs = confusion.sum(axis=1)
    wrong = confusion - np.diag(np.diag(confusion))
    if not wrong.any():
        return "Every photograph was recognised." if photographs.any() else "There was no photograph to recognise."
    rows, columns = np.nonzero(wrong == wrong.max())
    row, column = min(zip(rows, columns, strict=True), key=lambda place: photographs[place[0]])
    one, several, called = dataset.classes[row].one, dataset.classes[row].several, dataset.classes[column].one
    count, total = wrong[row, column], photographs[row]
    if total == 1:
        return f"The only photograph of {one} was called {called}."
    how_many = "all" if count == total else str(count)
    return f"Of {total} {several} {how_many} {'was' if count == 1 else 'were'} called {called}."
