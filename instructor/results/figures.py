"""Figures of a class, each as PNG and PDF: every run's settings and score, who tried what, the best runs, the winner.

    write_figures(results, folder)       folder/figures/runs.png, runs.pdf, tried.png, …

A group has the colour and the shape of its sheet in all of them. Texts from hand-ins are drawn as they are, never read
as formulas, and signs that the font lacks are named.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator

from instructor.results.glyphs import name_missing
from instructor.results.results import Results
from instructor.results.settings import choice_keys
from lab_code.files import write_whole
from lab_code.metrics import confusion_matrix
from lab_code.plots.one_run import plot_confusion
from lab_code.workshop.mark import Mark, mark_of

FIGURES = "figures"
_MOST_SETTINGS, _MOST_VALUES, _LONGEST = 8, 12, 22
_MOST_GROUPS, _MOST_RUNS = 30, 400  # that one figure can hold: the groups that are ranked first, the best runs
PLAIN: Any = {"text.parse_math": False, "text.usetex": False, "svg.fonttype": "none"}


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Write all figures that there is something to show in; returns the pictures."""
    pictures = []
    with matplotlib.rc_context(PLAIN):
        for name, figure in draw_figures(results):
            figure.draw_without_rendering()  # gives everything its place, once for both kinds
            figure.set_layout_engine("none")
            pictures.append(folder / FIGURES / f"{name}.png")
            write_whole(pictures[-1], _render(figure, "png"))
            write_whole(pictures[-1].with_suffix(".pdf"), _render(figure, "pdf"))
    return pictures


def draw_figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Every figure with its name."""
    marks = _marks(results)
    runs = results.runs[results.runs["validation_balanced_accuracy"].notna() & results.runs["group"].isin(list(marks))]
    if len(runs):
        best = runs.sort_values(["counts", "validation_balanced_accuracy"], ascending=False)[:_MOST_RUNS].sort_index()
        yield "runs", plot_runs(best, marks)
        yield "tried", plot_tried(runs, marks)
    if results.curves:
        yield "curves", plot_best_curves(results)
    for standing in results.winners:
        predicted = results.evidence.predictions().get(standing.group)
        if predicted is not None:
            dataset = results.evidence.dataset
            matrix = confusion_matrix(np.array(results.evidence.labels), predicted, len(dataset))
            yield f"winner-{standing.group}", plot_confusion(matrix, dataset, f"{standing.group}: hidden photographs")


def plot_runs(runs: pd.DataFrame, marks: dict[str, Mark]) -> Figure:
    """Parallel coordinates: a line a run through the settings that differ, to its balanced accuracy."""
    settings = _differing(runs)
    columns = [*settings, "validation_balanced_accuracy", "test_balanced_accuracy"]
    figure = Figure(figsize=(max(8.0, 1.6 * len(columns)), 6.0), layout="constrained")
    axes = figure.add_subplot()
    places = {key: _place_values(axes, number, runs[key].map(_say)) for number, key in enumerate(settings)}
    top = max(0.1, float(runs[columns[-2:]].max().max()))
    shift = _spread(runs, marks)
    for _, row in runs.iterrows():
        mark = marks[row["group"]]
        heights = [places[key][_say(row[key])] + shift[row["group"]] for key in settings]
        heights += [row[name] / top if pd.notna(row[name]) else np.nan for name in columns[-2:]]
        style: dict[str, Any] = {
            "color": mark.colour,
            "marker": outline(mark),
            "markersize": 8,
            "linewidth": 2.5 if row["counts"] else 1,
        }
        axes.plot(range(len(columns)), heights, alpha=1 if row["counts"] else 0.55, zorder=2 + row["counts"], **style)
    for number in range(len(columns)):
        axes.axvline(number, color="grey", linewidth=0.8, zorder=0)
    for number in (len(columns) - 2, len(columns) - 1):
        for height in (0, 0.5, 1):
            axes.annotate(
                f"{height * top:.2f}", (number, height), xytext=(6, 2), textcoords="offset points", fontsize=9
            )
    names = [
        *(key.replace(".", "\n") for key in settings),
        "balanced\naccuracy,\nvalidation",
        "balanced\naccuracy,\nhidden",
    ]
    axes.set_xticks(range(len(columns)), names, fontsize=10)
    axes.set(yticks=[], xlim=(-0.4, len(columns) - 0.5), ylim=(-0.12, 1.14))
    axes.set_title(
        f"{len(runs)} runs of {len(marks)} groups: settings that differ, and what came out. Thick: the ranked run"
    )
    axes.set_frame_on(False)
    _add_legend(axes, marks)
    return figure


def plot_tried(runs: pd.DataFrame, marks: dict[str, Mark]) -> Figure:
    """Who tried what: a column a value of every setting that differs, a row a group, the number of its runs."""
    settings = _differing(runs)
    values = [(key, value) for key in settings for value in _order(runs[key].map(_say))[:_MOST_VALUES]]
    figure = Figure(figsize=(max(8.0, 1.6 + 0.62 * len(values)), 2.4 + 0.5 * len(marks)), layout="constrained")
    axes = figure.add_subplot()
    for row, (group, mark) in enumerate(marks.items()):
        mine = runs[runs["group"] == group]
        for column, (key, value) in enumerate(values):
            count = int((mine[key].map(_say) == value).sum())
            if count:
                axes.plot(column, row, marker=outline(mark), color=mark.colour, markersize=19, linestyle="none")
                axes.text(column, row, str(count), color="white", ha="center", va="center", fontsize=9, weight="bold")
    bounds = np.cumsum([0, *(sum(key == name for name, _ in values) for key in settings)])
    for left, right, key in zip(bounds, bounds[1:], settings, strict=False):
        axes.axvline(right - 0.5, color="#c0c6cc", linewidth=0.8)
        axes.text((left + right - 1) / 2, -0.75, key.replace(".", "\n"), ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(values)), [value for _, value in values], rotation=45, ha="right", fontsize=9)
    axes.set_yticks(range(len(marks)), list(marks))
    axes.set(xlim=(-0.5, max(0.5, len(values) - 0.5)), ylim=(len(marks) - 0.4, -1.6))
    axes.set_title("Who tried what: runs with each value of the settings that differ")
    axes.set_frame_on(False)
    return figure


def plot_best_curves(results: Results) -> Figure:
    """Balanced accuracy of every group's best run on its validation photographs, epoch by epoch."""
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    marks = {group: mark for group, mark in _marks(results).items() if group in results.curves}
    for group, mark in marks.items():
        steps, values = zip(*results.curves[group], strict=True)
        every = max(1, len(steps) // 12)
        axes.plot(steps, values, color=mark.colour, marker=outline(mark), markersize=9, markevery=every, linewidth=2)
    axes.set(xlabel="epoch", ylabel="balanced accuracy on validation photographs (0 to 1)", ylim=(0, None))
    axes.set_title("The best run of every group")
    axes.grid(color="#d9dde1", linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _add_legend(axes, marks)
    return figure


def outline(mark: Mark) -> Outline | str:
    """A group's shape as a marker of Matplotlib."""
    if not mark.points:
        return "o"
    corners = [(x - 0.5, 0.5 - y) for x, y in mark.points]
    return Outline([*corners, corners[0]], closed=True)


def _marks(results: Results) -> dict[str, Mark]:
    return {
        standing.group: mark_of(standing.number)
        for standing in sorted(results.standings.groups[:_MOST_GROUPS], key=lambda standing: standing.number)
    }


def _differing(runs: pd.DataFrame) -> list[str]:
    """The settings in which runs differ, in their own order; of more than eight those that were changed most."""
    counts = {key: runs[key].map(_say).nunique() for key in (*choice_keys(), "seed") if not _follows(runs, key)}
    tried = {key: (runs[key].map(_say) != runs[key].map(_say).mode()[0]).sum() for key, n in counts.items() if n > 1}
    chosen = sorted(tried, key=lambda key: -tried[key])[:_MOST_SETTINGS]
    return [key for key in counts if key in chosen]


def _follows(runs: pd.DataFrame, key: str) -> bool:
    """Whether a setting only follows from the choice that it belongs to, as a loss's weights from the loss."""
    leader = f"{key.split('.')[0]}.name"
    return key != leader and leader in runs and bool((runs.groupby(leader)[key].nunique() <= 1).all())


def _say(value: object) -> str:
    """A setting's value, short and with signs that the font has."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    text = f"{value:g}" if isinstance(value, float | int) else name_missing(str(value)) or "–"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _order(values: pd.Series) -> list[str]:
    def key(value: str) -> tuple[int, float, str]:
        try:
            return 0, float(value), ""
        except ValueError:
            return 1, 0.0, value

    return sorted(set(values), key=key)


def _place_values(axes: Axes, number: int, values: pd.Series) -> dict[str, float]:
    """Heights from 0 to 1 of a setting's values, which are written there."""
    order = _order(values)
    places = {value: index / max(1, len(order) - 1) if len(order) > 1 else 0.5 for index, value in enumerate(order)}
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for value, place in list(places.items())[:: max(1, len(places) // _MOST_VALUES)]:
        text = value.replace("_", "_\n", 1) if len(value) > 12 else value
        axes.annotate(
            text,
            (number, place),
            xytext=(0, 14),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            bbox=paper,
            zorder=9,
        )
    return places


def _spread(runs: pd.DataFrame, marks: dict[str, Mark]) -> dict[str, float]:
    """A little height of its own for every group, so that equal settings do not hide each other."""
    middle = (len(marks) - 1) / 2
    return {group: 0.012 * (middle - number) for number, group in enumerate(marks)}


def _add_legend(axes: Axes, marks: dict[str, Mark]) -> None:
    for group, mark in marks.items():
        axes.plot([], [], color=mark.colour, marker=outline(mark), markersize=9, label=group)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _render(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    metadata = {"CreationDate": None} if kind == "pdf" else {}
    figure.savefig(content, format=kind, dpi=110, metadata=metadata)
    return content.getvalue()
