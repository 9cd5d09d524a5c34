"""Descriptions of data sets: what they may say, and what is refused before anything is read or trained."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from lab_code.data.dataset import MOST, Dataset, dataset_to_yaml, parse_dataset
from lab_code.data.ham10000 import HAM10000, read_dataset
from lab_code.data.lesions import find_lesions, load_lesions, load_part
from lab_code.errors import LabError
from lab_code.metrics import confusion_matrix, evaluate
from lab_code.plots.one_run import (
    plot_confusion,
    plot_examples,
    plot_explanation,
    plot_predictions,
    plot_roc,
    plot_sensitivities,
)
from lab_code.plots.several import Look, plot_differences, plot_looks
from lab_code.tracking.views import describe_view

WHERE = Path("dataset.yaml")
GREY = "name: Two\nkind: grey\nclasses: [cat, dog]\n"


def many(count: int) -> str:
    return "name: Many\nclasses: [" + ", ".join(f"c{number}" for number in range(count)) + "]\n"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (many(1), "1 class, expected 2 to 100", "every class once"),
        (many(101), "101 classes, expected 2 to 100", "every class once"),
        ("name: X\nclasses: [cat, dog, Cat]\n", "entry 3: the code 'Cat' is that of entry 1", "of its own"),
        (
            "name: X\nclasses: [{code: a, name: one}, {code: b, name: One}]\n",
            "entry 2: the name 'One' is",
            "of its own",
        ),
        ("name: X\nclasses: [a, <b>]\n", "entry 2: '<b>' cannot be a code", "at most 20"),
        ("name: X\nclasses: [a, bb/../c]\n", "cannot be a code", "at most 20"),
        (f"name: X\nclasses: [a, {'b' * 21}]\n", "cannot be a code", "at most 20"),
        ("name: X\nclasses: [a, {code: b, name: '<script>'}]\n", "name is '<script>', with '<'", "letters, digits"),
        ("name: X\nclasses: [a, {code: b, name: '[red]b'}]\n", "with '\\['", "letters, digits"),
        ("name: X\nclasses: [a, {code: b, name: '=1+1'}]\n", "with '='", "the first a letter"),
        (f"name: X\nclasses: [a, {{code: b, name: {'n' * 61}}}]\n", "name has 61 characters", "at most 60"),
        ("name: X\nclasses: [a, {name: b}]\n", "entry 2 has no code", "code:"),
        ("name: X\nclasses: [a, {code: b, nmae: c}]\n", "no key 'nmae'", "did you mean 'name'"),
        ("name: X\nclasses: 3\n", "classes is no list", r"\[cat, dog\]"),
        ("name: X\nclases: [a, b]\n", "no key 'clases'", "did you mean 'classes'"),
        ("classes: [a, b]\n", "the key 'name' is missing", "a description has"),
        ("name: X\nkind: blue\nclasses: [a, b]\n", "kind is 'blue'", "colour, or grey"),
        ("name: X\nclasses: [a, b]\ngroup_words: [a, b, c]\n", "not two words", "group_words"),
        ("name: X\nclasses: [a, b]\nspotlight: c\n", "spotlight is 'c', which is no class", "a, b"),
        ("name: X\nclasses: [a, b]\none_class_a_group: maybe\n", "is 'maybe'", "true, or false"),
        ("name: X\nclasses: [a, b]\nspread: 0\n", "spread is 0", "one for all"),
        ("name: X\nclasses: [a, b]\nmean: [1, 2, 3]\n", "mean is", "three numbers"),
        ("name: [a\n", "line 2 is not readable YAML", "quotes"),
        ("- a\n- b\n", "holds no keys", "a description has"),
        ("", "holds no keys", "a description has"),
        (f"name: X\nclasses: [a, b]\nsource: {'s' * 300_000}\n", "larger than a description", "100"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused_by_its_place(text: str, message: str, hint: str) -> None:
    with pytest.raises(LabError, match=message) as caught:
        parse_dataset(text, WHERE)

    assert re.search(hint, caught.value.hint or "")


@pytest.mark.parametrize("text", [GREY, many(2), many(100), dataset_to_yaml(HAM10000)])
def test_a_description_is_written_as_it_was_read(text: str) -> None:
    dataset = parse_dataset(text, WHERE)
    assert parse_dataset(dataset_to_yaml(dataset), WHERE) == dataset


def test_codes_stay_as_they_are_written() -> None:
    codes = parse_dataset("name: X\nclasses: [07, no, 1.0, null, a]\n", WHERE).codes
    assert codes == ("07", "no", "1.0", "null", "a")


def test_a_folder_without_a_description_holds_ham10000(tmp_path: Path) -> None:
    assert read_dataset(tmp_path) == HAM10000 == parse_dataset(dataset_to_yaml(HAM10000), WHERE)
    assert HAM10000.label("akiec") == "actinic keratosis (akiec)" and HAM10000.label("cat") == "cat"


def write_photographs(folder: Path, colour: tuple[int, int, int], rows: list[str], text: str | None = GREY) -> Path:
    folder.mkdir()
    for row in rows[1:]:
        Image.new("RGB", (16, 16), colour).save(folder / f"{row.split(',')[0]}.png")
    (folder / "t.csv").write_text("\n".join(rows))
    if text is not None:
        (folder / "dataset.yaml").write_text(text)
    return folder


ROWS = ["image,class,group_id", "1,cat,a", "2,dog,a", "3,dog,b", "4,cat,c"]


def test_another_subject_is_read_with_its_own_words(tmp_path: Path) -> None:
    lesions, found = find_lesions(write_photographs(tmp_path / "d", (90, 90, 90), ROWS), 16)
    assert lesions.dataset.codes == ("cat", "dog") and lesions.labels.tolist() == [0, 1, 1, 0]
    assert found.summary().startswith("4 photographs of 3 groups in d/ (cat 2, dog 2)")


@pytest.mark.parametrize(
    ("rows", "colour", "text", "message", "hint"),
    [
        (ROWS, (200, 30, 30), GREY, "is in colour, but the data set 'Two' is described as grey", "kind: colour"),
        ([*ROWS, "5,cow,d"], (9, 9, 9), GREY, "line 6: unknown class 'cow'", "known: cat, dog"),
        (ROWS, (9, 9, 9), None, "line 2: unknown diagnosis 'cat'", "another subject. dataset.yaml"),
        (ROWS, (9, 9, 9), f"{GREY}one_class_a_group: true\n", "line 3: group a is 'dog' here and 'cat'", "one class"),
    ],
)
def test_photographs_that_do_not_fit_the_description_are_refused(
    tmp_path: Path, rows: list[str], colour: tuple[int, int, int], text: str | None, message: str, hint: str
) -> None:

    with pytest.raises(LabError, match=message) as caught:
        load_lesions(write_photographs(tmp_path / "d", colour, rows, text), 16)
    assert re.search(hint, caught.value.hint or "")


def test_grey_arrays_need_a_description_and_get_three_equal_channels(tmp_path: Path) -> None:
    path = tmp_path / "pneumoniamnist.npz"
    arrays = {f"{part}_images": np.full((4, 28, 28), 7, np.uint8) for part in ("train", "val", "test")}
    np.savez(path, **arrays, **{f"{part}_labels": np.array([[0], [1], [1], [0]]) for part in ("train", "val", "test")})
    with pytest.raises(LabError, match="grey photographs"):
        load_part(path, "train", 28)
    path.with_suffix(".yaml").write_text(GREY)
    lesions = load_part(path, "train", 28)
    assert lesions.images.shape == (4, 28, 28, 3) and lesions.dataset.name == "Two"


@pytest.mark.parametrize("count", [2, MOST])
def test_two_and_a_hundred_classes_are_measured_and_drawn(count: int) -> None:
    dataset = parse_dataset(many(count), WHERE)
    labels = np.arange(3 * count) % count
    probabilities = np.eye(count, dtype=np.float32)[labels] * 0.5 + 0.5 / count
    assert evaluate(labels, probabilities, dataset.codes)["balanced_accuracy"] == 1
    confusion = confusion_matrix(labels, labels, count)
    for figure in (
        plot_confusion(confusion, dataset, "title"),
        plot_sensitivities({"run": [1.0] * count}, dataset),
        plot_roc(labels, probabilities, dataset.codes, "title"),
    ):
        assert figure.axes
    assert len(str(describe_view([f"{'c' * 17}{number}" for number in range(count)]))) < 20_000  # MLflow's limit


def describe_long_names(count: int) -> Dataset:
    """A data set whose codes and names are as long as they may be."""
    names = [f"The mineral of the northern river valleys with the number {n:02d}" for n in range(count)]
    classes = "".join(f"\n  - {{code: variety_of_rock.{n:03d}, name: {name}}}" for n, name in enumerate(names))
    return parse_dataset(f"name: Minerals\nclasses:{classes}\nclass_words: [mineral, minerals]\n", WHERE)


def draw(name: str, dataset: Dataset) -> Figure:
    """A figure that names classes."""
    count, image = len(dataset), np.zeros((8, 8, 3), np.uint8)
    labels, said = np.arange(16) % count, np.arange(16) // 2 % count
    probabilities = np.eye(count)[said] * 0.4 + 0.6 / count
    found = {"baseline": np.linspace(0, 1, count), "balanced": np.linspace(1, 0, count)}
    names = [dataset.label(code) for code in dataset.codes]
    return {
        "confusion": lambda: plot_confusion(3 + np.eye(count, dtype=int) * 100, dataset, "baseline"),
        "examples": lambda: plot_examples(image[None].repeat(count, 0), np.arange(count), names),
        "sensitivities": lambda: plot_sensitivities(found, dataset),
        "predictions": lambda: plot_predictions(
            image[None].repeat(16, 0), labels, probabilities, dataset.codes, "title"
        ),
        "explanation": lambda: plot_explanation(image, np.zeros((8, 8)), probabilities[0], dataset),
        "differences": lambda: plot_differences(*found.values(), range(count), dataset, "what changed"),
        "looks": lambda: plot_looks([[Look(image, None, f"is {name}") for name in names[:3]]] * 2, "looks"),
    }[name]()


def find_overlaps(texts: list[Text]) -> list[str]:
    """Texts that cover each other, a pixel aside."""
    boxes = [(text, text.get_window_extent().padded(-1)) for text in texts if text.get_text()]
    pairs = ((one, other) for n, one in enumerate(boxes) for other in boxes[n + 1 :])
    return [f"{one[0].get_text()} / {other[0].get_text()}" for one, other in pairs if one[1].overlaps(other[1])]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("confusion", 30), ("confusion", MOST), ("sensitivities", 7), ("sensitivities", MOST), ("differences", MOST),
        ("examples", 7), ("predictions", 30), ("explanation", 30), ("looks", 30),
    ],
)  # fmt: skip
def test_long_names_of_many_classes_can_be_read(name: str, count: int) -> None:
    figure = draw(name, describe_long_names(count))
    figure.draw_without_rendering()
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels(), axes.texts[:60]):
            assert not find_overlaps(list(labels))
        assert all(text.get_fontsize() >= 7 for text in axes.findobj(Text))
        if axes.get_label() == "<colorbar>":
            continue
        box = axes.get_window_extent()
        assert min(box.width, box.height) >= 60, "the picture is larger than its names"
    assert not find_overlaps([axes.title for axes in figure.axes])
    assert not find_overlaps([axes.yaxis.label for axes in figure.axes])
