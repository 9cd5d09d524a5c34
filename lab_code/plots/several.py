"""Figures about several runs: their settings and scores, what changed for each class, where they look.

As in `one_run.py`, every function takes plain values and returns a Matplotlib figure.
"""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lab_code.data.dataset import Dataset
from lab_code.plots.one_run import DASHES, draw_heat

_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
_ABOVE: dict[str, Any] = {
    "xytext": (0, 7), "textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 9, "bbox": _PAPER,
}  # fmt: skip
_BESIDE: dict[str, Any] = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}


_SIGNS = "osD^vPX*"  # of points, in turn
_LINE = 44  # characters above a photograph


class Look(NamedTuple):
    """A photograph (H, W, 3) uint8, a map (H, W) of what in it counted, from 0 to 1 (None: not known), a title."""

    image: np.ndarray
    heat: np.ndarray | None
    title: str


def plot_differences(
    first: Sequence[float], second: Sequence[float], counts: Sequence[int], dataset: Dataset, title: str
) -> Figure:
    """By how much each class is recognised more or less often: sensitivities (C,) of two runs, and photographs (C,)."""
    change = np.nan_to_num(np.asarray(second) - np.asarray(first))
    figure = Figure(figsize=(8.0, max(3.6, 0.22 * len(dataset))), layout="constrained")
    axes = figure.add_subplot()
    labels = [f"{code} ({count})" for code, count in zip(dataset.codes, counts, strict=True)]
    colours = ["#1b7837" if value >= 0 else "#762a83" for value in change]
    bars = axes.barh(labels, change, color=colours, edgecolor="black", linewidth=0.6)
    axes.bar_label(bars, [f"{value:+.2f}" for value in change], padding=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(title=title, xlabel="change of the share recognised", ylabel=f"{dataset.class_words[0]} (photographs)")
    return figure


def plot_parallel_coordinates(
    settings: dict[str, Sequence[str]], scores: Sequence[float], names: Sequence[str]
) -> Figure:
    """One line a run, through its settings (evenly spaced, in order) to its balanced accuracy on the right."""
    figure = Figure(figsize=(min(11.0, 5.0 + 0.8 * len(settings)), 5.0), layout="constrained")
    axes = figure.add_subplot()
    low, high = min(scores), max(scores)
    span = high - low or 1.0
    heights = [[(score - low) / span if high > low else 0.5 for score in scores]]
    for number, values in enumerate(settings.values()):
        order = sorted(set(values), key=_number_or_text)
        places = {value: index / max(1, len(order) - 1) for index, value in enumerate(order)}
        heights.insert(number, [places[value] for value in values])
        for value, place in places.items():
            axes.annotate(_break_lines(value), (number, place), **_ABOVE)
    for run, name in enumerate(names):
        line = [column[run] for column in heights]
        colour = colormaps["viridis"](0.85 * heights[-1][run])
        axes.plot(range(len(heights)), line, DASHES[run % len(DASHES)], color=colour, marker="o", linewidth=2)
        axes.annotate(f"{scores[run]:.3f} {name}", (len(settings), line[-1]), **_BESIDE)
    for number in range(len(heights)):
        axes.axvline(number, color="grey", linewidth=0.8, zorder=0)
    keys = [*(key.replace(".", "\n") for key in settings), "balanced\naccuracy"]
    axes.set_xticks(range(len(heights)), keys, fontsize=9)
    axes.set(title="settings and result of every run", yticks=[], xlim=(-0.6, len(settings) + 1.6), ylim=(-0.08, 1.14))
    axes.set_frame_on(False)
    return figure


def plot_scores(accuracy: Sequence[float], balanced: Sequence[float], names: Sequence[str], classes: int = 7) -> Figure:
    """A point with its name for each run: share of the photographs that are right, and mean share of a class."""
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for run, (x, y, name) in enumerate(zip(accuracy, balanced, names, strict=True)):
        axes.plot(x, y, _SIGNS[run % len(_SIGNS)], markersize=9, markeredgecolor="black")
        axes.annotate(name, (x, y), **_BESIDE)
    axes.axhline(1 / classes, color="grey", linestyle=":")
    axes.annotate("always the same answer", (1, 1 / classes), xytext=(-4, 4), textcoords="offset points", ha="right")
    axes.set(title="two scores of every run", xlabel="accuracy (0 to 1)", ylabel="balanced accuracy (0 to 1)")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure


def plot_looks(rows: Sequence[Sequence[Look]], title: str) -> Figure:
    """Photographs in rows; over each the map of what counted for the answer, where it is known."""
    columns = max(map(len, rows))
    layout = ConstrainedLayoutEngine(hspace=0.06)  # a title belongs to the picture below it
    figure = Figure(figsize=(2.9 * columns, 2.9 * len(rows) + 0.4), layout=layout)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[], frame_on=False)
    for axes, look in zip(grid.flat, (look for row in rows for look in row), strict=True):
        axes.imshow(look.image)
        if look.heat is not None:
            draw_heat(axes, look.image, look.heat)
        axes.set_title(textwrap.fill(look.title, _LINE), fontsize=9)
    figure.suptitle(title)
    return figure


def _number_or_text(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), ""
    except ValueError:
        return 1, 0.0, value


def _break_lines(value: str, length: int = 10) -> str:
    """A long name in lines, broken behind its underscores: `weighted_cross_entropy`."""
    return "\n".join(textwrap.wrap(value.replace("_", "_ "), length)).replace("_ ", "_")
