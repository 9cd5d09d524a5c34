"""A run while it goes on, as HTML: a line of state, a table that grows by one line an epoch, and its curve as SVG.

Beside the curve stands the ghost: the run that this one will be compared with. The two differ in colour, in the style
of their lines and in their signs, and everything that the curve shows is said in words as well. Strings only: one
picture by Matplotlib would take longer than everything else that shows a run takes in ten seconds.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_WIDTH, _HEIGHT = 430, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 30, 40  # room around the curves
_MINE, _GHOST, _PALE = "#2b72d6", "#b5651d", "#808080"  # 3 : 1 and more on white and on JupyterLab's dark page
_NEWEST = 30  # epochs that a table lists: a longer one is read by nobody, and costs training something

_Place = Callable[[int, float], tuple[float, float]]  # from an epoch and its score to a point of the picture


class EpochLine(NamedTuple):
    """What the table says of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    balanced_accuracy: float
    seconds: float


@dataclass(frozen=True)
class RunView:
    """What is shown: `done` of `total` steps (0: no bar), the epochs so far out of `length`, and the ghost."""

    name: str
    state: str
    done: int = 0
    total: int = 0
    notes: Sequence[str] = ()
    epochs: Sequence[EpochLine] = field(default_factory=list)
    length: int = 0
    ghost: str = ""  # its name; empty where there is nothing to compare with
    ghost_scores: Sequence[float] = ()  # balanced accuracy, epoch by epoch
    link: str = ""  # where MLflow shows this run
    classes: int = 7  # of which one is right

    @property
    def chance(self) -> float:
        """The balanced accuracy of always the same answer."""
        return 1 / self.classes


def draw_run(view: RunView) -> str:
    """Everything about the run as HTML."""
    name = html.escape(view.name)
    bar = f'<progress value="{view.done}" max="{view.total}" aria-label="{name}"></progress> ' if view.total else ""
    notes = "".join(f"<div><small>{html.escape(note)}</small></div>" for note in view.notes)
    parts = f"{_draw_table(view)}{draw_curve(view)}" if view.epochs else ""
    side_by_side = "display:flex;flex-wrap:wrap;gap:0.5em 1em;align-items:flex-start"
    address = html.escape(view.link)
    link = f' · <a href="{address}" target="_blank" rel="noopener">this run in MLflow</a>' if view.link else ""
    state = f"<div><b>{name}</b> {bar}{html.escape(view.state)}{link}</div>"
    return f'{state}{notes}<div style="{side_by_side}">{parts}</div>'


def describe_run(view: RunView) -> str:
    """The same as text."""
    newest = view.epochs[-_NEWEST:]
    lines = [f"{view.name}: {view.state}", *view.notes, *map(describe_line, newest)]
    return "\n".join(lines)


def describe_line(line: EpochLine) -> str:
    """One line: what an epoch brought."""
    return (
        f"epoch {line.epoch:>3}  loss {line.loss:.3f}  accuracy {line.accuracy:.3f}"
        f"  balanced accuracy {line.balanced_accuracy:.3f}  {line.seconds:.1f} s"
    )


def describe_curve(view: RunView) -> str:
    """What the curve shows, in words."""

    def list_scores(name: str, scores: Sequence[float]) -> str:
        before = "…, " if len(scores) > _NEWEST else ""
        return f"{name} {before}{', '.join(f'{score:.3f}' for score in scores[-_NEWEST:])}"

    said = list_scores(view.name, [line.balanced_accuracy for line in view.epochs])
    if view.ghost:
        said += f"; for comparison {list_scores(view.ghost, view.ghost_scores)}"
    return f"Balanced accuracy of every epoch: {said}; guessing reaches {view.chance:.3f}"


def _draw_table(view: RunView) -> str:
    headings = ["epoch", "loss", "accuracy", "balanced accuracy", *([f"beside {view.ghost}"] if view.ghost else [])]
    narrow = 'scope="col" style="white-space:normal;max-width:6em;vertical-align:bottom"'
    cells = "".join(f"<th {narrow}>{html.escape(heading)}</th>" for heading in [*headings, "seconds"])
    best = max(view.epochs, key=lambda line: line.balanced_accuracy)
    listed = [line for line in view.epochs if line is best or line.epoch > len(view.epochs) - _NEWEST]
    rows = "".join(f"<tr>{_draw_line(view, line, line is best)}</tr>" for line in listed)
    return f"<table><thead><tr>{cells}<td></td></tr></thead><tbody>{rows}</tbody></table>"


def _draw_line(view: RunView, line: EpochLine, is_best: bool) -> str:
    numbers = [str(line.epoch), f"{line.loss:.3f}", f"{line.accuracy:.3f}", f"{line.balanced_accuracy:.3f}"]
    if view.ghost:
        there = line.epoch <= len(view.ghost_scores)
        difference = line.balanced_accuracy - view.ghost_scores[line.epoch - 1] if there else 0.0
        numbers.append(f"{difference:+.3f}" if there else "–")
    cells = "".join(f"<td>{number}</td>" for number in [*numbers, f"{line.seconds:.1f}"])
    return f'{cells}<td style="text-align:left">{"★ best" if is_best else ""}</td>'


def draw_curve(view: RunView) -> str:
    """The balanced accuracy of every epoch as SVG: this run solid with dots, the ghost dashed with squares."""
    mine = [line.balanced_accuracy for line in view.epochs]
    last = max(2, view.length, len(mine), len(view.ghost_scores))
    top = 0.5 if max([*mine, *view.ghost_scores]) <= 0.5 else 1.0

    def place(number: int, score: float) -> tuple[float, float]:
        across = (number - 1) / (last - 1) * (_WIDTH - _LEFT - _RIGHT)
        return _LEFT + across, _HEIGHT - _BOTTOM - score / top * (_HEIGHT - _TOP - _BOTTOM)

    def draw(scores: Sequence[float], style: str, sign: str) -> str:
        places = [place(number, score) for number, score in enumerate(scores, 1)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        signs = places if len(places) <= _NEWEST else places[-1:]
        return f'<polyline fill="none" {style} points="{points}"/>' + "".join(sign.format(x=x, y=y) for x, y in signs)

    said = html.escape(describe_curve(view))
    ghost = draw(view.ghost_scores, _GHOST_LINE, _SQUARE) if view.ghost else ""
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" style="flex:1 1 20em;max-width:{_WIDTH}px"'
    return (
        f'<svg role="img" aria-label="{said}" {size} font-size="12" fill="currentColor">'
        f"{_draw_axes(place, last, top, view.chance)}{ghost}{draw(mine, _MINE_LINE, _DOT)}{_draw_legend(view)}</svg>"
    )


_MINE_LINE = f'stroke="{_MINE}" stroke-width="2.5"'
_GHOST_LINE = f'stroke="{_GHOST}" stroke-width="2" stroke-dasharray="6 4"'
_DOT = f'<circle cx="{{x:.1f}}" cy="{{y:.1f}}" r="3.5" fill="{_MINE}"/>'
_SQUARE = (
    '<rect x="{x:.1f}" y="{y:.1f}" width="6" height="6" transform="translate(-3 -3)"'
    f' fill="none" stroke="{_GHOST}" stroke-width="1.5"/>'
)


def _draw_axes(place: _Place, last: int, top: float, chance: float) -> str:
    """Lines for every quarter, numbers of the epochs, and the line of whoever guesses."""
    parts = []
    for quarter in range(5):
        score = top * quarter / 4
        (left, height), right = place(1, score), _WIDTH - _RIGHT
        parts.append(f'<path d="M{left} {height:.1f}H{right}" stroke="{_PALE}" stroke-width="0.5"/>')
        parts.append(f'<text x="{left - 7}" y="{height + 4:.1f}" text-anchor="end">{score:.3g}</text>')
    for number in range(1, last + 1, max(1, last // 10)):
        parts.append(f'<text x="{place(number, 0)[0]:.1f}" y="{_HEIGHT - 24}" text-anchor="middle">{number}</text>')
    middle, height = (_LEFT + _WIDTH - _RIGHT) / 2, place(1, chance)[1]
    guess = f'stroke="{_PALE}" stroke-width="1.5" stroke-dasharray="2 3"'
    parts.append(f'<path d="M{_LEFT} {height:.1f}H{_WIDTH - _RIGHT}" {guess}/>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{height + 13:.1f}" text-anchor="end">guessing</text>')
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">epoch (balanced accuracy, 0 to 1)</text>')
    return "".join(parts)


def _draw_legend(view: RunView) -> str:
    entries = [(view.name, _MINE_LINE, _DOT)] + ([(view.ghost, _GHOST_LINE, _SQUARE)] if view.ghost else [])
    parts = []
    for number, (name, style, sign) in enumerate(entries):
        x = _LEFT + 190 * number
        parts.append(f'<path d="M{x} 12h30" {style}/>{sign.format(x=x + 15, y=12)}')
        parts.append(f'<text x="{x + 36}" y="16">{html.escape(name[:20])}</text>')
    return "".join(parts)
