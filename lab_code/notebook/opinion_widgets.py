"""The forms at the end of the notebook: what the group thinks of the lab and of another group's runs, and the hand-in.

feedback()     # the same as: lab feedback …
handin()       # the same as: lab handin
review()       # the same as: lab review …
"""

from collections.abc import Iterable

from IPython.display import display

from lab_code.cli.app import main
from lab_code.data.ham10000 import read_dataset
from lab_code.notebook.command_form import CommandForm, Field, Values
from lab_code.notebook.picture import Picture
from lab_code.plots.one_run import plot_confusions, to_png
from lab_code.workshop.feedback import RATINGS, SENTENCES
from lab_code.workshop.kit import find_kit
from lab_code.workshop.review import QUESTIONS, REVIEW, STARS, read_review

_FROM_1_TO_5 = tuple((str(n), str(n)) for n in range(1, 6))


def feedback() -> CommandForm:
    """Three ratings and two sentences, without names."""
    ratings = [Field(name, "one", question, _FROM_1_TO_5) for name, question in RATINGS.items()]
    sentences = [Field(name, "lines", question, optional=True) for name, question in SENTENCES.items()]
    return CommandForm("Feedback", [*ratings, *sentences], "Send feedback", lambda v: ["feedback", *_options(v, v)])


def handin() -> CommandForm:
    """A button that hands in, as often as the group likes: the newest counts."""
    return CommandForm("Hand in", [], "Hand in", lambda values: ["handin"])


def review() -> CommandForm | None:
    """Another group's two runs and three questions; before they have arrived, one line that says so."""
    root = find_kit().root
    if not (root / REVIEW).is_file():
        print(f"There is nothing to review yet. When the instructor has brought {REVIEW}, run this cell again.")
        return None
    found = read_review(root)
    main(["review"])
    matrices = {f"run {run.name}": matrix for run, matrix in zip(found.runs, found.confusions, strict=True)}
    picture = to_png(plot_confusions(matrices, read_dataset(root / "data")))
    display(Picture(picture, "Confusion matrices of run A and run B side by side"))
    fields = [Field(name, "lines", question) for name, question in QUESTIONS.items()]
    if found.sentence:
        fields.append(Field("stars", "one", STARS, _FROM_1_TO_5))
    names = [field.name for field in fields]
    return CommandForm("Review", fields, "Send review", lambda v: ["review", *_options(v, names)])


def _options(values: Values, names: Iterable[str]) -> list[str]:
    return [word for name in names if values[name] for word in (f"--{name}", values[name])]
