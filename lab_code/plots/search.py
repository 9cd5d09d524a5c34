"""What a search has found out, as a figure: how much each setting matters."""

from collections.abc import Mapping

from matplotlib.figure import Figure


def plot_importance(importance: Mapping[str, float], trials: int) -> Figure:
    """One bar a setting, the most important on top; the shares add up to 1."""
    figure = Figure(figsize=(7.0, 1.4 + 0.45 * len(importance)), layout="constrained")
    axes = figure.add_subplot()
    order = sorted(importance, key=lambda key: importance[key])
    bars = axes.barh(order, [importance[key] for key in order], color="#2b72d6", edgecolor="black", linewidth=0.6)
    axes.bar_label(bars, [f"{importance[key]:.0%}" for key in order], padding=3)
    axes.set(xlim=(0, 1.08), xlabel="share of the differences in balanced accuracy (fANOVA)", ylabel="setting")
    axes.set_title(f"how much each setting matters, by {trials} trials", loc="left")
    return figure
