"""Figures of a run. Every function takes arrays and returns a Matplotlib figure; saving is left to the caller."""

import io
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from lab_code.data.dataset import Dataset
from lab_code.metrics import calibration, roc_curve, sensitivity

_MOST_CURVES = 12  # in one figure
_MANY = 25  # classes: beyond this numbers and names are written smaller, and bars are drawn of so many
_VERY_MANY = 40  # classes: beyond this a confusion matrix has numbers only where a share can be seen
_SEEN = 0.05  # the smallest such share
_SMALL = 8  # points
_LONG = 28  # characters of a name beside the cells; where one is longer, all are called by their codes
_HATCHES = ("", "//", "..", "xx", "\\\\", "oo")  # bars differ in more than colour

_DPI = 100
DASHES = ("-", "--", "-.", ":")


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    figure.dpi = _DPI
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # once: `savefig` draws twice, first to see how much room everything needs
    png = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(png, format="PNG")
    return png.getvalue()


def plot_confusion(confusion: np.ndarray, dataset: Dataset, title: str) -> Figure:
    """The confusion matrix (C, C) with counts, shaded by the share of each true class."""
    height = _height(dataset)
    figure = Figure(figsize=(2.2 + height, height), layout="constrained")
    draw_confusion(figure.add_subplot(), confusion, dataset, title)
    return figure


def plot_confusions(matrices: dict[str, np.ndarray], dataset: Dataset) -> Figure:
    """Several confusion matrices side by side, by the names of their runs."""
    height = _height(dataset)
    figure = Figure(figsize=((1.4 + height) * len(matrices), height), layout="constrained")
    for axes, (title, confusion) in zip(
        np.atleast_1d(figure.subplots(1, len(matrices))), matrices.items(), strict=True
    ):
        draw_confusion(axes, confusion, dataset, title)
    return figure


def draw_confusion(axes: Axes, confusion: np.ndarray, dataset: Dataset, title: str) -> None:
    """Draw one matrix; each row is labelled with its sensitivity.

    Of many classes only what is not 0 is written, of very many only what is a share of its row that can be seen.
    """
    size = len(dataset)
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(confusion / confusion.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")  # long names take their room from the cells
    least = _SEEN if size > _VERY_MANY else 0.0 if size > _MANY else -1.0
    for row, column in np.argwhere(shares > least):
        colour, number = "white" if shares[row, column] > 0.55 else "black", str(confusion[row, column])
        axes.text(column, row, number, ha="center", va="center", color=colour, fontsize=7 if size > _MANY else 9)
    found = [f"{value:.0%}" if not np.isnan(value) else "none" for value in sensitivity(confusion)]
    _name_classes(axes, dataset.codes)
    names = _name_rows(dataset)
    rows = [f"{name}  {share}" for name, share in zip(names, found, strict=True)]
    axes.set_yticks(range(size), rows, fontsize=_SMALL if size > _MANY else None)
    axes.set_xlabel(f"predicted {dataset.class_words[0]} (photographs)")
    axes.set_ylabel(f"true {dataset.class_words[0]}, and the share recognised")
    axes.set_title(title)


def _height(dataset: Dataset) -> float:
    """Inches of a figure with a row for each class."""
    return max(5.0, 0.22 * len(dataset))


def _name_rows(dataset: Dataset) -> list[str]:
    """Names with codes, or codes alone where a name would take the room of the cells."""
    names = [dataset.label(code) for code in dataset.codes]
    return names if max(map(len, names)) <= _LONG else list(dataset.codes)


def _name_classes(axes: Axes, codes: Sequence[str]) -> None:
    """Write the classes along the x axis, upright where they would meet."""
    crowded = sum(map(len, codes)) + len(codes) > 60
    axes.set_xticks(range(len(codes)), codes, rotation=90 if crowded else 0, fontsize=_SMALL if crowded else None)


def plot_curves(history: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Training loss on the left, validation metrics (shares from 0 to 1) on the right, over epochs."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history["train_loss"]) + 1)
    left.plot(epochs, history["train_loss"], marker="o")
    left.set(title="training loss", xlabel="epoch", ylabel="loss (nats)")
    for (name, values), marker in zip(history.items(), "osD^v", strict=False):
        if name != "train_loss":
            right.plot(epochs, values, marker=marker, label=name.replace("_", " ").replace("auc", "AUC"))
    right.set(title="validation", xlabel="epoch", ylabel="share (0 to 1)", ylim=(0, 1))
    right.legend()
    figure.suptitle(title)
    return figure


def plot_examples(images: np.ndarray, labels: np.ndarray, names: Sequence[str], per_class: int = 6) -> Figure:
    """The first photographs of every class in rows, of the first forty classes.

    `images` (N, H, W, 3) uint8, `labels` (N,) int.
    """
    names = names[:40]  # more than that is no picture any more
    labelled = [textwrap.fill(name, _LONG) for name in names]
    room = 0.08 * max(len(line) for name in labelled for line in name.splitlines())  # inches, of what stands beside
    figure = Figure(figsize=(1.15 * per_class + max(0.0, room - 2.2), 1.15 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), per_class, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[], frame_on=False)
    for row, name in enumerate(labelled):
        which = np.flatnonzero(labels == row)
        grid[row, 0].set_ylabel(f"{name} ({len(which)})", rotation=0, ha="right", va="center")
        for axes, index in zip(grid[row], which[:per_class], strict=False):
            axes.imshow(images[index])
    return figure


def plot_sensitivities(found: dict[str, Sequence[float]], dataset: Dataset) -> Figure:
    """One group of bars a class, one bar a run: `found` maps runs to the sensitivities (C,) of the classes.

    Of many classes those are drawn in which the runs differ most, or of one run those that it recognises least.
    """
    word, words = dataset.class_words
    shown, title = list(range(len(dataset))), f"sensitivity of every {word}"
    if len(dataset) > _MANY:
        shown = _choose_classes(np.nan_to_num(np.array(list(found.values()))))
        which = "in which the runs differ most" if len(found) > 1 else "that are recognised least"
        title = f"sensitivity of the {len(shown)} of {len(dataset)} {words} {which}"
    figure = Figure(figsize=(max(9.0, 0.45 * len(shown)), 3.8), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / max(1, len(found))
    for number, ((run, values), hatch) in enumerate(zip(found.items(), _HATCHES * len(found), strict=False)):
        places = np.arange(len(shown)) - 0.4 + width * (number + 0.5)
        heights = np.nan_to_num(values)[shown]
        axes.bar(places, heights, width, label=run, hatch=hatch, edgecolor="black", linewidth=0.6)
    _name_classes(axes, [dataset.codes[number] for number in shown])
    axes.set(title=title, xlabel=word, ylabel="share recognised (0 to 1)", ylim=(0, 1))
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)  # over no bar
    return figure


def _choose_classes(values: np.ndarray) -> list[int]:
    """Of the sensitivities (runs, C) the classes that are worth a look, in their order."""
    worth = np.ptp(values, axis=0) if len(values) > 1 else -values[0]
    return sorted(np.argsort(-worth, kind="stable")[:_MANY].tolist())


def plot_roc(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """One ROC curve a class against all others, of many classes those that are there most often.

    `labels` (N,) int, `probabilities` (N, C).
    """
    counts = np.bincount(labels, minlength=len(names))
    shown = set(np.argsort(-counts, kind="stable")[:_MOST_CURVES].tolist())
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(names):
        positive = labels == number
        if number in shown and positive.any() and not positive.all():
            false, true = roc_curve(positive, probabilities[:, number])
            area = np.trapezoid(true, false)
            axes.plot(false, true, DASHES[number % len(DASHES)], label=f"{name}  AUC {area:.2f}")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, label="guessing")
    axes.set(title=title, xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right")
    return figure


def plot_calibration(labels: np.ndarray, probabilities: np.ndarray, title: str) -> Figure:
    """How often the predicted class is right, over the probability it was given; below, on how many photographs."""
    said, found, count = calibration(labels, probabilities)
    figure = Figure(figsize=(5.2, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="grey", linewidth=0.8, label="perfect")
    upper.plot(said[count > 0], found[count > 0], marker="o", label="this run")
    upper.set(title=title, ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    upper.legend(loc="upper left")
    middles = (np.arange(len(count)) + 0.5) / len(count)
    lower.bar(middles, count, 0.9 / len(count))
    lower.set(xlabel="probability given to the predicted class", ylabel="photographs")
    return figure


def plot_predictions(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str], title: str, count: int = 8
) -> Figure:
    """The photographs a run was surest about: those it got right above, those it got wrong below.

    `images` (N, H, W, 3) uint8, `labels` (N,) int, `probabilities` (N, C).
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    figure = Figure(figsize=(1.5 * count, 4.0), layout="constrained")
    size = 9 if max(map(len, names)) <= 12 else 7
    rows = figure.subplots(2, count, squeeze=False)
    for axes in rows.flat:
        axes.set(xticks=[], yticks=[], frame_on=False)
    for row, text, which in ((rows[0], "right", predicted == labels), (rows[1], "wrong", predicted != labels)):
        row[0].set_ylabel(text)
        chosen = np.flatnonzero(which)[np.argsort(-confidence[which], kind="stable")][:count]
        for axes, index in zip(row, chosen, strict=False):
            axes.imshow(images[index])
            said, truth = names[predicted[index]], names[labels[index]]
            axes.set_title(f"{said} {confidence[index]:.0%}\nis {truth}", fontsize=size)
    figure.suptitle(title)
    return figure


def plot_explanation(image: np.ndarray, heat: np.ndarray | None, probabilities: np.ndarray, dataset: Dataset) -> Figure:
    """A photograph, where the network looked (if that is known), and the probabilities of the likeliest classes.

    `image` (H, W, 3) uint8, `heat` (H, W) from 0 to 1, `probabilities` (C,).
    """
    names = dataset.codes
    figure = Figure(figsize=(10.0 if heat is not None else 7.0, 3.4), layout="constrained")
    parts = figure.subplots(1, 3 if heat is not None else 2)
    for axes in parts[:-1]:
        axes.set(xticks=[], yticks=[])
        axes.imshow(image)
    parts[0].set_title("photograph")
    if heat is not None:
        shown = draw_heat(parts[1], image, heat)
        parts[1].set_title(f"what spoke for {names[int(probabilities.argmax())]}")
        figure.colorbar(shown, ax=parts[1], label="weight (0 to 1)", shrink=0.8)
    order = np.argsort(probabilities)[-_MOST_CURVES:]
    bars = parts[-1].barh([names[index] for index in order], probabilities[order])
    parts[-1].bar_label(bars, [f"{probabilities[index]:.0%}" for index in order], padding=2)
    parts[-1].set(title=f"probability of each {dataset.class_words[0]}", xlabel="probability (0 to 1)", xlim=(0, 1.12))
    return figure


def draw_heat(axes: Axes, image: np.ndarray, heat: np.ndarray) -> AxesImage:
    """Lay a map (H, W) of what counted, from 0 to 1, over a photograph that is drawn already."""
    place = (0, image.shape[1], image.shape[0], 0)
    return axes.imshow(heat, cmap="viridis", alpha=0.5, vmin=0, vmax=1, extent=place)
